"""The second copy of job logs: what the owner of a job keeps, one other node keeps as well.

The other one is the next member, in the order of ids, that is alive and in reach.  Lines travel in batches,
one at a time, each sent again until it is taken; to whom may change in between, and a keeper keeps what comes
twice once.  What waits is bounded: a handler may log faster than a link carries.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from orchestrix_raft.coordinator.messages import LinesShared, SharedLine

BATCH_LINES: Final = 1_000
BATCH_BYTES: Final = 256 << 10  # little beside what consensus sends over the same link
WAITING_BYTES: Final = 8 << 20
AGAIN_S: Final = 3.0  # without an answer for this long a batch is sent again
LINE_BYTES: Final = 64  # of a line beside its words


class _Batch(NamedTuple):
    number: int
    keeper: str
    lines: tuple[SharedLine, ...]
    sent_at: float


class LineCopies:
    """send: to a node.  keeper: who shall keep copies now; "": nobody can be reached."""

    def __init__(self, send: Callable[[str, LinesShared], None], keeper: Callable[[], str]) -> None:
        self._send = send
        self._keeper = keeper
        self._waiting: deque[SharedLine] = deque()
        self._bytes = 0
        self._under_way: _Batch | None = None
        self._batches = 0
        self.dropped = 0  # lines that only this node keeps, because too much was waiting

    def __len__(self) -> int:
        """Lines that are not known to be taken."""
        return len(self._waiting) + (len(self._under_way.lines) if self._under_way else 0)

    def add(self, lines: Iterable[SharedLine]) -> None:
        """Lines of which this node keeps the first copy."""
        for line in lines:
            self._waiting.append(line)
            self._bytes += _size(line)
        while self._bytes > WAITING_BYTES:
            self._bytes -= _size(self._waiting.popleft())
            self.dropped += 1

    def pump(self, now: float) -> None:
        """Send what can be sent."""
        batch = self._under_way
        if batch is not None and now - batch.sent_at >= AGAIN_S:
            self._take_back(batch)
        if self._under_way is not None or not self._waiting:
            return
        keeper = self._keeper()
        if keeper:
            self._batches += 1
            self._under_way = _Batch(self._batches, keeper, self._next_lines(), now)
            self._send(keeper, LinesShared(self._batches, self._under_way.lines))

    def taken(self, keeper: str, batch: int) -> None:
        """A node keeps the lines of a batch."""
        known = self._under_way
        if known is not None and (known.keeper, known.number) == (keeper, batch):
            self._under_way = None

    def lost(self, peer: str) -> None:
        """The connection to a node is gone: another one shall keep what it has not taken."""
        if self._under_way is not None and self._under_way.keeper == peer:
            self._take_back(self._under_way)

    def nobody(self) -> None:
        """There is no other member: one copy must do."""
        self._waiting.clear()
        self._bytes = 0
        self._under_way = None

    def _next_lines(self) -> tuple[SharedLine, ...]:
        lines: list[SharedLine] = []
        size = 0
        while self._waiting and len(lines) < BATCH_LINES and size < BATCH_BYTES:
            line = self._waiting.popleft()
            lines.append(line)
            size += _size(line)
        self._bytes -= size
        return tuple(lines)

    def _take_back(self, batch: _Batch) -> None:
        self._under_way = None
        self._waiting.extendleft(reversed(batch.lines))
        self._bytes += sum(map(_size, batch.lines))


def _size(line: SharedLine) -> int:
    return len(line.message) + LINE_BYTES
