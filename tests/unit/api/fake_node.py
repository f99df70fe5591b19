"""A node in memory: just enough of `NodePort` to talk to the API, with switches to make it misbehave.

Jobs are handed to sessions in order of enqueueing, one queue each, no labels, no time.  `submitted` has
every command in order; `answer` overrides the outcome of chosen commands.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc.aio

from orchestrix_raft.api.server import ApiServer
from orchestrix_raft.coordinator.contents import Finding
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.coordinator.port import (
    Added,
    ClusterView,
    Done,
    Door,
    EventPage,
    Freshness,
    JobView,
    NodeView,
    NotApplied,
    Outcome,
    Page,
    QueueDetails,
    QueueView,
    SchedulePage,
    ScheduleView,
    Unknown,
)
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import TERMINAL, Attempt, AttemptState, Job, JobState
from orchestrix_raft.domain.node import Drain as NodeDrain
from orchestrix_raft.domain.node import Health, Node
from orchestrix_raft.domain.queue import QueueOptions, changed
from orchestrix_raft.domain.report import Completed, Released
from orchestrix_raft.domain.report import Outcome as JobOutcome
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    CoordinatorMessage,
    Drain,
    Farewell,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Refused,
    ReportAck,
    ReportMessage,
    Stop,
    StopJob,
    Welcome,
    WorkerMessage,
)
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.commands import (
    Asked,
    CancelJobs,
    CancelWhere,
    Command,
    ConfigureQueue,
    DeleteSchedule,
    DrainNode,
    DrainSession,
    Enqueue,
    EnqueueResult,
    JobsResult,
    NoteAudit,
    PauseSchedule,
    PurgeJobs,
    PutSchedule,
    ResumeSchedule,
    RetryJobs,
    TriggerSchedule,
    UndrainNode,
    WhereResult,
)
from orchestrix_raft.machine.explain import Reason
from orchestrix_raft.storage.port import LogLine
from tests.unit.api.fake_backups import FakeBackup, FakeBackups
from tests.unit.api.fake_events import FakeEvents
from tests.unit.api.fake_jobs import page_of
from tests.unit.api.fake_members import FakeMembers
from tests.unit.api.fake_schedules import FakeSchedules

NO_LEADER = Rejected(Code.UNAVAILABLE, "NO_LEADER", "there is no leader: try again")
WALL_MS = 1_700_000_000_000


class FakeSession:
    """The node's end of one stream."""

    def __init__(self, node: "FakeNode", hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> None:
        self.node = node
        self.hello = hello
        self.deliver = deliver
        self.received: list[WorkerMessage] = []
        self.free = hello.capacity - len(hello.held)
        self.over = False
        self.arrived = asyncio.Event()
        self.free_room = asyncio.Event()
        self.free_room.set()
        self.asked = asyncio.Event()

    def receive(self, message: WorkerMessage) -> None:
        self.received.append(message)
        self.arrived.set()
        match message:
            case ReportMessage(outcomes):
                self.node.report(self, outcomes)
            case Heartbeat(number):
                if self.node.answers_heartbeats:
                    self.deliver(HeartbeatAck(number))
            case Goodbye():
                self.over = True
                self.deliver(Farewell())
            case Drain():
                self.free = -1_000_000
            case _:
                pass

    async def room(self) -> None:
        self.asked.set()
        await self.free_room.wait()

    def closed(self) -> None:
        self.over = True
        self.arrived.set()

    async def until(self, kind: type[WorkerMessage], count: int = 1) -> list[WorkerMessage]:
        """The messages of one kind, once there are `count`."""
        while len(found := [m for m in self.received if isinstance(m, kind)]) < count:
            self.arrived.clear()
            await self.arrived.wait()
        return found


class FakeNode:
    """Every part of `NodePort`, and the switches."""

    def __init__(self, node_id: str = "n1") -> None:
        self.node_id = node_id
        self.submitted: list[Command] = []
        self.actors: list[str] = []  # of the changes asked for by hand
        self.notes: list[NoteAudit] = []
        self.holders: list[tuple[str, bytes]] = []  # owner and worker of each listing
        self.trail: list[AuditRecord] = []
        self.answer: Callable[[Command], Outcome | None] = lambda command: None
        self.gate: asyncio.Event | None = None  # submit waits for it
        self.gates_entered = 0
        self.stale = False
        self.refuse_fresh: Rejected | None = None
        self.fresh_calls: list[tuple[int, bool]] = []
        self.on_linearizable: Callable[[], None] = lambda: None
        self.jobs: dict[bytes, Job] = {}
        self.history: dict[bytes, list[Attempt]] = {}
        self.lines: dict[bytes, list[LogLine]] = {}
        self.silent: tuple[str, ...] = ()
        self.options: dict[str, QueueOptions] = {}
        self.reasons: list[Reason] = []
        self.schedules = FakeSchedules(WALL_MS)
        self.events = FakeEvents()
        self.changes = FakeMembers()
        self.backups = FakeBackups(node_id)
        self.opened: list[FakeSession] = []
        self.on_open: Callable[[FakeSession], bool] = lambda session: False
        self.answers_heartbeats = True
        self.welcome = Welcome(1, node_id, 10_000, 25_000, ())
        self.members: list[str] = []  # addresses
        self.names: dict[str, str] = {}  # of members by address; this node's own where it is not said
        self.known: dict[str, Node] = {}  # nodes that may be drained
        self.cost = ""  # of draining any of them
        self.leader = node_id  # as this node sees it; "": none
        self.index = 0
        self.cluster_id = "c1"
        self.token = 0
        self._ready: list[bytes] = []
        self._ended = asyncio.Event()
        self._opened = asyncio.Event()

    # ---- commands --------------------------------------------------------------------------------------

    async def submit(self, command: Command) -> Outcome:
        if isinstance(command, NoteAudit):
            self.notes.append(command)
            return Done(self.index, None)
        if isinstance(command, Asked):
            self.actors.append(command.actor)
            command = command.command
        self.submitted.append(command)
        if self.gate is not None:
            self.gates_entered += 1
            await self.gate.wait()
        outcome = self.answer(command)
        if outcome is not None:
            return outcome
        self.index += 1
        match command:
            case Enqueue(specs):
                existing = {}
                for position, spec in enumerate(specs):
                    if spec.job_id in self.jobs:
                        existing[position] = spec.job_id
                    else:
                        self.jobs[spec.job_id] = Job(spec, JobState.PENDING, WALL_MS, self.index)
                        self._ready.append(spec.job_id)
                self.assign()
                return Done(self.index, EnqueueResult(existing, {}))
            case PurgeJobs(_, job_ids):
                words = tuple("purged" if self.jobs.pop(one, None) else "not_found" for one in job_ids)
                return Done(self.index, JobsResult(words))
            case CancelJobs(_, job_ids) | RetryJobs(_, job_ids):
                word = "cancelled" if isinstance(command, CancelJobs) else "retried"
                words = tuple(word if job_id in self.jobs else "not_found" for job_id in job_ids)
                return Done(self.index, JobsResult(words))
            case PutSchedule() | PauseSchedule() | ResumeSchedule() | TriggerSchedule() | DeleteSchedule():
                return Done(self.index, self.schedules.do(command))
            case ConfigureQueue(_, name, change):
                self.options[name] = changed(self.options.get(name, QueueOptions()), change)
                return Done(self.index, JobsResult(("configured",)))
            case DrainNode(name, _, leaving):
                self.known[name].drain = NodeDrain(WALL_MS, leaving, 3, 20)
                return Done(self.index, None)
            case UndrainNode(name):
                self.known[name].drain = None
                return Done(self.index, None)
            case DrainSession():
                return Done(self.index, None)
            case CancelWhere(_, where, cursor):  # one job a step
                waiting = [one for one, job in self.jobs.items() if where.accepts(job) and one > cursor]
                for one in waiting[:1]:
                    del self.jobs[one]
                return Done(self.index, WhereResult(len(waiting[:1]), 0, b"".join(waiting[:1])))
            case _:
                raise AssertionError(f"the API never submits {command!r}")

    def assign(self) -> None:
        """Hand ready jobs to sessions with free slots."""
        for session in self.opened:
            jobs: list[Assignment] = []
            while self._ready and session.free > 0 and not session.over:
                job = self.jobs[self._ready.pop(0)]
                self.token += 1
                session.free -= 1
                job.state, job.token, job.attempt = JobState.DISPATCHED, self.token, job.attempt + 1
                job.owner, job.worker = self.node_id, session.hello.name
                spec = job.spec
                jobs.append(
                    Assignment(
                        spec.job_id,
                        self.token,
                        spec.type,
                        spec.queue,
                        spec.args,
                        job.attempt,
                        spec.retry.max_retries,
                        spec.correlation_id,
                        spec.timeout_ms,
                    )
                )
            if jobs:
                session.deliver(Assignments(tuple(jobs)))

    def report(self, session: FakeSession, outcomes: tuple[JobOutcome, ...]) -> None:
        """Record what became of assignments, and acknowledge."""
        for outcome in outcomes:
            job = self.jobs.get(outcome.job_id)
            session.free += 1
            if job is None or job.token != outcome.token or job.state in TERMINAL:
                continue
            if isinstance(outcome, Completed):
                job.state, job.result, job.finished_ms = (
                    JobState.COMPLETED,
                    outcome.result,
                    outcome.finished_ms,
                )
            elif isinstance(outcome, Released):
                job.state = JobState.PENDING
                self._ready.append(outcome.job_id)
                continue
            else:
                job.state, job.error, job.failures = JobState.DEAD, outcome.error, job.failures + 1
            state = AttemptState.COMPLETED if job.state is JobState.COMPLETED else AttemptState.FAILED
            ended = Attempt(
                outcome.job_id, job.attempt, job.token, state, job.worker, b"", self.node_id, 1, 2, 3
            )
            self.history.setdefault(outcome.job_id, []).append(ended)
        session.deliver(ReportAck(tuple(outcome.token for outcome in outcomes), ()))
        self._ended.set()
        self.assign()

    def stop(self, session: FakeSession, job_id: bytes, reason: str) -> None:
        """Ask the worker to end a handler."""
        session.deliver(Stop((StopJob(job_id, self.jobs[job_id].token, reason),)))

    # ---- reads -----------------------------------------------------------------------------------------

    async def fresh(self, min_index: int, linearizable: bool) -> Freshness | Rejected:
        self.fresh_calls.append((min_index, linearizable))
        if linearizable:
            self.on_linearizable()
        return self.refuse_fresh if self.refuse_fresh is not None else self.freshness()

    def freshness(self) -> Freshness:
        return Freshness(max(self.index, self.events.newest), self.stale)

    def job(self, job_id: bytes) -> JobView | None:
        job = self.jobs.get(job_id)
        return None if job is None else JobView(job, job.spec.args, 0)

    def explain(self, job_id: bytes) -> list[Reason]:
        return self.reasons if job_id in self.jobs else []

    def attempts(self, job_id: bytes) -> list[Attempt]:
        return self.history.get(job_id, [])

    def watch(
        self, since: Cursor | None, wanted: EventFilter, follow: bool
    ) -> AsyncGenerator[EventPage | Rejected, None]:
        return self.events.watch(since, wanted, follow)

    def audit(self, after: int, limit: int, latest: bool = False) -> list[tuple[int, AuditRecord]]:
        behind = list(enumerate(self.trail, 1))[after:]
        return behind[-limit:] if latest else behind[:limit]

    def oldest_cursor(self) -> Cursor:
        return Cursor(self.events.after + 1, 0)

    async def logs(self, job_id: bytes, after: tuple[int, int], limit: int) -> LogPage | Rejected | None:
        if job_id not in self.jobs:
            return None
        found = [line for line in self.lines.get(job_id, []) if line.place > after]
        return LogPage(found[:limit], self.silent, len(found) > limit)

    async def list_jobs(
        self,
        states: frozenset[JobState],
        queue: str,
        job_type: str,
        limit: int,
        cursor: bytes,
        owner: str = "",
        worker: bytes = b"",
    ) -> Page | Rejected:
        self.holders.append((owner, worker))
        return page_of(reversed(self.jobs.values()), states, queue, job_type, limit, cursor)

    async def wait_job(self, job_id: bytes, timeout_ms: int) -> JobView | None:
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                while (job := self.jobs.get(job_id)) is not None and job.state not in TERMINAL:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            pass  # answered as it is
        return self.job(job_id)

    def queues(self) -> list[QueueDetails]:
        return [self.queue(name) for name in sorted(self.options)]

    def queue(self, name: str) -> QueueDetails:
        options = self.options.get(name, QueueOptions())
        return QueueDetails(QueueView(name, 1, 2, 3, 4, options.paused), options, 5, 6, WALL_MS)

    def find_schedule(self, schedule_id: str) -> ScheduleView | None:
        return self.schedules.find(schedule_id)

    async def list_schedules(
        self, prefix: str, states: frozenset[str], limit: int, cursor: bytes
    ) -> SchedulePage | Rejected:
        return self.schedules.page(prefix, states, limit, cursor)

    def sessions(self) -> list[Session]:
        return [
            Session(
                s.hello.session_id,
                s.hello.name,
                s.hello.queues,
                s.hello.capacity,
                (),
                self.node_id,
                1,
                {},
                0,
                1,
            )
            for s in self.opened
            if not s.over
        ]

    def status(self) -> ClusterView:
        named = [(self.names.get(address, self.node_id), address) for address in self.members]
        drains = {name: node.drain for name, node in self.known.items()}
        nodes = [
            NodeView(name, a, "leader", Health.ALIVE, 1, 0, 0, 0, 5, "v", drains.get(name))
            for name, a in named
        ]
        counts: dict[JobState, int] = {}
        for job in self.jobs.values():
            counts[job.state] = counts.get(job.state, 0) + 1
        queues = [QueueView("default", 1, 2, 3, 4)]
        return ClusterView(
            self.leader,
            3,
            7,
            6,
            nodes,
            counts,
            queues,
            self.sessions(),
            self.node_id,
            "c",
            b"\x01",
            [],
            self.stale,
            WALL_MS,
        )

    async def backup(self) -> FakeBackup | Rejected:
        return self.backups.open()

    async def contents(self, index: int) -> Finding:
        return self.backups.found.get(index)

    async def transfer_leadership(self, node_id: str) -> str | Rejected:
        if self.leader != self.node_id:
            return Rejected(Code.FAILED_PRECONDITION, "TRANSFER_REFUSED", "this node is not the leader")
        return node_id or "n2"

    async def add_member(self, address: str) -> Added | NotApplied | Unknown:
        return await self.changes.add(address)

    async def remove_member(self, node_id: str) -> Outcome:
        return await self.changes.remove(node_id)

    def find_node(self, node_id: str) -> Node | None:
        return self.known.get(node_id)

    def cost_of_leaving(self, node_id: str) -> str:
        return self.cost

    @property
    def wall_ms(self) -> int:
        return self.schedules.wall_ms

    def open_session(self, hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> FakeSession:
        session = FakeSession(self, hello, deliver)
        self.opened.append(session)
        if not self.on_open(session):
            deliver(self.welcome)
            self.assign()
        self._opened.set()
        return session

    async def session(self, number: int = 0) -> FakeSession:
        """The n-th session opened here, once it is."""
        while len(self.opened) <= number:
            self._opened.clear()
            await self._opened.wait()
        return self.opened[number]


def refuse(reason: str) -> Callable[[FakeSession], bool]:
    """For `on_open`: every Hello is refused."""

    def on_open(session: FakeSession) -> bool:
        session.deliver(Refused(reason, "refused by the test"))
        return True

    return on_open


def serving(node: FakeNode) -> AbstractAsyncContextManager[str]:
    """The API of the node on a free port of loopback; its address."""
    return serving_door(lambda: node)


@asynccontextmanager
async def serving_door(door: Door) -> AsyncIterator[str]:
    """The API of whoever answers now; its address."""
    server = ApiServer(door)
    port = await server.start("127.0.0.1:0")
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A raw channel, for what no SDK would say."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel
