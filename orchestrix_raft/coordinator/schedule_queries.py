"""What people and programs ask of a node's schedules: plain functions over the state of one moment."""

from collections.abc import Iterator
from heapq import nsmallest
from itertools import islice
from typing import Final, Protocol

from orchestrix_raft.coordinator.port import SchedulePage, ScheduleView
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.schedule import NO_SLOT, UNPLANNED, Schedule
from orchestrix_raft.machine.state import State
from orchestrix_raft.timetable.jitter import jitter_ms
from orchestrix_raft.timetable.schedule_times import evaluator_of

SLICE: Final = 5_000  # schedules looked at before the loop may do something else
ACTIVE_SHOWN: Final = 100
_CURSOR: Final = b"I"


class Stateful(Protocol):
    """Whoever has a state; after a snapshot, another one."""

    @property
    def state(self) -> State: ...


def schedule_view(source: Stateful, schedule_id: str) -> ScheduleView | None:
    """A schedule with what is computed for display."""
    schedule = source.state.schedules.get(schedule_id)
    return None if schedule is None else _view(source, schedule)


def _view(source: Stateful, schedule: Schedule) -> ScheduleView:
    runs = source.state.book.runs.get(schedule.spec.schedule_id, {})
    next_ms = _next_slot_ms(schedule)
    run_ms = next_ms
    if next_ms and schedule.spec.jitter_ms:
        run_ms += jitter_ms(schedule.spec.schedule_id, next_ms, schedule.spec.jitter_ms)
    return ScheduleView(schedule, next_ms, run_ms, len(runs), tuple(islice(sorted(runs), ACTIVE_SHOWN)))


def _next_slot_ms(schedule: Schedule) -> int:
    """The next slot; where the leader has still to look for it, what it will find.  0: none."""
    if schedule.paused:
        return 0
    if schedule.next_slot_ms != UNPLANNED:
        return schedule.next_slot_ms
    spec = schedule.spec
    try:
        slot = evaluator_of(spec, schedule.anchor_ms).next_after(max(schedule.after_ms, spec.start_ms - 1))
    except ValueError:
        return NO_SLOT  # not known to this version; `status` of the leader tells
    return NO_SLOT if slot is None or 0 < spec.end_ms < slot else slot


class ScheduleListing:
    """One page in the making, by id: call `slice` until it says that it is done."""

    def __init__(
        self, source: Stateful, prefix: str, states: frozenset[str], limit: int, cursor: bytes
    ) -> None:
        self._source = source
        self._prefix = prefix
        self._states = states
        self._limit = limit
        self._after = cursor[1:].decode(errors="replace")
        self._found: list[str] = []
        self._work = self._walk()

    @staticmethod
    def check(cursor: bytes) -> Rejected | None:
        """Is this a cursor of ours?"""
        if cursor and cursor[:1] != _CURSOR:
            return Rejected(Code.INVALID_ARGUMENT, "CURSOR_INVALID", "not a cursor of an earlier listing")
        return None

    def slice(self) -> bool:
        """Look at up to SLICE schedules; True when the page is complete."""
        return next(self._work, None) is None

    def page(self) -> SchedulePage:
        """The result; the cursor is empty when there are no more."""
        schedules = self._source.state.schedules
        shown = self._found[: self._limit]
        views = [_view(self._source, schedules[found]) for found in shown if found in schedules]
        more = len(self._found) > self._limit
        return SchedulePage(views, _CURSOR + shown[-1].encode() if more else b"")

    def _walk(self) -> Iterator[int]:
        """Keep the smallest ids, one more than a page has."""
        ids = iter(list(self._source.state.schedules))
        while chunk := list(islice(ids, SLICE)):
            wanted = (found for found in chunk if self._wanted(found))
            self._found = nsmallest(self._limit + 1, (*self._found, *wanted))
            yield len(chunk)

    def _wanted(self, schedule_id: str) -> bool:
        if schedule_id <= self._after or not schedule_id.startswith(self._prefix):
            return False
        schedule = self._source.state.schedules.get(schedule_id)
        return schedule is not None and (not self._states or schedule.word in self._states)
