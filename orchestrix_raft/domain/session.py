"""The worker protocol as values: what the two ends of a session say to each other.

The API translates them to and from protobuf, the node's session hub and the simulator speak them as
they are.  docs/reference/worker-protocol.md tells the story; the .proto comments are the short of it.
"""

import msgspec

from orchestrix_raft.domain.job import Firing
from orchestrix_raft.domain.report import Outcome, ProgressMark, StartedMark


class _Value(msgspec.Struct, frozen=True, gc=False):
    pass


# ---- from the worker ---------------------------------------------------------------------------------


class Hello(_Value, frozen=True):
    """Opens a session (epoch 0) or resumes it (epoch of the last Welcome)."""

    session_id: bytes
    name: str
    queues: tuple[str, ...]
    capacity: int
    labels: tuple[str, ...]
    epoch: int
    held: tuple[tuple[bytes, int], ...]  # (job id, token) that run in the process or wait for an ack


class Heartbeat(_Value, frozen=True):
    """Numbered, so that the worker knows which one was answered."""

    number: int


class ReportMessage(_Value, frozen=True):
    """Ends of assignments; each is kept by the worker until acknowledged."""

    outcomes: tuple[Outcome, ...]


class HandlerLine(_Value, frozen=True):
    """A line that a handler logged."""

    job_id: bytes
    token: int
    at_ms: int
    level: str
    message: str
    number: int = 0  # within the attempt, from 1; 0: the worker does not count, the node does


class Observation(_Value, frozen=True):
    """Starts, progress and log lines; no answer."""

    started: tuple[StartedMark, ...]
    progress: tuple[ProgressMark, ...]
    lines: tuple[HandlerLine, ...]


class Drain(_Value, frozen=True):
    """Nothing new, please."""


class Goodbye(_Value, frozen=True):
    """The process ends."""


WorkerMessage = Hello | Heartbeat | ReportMessage | Observation | Drain | Goodbye


# ---- to the worker -----------------------------------------------------------------------------------


class Welcome(_Value, frozen=True):
    """Attached here."""

    epoch: int
    node_id: str
    heartbeat_interval_ms: int
    fence_after_ms: int
    servers: tuple[str, ...]


class Assignment(_Value, frozen=True):
    """Run this."""

    job_id: bytes
    token: int
    type: str
    queue: str
    args: bytes
    attempt: int
    max_retries: int
    correlation_id: str
    timeout_ms: int  # what is left of it; 0: none
    firing: Firing | None = None  # of which slot it is the run


class Assignments(_Value, frozen=True):
    """Committed assignments, in the order they were made."""

    jobs: tuple[Assignment, ...]


class ReportAck(_Value, frozen=True):
    """Tokens that are recorded on a majority, and tokens that were refused."""

    tokens: tuple[int, ...]
    stale: tuple[int, ...]


class StopJob(_Value, frozen=True):
    """One handler to end."""

    job_id: bytes
    token: int
    reason: str  # cancelled, timed_out, lease_lost


class Stop(_Value, frozen=True):
    """End these handlers now, softly."""

    jobs: tuple[StopJob, ...]


class HeartbeatAck(_Value, frozen=True):
    """Sent only by a node in contact with a majority-backed leader.  `servers`: as in Welcome, when they have
    changed since this stream was told; else none."""

    number: int
    servers: tuple[str, ...] = ()


class Refused(_Value, frozen=True):
    """The session cannot be opened or go on; the stream ends after this."""

    reason: str
    message: str


class Redirect(_Value, frozen=True):
    """Please continue at one of these; this stream stays usable until then."""

    servers: tuple[str, ...]


class Farewell(_Value, frozen=True):
    """Answer to Goodbye: all that was held is given back."""


class DrainAsked(_Value, frozen=True):
    """Somebody wants this worker to drain and end."""


CoordinatorMessage = (
    Welcome | Assignments | ReportAck | Stop | HeartbeatAck | Refused | Redirect | Farewell | DrainAsked
)
