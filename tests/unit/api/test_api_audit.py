"""What the API writes into the audit trail: every change, and of the refused ones no more than fits."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from orchestrix_raft.api.audit import AT_ONCE, CALLS, LEFT_OUT, ONE_IN_S, Notes, target_of
from orchestrix_raft.api.errors import Refusal, invalid
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.domain.audit import BY_NODES, TEXT_CHARS
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import Health, Node
from orchestrix_raft.machine.audit_items import ACTIONS
from orchestrix_raft.machine.commands import Command, DrainNode, MarkContents, NoteAudit
from orchestrix_raft.wire import cluster as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.backup import BackupRequest, MarkContentsRequest
from orchestrix_raft.wire.drain import DrainNodeRequest, DrainWorkerRequest, UndrainNodeRequest
from orchestrix_raft.wire.jobs import CancelJobsRequest, WhereRequest
from orchestrix_raft.wire.queues import ConfigureQueueRequest, PurgeQueueRequest
from orchestrix_raft.wire.schedules import PauseScheduleRequest, PutScheduleRequest
from orchestrix_raft.wire.transport import EOF
from tests.unit.api.fake_node import NO_LEADER, FakeNode

UNAUDITED = {
    *("Enqueue", "EnqueueStream"),  # what the cluster is for
    *("Session",),  # workers' own
    *("GetJob", "ListJobs", "WaitJob", "GetHistory", "GetLogs", "FollowLogs", "ExplainJob"),
    *("ListQueues", "GetQueue", "GetSchedule", "ListSchedules", "PreviewSchedule"),
    *("ListWorkers", "Status", "Watch", "ListAudit", "GetContents"),
}
BUSY = Rejected(Code.RESOURCE_EXHAUSTED, "NODE_OVERLOADED", "too many commands")
OVER = Rejected(Code.FAILED_PRECONDITION, "INCARNATION_OVER", "started anew")


async def noted(node: FakeNode, count: int = 1) -> list[NoteAudit]:
    async with asyncio.timeout(5.0):
        while len(node.notes) < count:
            await asyncio.sleep(0)
    return node.notes


async def call(channel: grpc.aio.Channel, request: Any, service: services.Service = services.CLUSTER) -> Any:
    method = service.methods[type(request).__name__.removesuffix("Request")]
    make: Any = channel.unary_unary
    return await make(method.path, method.request.SerializeToString, method.response.FromString)(request)


def member(node: FakeNode, health: Health = Health.ALIVE) -> None:
    node.known["n2"] = Node("n2", "h2:7400", "1", 5, bytes(32), health, 0, 0)


# ---- what is in the trail


def test_every_method_is_audited_or_known_not_to_be() -> None:
    methods = {name for service in services.ALL for name in service.methods}
    assert methods == CALLS.keys() | UNAUDITED
    assert not CALLS.keys() & UNAUDITED


def test_the_guide_lists_every_audited_action() -> None:
    guide = Path("docs/how-to/watch-events.md").read_text(encoding="utf-8")
    _, _, rest = guide.partition("| action |")
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    listed = [name.strip(" `") for row in rows for name in row.split("|")[1].split(",")]
    assert sorted(listed) == sorted({*CALLS.values(), *ACTIONS.values(), *BY_NODES, LEFT_OUT})


async def test_changes_of_members_are_noted_with_what_came_of_them(
    channel: grpc.aio.Channel, node: FakeNode
) -> None:
    await call(channel, wire.AddMemberRequest(address="h3:7400"))
    await call(channel, wire.RemoveMemberRequest(node_id="n2"))
    added, asked, removed = await noted(node, 3)
    assert added == NoteAudit("127.0.0.1", "add_member", "h3:7400", "done: n3 is a learner")
    assert asked == NoteAudit("127.0.0.1", "remove_member", "n2", "asked")
    assert removed == NoteAudit("127.0.0.1", "remove_member", "n2", "done")


@pytest.mark.parametrize(
    ("force", "cost", "outcome"),
    [
        (False, "", "done"),
        (True, "", "done, forced without need"),
        (True, "without node n2 there is no majority", "done, forced: without node n2 there is no majority"),
    ],
)
async def test_a_drain_says_whether_it_was_forced(
    channel: grpc.aio.Channel, node: FakeNode, force: bool, cost: str, outcome: str
) -> None:
    member(node)
    node.cost = cost
    await call(channel, DrainNodeRequest(node_id="n2", force=force))
    assert await noted(node) == [NoteAudit("127.0.0.1", "drain_node", "n2", outcome)]


async def test_the_other_changes_of_nodes_and_workers_are_noted(
    channel: grpc.aio.Channel, node: FakeNode
) -> None:
    member(node)
    await call(channel, UndrainNodeRequest(node_id="n2"))
    await call(channel, wire.TransferLeadershipRequest(node_id="n2"))
    node.answer = lambda command: Done(41, None) if isinstance(command, MarkContents) else None
    await call(channel, MarkContentsRequest())
    undrain, transfer, verify = await noted(node, 3)
    assert undrain == NoteAudit("127.0.0.1", "undrain_node", "n2", "done")
    assert (transfer.action, transfer.target, transfer.outcome) == (
        "transfer_leadership",
        "n2",
        "done: to n2",
    )
    assert (verify.action, verify.target) == ("verify", "all nodes")
    assert "index 41" in verify.outcome


async def test_a_backup_is_noted_when_it_was_taken(channel: grpc.aio.Channel, node: FakeNode) -> None:
    method = services.CLUSTER.methods["Backup"]
    make: Any = channel.unary_stream
    read = make(method.path, method.request.SerializeToString, method.response.FromString)(BackupRequest())
    while await read.read() is not EOF:
        pass
    (note,) = await noted(node)
    assert (note.actor, note.action) == ("127.0.0.1", "backup")
    assert note.target.startswith("as of index ")
    assert note.outcome.startswith("done: ")


async def test_a_backup_that_is_broken_off_is_noted_once(channel: grpc.aio.Channel, node: FakeNode) -> None:
    node.backups.pieces = [b"x", Rejected(Code.FAILED_PRECONDITION, "BACKUP_FAILED", "no room")]
    method = services.CLUSTER.methods["Backup"]
    make: Any = channel.unary_stream
    read = make(method.path, method.request.SerializeToString, method.response.FromString)(BackupRequest())
    with pytest.raises(grpc.aio.AioRpcError, match="no room"):
        [piece async for piece in read]
    (note,) = await noted(node)
    assert (note.action, note.outcome) == ("backup", "refused: BACKUP_FAILED")
    assert note.target.startswith("as of index ")


# ---- refused


async def test_what_the_api_turns_away_is_noted(channel: grpc.aio.Channel, node: FakeNode) -> None:
    for request in (DrainNodeRequest(node_id="n9"), DrainWorkerRequest(worker_id=b"short")):
        service = services.WORKERS if isinstance(request, DrainWorkerRequest) else services.CLUSTER
        with pytest.raises(grpc.aio.AioRpcError):
            await call(channel, request, service)
    with pytest.raises(grpc.aio.AioRpcError):
        await call(channel, CancelJobsRequest(job_ids=[b"x"]), services.JOBS)
    drain, worker, cancel = await noted(node, 3)
    assert (drain.action, drain.target, drain.outcome) == ("drain_node", "n9", "refused: NODE_UNKNOWN")
    assert (worker.action, worker.outcome) == ("drain_worker", "refused: WORKER_ID_INVALID")
    assert cancel == NoteAudit("127.0.0.1", "cancel_jobs", "jobs 78 (no id)", "refused: REQUEST_ID_INVALID")


async def test_bytes_that_are_no_request_are_noted(channel: grpc.aio.Channel, node: FakeNode) -> None:
    make: Any = channel.unary_unary
    with pytest.raises(grpc.aio.AioRpcError):
        await make(services.JOBS.methods["PurgeJobs"].path)(b"\xff\xff")
    assert await noted(node) == [NoteAudit("127.0.0.1", "purge_jobs", "", "refused: MALFORMED_MESSAGE")]


@pytest.mark.parametrize(
    ("outcome", "notes"),
    [
        (NotApplied(BUSY), ["refused: NODE_OVERLOADED"]),
        (NotApplied(NO_LEADER), []),
        (Done(7, OVER), []),
        (Unknown("who knows"), []),
    ],
)
async def test_what_the_machine_notes_itself_is_not_noted_twice(
    channel: grpc.aio.Channel, node: FakeNode, outcome: Outcome, notes: list[str]
) -> None:
    node.answer = lambda command: outcome
    request = CancelJobsRequest(request_id=bytes(16), job_ids=[bytes(16)])
    with pytest.raises(grpc.aio.AioRpcError):
        await call(channel, request, services.JOBS)
    node.answer = lambda command: None
    await call(channel, wire.TransferLeadershipRequest())  # noted behind it
    found = await noted(node, len(notes) + 1)
    assert [note.outcome for note in found][:-1] == notes


async def test_a_change_of_unknown_outcome_is_noted_as_such(
    channel: grpc.aio.Channel, node: FakeNode
) -> None:
    member(node)
    node.answer = lambda command: Unknown("who knows") if isinstance(command, DrainNode) else None
    with pytest.raises(grpc.aio.AioRpcError):
        await call(channel, DrainNodeRequest(node_id="n2"))
    assert [note.outcome for note in await noted(node)] == ["unknown"]


async def test_a_drain_of_a_dead_node_says_what_happens_instead(
    channel: grpc.aio.Channel, node: FakeNode
) -> None:
    member(node, Health.DEAD)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel, DrainNodeRequest(node_id="n2"))
    told = caught.value.details() or ""
    assert "node n2 is dead, so it has nothing to hand over" in told
    assert "cluster remove n2" in told
    assert not [one for one in node.submitted if isinstance(one, DrainNode)]


class Clock:
    """A node whose notes are written at once or lost, a clock, and the timer that `Notes` sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.written: list[NoteAudit] = []
        self.outcome: Outcome = Done(1, None)
        self.timers: list[Any] = []
        self.notes = Notes(lambda: self, lambda: self.now)  # type: ignore[arg-type,return-value]
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", self._later)

    def _later(self, delay_s: float, ring: Any) -> object:
        assert delay_s == ONE_IN_S
        self.timers.append(ring)
        return object()

    async def submit(self, command: Command) -> Outcome:
        assert isinstance(command, NoteAudit)
        self.written.append(command)
        return self.outcome

    def refuse(self, times: int) -> None:
        for _ in range(times):
            self.notes.turned_away("PurgeJobs", None, invalid("BATCH_TOO_LARGE", "too many"))

    async def ring(self) -> None:
        timers, self.timers = self.timers, []
        for ring in timers:
            ring()
        await self.settle()

    async def settle(self) -> None:
        while self.notes._under_way:
            await asyncio.sleep(0)


