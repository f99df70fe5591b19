"""Schedules that are due: the scanner finds them, the planner says which slots are to be fired or skipped.

Calendars and zones are not known here: who runs this duty brings an evaluator (`timetable` has them) and the
jitter of a slot, both functions of their arguments alone.  A plan names the place in time that it was made
for, so one that comes too late, or twice, changes nothing.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.schedule import (
    LIMIT,
    MISFIRE,
    NO_SLOT,
    UNPLANNED,
    WINDOW,
    Misfire,
    Schedule,
    ScheduleSpec,
    Slot,
)
from orchestrix_raft.machine.book import DueItem
from orchestrix_raft.machine.commands import FireSchedule
from orchestrix_raft.machine.state import State

_STEPS: Final = 1_000  # slots looked at one by one for whether their jitter is over


class Evaluator(Protocol):
    """When a schedule is due, start and end aside.  Instants are milliseconds UTC; slots ascend strictly."""

    def next_after(self, instant_ms: int) -> int | None:
        """The first slot after the instant; None if there is none."""
        ...

    def previous_at_or_before(self, instant_ms: int) -> int | None:
        """The last slot not after the instant; None if there is none."""
        ...

    def count_between(self, after_ms: int, until_ms: int) -> int:
        """How many slots after `after_ms` up to and with `until_ms`."""
        ...


Jitter = Callable[[str, int, int], int]
"""(schedule id, slot, at most) -> milliseconds, the same for equal arguments."""


class ScheduleScanner:
    """Finds what is due, by the index in the state: nothing is looked at that is not."""

    @staticmethod
    def due(state: State, now_ms: int, passed_over: dict[str, int]) -> Iterator[tuple[DueItem, Schedule]]:
        """Due schedules in order, without those whose place in line `passed_over` names (id -> seq)."""
        for item in state.book.due(state.schedules, now_ms):
            if passed_over.get(item[2]) != item[1]:
                yield item, state.schedules[item[2]]

    @staticmethod
    def next_due_ms(state: State) -> int | None:
        """When a schedule is due next (wall); None: no schedule waits for its time."""
        return state.book.first_due_ms(state.schedules)

    @staticmethod
    def has_room(state: State) -> bool:
        """Whether runs may begin: at the cap of unfinished jobs slots are held."""
        return len(state.jobs) < limits.LIVE_JOBS


class _Bounded(NamedTuple):
    """An evaluator between the start and the end of its schedule, both included."""

    evaluator: Evaluator
    start_ms: int
    end_ms: int

    def next_after(self, instant_ms: int) -> int | None:
        slot = self.evaluator.next_after(max(instant_ms, self.start_ms - 1))
        return None if slot is None or 0 < self.end_ms < slot else slot

    def last(self, until_ms: int) -> int | None:
        slot = self.evaluator.previous_at_or_before(min(until_ms, self.end_ms) if self.end_ms else until_ms)
        return None if slot is None or slot < self.start_ms else slot

    def number(self, first_ms: int, last_ms: int) -> int:
        """Slots from one to another, which count in any case (the rules of a zone may have changed since)."""
        if first_ms == last_ms:
            return 1
        return max(2, self.evaluator.count_between(first_ms - 1, last_ms))

    def oldest(self, first_ms: int, last_ms: int, limit: int) -> Iterator[int]:
        """Up to `limit` slots from one on, not beyond another."""
        slot: int | None = first_ms
        for _ in range(limit):
            if slot is None or slot > last_ms:
                return
            yield slot
            slot = self.next_after(slot)


class JobPlanner:
    """Makes the command that decides a schedule's due slots, by its misfire policy."""

    def __init__(self, evaluate: Callable[[ScheduleSpec, int], Evaluator], jitter: Jitter) -> None:
        """`evaluate` takes what was asked for and the anchor of an interval; ValueError: it cannot."""
        self._evaluate = evaluate
        self._jitter = jitter

    def plan(self, schedule: Schedule, now_ms: int) -> FireSchedule:
        """The plan for a schedule that is due at `now_ms` (wall); raises what the evaluator raises."""
        spec = schedule.spec
        slots = _Bounded(self._evaluate(spec, schedule.anchor_ms), spec.start_ms, spec.end_ms)
        seen_ms = schedule.next_slot_ms
        first_ms: int | None = seen_ms
        if seen_ms == UNPLANNED:
            first_ms = slots.next_after(schedule.after_ms)
            if first_ms is None or self._due_ms(spec, first_ms) > now_ms:
                return self._command(schedule, (), first_ms)
        assert first_ms is not None
        last_ms, following_ms = self._last_due(spec, slots, first_ms, now_ms)
        return self._command(schedule, _planned(spec, slots, first_ms, last_ms, now_ms), following_ms)

    def _command(self, schedule: Schedule, slots: tuple[Slot, ...], following_ms: int | None) -> FireSchedule:
        spec = schedule.spec
        seen = (spec.schedule_id, schedule.incarnation, schedule.version, schedule.next_slot_ms)
        if following_ms is None:
            return FireSchedule(*seen, slots, NO_SLOT, 0)
        return FireSchedule(*seen, slots, following_ms, self._due_ms(spec, following_ms))

    def _due_ms(self, spec: ScheduleSpec, slot_ms: int) -> int:
        if not spec.jitter_ms:
            return slot_ms
        return slot_ms + self._jitter(spec.schedule_id, slot_ms, spec.jitter_ms)

    def _last_due(
        self, spec: ScheduleSpec, slots: _Bounded, first_ms: int, now_ms: int
    ) -> tuple[int, int | None]:
        """The last of the slots from the first on that are due without a gap, and the one after it."""
        last_ms = first_ms
        following_ms = slots.next_after(last_ms)
        if following_ms is None or self._due_ms(spec, following_ms) > now_ms:
            return last_ms, following_ms
        sure_ms = slots.last(now_ms - spec.jitter_ms)
        if sure_ms is not None and sure_ms > last_ms:
            last_ms = sure_ms
            following_ms = slots.next_after(last_ms)
        for _ in range(_STEPS):
            if following_ms is None or self._due_ms(spec, following_ms) > now_ms:
                break
            last_ms, following_ms = following_ms, slots.next_after(following_ms)
        return last_ms, following_ms


