"""The asyncio shell: nobody waits for ever, and an error stops the node instead of being swallowed."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from orchestrix_raft.consensus.port import Apply, Consensus, Restore, SafetyFault
from orchestrix_raft.consensus.twin import TwinCluster, TwinNode
from orchestrix_raft.coordinator import line_reader
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.hello import PROTOCOL
from orchestrix_raft.coordinator.hello import Hello as PeerHello
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.coordinator.messages import Forward, PeerMessage
from orchestrix_raft.coordinator.node import Node
from orchestrix_raft.coordinator.port import Added, Done, Freshness, NotApplied, Outcome, Page, Unknown
from orchestrix_raft.coordinator.settings import Clocks, CoreLimits, Identity
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.report import Completed
from orchestrix_raft.domain.session import (
    CoordinatorMessage,
    Heartbeat,
    Hello,
    Refused,
    ReportMessage,
    Welcome,
)
from orchestrix_raft.machine.commands import CancelJobs, Enqueue
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import DiskFull, StorageError
from tests.scenarios.driver import WALL_START_MS, job, key


class World:
    """One node n1 of a cluster of one; the log commits when the test lets it."""

    def __init__(self, limits: CoreLimits) -> None:
        self.cluster = TwinCluster(time.monotonic, {"n1": "disk"})
        disk = MemoryDisk("disk")
        local = disk.open_local_store()

        def make(apply: Apply, restore: Restore) -> Consensus:
            return TwinNode(self.cluster, "n1", apply)

        core = Core(
            Identity("n1", "n1:7400", "1", b"b" * 16),
            Clocks(time.monotonic, lambda: WALL_START_MS),
            limits,
            disk.open_state_store(),
            local,
            make,
            random.Random(1),
            lambda: ("n1:7400",),
        )
        self.sent: list[tuple[str, list[PeerMessage]]] = []
        self.core = core
        self.node = Node(core, "cluster", lambda peer, some: self.sent.append((peer, some)), lambda: None)

    def lead(self) -> Node:
        self.cluster.elect("n1")
        self.node.start()
        return self.node


@pytest.fixture
async def world() -> AsyncIterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(**limits: float) -> World:
        world = World(CoreLimits(**limits))  # type: ignore[arg-type]  # floats only, in these tests
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.node.close()


Make = Callable[..., World]


def enqueue(*names: str) -> Enqueue:
    return Enqueue(tuple(job(name) for name in names))


async def test_a_command_is_answered_when_it_is_applied(world: Make) -> None:
    node = world().lead()
    outcome = await node.submit(enqueue("a"))
    assert isinstance(outcome, Done)
    assert await node.fresh(outcome.index, linearizable=True) == Freshness(outcome.index, False)
    view = node.job(key("a"))
    assert view is not None
    assert view.job.state is JobState.PENDING
    assert node.job(key("b")) is None


async def test_a_caller_that_goes_away_disturbs_nobody(world: Make) -> None:
    here = world()
    here.cluster.hold_commits = True
    node = here.lead()
    gone = asyncio.ensure_future(node.submit(enqueue("a")))
    await asyncio.sleep(0)
    gone.cancel()
    here.cluster.hold_commits = False
    assert isinstance(await node.submit(enqueue("b")), Done)
    assert node.job(key("a")) is not None


async def test_too_much_at_once_is_refused_at_once(world: Make) -> None:
    here = world()
    node = here.lead()
    for _ in range(here.core.limits.proposer.pending_commands):
        here.core.submit(enqueue("a"), None)
    outcome = await node.submit(enqueue("b"))
    assert isinstance(outcome, NotApplied)
    assert outcome.rejected.reason == "NODE_OVERLOADED"


async def test_reads_are_given_up_in_time(world: Make) -> None:
    node = world(read_wait_s=0.05).lead()
    for linearizable in (False, True):
        await node.fresh(0, linearizable)
    answer = await node.fresh(1 << 40, linearizable=False)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.reason) == (Code.UNAVAILABLE, "NOT_FRESH")
    assert f"up to index {node.freshness().applied_index} " in answer.message
    assert f"asks for index {1 << 40}" in answer.message


async def test_a_read_whose_freshness_the_leader_does_not_confirm_says_so(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(read_wait_s=0.05)
    node = here.lead()
    await node.fresh(0, linearizable=True)
    monkeypatch.setattr(here.core.consensus, "read_index", lambda done: None)
    answer = await node.fresh(0, linearizable=True)
    assert isinstance(answer, Rejected)
    assert answer.reason == "NOT_FRESH"
    assert "the leader did not confirm" in answer.message


@pytest.mark.parametrize("linearizable", [False, True])
async def test_a_read_that_waits_in_vain_for_a_leader_says_so(world: Make, linearizable: bool) -> None:
    here = world(read_wait_s=0.05)
    node = here.lead()
    await node.fresh(0, linearizable=True)
    here.cluster.depose()
    answer = await node.fresh(1 << 40, linearizable)
    assert isinstance(answer, Rejected)
    assert answer.reason == "NO_LEADER"


async def test_whoever_waits_for_a_job_is_told_its_end(world: Make) -> None:
    here = world()
    node = here.lead()
    await node.submit(enqueue("a"))
    waiting = asyncio.ensure_future(node.wait_job(key("a"), 30_000))
    await asyncio.sleep(0)
    await node.submit(CancelJobs(b"", (key("a"),), ""))
    view = await waiting
    assert view is not None
    assert view.job.state is JobState.CANCELLED
    assert len(here.core.watches) == 0


async def test_whoever_waits_too_short_is_told_how_it_stands_and_leaves_nothing_behind(world: Make) -> None:
    here = world()
    node = here.lead()
    await node.submit(enqueue("a"))
    view = await node.wait_job(key("a"), 10)
    assert view is not None
    assert view.job.state is JobState.PENDING
    assert len(here.core.watches) == 0
    assert await node.wait_job(key("nobody"), 30_000) is None


async def test_a_listing_is_made_of_pages_and_knows_its_cursors(world: Make) -> None:
    node = world().lead()
    await node.submit(enqueue("a", "b", "c"))
    page = await node.list_jobs(frozenset(), "", "", 2, b"")
    assert isinstance(page, Page)
    rest = await node.list_jobs(frozenset(), "", "", 2, page.cursor)
    assert isinstance(rest, Page)
    assert (len(page.jobs), len(rest.jobs), rest.cursor) == (2, 1, b"")
    assert isinstance(await node.list_jobs(frozenset(), "", "", 2, b"?"), Rejected)


async def test_the_log_of_a_job_that_is_not_there_is_none(world: Make) -> None:
    here = world()
    node = here.lead()
    await node.submit(enqueue("a"))
    assert await node.logs(key("nobody"), (0, 0), 10) is None
    assert await node.logs(key("a"), (0, 0), 10) == LogPage([])


async def test_readers_of_logs_are_bounded_and_a_disk_that_cannot_be_read_is_said(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world()
    node = here.lead()
    await node.submit(enqueue("a"))
    monkeypatch.setattr(line_reader, "READS", 0)
    refused = await node.logs(key("a"), (0, 0), 10)
    assert isinstance(refused, Rejected)
    assert refused.reason == "NODE_OVERLOADED"
    monkeypatch.undo()

    def read(*_: object) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(here.core.log_exchange._logs, "page", read)
    refused = await node.logs(key("a"), (0, 0), 10)
    assert isinstance(refused, Rejected)
    assert refused.reason == "LOGS_UNREADABLE"


async def test_a_worker_stream_runs_through_the_node(world: Make) -> None:
    node = world().lead()
    heard: asyncio.Queue[CoordinatorMessage] = asyncio.Queue()
    handle = node.open_session(Hello(key("w"), "w", ("default",), 1, (), 0, ()), heard.put_nowait)
    assert isinstance(await heard.get(), Welcome)
    handle.closed()
    await node.submit(enqueue("a"))
    (session,) = node.sessions()
    assert session.node_id == ""


async def test_a_worker_is_sent_elsewhere_when_the_node_can_take_no_command(world: Make) -> None:
    here = world()
    node = here.lead()
    here.cluster.hold_commits = True
    for _ in range(here.core.limits.proposer.pending_commands):
        here.core.submit(enqueue("a"), None)
    before = here.core.proposer.backlog
    heard: list[CoordinatorMessage] = []
    node.open_session(Hello(key("w"), "w", ("default",), 1, (), 0, ()), heard.append)
    (refused,) = heard
    assert isinstance(refused, Refused)
    assert refused.reason == "NODE_OVERLOADED"
    assert here.core.proposer.backlog == before
    assert len(here.core.hub) == 0


async def test_a_worker_that_reports_much_is_let_on_when_it_is_committed(world: Make) -> None:
    here = world()
    node = here.lead()
    heard: asyncio.Queue[CoordinatorMessage] = asyncio.Queue()
    handle = node.open_session(Hello(key("w"), "w", ("default",), 1, (), 0, ()), heard.put_nowait)
    assert isinstance(await heard.get(), Welcome)
    here.cluster.hold_commits = True
    for _ in range(9):  # eight to be committed, one that is kept
        await asyncio.wait_for(handle.room(), 5.0)
        handle.receive(ReportMessage((Completed(key("a"), 1, b"x" * (1 << 20), 0, 1),)))
    waiting = asyncio.ensure_future(handle.room())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    here.cluster.hold_commits = False
    node.schedule()
    await asyncio.wait_for(waiting, 5.0)


async def test_waiters_beyond_the_bound_are_told_at_once_how_it_stands(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrix_raft.coordinator.reading.WAITERS", 2)
    here = world()
    node = here.lead()
    await node.submit(enqueue("a"))
    waiting = [asyncio.ensure_future(node.wait_job(key("a"), 30_000)) for _ in range(2)]
    await asyncio.sleep(0)
    view = await asyncio.wait_for(node.wait_job(key("a"), 30_000), 5.0)
    assert view is not None
    assert view.job.state is JobState.PENDING
    await node.submit(CancelJobs(b"", (key("a"),), ""))
    await asyncio.gather(*waiting)
    assert len(here.core.watches) == 0


async def test_members_are_added_and_removed_through_the_node(world: Make) -> None:
    node = world().lead()
    waiting = PeerHello(PROTOCOL, "n2", "d2", "h2:7400", nonce=b"2" * 16, joining=True)

    async def fetch(address: str) -> PeerHello | Rejected:
        return waiting if address == "h2:7400" else Rejected(Code.FAILED_PRECONDITION, "X", "nobody is there")

    node.fetch = fetch
    assert isinstance(await node.add_member("h3:7400"), NotApplied)
    assert await node.add_member("h2:7400") == Added("n2", already=False)
    waiting = msgspec.structs.replace(waiting, cluster_id="c")
    assert await node.add_member("h2:7400") == Added("n2", already=True)
    assert isinstance(await node.remove_member("n2"), Done)
    refused = await node.remove_member("n2")
    assert isinstance(refused, NotApplied)
    assert refused.rejected.reason == "NOT_A_MEMBER"


async def test_a_graceful_end_is_committed(world: Make) -> None:
    here = world()
    node = here.lead()
    await node.submit(enqueue("a"))
    await node.goodbye(5.0)
    assert here.core.state.nodes["n1"].health is Health.STOPPED
    async with asyncio.timeout(2):
        late = await node.submit(enqueue("b"))
    assert isinstance(late, NotApplied), "it would come behind the farewell"
    assert late.rejected.reason == "NODE_STOPPING"


async def test_a_node_that_the_cluster_does_not_know_yet_ends_at_once(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its farewell could not be numbered: it would wait for its time-out."""
    here = world()
    monkeypatch.setattr(here.core, "_announce", lambda now: None)
    node = here.lead()
    async with asyncio.timeout(2):
        await node._until(lambda: here.core.leading)
        await node.goodbye(30.0)
    assert not here.core.proposer.incarnation