async def test_a_flood_of_refused_calls_is_counted_in_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.refuse(1_000)
    await clock.settle()
    assert [note.outcome for note in clock.written] == ["refused: BATCH_TOO_LARGE"] * AT_ONCE
    await clock.ring()
    (left_out,) = clock.written[AT_ONCE:]
    assert (left_out.action, left_out.outcome) == (LEFT_OUT, f"refused: {1_000 - AT_ONCE} more calls")
    assert not clock.timers
    clock.now += 2.5 * ONE_IN_S
    clock.refuse(3)
    await clock.settle()
    assert len(clock.written) == AT_ONCE + 1 + 2
    await clock.ring()
    assert clock.written[-1].outcome == "refused: 1 more call"


async def test_refused_calls_that_cannot_be_noted_are_counted_until_they_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    clock.outcome = NotApplied(NO_LEADER)
    clock.refuse(3)
    await clock.settle()
    await clock.ring()
    assert clock.written[-1].outcome == "refused: 3 more calls"
    clock.outcome = Done(1, None)
    await clock.ring()
    assert clock.written[-1].outcome == "refused: 3 more calls"
    await clock.ring()
    assert len(clock.written) == 5


async def test_a_note_of_unknown_outcome_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.outcome = Unknown("no answer")
    clock.refuse(3)
    await clock.settle()
    assert len(clock.written) == 3
    assert not clock.timers


