"""Everything that can change the state, as typed changes, and the log entry that carries them.

A command names what it saw (token, epoch, incarnation); `decide` refuses a stale one.  Tags are never
renumbered or retyped.  Shapes are closed: an unknown field or tag stops the node rather than being
skipped, because a replica that skips what another applies has diverged.
"""

import msgspec

from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.keeping import JobFilter, Kept
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.queue import QueueChange
from orchestrix_raft.domain.report import Outcome, ProgressMark, StartedMark
from orchestrix_raft.domain.schedule import Cursor, ScheduleSpec, Slot


class _Closed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    pass


# ---- commands ----------------------------------------------------------------------------------------


class Enqueue(_Closed, frozen=True, tag=1):
    """New jobs, each decided by itself, in order.  Result: `EnqueueResult`."""

    jobs: tuple[JobSpec, ...]


class Report(_Closed, frozen=True, tag=2):
    """What became of assignments.  Result: `ReportResult`."""

    session_id: bytes
    outcomes: tuple[Outcome, ...]


class Observe(_Closed, frozen=True, tag=3):
    """Starts and progress of running handlers, coalesced by the owner.  Stale ones are dropped."""

    session_id: bytes
    started: tuple[StartedMark, ...]
    progress: tuple[ProgressMark, ...]


class AttachSession(_Closed, frozen=True, tag=4):
    """A new worker process.  Attaching the same id again at the same node is the same session."""

    session_id: bytes
    node_id: str
    name: str
    queues: tuple[str, ...]
    capacity: int
    labels: tuple[str, ...]


class ResumeSession(_Closed, frozen=True, tag=5):
    """The same worker process, here now: all its running jobs move with it in this one entry."""

    session_id: bytes
    node_id: str
    epoch: int  # the epoch it had; refused if another resume came first


class DetachSession(_Closed, frozen=True, tag=6):
    """The stream ended: no assignments until it resumes, and a deadline."""

    session_id: bytes
    epoch: int


class DrainSession(_Closed, frozen=True, tag=7):
    """The worker takes nothing new; what it runs goes on."""

    session_id: bytes


class CloseSession(_Closed, frozen=True, tag=8):
    """The worker says goodbye; whatever it still held is released."""

    session_id: bytes
    epoch: int


class CancelJobs(_Closed, frozen=True, tag=9):
    """Cancel waiting jobs, ask running ones to stop.  Result: `JobsResult`."""

    request_id: bytes
    job_ids: tuple[bytes, ...]
    reason: str


class RetryJobs(_Closed, frozen=True, tag=10):
    """Make dead, cancelled or backing-off jobs ready now, their failures forgotten.  Result: `JobsResult`."""

    request_id: bytes
    job_ids: tuple[bytes, ...]


class NodeStarted(_Closed, frozen=True, tag=11):
    """A coordinator process begins: its incarnation is the index of this entry.  Result: the incarnation."""

    node_id: str
    boot_id: bytes
    address: str
    version: str
    level: int = FIRST_LEVEL  # the highest machine level it can run


class NodeStopped(_Closed, frozen=True, tag=12):
    """A coordinator process says goodbye; its sessions are detached."""

    node_id: str
    incarnation: int


class NodeHealthChanged(_Closed, frozen=True, tag=13):
    """The leader's verdict on a node it (no longer) hears.  DEAD detaches its sessions and fences its
    incarnation."""

    node_id: str
    incarnation: int
    health: Health


# ---- schedules: 20-29


class PutSchedule(_Closed, frozen=True, tag=20):
    """A new schedule, or another specification for the one of this id.  Result: `ScheduleResult`."""

    request_id: bytes
    spec: ScheduleSpec
    cursor: Cursor = Cursor.AUTO
    version: int = -1  # that is to be replaced; 0: there must be none; -1: whatever there is


class PauseSchedule(_Closed, frozen=True, tag=21):
    """No slot fires until it is resumed; those that wait in its buffer are skipped.  Result: likewise."""

    request_id: bytes
    schedule_id: str
    reason: str
    version: int = -1  # that the caller saw; -1: whatever there is


class ResumeSchedule(_Closed, frozen=True, tag=22):
    """Slots fire again, from now on; those that passed meanwhile do not.  Result: likewise."""

    request_id: bytes
    schedule_id: str


