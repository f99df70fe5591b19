"""What happened, in the past tense: the only thing that changes the state, and the feed users follow.

`evolve` applies an event and cannot refuse it.  Effects outside (a push to a worker, an answer to a
caller) follow committed events and never precede them.  Tags are never renumbered or retyped.
"""

import msgspec

from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.job import AttemptState, JobSpec, JobState, Timer
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.queue import QueueOptions
from orchestrix_raft.domain.schedule import ScheduleSpec, Slot


class _Closed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    pass


class JobEnqueued(_Closed, frozen=True, tag=1):
    """A job exists: SCHEDULED with its timer, or PENDING, with a timer if it expires."""

    spec: JobSpec
    state: JobState
    seq: int
    timer: Timer | None


class JobReady(_Closed, frozen=True, tag=2):
    """A delay, back-off or run_at is over."""

    job_id: bytes
    seq: int
    timer: Timer | None = None  # its expiry; the place in line is the timer's, too


class JobAssigned(_Closed, frozen=True, tag=3):
    """A slot of a session is taken by a job; the session's node pushes it to the worker."""

    job_id: bytes
    session_id: bytes
    node_id: str
    attempt: int
    token: int
    timer: Timer | None  # the attempt's timeout


class JobStarted(_Closed, frozen=True, tag=4):
    """The owner reported a handler that runs."""

    job_id: bytes
    token: int
    started_ms: int


class JobProgressed(_Closed, frozen=True, tag=5):
    """The newest progress of a handler."""

    job_id: bytes
    token: int
    percent: int
    message: str


class JobCompleted(_Closed, frozen=True, tag=6):
    """The attempt and the job are over, with a result."""

    job_id: bytes
    token: int
    result: bytes
    started_ms: int
    finished_ms: int


class AttemptEnded(_Closed, frozen=True, tag=7):
    """A try ended without success; what follows is in `next_state`.

    SCHEDULED: back-off with `timer`; PENDING: ready at once with `seq` (a lost assignment); DEAD and
    CANCELLED are final and carry `reason`.
    """

    job_id: bytes
    token: int
    state: AttemptState
    error: str
    started_ms: int
    finished_ms: int
    next_state: JobState
    seq: int
    timer: Timer | None
    reason: str
    reported: bool = False  # by its worker: this frees the slot, too


class JobReleased(_Closed, frozen=True, tag=8):
    """Given back unfinished: ready again, nothing counted."""

    job_id: bytes
    token: int
    seq: int


class StopRequested(_Closed, frozen=True, tag=9):
    """The running attempt is asked to end (soft); the timer forces it."""

    job_id: bytes
    token: int
    session_id: bytes
    why: str  # "cancelled" or "timed_out"
    reason: str
    timer: Timer


class JobCancelled(_Closed, frozen=True, tag=10):
    """A job that was not running is cancelled."""

    job_id: bytes
    reason: str


class JobRetried(_Closed, frozen=True, tag=11):
    """By hand: ready again, failures and losses forgotten.  From disk when it was finished."""

    job_id: bytes
    seq: int
    timer: Timer | None = None  # it expires then, if it was still waiting for its first worker


class SlotFreed(_Closed, frozen=True, tag=12):
    """The worker reported the end of a handler whose attempt was over before."""

    session_id: bytes
    token: int


class StaleToken(_Closed, frozen=True, tag=13):
    """A report for an assignment that is no longer valid was refused."""

    session_id: bytes
    job_id: bytes
    token: int


class SessionAttached(_Closed, frozen=True, tag=14):
    """A worker process is here."""

    session_id: bytes
    node_id: str
    name: str
    queues: tuple[str, ...]
    capacity: int
    labels: tuple[str, ...]
    idle_seq: int


class SessionDetached(_Closed, frozen=True, tag=15):
    """Its stream or its node is gone; the timer is its deadline."""

    session_id: bytes
    node_id: str
    timer: Timer


class SessionResumed(_Closed, frozen=True, tag=16):
    """It is attached again with all it runs: the owner of those jobs changes with this event."""

    session_id: bytes
    node_id: str
    epoch: int


class SessionDraining(_Closed, frozen=True, tag=17):
    """It takes nothing new."""

    session_id: bytes


class SessionEnded(_Closed, frozen=True, tag=18):
    """Closed by itself or expired; AttemptEnded (LOST) or JobReleased events of its jobs come before it."""

    session_id: bytes
    expired: bool


class NodeJoined(_Closed, frozen=True, tag=19):
    """A coordinator process began; its incarnation is this entry's index."""

    node_id: str
    boot_id: bytes
    address: str
    version: str
    incarnation: int
    level: int = FIRST_LEVEL  # the highest machine level it can run


class NodeHealthSet(_Closed, frozen=True, tag=20):
    """The cluster's verdict on a node changed."""

    node_id: str
    incarnation: int
    health: Health


class TimerSetAside(_Closed, frozen=True, tag=21):
    """Deciding a due timer failed; it is not tried again.  A bug, visible."""

    kind: int
    key: bytes
    detail: str


# ---- schedules: 30-39


class SchedulePut(_Closed, frozen=True, tag=30):
    """A schedule exists, or has another specification; the leader will look for its next slot."""

    spec: ScheduleSpec
    incarnation: int
    version: int
    anchor_ms: int
    after_ms: int  # no slot up to then fires any more
    seq: int


class SchedulePaused(_Closed, frozen=True, tag=31):
    """No slot fires; what waited in its buffer is skipped."""

    schedule_id: str
    version: int
    reason: str


class ScheduleResumed(_Closed, frozen=True, tag=32):
    """Slots after `after_ms` fire again."""

    schedule_id: str
    version: int
    after_ms: int
    seq: int


