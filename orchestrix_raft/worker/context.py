"""What a handler gets and may raise."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol

from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.wire.arguments import number, seconds, shown
from orchestrix_raft.wire.errors import OrchestrixError

LEVELS: Final = ("debug", "info", "warning", "error")
"""Of logged lines, the least important one first."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def sendable(words: object) -> str:
    """As text that can be sent: what UTF-8 has no form for (file names may contain it) becomes an escape."""
    return str(words).encode("utf-8", "backslashreplace").decode()


class Retry(OrchestrixError):
    """Raised by a handler: try again, after `delay` seconds or (None) as the job's retry policy says.

    It counts as a failure: when no tries are left, the job is dead.
    """

    def __init__(
        self, message: str = "the handler asked for another try", *, delay: float | timedelta | None = None
    ) -> None:
        given: object = message
        if isinstance(given, int | float | timedelta):
            raise TypeError(f"Retry({shown(given)}) would have it as its message: say Retry(delay=...)")
        super().__init__(message, "RETRY")
        self.delay: float | None = None if delay is None else seconds("delay", delay)


class Discard(OrchestrixError):
    """Raised by a handler: no further try, the job is dead with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "DISCARD")


class JobCancelled(OrchestrixError):
    """Raised by `JobContext.raise_if_cancelled`: the handler was asked to end."""


class Line(NamedTuple):
    """One logged line, for the one who ships it."""

    at_ms: int
    level: str
    message: str


class Sink(Protocol):
    """Where a context's log lines and progress go; called from the handler's thread."""

    def line(self, job: Assignment, line: Line) -> None: ...
    def progress(self, job: Assignment, percent: int, message: str) -> None: ...


def asked_to_stop(reason: str) -> str:
    """What `raise_if_cancelled` says."""
    return f"the job was asked to stop: {reason}"


class JobContext:
    """One attempt at one job, as its handler sees it.  Safe to use from the handler's thread or task."""

    __slots__ = ("_job", "_now_ms", "_sink", "cancel_reason", "started_ms")

    def __init__(self, job: Assignment, sink: Sink, now_ms: Callable[[], int]) -> None:
        self._job = job
        self._sink = sink
        self._now_ms = now_ms
        self.started_ms = now_ms()
        self.cancel_reason = ""
        """Why the handler should end: cancelled, timed_out, lease_lost, draining; "" while it should not."""

    @property
    def job_id(self) -> str:
        """The job's id, as the client knows it."""
        return format_job_id(self._job.job_id)

    @property
    def type(self) -> str:
        """The job's type."""
        return self._job.type

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return self._job.queue

    @property
    def attempt(self) -> int:
        """Ordinal of this assignment, from 1; counts attempts that were lost, too."""
        return self._job.attempt

    @property
    def max_retries(self) -> int:
        """Retries after failures that the job's policy allows."""
        return self._job.max_retries

    @property
    def correlation_id(self) -> str:
        """What the client gave; "" if nothing."""
        return self._job.correlation_id

    @property
    def fencing_token(self) -> int:
        """Grows with every assignment of the cluster: a resource that remembers the highest one it has seen
        can refuse an attempt that was given up meanwhile."""
        return self._job.token

    @property
    def deadline(self) -> datetime | None:
        """When the attempt is timed out (this machine's clock, UTC); None: never."""
        if not self._job.timeout_ms:
            return None
        end_ms = self.started_ms + self._job.timeout_ms
        return _EPOCH + timedelta(milliseconds=end_ms)

    @property
    def schedule_id(self) -> str:
        """The schedule whose run this job is; "" if it was enqueued by a client."""
        firing = self._job.firing
        return "" if firing is None else firing.schedule_id

    @property
    def scheduled_for(self) -> datetime | None:
        """When the run was due by its schedule (UTC), the same for every attempt; None: no schedule."""
        firing = self._job.firing
        return None if firing is None else _EPOCH + timedelta(milliseconds=firing.slot_ms)

    @property
    def fired_at(self) -> datetime | None:
        """When the run was fired (UTC): later than `scheduled_for` by jitter, overlap or an outage."""
        firing = self._job.firing
        return None if firing is None else _EPOCH + timedelta(milliseconds=firing.fired_ms)

    @property
    def missed_count(self) -> int:
        """Due times before this one that passed without a run, and that this run stands for."""
        firing = self._job.firing
        return 0 if firing is None else firing.missed

    @property
    def cancelled(self) -> bool:
        """The handler should end soon: ten seconds later the attempt is over, whatever the handler does."""
        return self.cancel_reason != ""

    def raise_if_cancelled(self) -> None:
        """Raise `JobCancelled` if the handler should end."""
        if self.cancel_reason:
            raise JobCancelled(asked_to_stop(self.cancel_reason), self.cancel_reason.upper())

    def log(self, message: object, level: str = "info") -> None:
        """Keep a line with the job; `client.logs` shows it.  Shipped a few times a second, best effort.

        `level`: debug, info, warning or error; TypeError or ValueError for anything else.
        """
        given: object = level
        if not isinstance(given, str):
            raise TypeError(f"level is {shown(given)}: it must be a word, such as 'info' or 'warning'")
        if level not in LEVELS:
            raise ValueError(f"level is {shown(given)}: it must be one of {', '.join(LEVELS)}")
        self._sink.line(self._job, Line(self._now_ms(), level, sendable(message)))

    def progress(self, percent: float, message: str | None = None) -> None:
        """How far it is, 0 to 100; only the newest value travels, a few times a second.

        Raises TypeError or ValueError for what is no percentage.
        """
        if isinstance(percent, float):
            percent = round(percent, 6)  # sums of shares may end a hair above 100
        whole = int(number("percent", percent, 0, 100))
        self._sink.progress(self._job, whole, sendable(message or ""))
