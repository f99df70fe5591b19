"""How much of what workers report may wait at a node for its commit.

A worker keeps its reports until they are acknowledged, so none has to be refused: while there is no room
the shell does not read on, the transport holds the worker back, and a commit lets it go on.  The bounds
leave half of what the proposer may hold to the callers of the API, whatever the workers do.
"""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.report import Completed, Failed, Outcome

REPORT_BYTES: Final = 32 << 20  # of all workers of a node together
REPORT_COMMANDS: Final = 50_000  # likewise
STREAM_BYTES: Final = 8 << 20  # of one worker, so that a few do not take the room of all
_OUTCOME_BYTES: Final = 64  # ids and times


def size_of(outcomes: tuple[Outcome, ...]) -> int:
    """Bytes that outcomes take, about."""
    size = len(outcomes) * _OUTCOME_BYTES
    for outcome in outcomes:
        if isinstance(outcome, Completed):
            size += len(outcome.result)
        elif isinstance(outcome, Failed):
            size += len(outcome.error)
    return size


class ReportRoom:
    """Counts what was taken and not answered yet; wakes who waits for room, in the order of waiting."""

    def __init__(self) -> None:
        self._bytes = 0
        self._commands = 0
        self._waiting: dict[Stream, Callable[[], None]] = {}

    @property
    def _full(self) -> bool:
        return self._bytes >= REPORT_BYTES or self._commands >= REPORT_COMMANDS

    @property
    def held(self) -> tuple[int, int]:
        """(reports, bytes) that are taken and not answered yet."""
        return self._commands, self._bytes

    def open_to(self, stream: Stream) -> bool:
        """One more report may be taken, of whatever size: the bounds are passed by one report at most."""
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
