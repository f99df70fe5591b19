"""Walks a node's feed from a cursor on, in slices that do not stop the loop for long.

Nothing is kept for a reader but its place: one that is slow falls behind, and when the feed forgets what it
has not read it is told so, with the cursor where it can go on.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.event_view import Cursor, EventFilter, EventView, job_of, queue_of, view
from orchestrix_raft.coordinator.feed import Feed
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import Job
from orchestrix_raft.machine.causes import Cause
from orchestrix_raft.machine.events import Event, JobEnqueued
from orchestrix_raft.machine.packing import unpack

SLICE: Final = 250  # events looked at before the loop may do something else: some 4 ms
ROWS: Final = 64
ROWS_BYTES: Final = 256 << 10
NAMES: Final = 10_000  # jobs whose queue and type are remembered by one reader

CURSOR_TOO_OLD: Final = "CURSOR_TOO_OLD"

FindJob = Callable[[bytes], Job | None]

_Names = tuple[str, str]
_UNKNOWN: Final = ("", "")


class EventReader:
    """One reader's place.  find: a job, live or finished, or None."""

    def __init__(self, feed: Feed, cursor: Cursor, wanted: EventFilter, find: FindJob) -> None:
        self._feed = feed
        self._wanted = wanted
        self._find = find
        self._row_index = cursor.index  # of the entry that is being read, or is to be read next
        self._ordinal = cursor.ordinal  # of its newest event that was looked at
        self._at_ms = 0
        self._elapsed_ms: int | None = None
        self._events: deque[Event] = deque()  # of that entry, still to be looked at
        self._causes: list[Cause] = []
        self._rows: deque[tuple[int, int, bytes]] = deque()
        self._names: dict[bytes, _Names] = {}

    @property
    def cursor(self) -> Cursor:
        """Everything up to here was looked at."""
        return Cursor(self._row_index, self._ordinal)

    @property
    def at_end(self) -> bool:
        """There is nothing more to look at, at present."""
        return not self._events and not self._rows and self._row_index > self._feed.newest

    def slice(self) -> list[EventView] | Rejected:
        """What is wanted among the next events.  StorageError: this node cannot read its feed.
        msgspec.ValidationError or DecodeError: it was written by another version."""
        found: list[EventView] = []
        for _ in range(SLICE):
            if not self._events and not self._next_entry():
                too_old = None if found else self._too_old()
                return found if too_old is None else too_old
            event = self._events.popleft()
            self._ordinal += 1
            if self._wanted.may_want(event):
                self._look(event, found)
            if not self._events:
                self._go_to(self._row_index + 1)
        return found

    def _look(self, event: Event, found: list[EventView]) -> None:
        names = self._names_of(event)
        if self._wanted.wants(*names):
            times = (self._at_ms, self._elapsed_ms)
            found.append(view(event, self.cursor, times, self._cause(), names))

    def _cause(self) -> Cause | None:
        """Of the event that is looked at: the last one that begins at it or before."""
        causes = self._causes
        while len(causes) > 1 and causes[1].first < self._ordinal:
            causes.pop(0)
        return causes[0] if causes else None

    def _names_of(self, event: Event) -> _Names:
        """Queue and type of its job, as far as the job is known."""
        job_id = job_of(event)
        if not job_id:
            return queue_of(event), ""
        names = self._names.get(job_id)
        if names is None:
            spec = event.spec if type(event) is JobEnqueued else None
            if spec is None:
                job = self._find(job_id)
                spec = None if job is None else job.spec
            names = _UNKNOWN if spec is None else (spec.queue, spec.type)
            if len(self._names) >= NAMES:
                self._names.clear()
            self._names[job_id] = names
        return names

    def _go_to(self, index: int) -> None:
        self._row_index, self._ordinal = index, 0

    def _next_entry(self) -> bool:
        """Begin with the next entry that did something; False: there is none, or it is not known."""
        if not self._rows:
            if self._too_old() is not None:
                return False
            newest = self._feed.newest
            rows = self._feed.read(self._row_index - 1, ROWS, ROWS_BYTES)
            self._rows.extend(rows)
            if not rows:
                if newest >= self._row_index:
                    self._go_to(newest + 1)
                return False
        index, at_ms, record = self._rows.popleft()
        causes, events, elapsed_ms = unpack(record)
        if index != self._row_index:
            self._go_to(index)
        self._at_ms, self._elapsed_ms = at_ms, elapsed_ms
        self._causes = causes
        self._events = deque(events)
        for _ in range(min(self._ordinal, len(events))):
            self._events.popleft()
        if not self._events:
            self._go_to(index + 1)
            return self._next_entry()
        return True

    def _too_old(self) -> Rejected | None:
        after = self._feed.after
        if self._events or self._rows or self._row_index > after:
            return None
        return cursor_too_old(self.cursor, after)


def cursor_too_old(cursor: Cursor, after: int) -> Rejected:
    """What a reader is told of events that are not known here (any more)."""
    oldest = Cursor(after + 1, 0)
    return Rejected(
        Code.FAILED_PRECONDITION,
        CURSOR_TOO_OLD,
        f"what happened right after {cursor} is not kept on this node; what is begins at {oldest}: look at"
        " the jobs you follow, then go on from there (or ask another node, which may keep more)",
    )
