"""The ready jobs of a lane: those without a key in a row per priority, those with the same key in a `Line`.

Jobs leave from the middle by becoming something else than ready.  Of what they leave behind, every job that
leaves drops a few items at the front; when there is more of it than of ready jobs, it pays for looking at a
few others instead.  A debt: what is left behind one ready job, at most as many items as there are ready jobs,
is dropped in one go when that job goes and no other.  Items ascend by stored numbers: no layout decides
anything.  Used by the board only.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final

from orchestrix_raft.domain.job import Job, JobState

_PENDING: Final = JobState.PENDING
_SLACK: Final = 64  # stale items that rows may hold besides as many as there are ready jobs
_LINE_SLACK: Final = 4  # the same for one line: lines are many
_MOVED: Final = 8  # items dropped or looked at for each job that leaves

ReadyItem = tuple[int, int, bytes]
"""-priority, job.seq, job id: their order is that of being taken"""

RowItem = tuple[int, bytes]
"""job.seq, job id"""


def is_ready(job: Job | None, seq: int) -> bool:
    """Whether an item is still a job that waits for a worker, at this place."""
    return job is not None and job.state is _PENDING and job.seq == seq


class Rows:
    """Ready jobs without a key.  A row may be in two pieces: what was looked at, and what is still to be;
    all of the first is before all of the second, and later jobs join the second."""

    __slots__ = ("_old", "_ranks", "_rows", "length")

    def __init__(self) -> None:
        self._rows: dict[int, deque[RowItem]] = {}  # by -priority; seq ascends
        self._old: dict[int, deque[RowItem]] = {}  # still to be looked at
        self._ranks: list[int] = []  # heap of the keys of either
        self.length = 0  # items, stale ones included

    def __iter__(self) -> Iterator[ReadyItem]:
        """All, stale ones included: row by row, in order within each."""
        for rank in sorted(self._ranks):
            for pieces in (self._rows, self._old):
                for seq, job_id in pieces.get(rank, ()):
                    yield rank, seq, job_id

    def join(self, rank: int, seq: int, job_id: bytes) -> None:
        """A job later than all that are here."""
        row = self._old.get(rank) if self._old else None
        if row is None:
            row = self._rows.get(rank)
            if row is None:
                row = self._rows[rank] = deque()
                heappush(self._ranks, rank)
        row.append((seq, job_id))
        self.length += 1

    def first(self, jobs: dict[bytes, Job]) -> ReadyItem | None:
        """The ready job of the highest priority that is here longest; drops stale items before it."""
        ranks = self._ranks
        while ranks:
            rank = ranks[0]
            for pieces in (self._rows, self._old):
                row = pieces.get(rank)
                if row is None:
                    continue
                while row:
                    seq, job_id = row[0]
                    if is_ready(jobs.get(job_id), seq):
                        return rank, seq, job_id
                    row.popleft()
                    self.length -= 1
                del pieces[rank]
            heappop(ranks)
        return None

    def take(self, rank: int) -> None:
        """Remove the item that `first` has just named."""
        row = self._rows.get(rank)
        (self._old[rank] if row is None else row).popleft()
        self.length -= 1

    def lost(self, rank: int, ready: int, jobs: dict[bytes, Job]) -> None:
        """A job has left from one of the rows; `ready` are still in all of them."""
        if self.length == ready or self._trim(rank, jobs):
            return
        if not self._old:
            if self.length <= 2 * ready + _SLACK:
                return
            self._rows, self._old = self._old, self._rows
        for _ in range(_MOVED):
            if not self._old:
                return
            self._move(jobs)

    def _trim(self, rank: int, jobs: dict[bytes, Job]) -> bool:
        """Drop a few stale items at the front of a row; whether there were any."""
        row = self._rows.get(rank) or self._old.get(rank)
        before = self.length
        while row and before - self.length < _MOVED and not is_ready(jobs.get(row[0][1]), row[0][0]):
            row.popleft()
            self.length -= 1
        return self.length < before

    def _move(self, jobs: dict[bytes, Job]) -> None:
        """Look at one item."""
        rank, old = self._old.popitem()
        if old:
            item = old.popleft()
            if is_ready(jobs.get(item[1]), item[0]):
                row = self._rows.get(rank)
                if row is None:
                    row = self._rows[rank] = deque()
                row.append(item)
            else:
                self.length -= 1
        if old:
            self._old[rank] = old
        elif rank not in self._rows:
            self._rows[rank] = deque()  # keeps its place among the ranks until `first` comes to it


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

    def first(self, jobs: dict[bytes, Job]) -> ReadyItem | None:
        """The job of it to run next; None: it is empty."""
        while (item := self.head()) is not None:
            if is_ready(jobs.get(item[2]), item[1]):
                return item
            self.take()
        return None

    def leave(self, jobs: dict[bytes, Job]) -> None:
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

    def _trim(self, jobs: dict[bytes, Job]) -> bool:
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
