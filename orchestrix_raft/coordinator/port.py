"""What the API asks of a node.  `node.py` is the asyncio shell that answers; tests bring their own.

Reads are plain calls on the state of this moment; only waiting (for a commit, for an index, for a job
to end) is awaited.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from orchestrix_raft.coordinator.backup_file import Head
from orchestrix_raft.coordinator.contents import Finding
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter, EventView
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import Attempt, Job, JobState
from orchestrix_raft.domain.node import Drain, Health, Node
from orchestrix_raft.domain.queue import QueueOptions
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.domain.session import CoordinatorMessage, Hello, WorkerMessage
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.commands import Command
from orchestrix_raft.machine.explain import Reason
from orchestrix_raft.machine.port import Result


@dataclass(frozen=True, slots=True)
class Done:
    """Applied on a majority-committed entry.  `result` may itself be a `Rejected`: then nothing changed,
    for a reason that the state machine gave."""

    index: int
    result: Result


class NotApplied(NamedTuple):
    """Certainly not applied, now or later."""

    rejected: Rejected


class Unknown(NamedTuple):
    """It may or may not be applied: ask again with the same ids."""

    message: str


Outcome = Done | NotApplied | Unknown


class Freshness(NamedTuple):
    """What a read stands on."""

    applied_index: int
    stale: bool


class JobView(NamedTuple):
    """A job and what is computed for display: `scheduled_ms` is wall time, 0 unless it waits for its time."""

    job: Job
    args: bytes
    scheduled_ms: int


class Page(NamedTuple):
    """One page of a listing; an empty cursor ends it."""

    jobs: list[JobView]
    cursor: bytes


class ScheduleView(NamedTuple):
    """A schedule and what is computed for display."""

    schedule: Schedule
    next_slot_ms: int  # wall; 0: none
    next_run_ms: int  # that slot and its jitter
    active: int  # unfinished runs
    active_ids: tuple[bytes, ...]  # the first of them


class SchedulePage(NamedTuple):
    """One page of a listing, by id; an empty cursor ends it."""

    schedules: list[ScheduleView]
    cursor: bytes


class NodeView(NamedTuple):
    """One member, as this node sees it."""

    node_id: str
    address: str
    role: str
    health: Health | None
    applied_index: int
    lag: int
    owned_jobs: int
    sessions: int
    last_heartbeat_ms: int
    version: str
    drain: Drain | None = None
    machine_level: int = 0  # the highest it can run; 0: it has not said so
    votes: bool = False  # it counts for majorities, dead or alive
    reached: bool = True  # by the leader; without one, by the node that answers


class QueueView(NamedTuple):
    """Unfinished jobs of a queue, by state."""

    name: str
    scheduled: int
    pending: int
    dispatched: int
    running: int
    paused: bool = False


class QueueDetails(NamedTuple):
    """A queue, its limits and what counts against them; `rate_opens_ms`: wall time, 0 while there is room."""

    jobs: QueueView
    options: QueueOptions
    held: int
    rate_used: int
    rate_opens_ms: int


class ClusterView(NamedTuple):
    """Everything `status` shows."""

    leader: str
    term: int
    commit_index: int
    applied_index: int
    nodes: list[NodeView]
    jobs: dict[JobState, int]
    queues: list[QueueView]
    sessions: list[Session]
    answered_by: str
    cluster_id: str
    digest: bytes
    problems: list[str]
    stale: bool
    wall_ms: int
    machine_level: int = 0  # of the state
    level_waits_for: tuple[str, ...] = ()  # nodes that keep the next level, which others can run, from coming


class EventPage(NamedTuple):
    """Events in order, and how far the node has looked."""

    events: list[EventView]
    cursor: Cursor


class Added(NamedTuple):
    """A node that is a member now, as a learner if it was none before."""

    node_id: str
    already: bool


class SessionHandle(Protocol):
    """The node's end of one worker stream."""

    def receive(self, message: WorkerMessage) -> None: ...
    async def room(self) -> None:
        """Wait until a report may be received: too much of what workers said is still to be committed.  What
        is said behind it waits as well, so the node keeps a little before that comes to pass."""
        ...

    def closed(self) -> None:
        """The stream ended; idempotent."""
        ...


