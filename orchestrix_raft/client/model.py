"""What the client hands out: jobs, attempts, log lines, and the state of the cluster, as plain values.

Times are aware datetimes in UTC, None where it has not happened.  `msgspec.to_builtins` turns any of them
into what `--json` prints.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import AttemptState, JobState
from orchestrix_raft.wire.arguments import milliseconds, number, shown, text, whole
from orchestrix_raft.wire.cluster import StatusResponse
from orchestrix_raft.wire.common import RetryPolicyMessage
from orchestrix_raft.wire.drain import DrainProgressMessage
from orchestrix_raft.wire.errors import JobFailed
from orchestrix_raft.wire.jobs import AttemptMessage, JobMessage, LogLineMessage, ReasonMessage
from orchestrix_raft.wire.workers import WorkerInfo

_MAX_RETRIES: Final = "RetryPolicy.max_retries"
_MULTIPLIER_MAX: Final = limits.MULTIPLIER_PERMILLE_MAX // 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATES: Final = {int(state): state.word for state in JobState}
_ATTEMPT_STATES: Final = {int(state): state.word for state in AttemptState}
TERMINAL: Final = frozenset({"completed", "cancelled", "dead"})
WAITING: Final = ("scheduled", "pending")
RETRY_PRESETS: Final = {
    "default": RetryPolicyMessage.PRESET_DEFAULT,
    "fast": RetryPolicyMessage.PRESET_FAST,
    "patient": RetryPolicyMessage.PRESET_PATIENT,
}


def at(ms: int) -> datetime | None:
    """Unix milliseconds as a datetime; None for 0."""
    return _EPOCH + timedelta(milliseconds=ms) if ms else None


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    pass


class RetryPolicy(_Value, frozen=True):
    """How often and how late a failed attempt is tried again.  None takes the value of the preset."""

    max_retries: int | None = None  # 3; retries after the first failure
    delay: float | timedelta | None = None  # 10 s; before the first retry
    multiplier: float | None = None  # 2; each further delay is this many times the one before
    max_delay: float | timedelta | None = None  # 600 s
    jitter: float | None = None  # 0.2; the delay varies by this share, up and down
    preset: str = "default"  # or `fast`, `patient`; the numbers above are those of `default`

    @classmethod
    def fast(cls, *, max_retries: int | None = None) -> Self:
        """For what fails briefly and is waited for: 5 retries, after 1, 2, 4, 8 and 16 seconds."""
        return cls(preset="fast", max_retries=max_retries)

    @classmethod
    def patient(cls, *, max_retries: int | None = None) -> Self:
        """For what may be away for days: 25 retries, n^4 + 15 seconds before the n-th, over 25 days."""
        return cls(preset="patient", max_retries=max_retries)

    def message(self) -> RetryPolicyMessage:
        """The form for the wire; TypeError or ValueError for what no policy can have."""
        if text("RetryPolicy.preset", self.preset) not in RETRY_PRESETS:
            known = ", ".join(RETRY_PRESETS)
            raise ValueError(f"RetryPolicy.preset is {shown(self.preset)}: there are {known}")
        retries = self.max_retries
        return RetryPolicyMessage(
            max_retries=retries if retries is None else whole(_MAX_RETRIES, retries, 0, limits.RETRIES_MAX),
            delay_ms=_duration_ms("delay", self.delay),
            multiplier_permille=_scaled("multiplier", self.multiplier, 1_000, 1, _MULTIPLIER_MAX),
            max_delay_ms=_duration_ms("max_delay", self.max_delay),
            jitter_percent=_scaled("jitter", self.jitter, 100, 0, 1),
            preset=RETRY_PRESETS[self.preset],
        )


def _duration_ms(name: str, value: float | timedelta | None) -> int | None:
    return None if value is None else milliseconds(f"RetryPolicy.{name}", value)


def _scaled(name: str, value: float | None, factor: int, least: int, most: int) -> int | None:
    return None if value is None else round(number(f"RetryPolicy.{name}", value, least, most) * factor)


class Enqueued(_Value, frozen=True):
    """What became of a job that was to be enqueued."""

    id: str  # of the job there is now
    created: bool | None
    """False: it was there already, under this id or as the one with the unique key.  None: nobody knows:
    the caller's `job_id` was there when the job was sent again after a lost answer, and the earlier sending
    may have made it."""


class Job(_Value, frozen=True):
    """A job as the cluster had it when asked."""

    id: str
    type: str
    queue: str
    state: str  # scheduled, pending, dispatched, running, completed, cancelled, dead
    priority: int
    args: dict[str, Any] | None  # None: left out of a listing (`abridged`)
    attempt: int  # ordinal of the newest assignment, from 1
    failures: int
    losses: int  # assignments lost with their worker
    max_retries: int
    result: Any  # what the handler returned; None until completed
    error: str  # of the newest failed attempt; "" once completed: the history keeps it
    reason: str  # why it is dead or cancelled
    progress: int  # percent
    progress_message: str
    owner: str  # node whose session holds (or last held) it
    worker: str
    fencing_token: int
    timeout: float | None  # seconds
    retry_for: float | None  # seconds after it was enqueued in which a retry may begin
    expires: float | None  # seconds from being due in which a worker must be given it
    key: str  # what the limits per key of its queue go by
    unique_key: str
    schedule: str  # whose run it is; "": enqueued by a client
    scheduled_for: datetime | None  # when the run was due
    missed_count: int  # due times before, without a run, that this one stands for
    correlation_id: str
    labels: list[str]
    abridged: bool  # long arguments, results or errors were left out; `get` has them
    created_at: datetime | None
    scheduled_at: datetime | None  # when it becomes ready, while scheduled
    dispatched_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        """It is completed, cancelled or dead."""
        return self.state in TERMINAL

    def raise_for_state(self) -> None:
        """Raise `JobFailed` if the job is dead or cancelled."""
        if self.state in ("dead", "cancelled"):
            first_line = (self.error or self.reason or "no reason given").partition("\n")[0]
            raise JobFailed(f"job {self.id} is {self.state}: {first_line}", self.state.upper())


class Attempt(_Value, frozen=True):
    """One finished try."""

    attempt: int
    state: str  # completed, failed, timed_out, cancelled, lost
    fencing_token: int
    worker: str
    node: str
    error: str
    reason: str
    dispatched_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class Reason(_Value, frozen=True):
    """One of the things that hold a job, or that say where it stands."""

    code: str  # a stable word: delayed, backing_off, queue_paused, no_worker, workers_full, ...
    text: str
    facts: dict[str, str]  # what the text was made of; names ending in _ms are Unix milliseconds


class LogLine(_Value, frozen=True):
    """One line logged by a handler.  (fencing_token, number) is its place: lines are told in that order."""

    attempt: int
    number: int  # within the assignment
    at: datetime | None
    level: str
    message: str
    fencing_token: int = (
        0  # of the assignment: an attempt that was given back is begun again under its number
    )


class LogLines(list[LogLine]):
    """Lines of a job's log, in order.  silent_nodes: members that did not answer; what only they keep is
    missing."""

    def __init__(self, lines: Iterable[LogLine], silent_nodes: Iterable[str] = ()) -> None:
        super().__init__(lines)
        self.silent_nodes = tuple(silent_nodes)


class DrainProgress(_Value, frozen=True):
    """How far a node has come with handing over its workers."""

    leaving: bool  # its process ends afterwards
    since: datetime | None
    workers: int  # attached to it when it began
    jobs: int  # that they ran
    asked: int  # workers that were told where to go on
    acknowledged: int  # workers that went on at another node
    acknowledged_jobs: int
    orphaned: int  # workers that did not: their jobs go on if they come back in time
    orphaned_jobs: int


class NodeStatus(_Value, frozen=True):
    """One member of the cluster, as the node that answered sees it."""

    node_id: str
    address: str
    role: str
    health: str
    applied_index: int
    lag: int
    owned_jobs: int
    sessions: int
    last_heartbeat: datetime | None
    version: str
    drain: DrainProgress | None = None  # it hands over, or did so before it stopped
    machine_level: int = 0  # the highest it can run; 0: it has not said so
    votes: bool | None = None  # it counts for majorities, dead or alive; None: an older node has answered


class QueueStatus(_Value, frozen=True):
    """Unfinished jobs of a queue, by state."""

    name: str
    scheduled: int
    pending: int
    dispatched: int
    running: int
    paused: bool = False


class WorkerStatus(_Value, frozen=True):
    """One worker process."""

    id: str  # of the process; not its session id, which nobody else may know
    name: str
    queues: list[str]
    labels: list[str]
    capacity: int
    used: int
    stuck: int  # slots held by handlers whose attempt is over
    node_id: str  # "": detached
    draining: bool
    attached_at: datetime | None
    moving_to: str = ""  # the node that it was told to go on at


class ClusterStatus(_Value, frozen=True):
    """The cluster, as one node sees it."""

    leader: str  # "": none is known
    term: int
    commit_index: int
    applied_index: int
    nodes: list[NodeStatus]
    jobs: dict[str, int]
    queues: list[QueueStatus]
    workers: list[WorkerStatus]
    answered_by: str
    cluster_id: str
    digest: str
    problems: list[str]
    stale: bool  # the node has had no contact with a leader for two seconds or more
    time: datetime | None
    machine_level: int = 0  # which rules the cluster applies its log by
    level_waits_for: list[str] = []  # nodes that keep a higher one, which others can run, from coming


def job_of(m: JobMessage) -> Job:
    """From the wire."""
    result = m.result
    return Job(
        id=format_job_id(m.job_id),
        type=m.type,
        queue=m.queue,
        state=_STATES.get(m.state, "unknown"),
        priority=m.priority,
        args=msgspec.json.decode(m.args) if m.args else None,
        attempt=m.attempt,
        failures=m.failures,
        losses=m.losses,
        max_retries=m.max_retries,
        result=msgspec.json.decode(result) if result else None,
        error=m.error,
        reason=m.reason,
        progress=m.progress_percent,
        progress_message=m.progress_message,
        owner=m.owner,
        worker=m.worker,
        fencing_token=m.fencing_token,
        timeout=m.timeout_ms / 1_000 if m.timeout_ms else None,
        retry_for=m.retry_for_ms / 1_000 if m.retry_for_ms else None,
        expires=m.expires_ms / 1_000 if m.expires_ms else None,
        key=m.key,
        unique_key=m.unique_key,
        schedule=m.firing.schedule_id,
        scheduled_for=at(m.firing.scheduled_for_ms),
        missed_count=m.firing.missed_count,
        correlation_id=m.correlation_id,
        labels=list(m.labels),
        abridged=m.abridged,
        created_at=at(m.created_ms),
        scheduled_at=at(m.scheduled_ms),
        dispatched_at=at(m.dispatched_ms),
        started_at=at(m.started_ms),
        finished_at=at(m.finished_ms),
    )


def attempt_of(m: AttemptMessage) -> Attempt:
    """From the wire."""
    return Attempt(
        attempt=m.attempt,
        state=_ATTEMPT_STATES.get(m.state, "unknown"),
        fencing_token=m.fencing_token,
        worker=m.worker,
        node=m.node,
        error=m.error,
        reason=m.reason,
        dispatched_at=at(m.dispatched_ms),
        started_at=at(m.started_ms),
        finished_at=at(m.finished_ms),
    )


def reason_of(m: ReasonMessage) -> Reason:
    """From the wire."""
    return Reason(code=m.code, text=m.text, facts=dict(m.facts))


def log_line_of(m: LogLineMessage) -> LogLine:
    """From the wire."""
    return LogLine(
        attempt=m.attempt,
        number=m.number,
        at=at(m.at_ms),
        level=m.level,
        message=m.message,
        fencing_token=m.token,
    )


def _worker_of(m: WorkerInfo) -> WorkerStatus:
    return WorkerStatus(
        id=m.worker_id.hex(),
        name=m.name,
        queues=list(m.queues),
        labels=list(m.labels),
        capacity=m.capacity,
        used=m.used,
        stuck=m.stuck,
        node_id=m.node_id,
        draining=m.draining,
        moving_to=m.moving_to,
        attached_at=at(m.attached_ms),
    )


def progress_of(m: DrainProgressMessage) -> DrainProgress:
    """From the wire."""
    return DrainProgress(
        leaving=m.leaving,
        since=at(m.since_ms),
        workers=m.sessions,
        jobs=m.jobs,
        asked=m.asked,
        acknowledged=m.acknowledged,
        acknowledged_jobs=m.acknowledged_jobs,
        orphaned=m.orphaned,
        orphaned_jobs=m.orphaned_jobs,
    )


def status_of(m: StatusResponse) -> ClusterStatus:
    """From the wire."""
    return ClusterStatus(
        leader=m.leader,
        term=m.term,
        commit_index=m.commit_index,
        applied_index=m.applied_index,
        nodes=[
            NodeStatus(
                node_id=n.node_id,
                address=n.address,
                role=n.role,
                health=n.health,
                applied_index=n.applied_index,
                lag=n.lag,
                owned_jobs=n.owned_jobs,
                sessions=n.sessions,
                last_heartbeat=at(n.last_heartbeat_ms),
                version=n.version,
                drain=progress_of(n.drain) if n.HasField("drain") else None,
                machine_level=n.machine_level,
                votes=n.votes if n.HasField("votes") else None,
            )
            for n in m.nodes
        ],
        jobs=dict(m.jobs),
        queues=[
            QueueStatus(
                name=q.name,
                scheduled=q.scheduled,
                pending=q.pending,
                dispatched=q.dispatched,
                running=q.running,
                paused=q.paused,
            )
            for q in m.queues
        ],
        workers=[_worker_of(w) for w in m.workers],
        answered_by=m.answered_by,
        cluster_id=m.cluster_id,
        digest=m.digest,
        problems=list(m.problems),
        stale=m.stale,
        time=at(m.wall_ms),
        machine_level=m.machine_level,
        level_waits_for=list(m.level_waits_for),
    )
