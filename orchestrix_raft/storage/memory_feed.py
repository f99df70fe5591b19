"""The twin of LmdbFeed in memory, for the simulator: what was written without sync goes with the power."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice

from orchestrix_raft.storage.limits import FEED_ROW_COST_BYTES
from orchestrix_raft.storage.port import FeedRow, FeedSpan


class FeedOnDisk:
    """What one disk holds of the feed."""

    def __init__(self) -> None:
        self.rows: list[FeedRow] = []  # by index
        self.size_bytes = 0  # of them
        self.span = FeedSpan(0, 0)

    def lose_newest(self, count: int) -> None:
        """The power failed: the last writes never reached the disk, and the file is whole as it was before
        them."""
        if count and self.rows:
            self.size_bytes -= sum(map(_cost, self.rows[-count:]))
            del self.rows[-count:]
            newest = self.rows[-1].index if self.rows else self.span.after
            self.span = FeedSpan(self.span.after, max(self.span.after, newest))


class MemoryFeed:
    """FeedStore over what a disk holds; `check_writable` raises as the disk wants it."""

    def __init__(self, disk: FeedOnDisk, check_writable: Callable[[], None]) -> None:
        self._disk = disk
        self._check_writable = check_writable

    @property
    def span(self) -> FeedSpan:
        return self._disk.span

    @property
    def size_bytes(self) -> int:
        return self._disk.size_bytes

    def append(self, rows: Sequence[FeedRow], newest: int) -> None:
        self._check_writable()
        self._disk.rows.extend(rows)
        self._disk.size_bytes += sum(map(_cost, rows))
        self._disk.span = FeedSpan(self._disk.span.after, newest)

    def rewind(self, index: int) -> None:
        self._check_writable()
        after, newest = self._disk.span
        self._disk.span = FeedSpan(after if after <= index <= newest else index, index)
        place = self._place(index)
        self._disk.size_bytes -= sum(map(_cost, self._disk.rows[place:]))
        del self._disk.rows[place:]

    def read(self, after: int, limit: int, bytes_max: int) -> list[FeedRow]:
        found: list[FeedRow] = []
        size = 0
        for row in self._disk.rows[self._place(max(after, self._disk.span.after)) :]:
            if len(found) >= limit or size >= bytes_max:
                break
            found.append(row)
            size += len(row.record) + 8
        return found

    def trim(self, before_ms: int, bytes_max: int, limit: int) -> int:
        self._check_writable()
        disk = self._disk
        size, gone = disk.size_bytes, 0
        after, newest = disk.span
        for row in islice(disk.rows, limit):
            if row.index > after and size <= bytes_max and row.at_ms >= before_ms:
                break
            size -= _cost(row)
            after = max(after, row.index)
            gone += 1
        disk.size_bytes = size
        del disk.rows[:gone]
        disk.span = FeedSpan(after, newest)
        return gone

    def _place(self, index: int) -> int:
        """Of the first row beyond `index`."""
        return bisect_right(self._disk.rows, index, key=lambda row: row.index)


def _cost(row: FeedRow) -> int:
    return len(row.record) + FEED_ROW_COST_BYTES
