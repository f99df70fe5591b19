"""The job: what was asked for (`JobSpec`), where it stands (`Job`), what became of each try (`Attempt`)."""

from enum import IntEnum
from types import MappingProxyType
from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.retry import DEFAULT_RETRY, RetryPolicy, fault_in_policy


class JobState(IntEnum):
    """Where a job stands.  `waiting` for dependencies is not among them: there are none yet."""

    SCHEDULED = 1  # waits for its time: delay, run_at, retry
    PENDING = 2  # ready, waits for a worker
    DISPATCHED = 3  # assigned to a worker
    RUNNING = 4  # the worker said that the handler started
    COMPLETED = 5
    CANCELLED = 6
    DEAD = 7  # no tries left; kept until retried or purged

    @property
    def word(self) -> str:
        """The lower-case word used in JSON, Python and docs."""
        return self.name.lower()


TERMINAL: Final = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD})
ASSIGNED: Final = frozenset({JobState.DISPATCHED, JobState.RUNNING})

_S = JobState
LIFE_CYCLE: Final = MappingProxyType(
    {
        _S.SCHEDULED: frozenset({_S.PENDING, _S.CANCELLED}),
        _S.PENDING: frozenset({_S.DISPATCHED, _S.CANCELLED, _S.DEAD}),  # dead: too old for a retry
        _S.DISPATCHED: frozenset({_S.RUNNING, _S.COMPLETED, _S.CANCELLED, _S.DEAD, _S.SCHEDULED, _S.PENDING}),
        _S.RUNNING: frozenset({_S.COMPLETED, _S.CANCELLED, _S.DEAD, _S.SCHEDULED, _S.PENDING}),
        _S.COMPLETED: frozenset[JobState](),
        _S.CANCELLED: frozenset({_S.PENDING}),  # retried by hand
        _S.DEAD: frozenset({_S.PENDING}),  # retried by hand
    }
)
"""Every legal move.  The machine checks it on each change; the diagram in the docs is made from it."""


class AttemptState(IntEnum):
    """How a try ended."""

    COMPLETED = 1
    FAILED = 2
    TIMED_OUT = 3
    CANCELLED = 4
    LOST = 5  # its worker died or was fenced

    @property
    def word(self) -> str:
        """The lower-case word used in JSON, Python and docs."""
        return self.name.lower()


class UniqueScope(IntEnum):
    """How long a unique key is taken."""

    UNTIL_DONE = 1  # until the job is terminal
    UNTIL_STARTED = 2  # until it is dispatched
    WINDOW = 3  # for `unique_for_ms` after it was enqueued, whatever becomes of it

    @property
    def word(self) -> str:
        """The lower-case word used in JSON, Python and docs."""
        return self.name.lower()


class OnConflict(IntEnum):
    """What happens to a job whose unique key is taken."""

    RETURN_EXISTING = 1
    REPLACE = 2  # the one that is there, while it is still waiting; otherwise it is returned
    REJECT = 3

    @property
    def word(self) -> str:
        """The lower-case word used in JSON, Python and docs."""
        return self.name.lower()


