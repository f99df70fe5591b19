"""Schedules, seen from outside: every slot is decided once, and as its policies say.

Follows committed events and the wall clock of the log, and computes again, in another and simpler way than
the product, what must have become of each slot.  Times are a grid here: an interval, or a cron expression
that comes to the same; so counting is a division.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import TERMINAL
from orchestrix_raft.domain.schedule import (
    NO_SLOT,
    CronSchedule,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    ScheduleSpec,
    Slot,
)
from orchestrix_raft.machine.events import (
    AttemptEnded,
    Event,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobGivenUp,
    JobRetried,
    ScheduleAdvanced,
    ScheduleDeleted,
    SchedulePaused,
    SchedulePut,
    ScheduleResumed,
    SlotBuffered,
    SlotFired,
    SlotSkipped,
)

CRON_PERIODS_MS: Final = {
    "* * * * * *": 1_000,
    "*/5 * * * * *": 5_000,
    "* * * * *": 60_000,
    "*/15 * * * *": 900_000,
}
"""Expressions that are a grid from the epoch on, in UTC."""

_PLANNED_WHY: Final = ("misfire_window", "misfire", "misfire_limit")

Violation = Callable[[str], None]


class Grid(NamedTuple):
    """anchor + k x period between two bounds, both included; period 0: the anchor alone."""

    anchor_ms: int
    period_ms: int
    start_ms: int
    end_ms: int  # 0: none

    @classmethod
    def of(cls, spec: ScheduleSpec, anchor_ms: int) -> "Grid":
        """The times of a schedule."""
        match spec.timing:
            case CronSchedule(expression=expression):
                return cls(0, CRON_PERIODS_MS[expression], spec.start_ms, spec.end_ms)
            case IntervalSchedule(period_ms=period_ms):
                return cls(anchor_ms, period_ms, max(anchor_ms, spec.start_ms), spec.end_ms)
            case one_shot:
                return cls(one_shot.run_at_ms, 0, spec.start_ms, spec.end_ms)

    def between(self, after_ms: int, until_ms: int) -> range:
        """The slots after one instant up to and with another."""
        low_ms = max(after_ms + 1, self.start_ms)
        high_ms = min(until_ms, self.end_ms) if self.end_ms else until_ms
        if not self.period_ms:
            return range(self.anchor_ms, self.anchor_ms + (low_ms <= self.anchor_ms <= high_ms))
        first_ms = low_ms + (self.anchor_ms - low_ms) % self.period_ms
        return range(first_ms, high_ms + 1, self.period_ms)


class _Book:
    """What is known of one schedule."""

    def __init__(self, event: SchedulePut) -> None:
        self.spec = event.spec
        self.incarnation = event.incarnation
        self.grid = Grid.of(event.spec, event.anchor_ms)
        self.after_ms = event.after_ms
        self.planned: list[Slot] = []  # decided since the last advance
        self.active: set[bytes] = set()
        self.buffer: list[Slot] = []
        self.seen: set[int] = set()  # slots that have a run, or have one to come
        self.fired_ever: set[tuple[int, int]] = set()  # (slot, trigger) of every run
        self.paused = False
        self.finished = False
        self.fired = 0


class SlotLedger:
    """Sees the events of every entry, in order."""

    def __init__(self, violation: Violation) -> None:
        self._violation = violation
        self._books: dict[str, _Book] = {}
        self._runs: dict[bytes, tuple[str, int]] = {}  # job id -> schedule, incarnation
        self._enqueued: tuple[bytes, int, int] | None = None  # newest job of a schedule: its slot, missed
        self._stamp_ms = 0
        self.at_cap = False  # set by whoever knows it: slots may be held
        self.fired = 0
        self.skipped = 0
        self.buffered = 0
        self.triggered = 0
        self.most_late_ms = 0  # of the runs fired without being buffered

    def entry(self, wall_ms: int, events: list[Event], planned_ms: int | None = None) -> None:
        """The events of one entry; `wall_ms` is its stamp, `planned_ms` the log's wall clock when its plans
        were made, if that is another."""
        self._stamp_ms = wall_ms
        for event in events:
            follow = _FOLLOW.get(type(event))
            if follow is not None:
                follow(self, event, wall_ms if planned_ms is None else planned_ms)

    # ---- what owners do

    def _put(self, event: SchedulePut, wall_ms: int) -> None:
        name = event.spec.schedule_id
        timing = event.spec.timing
        begun_ms = self._stamp_ms
        if isinstance(timing, OneShotSchedule):
            begun_ms = min(begun_ms, timing.run_at_ms - 1)
        book = self._books.get(name)
        if book is None:
            self._books[name] = _Book(event)
            if event.after_ms != begun_ms:
                self._violation(f"schedule {name} begins at {event.after_ms}, not {begun_ms}")
            return
        if book.incarnation != event.incarnation:
            self._violation(f"schedule {name} changed its incarnation")
        if event.after_ms not in (book.after_ms, begun_ms):
            self._violation(f"schedule {name} was at {book.after_ms} and goes on after {event.after_ms}")
        book.spec, book.grid, book.after_ms = event.spec, Grid.of(event.spec, event.anchor_ms), event.after_ms
        book.finished = False
        if isinstance(timing, OneShotSchedule):
            book.seen.clear()  # its time may have been a slot of what it was before

    def _paused(self, event: SchedulePaused, wall_ms: int) -> None:
        book = self._books[event.schedule_id]
        book.paused = True
        if book.buffer:
            self._violation(f"schedule {event.schedule_id} is paused with slots in its buffer")

    def _resumed(self, event: ScheduleResumed, wall_ms: int) -> None:
        book = self._books[event.schedule_id]
        book.paused = book.finished = False
        book.after_ms = event.after_ms
        if event.after_ms < self._stamp_ms:
            self._violation(f"schedule {event.schedule_id} was resumed with slots of its pause")

    def _deleted(self, event: ScheduleDeleted, wall_ms: int) -> None:
        del self._books[event.schedule_id]

    # ---- slots

    def _decided(self, book: _Book, slot: Slot) -> None:
        """A slot that is no trigger and does not come out of the buffer."""
        name = book.spec.schedule_id
        if book.paused:
            self._violation(f"slot {slot.slot_ms} of {name} was decided while it was paused")
        if slot.slot_ms in book.seen:
            self._violation(f"slot {slot.slot_ms} of {name} was decided twice")
        if not slot.skipped:
            book.seen.add(slot.slot_ms)
        book.planned.append(slot)

    def _fired(self, event: SlotFired, wall_ms: int) -> None:
        book, slot = self._books[event.schedule_id], event.slot
        name = f"slot {slot.slot_ms} of {event.schedule_id}"
        if event.job_id in self._runs:
            self._violation(f"{name} was fired with the job of another run")
        if (slot.slot_ms, slot.trigger) in book.fired_ever:
            self._violation(f"{name} was fired twice")
        book.fired_ever.add((slot.slot_ms, slot.trigger))
        if self._enqueued != (event.job_id, slot.slot_ms, slot.missed):
            self._violation(f"{name} was fired with another job than was enqueued: {self._enqueued}")
        if event.buffered:
            if book.active or book.paused or book.buffer[0] != slot:
                self._violation(f"{name} left the buffer before its time")
            book.buffer.pop(0)
        else:
            if book.active and book.spec.overlap is not Overlap.ALLOW:
                self._violation(f"{name} was fired while a run was active, against {book.spec.overlap.word}")
            if not slot.trigger:
                self._decided(book, slot)
                self.most_late_ms = max(self.most_late_ms, wall_ms - slot.slot_ms - book.spec.jitter_ms)
        self.triggered += slot.trigger > 0 and not event.buffered
        book.fired += not slot.trigger
        book.active.add(event.job_id)
        self._runs[event.job_id] = (event.schedule_id, book.incarnation)
        self.fired += 1

    def _skipped(self, event: SlotSkipped, wall_ms: int) -> None:
        book, slot = self._books[event.schedule_id], event.slot
        name, why = f"slot {slot.slot_ms} of {event.schedule_id}", slot.skipped
        self.skipped += 1 + slot.missed
        if event.buffered:
            left = book.buffer.pop(0)
            if (left.slot_ms, left.trigger) != (slot.slot_ms, slot.trigger) or why not in (
                "superseded",
                "paused",
            ):
                self._violation(f"{name} was taken out of the buffer for {why}")
            return
        self.triggered += slot.trigger > 0
        if not slot.trigger:
            self._decided(book, slot)
        if why in _PLANNED_WHY or (why == "job_exists" and (slot.slot_ms, slot.trigger) in book.fired_ever):
            return
        expected = {
            Overlap.SKIP: "overlap",
            Overlap.BUFFER_ONE: "buffer_full",
            Overlap.BUFFER_ALL: "buffer_full",
        }
        expected_why = "overlap" if book.paused else expected.get(book.spec.overlap)
        full = limits.BUFFERED_SLOTS if book.spec.overlap is Overlap.BUFFER_ALL else 1
        room = why == "buffer_full" and len(book.buffer) < full
        if not book.active or why != expected_why or room:
            self._violation(f"{name} was skipped for {why} with {len(book.active)} active runs")

    def _buffered(self, event: SlotBuffered, wall_ms: int) -> None:
        book, slot = self._books[event.schedule_id], event.slot
        if not book.active or book.paused or book.spec.overlap in (Overlap.SKIP, Overlap.ALLOW):
            self._violation(f"slot {slot.slot_ms} of {event.schedule_id} was buffered for no reason")
        self.triggered += slot.trigger > 0
        if not slot.trigger:
            self._decided(book, slot)
        book.buffer.append(slot)
        self.buffered += 1

    def _advanced(self, event: ScheduleAdvanced, wall_ms: int) -> None:
        """A plan is complete: compare it with what the grid and the misfire policy say."""
        book = self._books[event.schedule_id]
        planned, book.planned = book.planned, []
        bound = book.spec.max_runs
        held = self.at_cap and event.next_slot_ms != NO_SLOT and event.due_ms <= wall_ms
        spent = 0 < bound <= book.fired + sum(not slot.trigger for slot in book.buffer)
        if not spent and not held:
            last_ms = planned[-1].slot_ms if planned else book.after_ms
            expected = _expected(book, last_ms, wall_ms)
            merged = [replace_reason(slot) for slot in planned]
            if merged != expected:
                self._violation(f"schedule {event.schedule_id}: planned {merged}, expected {expected}")
            self._look_ahead(book, event, last_ms, wall_ms)
        elif spent and event.next_slot_ms != NO_SLOT:
            self._violation(f"schedule {event.schedule_id} goes on after {bound} runs")
        book.after_ms = event.after_ms
        book.finished = event.next_slot_ms == NO_SLOT

    def _look_ahead(self, book: _Book, event: ScheduleAdvanced, last_ms: int, wall_ms: int) -> None:
        """The next slot follows without a gap, and was not due yet."""
        following = book.grid.between(last_ms, limits.WALL_MS_MAX)
        next_ms = following[0] if following else NO_SLOT
        name = f"schedule {event.schedule_id}"
        if event.next_slot_ms != next_ms:
            self._violation(f"{name}: the slot after {last_ms} is {next_ms}, not {event.next_slot_ms}")
        if next_ms and event.due_ms <= wall_ms:
            self._violation(f"{name}: slot {next_ms} was due at {event.due_ms} and left out at {wall_ms}")

    # ---- runs

    def _job_enqueued(self, event: JobEnqueued, wall_ms: int) -> None:
        firing = event.spec.firing
        if firing is not None:
            self._enqueued = (event.spec.job_id, firing.slot_ms, firing.missed)

    def _ends(self, event: JobCompleted | JobCancelled | JobGivenUp | AttemptEnded, wall_ms: int) -> None:
        if isinstance(event, AttemptEnded) and event.next_state not in TERMINAL:
            return
        book = self._book_of(event.job_id)
        if book is not None:
            book.active.discard(event.job_id)

    def _retried(self, event: JobRetried, wall_ms: int) -> None:
        book = self._book_of(event.job_id)
        if book is not None:
            book.active.add(event.job_id)

    def _book_of(self, job_id: bytes) -> _Book | None:
        schedule_id, incarnation = self._runs.get(job_id, ("", 0))
        book = self._books.get(schedule_id)
        return book if book is not None and book.incarnation == incarnation else None

    # ---- at the end

    def left_over(self, wall_ms: int, patience_ms: int) -> str:
        """A slot that was due `patience_ms` ago and is not decided, or one that waits for nothing."""
        for name, book in self._books.items():
            if book.buffer and not book.active:
                return f"schedule {name} has {book.buffer} in its buffer and no active run"
            if book.paused or book.finished:
                continue
            due = book.grid.between(book.after_ms, wall_ms - patience_ms - book.spec.jitter_ms)
            if due:
                return f"slot {due[0]} of {name} is not decided at {wall_ms}"
        return ""


def replace_reason(slot: Slot) -> Slot:
    """What the plan said of a slot, without what the overlap policy made of it."""
    return slot if slot.skipped in _PLANNED_WHY else Slot(slot.slot_ms, slot.missed)


def _expected(book: _Book, last_ms: int, wall_ms: int) -> list[Slot]:
    """What the misfire policy makes of the slots up to the last one that was due."""
    due = book.grid.between(book.after_ms, last_ms)
    if not due:
        return []
    late_ms = wall_ms - last_ms - book.spec.jitter_ms
    match book.spec.misfire:
        case Misfire.LATEST:
            why = "misfire_window" if late_ms > limits.MISFIRE_WINDOW_MS else ""
            return [Slot(due[-1], len(due) - 1, why)]
        case Misfire.SKIP if late_ms > limits.MISFIRE_GRACE_MS:
            return [Slot(due[-1], len(due) - 1, "misfire")]
        case Misfire.SKIP:
            missed = [Slot(due[-2], len(due) - 2, "misfire")] if len(due) > 1 else []
            return [*missed, Slot(due[-1])]
    old = [at_ms for at_ms in due if at_ms < wall_ms - limits.MISFIRE_WINDOW_MS]
    fresh = due[len(old) :]
    many = fresh[limits.MISFIRES_MADE_UP :]
    found = [Slot(old[-1], len(old) - 1, "misfire_window")] if old else []
    found += [Slot(at_ms) for at_ms in fresh[: limits.MISFIRES_MADE_UP]]
    return found + ([Slot(many[-1], len(many) - 1, "misfire_limit")] if many else [])


_FOLLOW: Final[dict[type, Callable[..., None]]] = {
    SchedulePut: SlotLedger._put,
    SchedulePaused: SlotLedger._paused,
    ScheduleResumed: SlotLedger._resumed,
    ScheduleDeleted: SlotLedger._deleted,
    SlotFired: SlotLedger._fired,
    SlotSkipped: SlotLedger._skipped,
    SlotBuffered: SlotLedger._buffered,
    ScheduleAdvanced: SlotLedger._advanced,
    JobEnqueued: SlotLedger._job_enqueued,
    JobCompleted: SlotLedger._ends,
    JobCancelled: SlotLedger._ends,
    JobGivenUp: SlotLedger._ends,
    AttemptEnded: SlotLedger._ends,
    JobRetried: SlotLedger._retried,
}
