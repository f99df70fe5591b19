"""Starts, progress and log lines of running handlers, gathered so that they travel a few times a second.

Written by handlers' threads, read by the loop.  Lines are best effort: a worker that cannot ship them
keeps the newest `LINES` and says how many it has dropped.  The newest ones shipped are remembered: whatever
a broken stream has swallowed is shipped again, under the same numbers.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.report import ProgressMark, StartedMark
from orchestrix_raft.domain.session import Assignment, HandlerLine, Observation
from orchestrix_raft.worker.context import Line

LINES: Final = 10_000
MESSAGE_LINES: Final = 1_000
MESSAGE_CHARS: Final = 256 << 10
REMEMBERED_CHARS: Final = 1 << 20  # of lines shipped last, in case they were not received
LINE_CHARS: Final = 100  # of a line beside its words


class Observations:
    """`wake` is called, from any thread, when something begins to wait."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._started: dict[int, StartedMark] = {}
        self._progress: dict[int, ProgressMark] = {}
        self._lines: deque[HandlerLine] = deque()
        self._dropped = 0
        self._last_dropped: HandlerLine | None = None
        self._numbers: dict[int, int] = {}  # token -> number of its newest line
        self._shipped: deque[HandlerLine] = deque()
        self._shipped_chars = 0
        self._woken = False

    # ---- from handlers ---------------------------------------------------------------------------------

    def line(self, job: Assignment, line: Line) -> None:
        """A handler logged."""
        message = line.message[: limits.ERROR_CHARS]
        with self._lock:
            number = self._numbers[job.token] = self._numbers.get(job.token, 0) + 1
            self._lines.append(HandlerLine(job.job_id, job.token, line.at_ms, line.level, message, number))
            if len(self._lines) > LINES:
                self._last_dropped = self._lines.popleft()
                self._dropped += 1
        self._rouse()

    def progress(self, job: Assignment, percent: int, message: str) -> None:
        """A handler tells how far it is; the newest wins."""
        mark = ProgressMark(job.job_id, job.token, percent, message[: limits.MESSAGE_CHARS])
        with self._lock:
            self._progress[job.token] = mark
        self._rouse()

    def _rouse(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake()

    # ---- from the loop ---------------------------------------------------------------------------------

    def started(self, job: Assignment, started_ms: int) -> None:
        """A handler started; told only if it is still running at the next `take`."""
        self._started[job.token] = StartedMark(job.job_id, job.token, started_ms)
        if not self._woken:
            self._woken = True
            self._wake()

    def ended(self, token: int) -> None:
        """Its report says the rest."""
        self._started.pop(token, None)
        if self._progress or self._numbers:
            with self._lock:
                self._progress.pop(token, None)
                self._numbers.pop(token, None)

    def again(self, held: Collection[int]) -> None:
        """A new stream: ship again what may not have been received, of the tokens that are still held."""
        with self._lock:
            lines = [line for line in self._shipped if line.token in held]
            self._shipped.clear()
            self._shipped_chars = 0
            self._lines.extendleft(reversed(lines))
        if lines:
            self._rouse()

    @property
    def lines_wait(self) -> bool:
        """Lines should go before the report that ends their job."""
        return bool(self._lines)

    def take(self) -> Observation | None:
        """What waits, as one message; None when nothing does."""
        with self._lock:
            self._woken = False
            started, self._started = tuple(self._started.values()), {}
            progress, self._progress = tuple(self._progress.values()), {}
            lines: list[HandlerLine] = []
            size = 0
            while self._lines and len(lines) < MESSAGE_LINES and size < MESSAGE_CHARS:
                line = self._lines.popleft()
                size += len(line.message)
                lines.append(line)
            if self._last_dropped is not None:
                text = f"{self._dropped} lines of this worker were dropped up to this one"
                notice = msgspec.structs.replace(self._last_dropped, level="warning", message=text)
                lines.insert(0, notice)  # in the place of the last of them
                self._dropped, self._last_dropped = 0, None
            self._remember(lines)
        if not (started or progress or lines):
            return None
        return Observation(started, progress, tuple(lines))

    def _remember(self, lines: list[HandlerLine]) -> None:
        self._shipped.extend(lines)
        self._shipped_chars += sum(len(line.message) + LINE_CHARS for line in lines)
        while self._shipped_chars > REMEMBERED_CHARS:
            self._shipped_chars -= len(self._shipped.popleft().message) + LINE_CHARS