def _planned(
    spec: ScheduleSpec, slots: _Bounded, first_ms: int, last_ms: int, now_ms: int
) -> tuple[Slot, ...]:
    """What becomes of the slots from the first to the last, all of them due."""
    match spec.misfire:
        case Misfire.LATEST:
            before = slots.number(first_ms, last_ms) - 1
            late = last_ms + spec.jitter_ms + limits.MISFIRE_WINDOW_MS < now_ms
            return (Slot(last_ms, before, WINDOW if late else ""),)
        case Misfire.SKIP:
            return _without_misfires(spec, slots, first_ms, last_ms, now_ms)
        case Misfire.ALL:
            return _made_up(slots, first_ms, last_ms, now_ms)


def _without_misfires(
    spec: ScheduleSpec, slots: _Bounded, first_ms: int, last_ms: int, now_ms: int
) -> tuple[Slot, ...]:
    """The last slot, if it is not late; none before it."""
    before = slots.number(first_ms, last_ms) - 1
    if last_ms + spec.jitter_ms + limits.MISFIRE_GRACE_MS < now_ms:
        return (Slot(last_ms, before, MISFIRE),)
    if not before:
        return (Slot(last_ms),)
    previous_ms = slots.last(last_ms - 1)
    previous_ms = first_ms if previous_ms is None else max(first_ms, previous_ms)
    return (Slot(previous_ms, before - 1, MISFIRE), Slot(last_ms))


def _made_up(slots: _Bounded, first_ms: int, last_ms: int, now_ms: int) -> tuple[Slot, ...]:
    """Each of them, oldest first, but for those too long ago and those too many."""
    made: list[Slot] = []
    begin_ms: int | None = first_ms
    edge_ms = now_ms - limits.MISFIRE_WINDOW_MS
    if first_ms < edge_ms:
        old_ms = slots.last(min(edge_ms - 1, last_ms))
        old_ms = first_ms if old_ms is None else max(first_ms, old_ms)
        made.append(Slot(old_ms, slots.number(first_ms, old_ms) - 1, WINDOW))
        begin_ms = slots.next_after(old_ms)
    if begin_ms is None or begin_ms > last_ms:
        return tuple(made)
    runs = list(slots.oldest(begin_ms, last_ms, limits.MISFIRES_MADE_UP))
    made += [Slot(slot_ms) for slot_ms in runs]
    if runs[-1] < last_ms:
        left_ms = slots.next_after(runs[-1])
        if left_ms is not None and left_ms <= last_ms:
            made.append(Slot(last_ms, slots.number(left_ms, last_ms) - 1, LIMIT))
    return tuple(made)