class TriggerSchedule(_Closed, frozen=True, tag=23):
    """A run now, paused or not, under the schedule's overlap policy.  Result: likewise."""

    request_id: bytes
    schedule_id: str


class DeleteSchedule(_Closed, frozen=True, tag=24):
    """Gone; its unfinished runs go on as jobs.  Result: likewise."""

    request_id: bytes
    schedule_id: str


class FireSchedule(_Closed, frozen=True, tag=25):
    """The leader's plan: these slots, up to the one before `next_slot_ms`, are decided now.

    Compare-and-set on (incarnation, version, seen_ms): a plan for a place in time that the schedule has left
    changes nothing, so a slot is decided once, whoever leads.
    """

    schedule_id: str
    incarnation: int
    version: int
    seen_ms: int  # the schedule's `next_slot_ms` when the plan was made
    slots: tuple[Slot, ...]  # ascending; together with those they stand for: every slot up to now
    next_slot_ms: int
    due_ms: int  # of that slot, its jitter included


# ---- queues: 30-39


class ConfigureQueue(_Closed, frozen=True, tag=30):
    """Pause a queue, set or clear its limits; what the change does not name stays.  Result: `JobsResult`
    ("configured",)."""

    request_id: bytes
    name: str
    change: QueueChange


# ---- retries and keeping: 40-49


class Forget(_Closed, frozen=True, tag=40):
    """The leader's duty of keeping no more than is to be kept: at most `limit` of the oldest records go,
    those that ended earlier than `before_ms` (wall) and those beyond `keep`.  IDS: those whose time is over.
    """

    what: Kept
    before_ms: int
    keep: int
    limit: int


class PurgeJobs(_Closed, frozen=True, tag=41):
    """Forget finished jobs now.  Result: `JobsResult`."""

    request_id: bytes
    job_ids: tuple[bytes, ...]


class CancelWhere(_Closed, frozen=True, tag=42):
    """CancelJobs for up to `limit` jobs from `cursor` on that the filter accepts.  Result: `WhereResult`."""

    request_id: bytes
    where: JobFilter
    cursor: bytes  # of the step before; empty: begin, with the jobs that there are now
    limit: int  # jobs to look at
    reason: str


class RetryWhere(_Closed, frozen=True, tag=43):
    """RetryJobs, likewise."""

    request_id: bytes
    where: JobFilter
    cursor: bytes
    limit: int


class PurgeWhere(_Closed, frozen=True, tag=44):
    """PurgeJobs, likewise."""

    request_id: bytes
    where: JobFilter
    cursor: bytes
    limit: int


# ---- drain and ownership: 60-69


class DrainNode(_Closed, frozen=True, tag=60):
    """A node shall hand over its sessions and take none."""

    node_id: str
    incarnation: int
    leaving: bool  # its process is about to end


class UndrainNode(_Closed, frozen=True, tag=61):
    """It takes sessions again."""

    node_id: str
    incarnation: int


class Move(_Closed, frozen=True):
    """A session that is to go on at another node."""

    session_id: bytes
    epoch: int
    node_id: str  # where to


class MoveSessions(_Closed, frozen=True, tag=62):
    """Tell workers where to go on, each decided by itself; one that has moved or ended meanwhile is left out.
    At most limits.HANDOFFS_AT_ONCE."""

    moves: tuple[Move, ...]


class ExpireSession(_Closed, frozen=True, tag=63):
    """The orphan detector's finding: a detached session whose deadline has passed, or has none."""

    session_id: bytes
    epoch: int


# ---- members: 70-79


class RemoveNode(_Closed, frozen=True, tag=70):
    """A node that the log's configuration has no more: its sessions are detached, its incarnation is over."""

    node_id: str
    incarnation: int


# ---- audit: 80-89

Auditable = (
    CancelJobs
    | RetryJobs
    | PurgeJobs
    | CancelWhere
    | RetryWhere
    | PurgeWhere
    | ConfigureQueue
    | PutSchedule
    | PauseSchedule
    | ResumeSchedule
    | TriggerSchedule
    | DeleteSchedule
)
"""What a person or a program asks for to steer, and not just to use, the cluster."""