class ScheduleDeleted(_Closed, frozen=True, tag=33):
    """It is gone; its jobs are not."""

    schedule_id: str
    incarnation: int


class SlotFired(_Closed, frozen=True, tag=34):
    """A slot has its run: JobEnqueued comes before this."""

    schedule_id: str
    slot: Slot
    job_id: bytes
    buffered: bool = False  # it was the oldest in the buffer


class SlotSkipped(_Closed, frozen=True, tag=35):
    """A slot, and those it stands for, have no run; `slot.skipped` says why."""

    schedule_id: str
    slot: Slot
    buffered: bool = False  # it was the oldest in the buffer


class SlotBuffered(_Closed, frozen=True, tag=36):
    """A slot waits until no run is active."""

    schedule_id: str
    slot: Slot


class ScheduleAdvanced(_Closed, frozen=True, tag=37):
    """All slots up to `after_ms` are decided; the next one is due at `due_ms`, or there is none."""

    schedule_id: str
    after_ms: int
    next_slot_ms: int
    due_ms: int
    seq: int


# ---- queues and unique keys: 40-49


class QueueConfigured(_Closed, frozen=True, tag=40):
    """A queue has these limits from now on; the default options: none."""

    name: str
    options: QueueOptions


class WindowPassed(_Closed, frozen=True, tag=41):
    """The rate window of a queue, or of one of its keys, has moved on: it may have room again."""

    queue: str
    key: str  # "": the queue's own


class KeysSwept(_Closed, frozen=True, tag=43):
    """Some more keys of a queue follow its changed limits."""

    queue: str


class UniqueWindowEnded(_Closed, frozen=True, tag=42):
    """A unique key that was taken for a time is free."""

    job_type: str
    unique_key: str


# ---- retries and keeping: 50-59


class JobForgotten(_Closed, frozen=True, tag=50):
    """A finished job, its attempts and payloads are gone; its id stays known until `known_until_ms` (wall; 0:
    not any longer)."""

    job_id: bytes
    state: JobState
    finished_ms: int
    attempts: int  # ordinal of its newest one
    known_until_ms: int


class IdForgotten(_Closed, frozen=True, tag=51):
    """The id of a job that was gone is free again."""

    job_id: bytes
    known_until_ms: int


class OldestKept(_Closed, frozen=True, tag=52):
    """Nothing of a kind is older than this (wall; -1: there is nothing); saves looking before it is time."""

    place: int  # a JobState, or 0 for ids of jobs that are gone
    since_ms: int


class JobGivenUp(_Closed, frozen=True, tag=53):
    """A job that failed was not taken again in time: dead."""

    job_id: bytes
    reason: str


# ---- drain and ownership: 70-79


class NodeDraining(_Closed, frozen=True, tag=70):
    """A node takes no sessions, and those attached to it get no assignments."""

    node_id: str
    incarnation: int
    leaving: bool


class NodeUndrained(_Closed, frozen=True, tag=71):
    """It takes sessions again, and those still attached to it get assignments."""

    node_id: str
    incarnation: int


class HandoffAsked(_Closed, frozen=True, tag=72):
    """The worker of a session is to be told by its owner to go on at another node."""

    session_id: bytes
    node_id: str  # the owner, who tells it
    to: str
    tries: int


# ---- members: 80-89


class NodeRemoved(_Closed, frozen=True, tag=80):
    """A node is a member no more; SessionDetached events of its sessions come before it."""

    node_id: str
    incarnation: int


# ---- audit: 90-99


class Audited(_Closed, frozen=True, tag=90):
    """Somebody asked for a change by hand: who, for what, and what came of it."""

    number: int
    record: AuditRecord


class AuditForgotten(_Closed, frozen=True, tag=91):
    """The audit trail begins with record `first` now (from `oldest_ms`, wall; -1: it is empty)."""

    first: int
    oldest_ms: int


# ---- backup and verification: 105-109


class GenerationRaised(_Closed, frozen=True, tag=105):
    """A new cluster goes on from here: tokens and sessions from before this are void."""

    generation: int


class ContentsMarked(_Closed, frozen=True, tag=106):
    """Nodes compare what they hold as of the entry that has this."""


# ---- machine levels: 100-104


class LevelRaised(_Closed, frozen=True, tag=100):
    """Every member can run this machine level, and from now on all do."""

    level: int
    version: str  # of the software that asked for it: whoever is too old is told to install that
    migrates: bool  # stored records have to be brought into another form


class RecordsMigrated(_Closed, frozen=True, tag=101):
    """A bounded number of records has another form; the next step begins at `cursor`, None: there is none."""

    cursor: bytes | None


Event = (
    JobEnqueued
    | JobReady
    | JobAssigned
    | JobStarted
    | JobProgressed
    | JobCompleted
    | AttemptEnded
    | JobReleased
    | StopRequested
    | JobCancelled
    | JobRetried
    | SlotFreed
    | StaleToken
    | SessionAttached
    | SessionDetached
    | SessionResumed
    | SessionDraining
    | SessionEnded
    | NodeJoined
    | NodeHealthSet
    | TimerSetAside
    | SchedulePut
    | SchedulePaused
    | ScheduleResumed
    | ScheduleDeleted
    | SlotFired
    | SlotSkipped
    | SlotBuffered
    | ScheduleAdvanced
    | QueueConfigured
    | WindowPassed
    | UniqueWindowEnded
    | KeysSwept
    | JobForgotten
    | IdForgotten
    | OldestKept
    | JobGivenUp
    | NodeRemoved
    | NodeDraining
    | NodeUndrained
    | HandoffAsked
    | Audited
    | AuditForgotten
    | GenerationRaised
    | ContentsMarked
    | LevelRaised
    | RecordsMigrated
)
