"""Nodes in memory, and workers that lose no time."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from orchestrix_raft.worker import shell
from tests.unit.api.fake_node import FakeNode, serving
from tests.unit.worker.pool import Pool


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between connections, and a short end."""
    monkeypatch.setattr(shell, "RECONNECT_S", 0.0)
    monkeypatch.setattr(shell, "RECONNECT_SPREAD_S", 0.0)
    monkeypatch.setattr(shell, "OBSERVE_S", 0.005)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    async with AsyncExitStack() as stack:
        made.addresses = [await stack.enter_async_context(serving(node)) for node in made.nodes]
        yield made


@pytest.fixture
def node(pool: Pool) -> FakeNode:
    return pool.nodes[0]