# ---- faults


async def failed(node: Node) -> BaseException:
    return await asyncio.wait_for(asyncio.shield(node.failure), 5.0)


async def outcome_after(node: Node, break_it: Callable[[], None]) -> Outcome:
    waiting = asyncio.ensure_future(node.submit(enqueue("a")))
    await asyncio.sleep(0)
    break_it()
    return await waiting


async def test_an_error_in_a_step_stops_the_node_and_answers_everybody(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world()
    here.cluster.hold_commits = True
    node = here.lead()

    def break_it() -> None:
        monkeypatch.setattr(here.core, "_timed", lambda now: 1 / 0)
        node.schedule()

    outcome = await outcome_after(node, break_it)
    assert isinstance(outcome, Unknown | NotApplied)
    assert isinstance(await failed(node), ZeroDivisionError)


@pytest.mark.parametrize("error", [SafetyFault("two leaders"), ZeroDivisionError()])
async def test_an_error_in_a_peers_message_stops_the_node(
    world: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    here = world()
    node = here.lead()

    def receive(peer: str, message: PeerMessage) -> None:
        raise error

    monkeypatch.setattr(here.core, "receive", receive)
    node.peer_messages("n2", [Forward(())])
    assert await failed(node) is error


async def test_a_disk_that_refuses_the_engine_is_the_reason_for_which_the_node_stops(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what the engine makes of it, which nobody should start again."""
    here = world()
    node = here.lead()
    refused = DiskFull("raft/data.mdb: no room for the write")

    def receive(peer: str, message: PeerMessage) -> None:
        raise SafetyFault(f"DiskFull: {refused}") from refused

    monkeypatch.setattr(here.core, "receive", receive)
    node.peer_messages("n2", [Forward(())])
    assert await failed(node) is refused


@pytest.mark.parametrize("where", ["open", "received", "stream_closed"])
async def test_an_error_in_what_a_worker_says_stops_the_node(
    world: Make, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    here = world()
    node = here.lead()
    error = ZeroDivisionError()

    def fail(*arguments: object) -> None:
        raise error

    def say() -> None:
        handle = node.open_session(Hello(key("w"), "w", ("default",), 1, (), 0, ()), lambda message: None)
        handle.receive(Heartbeat(1))
        handle.closed()

    monkeypatch.setattr(here.core.hub, where, fail)
    if where == "open":
        with pytest.raises(ZeroDivisionError):
            say()
    else:
        say()
    assert await failed(node) is error


@pytest.mark.parametrize("error", [StorageError("full"), ZeroDivisionError()])
async def test_a_checkpoint_that_fails_in_any_way_stops_the_node(
    world: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    here = world(checkpoint_s=0.0)

    def write(work: object) -> None:
        raise error

    monkeypatch.setattr(here.core.replica.checkpoints, "write", write)
    node = here.lead()
    await node.submit(enqueue("a"))
    assert await failed(node) is error


async def test_a_node_that_has_ended_answers_at_once(world: Make) -> None:
    here = world()
    node = here.lead()
    await node.submit(enqueue("a"))
    node.close()
    outcome = await node.submit(enqueue("b"))
    assert isinstance(outcome, NotApplied)
    assert outcome.rejected.reason == "NODE_STOPPING"
    for linearizable in (False, True):
        answer = await asyncio.wait_for(node.fresh(1 << 40, linearizable), 5.0)
        assert isinstance(answer, Rejected)
        assert answer.reason == "NODE_STOPPING"
    heard: list[CoordinatorMessage] = []
    node.open_session(Hello(key("w"), "w", ("default",), 1, (), 0, ()), heard.append)
    (last,) = heard
    assert isinstance(last, Refused)
