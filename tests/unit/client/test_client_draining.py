"""Draining of nodes and workers through the API, by the client, against a node in memory."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from orchestrix_raft import AsyncClient, OrchestrixError
from orchestrix_raft.client.cluster import AsyncCluster
from orchestrix_raft.client.sync import Cluster
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import Health, Node
from orchestrix_raft.domain.session import Hello
from orchestrix_raft.machine.commands import DrainNode, DrainSession, UndrainNode
from tests.unit.api.fake_node import WALL_MS, FakeNode, serving


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    node.known["n2"] = Node("n2", "b:1", "v", 77, bytes(16), Health.ALIVE, 0, 0)
    node.members, node.names = ["b:1"], {"b:1": "n2"}
    return node


@pytest.fixture
async def client(node: FakeNode) -> AsyncIterator[AsyncClient]:
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        yield client


async def test_a_node_is_drained_as_the_process_that_runs_now(client: AsyncClient, node: FakeNode) -> None:
    progress = await client.cluster.drain("n2")
    assert node.submitted == [DrainNode("n2", 77, False)]
    assert node.fresh_calls == [(0, True)], "of an older process it would be refused"
    assert (progress.workers, progress.jobs, progress.leaving) == (3, 20, False)
    assert progress.since == datetime.fromtimestamp(WALL_MS / 1_000, UTC)
    (shown,) = (await client.status()).nodes
    assert shown.drain == progress
    await client.cluster.undrain("n2")
    assert node.submitted[1:] == [UndrainNode("n2", 77)]
    (shown,) = (await client.status()).nodes
    assert shown.drain is None


async def test_a_drain_that_costs_too_much_needs_force(client: AsyncClient, node: FakeNode) -> None:
    node.cost = "without node n2 there is no majority"
    with pytest.raises(OrchestrixError, match="no majority") as refused:
        await client.cluster.drain("n2")
    assert refused.value.reason == "DRAIN_COSTS_TOO_MUCH"
    assert node.submitted == []
    await client.cluster.drain("n2", force=True)
    assert len(node.submitted) == 1


@pytest.mark.parametrize(
    ("node_id", "reason"), [("n9", "NODE_UNKNOWN"), ("", "INVALID_ARGUMENT"), ("x" * 101, "NODE_ID_INVALID")]
)
async def test_an_unknown_node_is_refused(client: AsyncClient, node_id: str, reason: str) -> None:
    for call in (client.cluster.drain, client.cluster.undrain):
        with pytest.raises(OrchestrixError) as refused:
            await call(node_id)
        assert refused.value.reason == reason


async def test_who_mistypes_a_node_is_told_which_there_are(client: AsyncClient) -> None:
    with pytest.raises(OrchestrixError) as refused:
        await client.cluster.drain("zz")
    assert str(refused.value) == "there is no node 'zz': there are n2"


@pytest.mark.parametrize("health", [Health.DEAD, Health.STOPPED])
async def test_a_node_that_does_not_run_is_neither_drained_nor_undrained(
    client: AsyncClient, node: FakeNode, health: Health
) -> None:
    node.known["n2"].health = health
    with pytest.raises(OrchestrixError) as drained:
        await client.cluster.drain("n2")
    assert str(drained.value).startswith(f"node n2 is {health.word}, so it has nothing to hand over: ")
    with pytest.raises(OrchestrixError) as undrained:
        await client.cluster.undrain("n2")
    assert str(undrained.value) == (
        f"node n2 is {health.word}: a drain ends with its node's process, and when it is started again it "
        "takes workers"
    )
    assert drained.value.reason == undrained.value.reason == "NODE_OVER"
    assert not node.submitted


async def test_what_the_state_machine_refuses_is_told(client: AsyncClient, node: FakeNode) -> None:
    leaving = Rejected(Code.FAILED_PRECONDITION, "NODE_LEAVING", "its next start undoes it")
    node.answer = lambda command: Done(1, leaving)
    with pytest.raises(OrchestrixError, match="its next start"):
        await client.cluster.undrain("n2")


async def test_without_a_leader_nothing_is_drained(client: AsyncClient, node: FakeNode) -> None:
    node.refuse_fresh = Rejected(Code.FAILED_PRECONDITION, "FOR_THE_TEST", "not fresh")
    with pytest.raises(OrchestrixError, match="not fresh"):
        await client.cluster.drain("n2")
    assert node.submitted == []


async def test_a_worker_is_drained_by_the_id_that_is_shown(client: AsyncClient, node: FakeNode) -> None:
    session_id = bytes(range(16))
    node.open_session(Hello(session_id, "w", ("default",), 1, (), 0, ()), lambda message: None)
    (shown,) = (await client.status()).workers
    await client.cluster.drain_worker(shown.id)
    assert node.submitted == [DrainSession(session_id)]
    for wrong, reason in (
        ("xyz", "WORKER_ID_INVALID"),
        ("0f", "WORKER_ID_INVALID"),
        (session_id.hex(), "WORKER_UNKNOWN"),
    ):
        with pytest.raises(OrchestrixError) as refused:
            await client.cluster.drain_worker(wrong)
        assert refused.value.reason == reason


async def test_the_synchronous_client_has_the_same_methods() -> None:
    for name in ("drain", "undrain", "drain_worker"):
        assert getattr(Cluster, name).__doc__ == getattr(AsyncCluster, name).__doc__