class Asked(_Closed, frozen=True, tag=80):
    """A change that somebody asks for by hand; who it is is noted with what comes of it.  Result: that of the
    command."""

    actor: str
    command: Auditable


class NoteAudit(_Closed, frozen=True, tag=81):
    """What somebody did by hand that is no command, like handing over the leadership."""

    actor: str
    action: str
    target: str
    outcome: str


class ForgetAudit(_Closed, frozen=True, tag=82):
    """The leader's duty: at most `limit` of the oldest records of the audit trail go, those from before
    `before_ms` (wall) and those beyond `keep`."""

    before_ms: int
    keep: int
    limit: int


# ---- backup and verification: 95-99


class RaiseGeneration(_Closed, frozen=True, tag=95):
    """A new cluster goes on from this state, after a restore or a recovery: what was assigned before is
    void."""

    seen: int  # the generation that is to end; refused unless it is the state's


class MarkContents(_Closed, frozen=True, tag=96):
    """Every node computes a digest of all that it holds as of this very entry, so that they can be
    compared."""


# ---- machine levels: 90-94


class RaiseLevel(_Closed, frozen=True, tag=90):
    """Every member can run this machine level: from this entry on all do.  Refused unless still so."""

    level: int  # one above the cluster's
    version: str  # of the leader's software
    members: tuple[tuple[str, int], ...]  # (node id, incarnation) of each, as the leader saw them


class MigrateRecords(_Closed, frozen=True, tag=91):
    """The next step of bringing stored records into the form of the level.  Refused at another place."""

    level: int
    cursor: bytes


Command = (
    Enqueue
    | Report
    | Observe
    | AttachSession
    | ResumeSession
    | DetachSession
    | DrainSession
    | CloseSession
    | CancelJobs
    | RetryJobs
    | NodeStarted
    | NodeStopped
    | NodeHealthChanged
    | PutSchedule
    | PauseSchedule
    | ResumeSchedule
    | TriggerSchedule
    | DeleteSchedule
    | FireSchedule
    | ConfigureQueue
    | Forget
    | PurgeJobs
    | CancelWhere
    | RetryWhere
    | PurgeWhere
    | RemoveNode
    | DrainNode
    | UndrainNode
    | MoveSessions
    | ExpireSession
    | Asked
    | NoteAudit
    | ForgetAudit
    | RaiseGeneration
    | MarkContents
    | RaiseLevel
    | MigrateRecords
)


class Batch(_Closed, frozen=True):
    """Commands of one origin, numbered first, first + 1, ...  node_id "" and incarnation 0: not numbered
    (ticks, duties, NodeStarted); such commands are never sent again by anybody."""

    node_id: str
    incarnation: int
    first: int
    commands: tuple[Command, ...]


class Entry(_Closed, frozen=True):
    """One log entry: the leader's two clocks, then batches.  An entry without batches is a tick."""

    elapsed_ms: int
    wall_ms: int
    batches: tuple[msgspec.Raw, ...]  # encoded `Batch`es: the leader passes a follower's on as they came


# ---- results, in the order of the command's items; only what is out of the ordinary is named ----------


class EnqueueResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Jobs named in neither mapping were created.  Keys are positions in the command."""

    existing: dict[int, bytes]  # position -> id of the job that was there already
    rejected: dict[int, Rejected]


class ReportResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Outcomes not named were recorded (now, or by the same report earlier)."""

    stale: dict[int, str]  # position -> reason


class JobsResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One word per job id of the command, in order.

    cancelled, requested (a running job was told to stop), retried, purged, already_<state>, still_<state>
    (purge of an unfinished job), not_found; and for retries that would break a rule: unique_conflict
    (another live job has its unique key), live_jobs_limit.  internal: deciding failed, a bug.
    """

    words: tuple[str, ...]


class WhereResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One step of a command on a filter."""

    done: int
    skipped: int  # the filter accepts them, a rule does not
    cursor: bytes  # where the next step begins; empty: there are no more


class ScheduleResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of a command about a schedule.

    created, updated, unchanged; paused, already_paused; resumed, not_paused; fired, buffered, or skipped_...
    with the reason (a trigger); deleted.
    """

    word: str
    version: int  # of the schedule, afterwards
    cursor: str = ""  # kept or reset, after an update
    job_id: bytes = b""  # of the run that was started
