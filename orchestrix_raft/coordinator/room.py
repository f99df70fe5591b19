"""How much of what workers report may wait at a node for its commit.

A worker keeps its reports until they are acknowledged, so none has to be refused.  While there is no room a
little of what it says is kept apart, so that the heartbeats behind it are read and answered; beyond that the
shell does not read on, the transport holds the worker back, and a commit lets it go on.  The bounds leave
half of what the proposer may hold to the callers of the API, whatever the workers do.
"""

import sys
from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.report import Completed, Failed, Outcome
from orchestrix_raft.domain.session import ReportMessage

REPORT_BYTES: Final = 32 << 20
"""Of all workers of a node together."""

REPORT_COMMANDS: Final = 50_000
"""Likewise."""

STREAM_BYTES: Final = 8 << 20
"""Of one worker, so that a few do not take the room of all."""

KEPT_BYTES: Final = 1 << 20
"""Of one worker, read while there is no room: the small reports of many slots."""

KEPT_ALL_BYTES: Final = 32 << 20
"""Likewise, of all workers of a node together."""

_REPORT_BYTES: Final = 176
"""Around outcomes: the message 24, the tuple 48, the pair in which it is kept 56, its size 28 (sys.getsizeof,
CPython 3.11 on 64 bits), and its places in a queue."""

_OUTCOME_BYTES: Final = 272
"""The largest kind without its text: a `Failed` 80, its job id 49, token, two times and a delay 32 each, its
place in the tuple 8."""


def size_of(outcomes: tuple[Outcome, ...]) -> int:
    """Bytes of memory that a report takes, about, and not much less: mostly it is small, and then its objects
    are several times what it says."""
    size = _REPORT_BYTES + len(outcomes) * _OUTCOME_BYTES
    for outcome in outcomes:
        if isinstance(outcome, Completed):
            size += sys.getsizeof(outcome.result)
        elif isinstance(outcome, Failed):
            # A text takes up to four bytes a character, by the widest one in it.
            size += sys.getsizeof(outcome.error)
    return size


class ReportRoom:
    """Counts what was taken and not answered yet; wakes who waits for room, in the order of waiting."""

    def __init__(self) -> None:
        self._bytes = 0
        self._commands = 0
        self._waiting: dict[Stream, Callable[[], None]] = {}
        self._kept_bytes = 0
        self._readers: dict[Stream, Callable[[], None]] = {}

    @property
    def _full(self) -> bool:
        return self._bytes >= REPORT_BYTES or self._commands >= REPORT_COMMANDS

    @property
    def held(self) -> tuple[int, int]:
        """(reports, bytes) that are taken and not answered yet."""
        return self._commands, self._bytes

    def open_to(self, stream: Stream) -> bool:
        """One more report may be committed, of whatever size: the bounds are passed by one report at most."""
        return stream.over or not (self._full or stream.unanswered_bytes >= STREAM_BYTES)

    def wait(self, stream: Stream, then: Callable[[], None]) -> None:
        """Call `then` once it is worth looking at `open_to` again."""
        self._waiting[stream] = then

    def take(self, stream: Stream, size: int) -> None:
        """A report of `size` bytes waits for its commit."""
        stream.unanswered_bytes += size
        self._bytes += size
        self._commands += 1

    def give_back(self, stream: Stream, size: int) -> None:
        """It is committed, or nobody insists on it any more."""
        was_full = self._full
        stream.unanswered_bytes -= size
        self._bytes -= size
        self._commands -= 1
        if not self._waiting or self._full:
            return
        if was_full:
            waiting, self._waiting = self._waiting, {}
            for then in waiting.values():
                then()
        elif stream in self._waiting and self.open_to(stream):
            self._waiting.pop(stream)()

    # ---- what is read while there is no room ---------------------------------------------------------

    def may_read(self, stream: Stream) -> bool:
        """One more report may be read, to be committed or kept: the bounds are passed by one at most."""
        return stream.over or (stream.kept_bytes < KEPT_BYTES and self._kept_bytes < KEPT_ALL_BYTES)

    def wait_to_read(self, stream: Stream, then: Callable[[], None]) -> None:
        """Call `then` once it is worth looking at `may_read` again."""
        self._readers[stream] = then

    def keep(self, stream: Stream, message: ReportMessage, size: int) -> None:
        """A report of `size` bytes was read and has no room yet."""
        stream.kept.append((message, size))
        stream.kept_bytes += size
        self._kept_bytes += size

    def take_kept(self, stream: Stream) -> tuple[ReportMessage, int]:
        """The oldest report that was kept, and its size."""
        was_full = self._kept_bytes >= KEPT_ALL_BYTES
        message, size = stream.kept.popleft()
        stream.kept_bytes -= size
        self._kept_bytes -= size
        if was_full and self._kept_bytes < KEPT_ALL_BYTES:
            readers, self._readers = self._readers, {}
            for then in readers.values():
                then()
        elif stream in self._readers and self.may_read(stream):
            self._readers.pop(stream)()
        return message, size