async def test_calls_that_change_nothing_are_no_business_of_the_trail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    for method in sorted(UNAUDITED):
        clock.notes.turned_away(method, None, invalid("LIMIT_OUT_OF_RANGE", "no"))
    clock.notes.turned_away("PurgeJobs", None, Refusal(NO_LEADER, noted=True))
    await clock.settle()
    assert not clock.written
    assert not clock.timers


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (None, ""),
        (ConfigureQueueRequest(name="mail\n\x1b"), "queue mail??"),
        (PurgeQueueRequest(name="mail"), "queue mail"),
        (PauseScheduleRequest(id="nightly"), "schedule nightly"),
        (PutScheduleRequest(), "schedule "),
        (DrainWorkerRequest(worker_id=b"\x01\xff"), "01ff"),
        (wire.AddMemberRequest(address="a:1"), "a:1"),
        (wire.RemoveMemberRequest(node_id="n" * 10_000), "n" * TEXT_CHARS),
        (WhereRequest(), "jobs where only the state is named"),
        (
            CancelJobsRequest(job_ids=[bytes(16)] * 10),
            f"jobs {', '.join(['0' * 8 + '-0000' * 3 + '-' + '0' * 12] * 8)} and 2 more",
        ),
        (MarkContentsRequest(), ""),
    ],
)
def test_what_a_refused_call_was_about(request_: Any, target: str) -> None:
    assert target_of(request_) == target
