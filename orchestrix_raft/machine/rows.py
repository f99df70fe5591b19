"""The ready jobs of a lane: those without a key in a row per priority, those with the same key in a `Line`.

Jobs leave from the middle by becoming something else than ready.  From a row they are gone at once.  In a
line they leave an item behind: every job that leaves drops a few items at the front; when there is more of
that than of ready jobs, it pays for looking at a few others instead.  A debt: what is left in a line behind
one ready job, at most as many items as the line has ready jobs, is dropped in one go when that job goes and
no other.  Items ascend by stored numbers: no layout decides anything.  Used by the board only.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import Final

from orchestrix_raft.domain.job import Job, JobState

_PENDING: Final = JobState.PENDING
_BLOCK: Final = 512
"""Jobs in a part of a row.  It is copied at once when it grows; gaps at its front, which the next job is
looked for behind, are at most some 1,400: a dict closes them when it is full."""

_LINE_SLACK: Final = 4  # stale items that a line may hold besides as many as it has ready jobs
_MOVED: Final = 8  # items dropped or looked at for each job that leaves

ReadyItem = tuple[int, int, bytes]
"""-priority, job.seq, job id: their order is that of being taken"""


def is_ready(job: Job | None, seq: int) -> bool:
    """Whether an item is still a job that waits for a worker, at this place."""
    return job is not None and job.state is _PENDING and job.seq == seq


class _Block:
    """Neighbours in a row.  A dict of numbers and bytes: the garbage collector does not follow it."""

    __slots__ = ("items", "since")

    def __init__(self, seq: int) -> None:
        self.since = seq  # of the first job that came into it
        self.items: dict[int, bytes] = {}  # job.seq -> job id; seq ascends; never empty


def _since(block: _Block) -> int:
    return block.since


class Rows:
    """Ready jobs without a key, in blocks: one that is empty is dropped."""

    __slots__ = ("_best", "_rows", "length")

    def __init__(self) -> None:
        self._rows: dict[int, list[_Block]] = {}  # by -priority; none is empty
        self._best: list[int] = []  # the priorities of the rows, ascending
        self.length = 0  # jobs

    def __iter__(self) -> Iterator[ReadyItem]:
        """All: row by row, in order within each."""
        for priority in reversed(self._best):
            for block in self._rows[-priority]:
                for seq, job_id in block.items.items():
                    yield -priority, seq, job_id

    def join(self, rank: int, seq: int, job_id: bytes) -> None:
        """A job later than all that are here."""
        row = self._rows.get(rank)
        if row is None:
            row = self._rows[rank] = [_Block(seq)]
            insort(self._best, -rank)
        block = row[-1]
        if len(block.items) >= _BLOCK:
            block = _Block(seq)
            row.append(block)
        block.items[seq] = job_id
        self.length += 1

    def first(self) -> ReadyItem | None:
        """The job of the highest priority that is here longest."""
        if not self._best:
            return None
        rank = -self._best[-1]
        seq, job_id = next(iter(self._rows[rank][0].items.items()))
        return rank, seq, job_id

    def leave(self, rank: int, seq: int) -> None:
        """A job is no longer ready; KeyError if it is not here: one that stayed would be handed out again."""
        row = self._rows[rank]
        place = 0 if len(row) == 1 or seq < row[1].since else bisect_right(row, seq, key=_since) - 1
        items = row[place].items
        del items[seq]
        self.length -= 1
        if items:
            return
        del row[place]
        if not row:
            del self._rows[rank]
            del self._best[bisect_left(self._best, -rank)]


class Line:
    """Ready jobs of one lane with the same key.  A heap: keys are many and their lines short."""

    __slots__ = ("_items", "_old", "count", "entry", "key", "parked")

    def __init__(self, key: str) -> None:
        self.key = key
        self._items: list[ReadyItem] = []
        self._old: list[ReadyItem] | None = None  # a heap, too: what is still to be looked at; never empty
        self.count = 0  # jobs in it that are still ready
        self.entry: LineEntry | None = None  # the valid one in its lane's heap; None: parked
        self.parked = False

    def __iter__(self) -> Iterator[ReadyItem]:
        """All, stale ones included, in no order."""
        yield from self._items
        yield from self._old or ()

    def __len__(self) -> int:
        """Stale items included."""
        return len(self._items) + len(self._old or ())

    def join(self, item: ReadyItem) -> None:
        """One more is ready."""
        heappush(self._items, item)
        self.count += 1

    def head(self) -> ReadyItem | None:
        """The item to be taken next, be it stale; None: there is none."""
        heap = self._foremost()
        return heap[0] if heap else None

    def take(self) -> None:
        """Remove the item at the head."""
        heap = self._foremost()
        heappop(heap)
        if heap is self._old and not heap:
            self._old = None

    def first(self, jobs: Mapping[bytes, Job]) -> ReadyItem | None:
        """The job of it to run next; None: it is empty."""
        while (item := self.head()) is not None:
            if is_ready(jobs.get(item[2]), item[1]):
                return item
            self.take()
        return None

    def leave(self, jobs: Mapping[bytes, Job]) -> None:
        """One of its jobs is no longer ready."""
        self.count -= 1
        if len(self) == self.count or self._trim(jobs):
            return
        if self._old is None:
            if len(self._items) <= 2 * self.count + _LINE_SLACK:
                return
            self._items, self._old = [], self._items
        old = self._old
        for _ in range(min(_MOVED, len(old))):
            item = old.pop()  # the last one: the rest is still a heap
            if is_ready(jobs.get(item[2]), item[1]):
                heappush(self._items, item)
        if not old:
            self._old = None

    def _trim(self, jobs: Mapping[bytes, Job]) -> bool:
        """Drop a few stale items at the head; whether there were any."""
        before = len(self)
        while before - len(self) < _MOVED and (item := self.head()) is not None:
            if is_ready(jobs.get(item[2]), item[1]):
                break
            self.take()
        return len(self) < before

    def _foremost(self) -> list[ReadyItem]:
        items, old = self._items, self._old
        if old is None or (items and items[0] < old[0]):
            return items
        return old


LineEntry = tuple[int, int, bytes, Line]
"""A line and a job at its head, or one that was.  job.seq is unique, so lines are never compared."""


def is_current(_: None, entry: LineEntry) -> bool:
    """Whether an entry is the one that stands for its line."""
    return entry[3].entry is entry