class BackupHandle(Protocol):
    """A backup that is ready to be read, and has to be closed."""

    head: Head
    head_bytes: bytes  # what stands before the body

    def body(self) -> AsyncIterator[bytes | Rejected]:
        """In pieces; a rejection is the last one: the disk refuses."""
        ...

    def close(self) -> None: ...


class NodePort(Protocol):
    async def submit(self, command: Command) -> Outcome:
        """Commit and apply one command through whoever leads.  Waits without a leader, bounded, up to
        5 s; never hangs."""
        ...

    async def fresh(self, min_index: int, linearizable: bool) -> Freshness | Rejected:
        """Wait until reads here are as fresh as asked."""
        ...

    def freshness(self) -> Freshness: ...
    def job(self, job_id: bytes) -> JobView | None: ...
    def attempts(self, job_id: bytes) -> list[Attempt]: ...
    def explain(self, job_id: bytes) -> list[Reason]:
        """Why a job is where it is; []: no such job."""
        ...

    async def logs(self, job_id: bytes, after: tuple[int, int], limit: int) -> LogPage | Rejected | None:
        """Lines of a job behind a place (token, number), from all nodes that keep them; answers within a
        second or two.  None: no such job."""
        ...

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
        """owner, worker: only what that node answers for, or that worker (its id) holds, at this moment."""
        ...

    async def wait_job(self, job_id: bytes, timeout_ms: int) -> JobView | None:
        """The job when it is terminal or the time is over."""
        ...

    def find_schedule(self, schedule_id: str) -> ScheduleView | None: ...
    async def list_schedules(
        self, prefix: str, states: frozenset[str], limit: int, cursor: bytes
    ) -> SchedulePage | Rejected:
        """By id; no states: all."""
        ...

    def sessions(self) -> list[Session]: ...
    def queues(self) -> list[QueueDetails]:
        """Those with unfinished jobs, a pause or a limit, by name."""
        ...

    def queue(self, name: str) -> QueueDetails: ...
    def status(self) -> ClusterView: ...
    def watch(
        self, since: Cursor | None, wanted: EventFilter, follow: bool
    ) -> AsyncGenerator[EventPage | Rejected, None]:
        """What happened behind `since` (None: as far back as this node knows); with `follow` also what
        happens next, with an empty page now and then while nothing does.  A Rejected ends it."""
        ...

    def audit(self, after: int, limit: int, latest: bool = False) -> list[tuple[int, AuditRecord]]:
        """Records of the audit trail with their numbers: the first ones behind `after`, or the latest."""
        ...

    @property
    def cluster_id(self) -> str:
        """Of the cluster that this node is a member of; "": none yet."""
        ...

    def oldest_cursor(self) -> Cursor:
        """As far back as this node knows what happened."""
        ...

    async def transfer_leadership(self, node_id: str) -> str | Rejected: ...
    async def add_member(self, address: str) -> Added | NotApplied | Unknown:
        """Let the cluster add the node that waits at that API address."""
        ...

    async def remove_member(self, node_id: str) -> Outcome: ...
    def find_node(self, node_id: str) -> Node | None:
        """A node as the cluster knows it."""
        ...

    def cost_of_leaving(self, node_id: str) -> str:
        """What the cluster could not do any more without that node, in a line; ""."""
        ...

    async def backup(self) -> BackupHandle | Rejected:
        """Everything that was acknowledged by now, as of one entry of the log."""
        ...

    async def contents(self, index: int) -> Finding:
        """What this node held at a mark in the log; None: it does not know yet, after some seconds."""
        ...

    def open_session(self, hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> SessionHandle:
        """`deliver` is called on the loop, in order; a Refused is always the last message."""
        ...

    @property
    def wall_ms(self) -> int:
        """The replicated wall clock, for defaults that need a time."""
        ...


Door = Callable[[], NodePort]
"""Who answers now: before there is a cluster somebody else than afterwards, so it is asked for every call."""
