"""What waits to be written to one worker: bounded, and merged so that a message carries many jobs.

A stream message costs about 100 us whatever it holds.  Assignments and acknowledgements that wait
together are merged, across each other (neither means anything to the other), but never across another
message: a Stop must stay behind the assignment it names.  Pure: the time is given.
"""

from collections import deque
from typing import Final

from orchestrix_raft.domain.session import Assignment, Assignments, CoordinatorMessage, ReportAck

MESSAGE_JOBS: Final = 1_000
MESSAGE_BYTES: Final = 1 << 20
WAITING_ITEMS: Final = 20_000  # assignments, tokens and other messages that may wait for a slow reader ...
WAITING_BYTES: Final = 32 << 20  # ... and bytes of arguments
STALL_S: Final = 10.0  # beyond either bound, a reader that took nothing for this long is given up

_NOTHING: Final = (Assignments(()), ReportAck((), ()))


class Outbox:
    """First in, first out, in runs of what may be merged."""

    def __init__(self, now: float) -> None:
        self._runs: deque[_Run | CoordinatorMessage] = deque()
        self._items = 0
        self._bytes = 0
        self._moved_at = now

    def __bool__(self) -> bool:
        return bool(self._runs)

    def put(self, message: CoordinatorMessage, now: float) -> bool:
        """Add a message; False when the reader has not kept up and the stream must be closed."""
        if not self._runs:
            self._moved_at = now
        if isinstance(message, Assignments | ReportAck):
            if message in _NOTHING:
                return True
            last = self._runs[-1] if self._runs else None
            run = last if isinstance(last, _Run) else _Run()
            if run is not last:
                self._runs.append(run)
            self._count(run.add(message))
        else:
            self._runs.append(message)
            self._count((1, 0))
        over = self._items > WAITING_ITEMS or self._bytes > WAITING_BYTES
        return not (over and now - self._moved_at > STALL_S)

    def take(self, now: float) -> CoordinatorMessage:
        """The next message, as full as it may be; IndexError when nothing waits."""
        self._moved_at = now
        first = self._runs[0]
        if not isinstance(first, _Run):
            self._runs.popleft()
            self._count((-1, 0))
            return first
        message, items, size = first.take()
        if first.empty:
            self._runs.popleft()
        self._count((-items, -size))
        return message

    def _count(self, change: tuple[int, int]) -> None:
        self._items += change[0]
        self._bytes += change[1]


class _Run:
    """Acknowledgements and assignments between two other messages."""

    def __init__(self) -> None:
        self._jobs: deque[Assignment] = deque()
        self._tokens: list[int] = []
        self._stale: list[int] = []

    @property
    def empty(self) -> bool:
        return not (self._jobs or self._tokens or self._stale)

    def add(self, message: Assignments | ReportAck) -> tuple[int, int]:
        """Returns how many items and bytes were added."""
        if isinstance(message, Assignments):
            self._jobs.extend(message.jobs)
            return len(message.jobs), sum([len(job.args) for job in message.jobs])
        self._tokens.extend(message.tokens)
        self._stale.extend(message.stale)
        return len(message.tokens) + len(message.stale), 0

    def take(self) -> tuple[Assignments | ReportAck, int, int]:
        """A message, its items and bytes.  Acknowledgements first: they are short and free memory."""
        if self._tokens or self._stale:
            ack = ReportAck(tuple(self._tokens), tuple(self._stale))
            self._tokens, self._stale = [], []
            return ack, len(ack.tokens) + len(ack.stale), 0
        taken: list[Assignment] = []
        size = 0
        while self._jobs and len(taken) < MESSAGE_JOBS and size < MESSAGE_BYTES:
            job = self._jobs.popleft()
            taken.append(job)
            size += len(job.args)
        return Assignments(tuple(taken)), len(taken), size
