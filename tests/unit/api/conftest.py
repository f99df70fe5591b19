"""A node in memory, and a raw connection to the API in front of it."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from tests.unit.api.fake_node import FakeNode, channel_to, serving


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
async def channel(node: FakeNode) -> AsyncIterator[grpc.aio.Channel]:
    async with serving(node) as address, channel_to(address) as channel:
        yield channel
