"""Two nodes in memory and a client of the first."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from orchestrix_raft import AsyncClient
from tests.unit.api.fake_node import FakeNode, serving
from tests.unit.client.nodes import Cluster


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    async with AsyncExitStack() as stack:
        made.addresses = [await stack.enter_async_context(serving(node)) for node in made.nodes]
        yield made


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[AsyncClient]:
    """Of the first node only."""
    async with AsyncClient(cluster.addresses[0], deadline=5.0) as client:
        yield client


@pytest.fixture
def node(cluster: Cluster) -> FakeNode:
    return cluster.nodes[0]