class UniqueRule(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """How a unique key is meant, where it is not the default."""

    scope: UniqueScope = UniqueScope.UNTIL_DONE
    for_ms: int = 0  # WINDOW: elapsed time
    on_conflict: OnConflict = OnConflict.RETURN_EXISTING


class Firing(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """Which slot of which schedule a job is the run of."""

    schedule_id: str
    incarnation: int  # of the schedule: a deleted one's slots are not those of a new one with its id
    slot_ms: int  # wall: when it was due
    fired_ms: int  # wall: when it was fired
    missed: int = 0  # slots that this run stands for besides its own


class JobSpec(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """What the client asked for; never changes."""

    job_id: bytes  # 16 bytes, made by the client
    type: str
    queue: str
    args: bytes  # JSON text; empty while `Job.args_stored`
    priority: int = 0  # higher first
    run_at_ms: int = 0  # wall clock, 0: none
    delay_ms: int = 0  # elapsed time from the moment of being applied, 0: none
    timeout_ms: int = 0  # elapsed time from the assignment, 0: none
    retry: RetryPolicy = DEFAULT_RETRY
    unique_key: str = ""  # "": none; scope: the job type; how long and with what effect: `unique`
    correlation_id: str = ""
    labels: tuple[str, ...] = ()  # sorted; a worker must have them all
    key: str = ""  # for the limits per key of its queue
    unique: UniqueRule | None = None  # None: as by default
    expires_ms: int = 0  # elapsed time from first being ready; no worker was given it by then: cancelled
    retry_for_ms: int = 0  # no retry begins later than this after being enqueued (elapsed); 0: no limit
    firing: Firing | None = None  # None: enqueued by a client


class Timer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The one thing an entity waits for.  (due_ms, seq) is a total order: no decision depends on a heap."""

    kind: int  # TimerKind
    due_ms: int  # on the clock that the kind names
    seq: int


class TimerKind(IntEnum):
    """What falls due; wall-clock kinds are the ones a person named a time for."""

    READY_AT_ELAPSED = 1  # delay or back-off is over
    READY_AT_WALL = 2  # run_at has come
    TIMEOUT = 3  # the attempt's time is over: soft cancel
    FORCED_END = 4  # the soft cancel's grace is over
    SESSION_DEADLINE = 5  # nobody resumed the session
    QUEUE_WINDOW = 20  # the rate window of a queue has room again
    KEY_WINDOW = 21  # that of a key has room again, or can be forgotten
    UNIQUE_WINDOW = 22  # a unique key that was taken for a time is free again
    EXPIRY = 23  # a job that was never handed to a worker is cancelled
    KEY_SWEEP = 24  # the next keys of a queue are to follow its changed limits
    RETRY_LIMIT = 30  # a job that failed has not been taken again within `retry_for_ms`


class StopAsked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The running attempt was asked to end."""

    why: str  # one of the words that the worker is told: "cancelled" or "timed_out"
    reason: str  # for people: what the user or the time-out said


class Job(msgspec.Struct, array_like=True, gc=False):
    """A job as the state holds it.  Times are wall milliseconds, 0 where it has not happened."""

    spec: JobSpec
    state: JobState
    created_ms: int
    seq: int  # order of becoming ready (or of creation, before that)
    attempt: int = 0  # ordinal of the newest assignment
    failures: int = 0
    losses: int = 0
    token: int = 0  # fencing token of the newest assignment
    session_id: bytes = b""  # holder of the current assignment
    dispatched_ms: int = 0
    started_ms: int = 0
    finished_ms: int = 0
    timer: Timer | None = None
    stop: StopAsked | None = None  # of the current attempt
    progress_percent: int = 0
    progress_message: str = ""
    result: bytes = b""  # JSON text
    error: str = ""  # of the newest failed attempt; "" once completed
    reason: str = ""  # why it is dead or cancelled
    owner: str = ""  # node whose session holds (or last held) it
    worker: str = ""  # name of that session's worker
    args_stored: bool = False  # spec.args is in table `payloads`
    retry_until_ms: int = 0  # elapsed: when `retry_for_ms` is over; 0: no limit


class Attempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One finished try: the job's history is the list of these (JobHistory)."""

    job_id: bytes
    attempt: int
    token: int
    state: AttemptState
    worker: str
    session_id: bytes
    node_id: str
    dispatched_ms: int
    started_ms: int
    finished_ms: int
    error: str = ""
    reason: str = ""
    reported: bool = False  # ended by its worker's report: the same report sent again is acknowledged


def fault_in_spec(spec: JobSpec) -> str:
    """One line saying what is wrong with `spec`, or "".  The API asks first, the machine last."""
    if len(spec.job_id) != limits.JOB_ID_BYTES:
        return f"job id has {len(spec.job_id)} bytes, must have {limits.JOB_ID_BYTES}"
    if not 0 < len(spec.type) <= limits.TYPE_CHARS:
        return f"job type must have 1 to {limits.TYPE_CHARS} characters"
    if not 0 < len(spec.queue) <= limits.QUEUE_CHARS:
        return f"queue must have 1 to {limits.QUEUE_CHARS} characters"
    if len(spec.args) > limits.PAYLOAD_BYTES:
        return f"arguments have {len(spec.args)} bytes, at most {limits.PAYLOAD_BYTES} are allowed"
    if len(spec.unique_key) > limits.KEY_CHARS or len(spec.correlation_id) > limits.KEY_CHARS:
        return f"unique_key and correlation_id have at most {limits.KEY_CHARS} characters"
    if not -limits.PRIORITY_MAX <= spec.priority <= limits.PRIORITY_MAX:
        return f"priority must be within +-{limits.PRIORITY_MAX}"
    if spec.delay_ms or spec.run_at_ms or spec.timeout_ms or spec.retry_for_ms:
        fault = _fault_in_times(spec)
        if fault:
            return fault
    if spec.labels:
        fault = fault_in_labels(spec.labels)
        if fault:
            return fault
    if spec.key or spec.unique is not None or spec.expires_ms:
        fault = _fault_in_rules(spec)
        if fault:
            return fault
    return "" if spec.retry == DEFAULT_RETRY else fault_in_policy(spec.retry)


def _fault_in_times(spec: JobSpec) -> str:
    if not 0 <= spec.delay_ms <= limits.DURATION_MS:
        return f"delay must be within 0..{limits.DURATION_MS} ms"
    if not 0 <= spec.timeout_ms <= limits.DURATION_MS:
        return f"timeout must be within 0..{limits.DURATION_MS} ms"
    if not 0 <= spec.retry_for_ms <= limits.DURATION_MS:
        return f"retry_for must be within 0..{limits.DURATION_MS} ms"
    if not 0 <= spec.run_at_ms <= limits.WALL_MS_MAX:
        return f"run_at must be within 0..{limits.WALL_MS_MAX} ms since 1970"
    if spec.delay_ms and spec.run_at_ms:
        return "give either delay or run_at, not both"
    return ""


def _fault_in_rules(spec: JobSpec) -> str:
    if len(spec.key) > limits.KEY_CHARS:
        return f"key has at most {limits.KEY_CHARS} characters"
    if not 0 <= spec.expires_ms <= limits.DURATION_MS:
        return f"expires must be within 0..{limits.DURATION_MS} ms"
    return "" if spec.unique is None else fault_in_unique(spec.unique_key, spec.unique)


def fault_in_unique(unique_key: str, rule: UniqueRule) -> str:
    """What is wrong with how a unique key is meant, or ""."""
    if not unique_key:
        return "a unique rule needs a unique_key"
    if rule.scope is not UniqueScope.WINDOW:
        return "unique_for belongs to the scope `window`" if rule.for_ms else ""
    if not 0 < rule.for_ms <= limits.UNIQUE_FOR_MS_MAX:
        return f"unique_for must be within 1..{limits.UNIQUE_FOR_MS_MAX} ms (30 days)"
    return ""


def fault_in_labels(labels: tuple[str, ...]) -> str:
    """What is wrong with the labels of a job or a worker, or ""."""
    if len(labels) > limits.LABELS:
        return f"{len(labels)} labels, at most {limits.LABELS} are allowed"
    before = ""  # smaller than any label: so this refuses the empty one as well
    for label in labels:
        if label <= before:
            return "labels must be sorted, without repeats, and not empty"
        if len(label) > limits.LABEL_CHARS:
            return f"a label has at most {limits.LABEL_CHARS} characters"
        before = label
    return ""
