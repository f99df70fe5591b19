"""Everything that can change the state, as typed changes, and the log entry that carries them.

A command names what it saw (token, epoch, incarnation); `decide` refuses a stale one.  Tags are never
renumbered or retyped.  Shapes are closed: an unknown field or tag stops the node rather than being
skipped, because a replica that skips what another applies has diverged.
"""

import msgspec

from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.report import Outcome, ProgressMark, StartedMark


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

    cancelled, requested (a running job was told to stop), retried, already_<state>, not_found; and for
    retries that would break a rule: unique_conflict (another live job has its unique key),
    live_jobs_limit.  internal: deciding failed, a bug.
    """

    words: tuple[str, ...]
