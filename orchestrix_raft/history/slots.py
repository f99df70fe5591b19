"""Slots of schedules: each is decided once, none is left out, and nothing runs for one twice.

The events say which slot comes next (`schedule_advanced`) and what became of each: fired, skipped for a
reason, or put into the buffer.  So a slot that was announced and never decided shows without a calendar.
Without events only what runs saw of themselves can be compared: which slot of which schedule they are for.
"""

from typing import Any, Final

from orchestrix_raft.history.gathered import History
from orchestrix_raft.history.records import Event, Line
from orchestrix_raft.history.verdict import Findings, Verdict

CHECK: Final = "slots"
LATE_MS: Final = 60_000
"""An announced slot that is not decided by then, while the log's clock went on, is left out."""
NO_EVENTS: Final = (
    "the history has no events (see `check-history --servers`): whether a slot was left out is unknown"
)
NOT_TOLD: Final = (
    "the events do not tell of every run that was recorded, as when a node keeps them no longer: whether a"
    " slot was left out at that time is unknown"
)

_DECIDED: Final = frozenset({"slot_fired", "slot_skipped", "slot_buffered"})


def check_slots(history: History) -> Verdict:
    """Every schedule by itself."""
    findings = Findings(CHECK)
    _runs(findings, history)
    if history.has_events:
        watch = _Watch(findings)
        for event, line in history.events:
            watch.see(event, line)
        if history.events:
            watch.end(history.events[-1][0].at_ms)
        if _recorded(history) - {event.job for event, _ in history.events if event.kind == "slot_fired"}:
            findings.undecided(NOT_TOLD)
    elif findings.looked_at:
        findings.undecided(NO_EVENTS)
    return findings.verdict()


def _recorded(history: History) -> set[str]:
    """The jobs that workers ran for slots."""
    return {run.start.job for runs in history.executions.values() for run in runs if run.start.schedule}


def _runs(findings: Findings, history: History) -> None:
    """Two jobs for one slot of one schedule.  One that was deleted and made anew may meet a slot of the old
    one again."""
    anew = {op.asked.schedule for op in history.operations if op.asked.op == "delete_schedule"}
    anew |= {e.d.get("schedule_id", "") for e, _ in history.events if e.kind == "schedule_deleted"}
    triggered = {e.job for e, _ in history.events if e.kind == "slot_fired" and _slot(e).get("trigger")}
    by_hand = any(op.asked.op == "trigger_schedule" for op in history.operations)
    seen: dict[tuple[str, int], tuple[str, Line]] = {}
    found = [(f.schedule, f.slot_ms, f.id, line) for f, line in history.jobs.values() if f.schedule]
    for runs in history.executions.values():
        found += [
            (r.start.schedule, r.start.slot_ms, r.start.job, r.start_line) for r in runs if r.start.schedule
        ]
    for schedule, slot_ms, job_id, line in found:
        if schedule in anew or job_id in triggered or (by_hand and not history.has_events):
            continue
        findings.looked_at += 1
        other, first = seen.setdefault((schedule, slot_ms), (job_id, line))
        if other != job_id:
            findings.violation(f"slot {slot_ms} of schedule {schedule} has two runs", (first, line))


class _Book:
    """What is known of one schedule."""

    def __init__(self) -> None:
        self.period_ms = 0
        self.next_ms = 0  # announced, and still to be decided; 0: nothing is known
        self.due_ms = 0
        self.announced: Line | None = None
        self.decided: dict[tuple[int, int], tuple[str, Line]] = {}  # (slot, trigger) -> how
        self.fired: dict[tuple[int, int], Line] = {}
        self.buffered: set[tuple[int, int]] = set()
        self.paused = False
        self.bounded = True  # it may have a number of runs after which it ends; also if that is not known


class _Watch:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._books: dict[str, _Book] = {}
        self._jobs: dict[str, Line] = {}

    def see(self, event: Event, line: Line) -> None:
        """One event, in the order of the log."""
        name = event.d.get("schedule_id", "")
        if event.kind == "schedule_put":
            self._put(event)
        elif event.kind == "schedule_deleted":
            self._books.pop(name, None)
        elif event.kind == "schedule_paused":
            book = self._book(name)
            book.paused, book.next_ms = True, 0
        elif event.kind == "schedule_resumed":
            book = self._book(name)
            book.paused, book.next_ms = False, 0
        elif event.kind == "schedule_advanced":
            self._advanced(name, event, line)
        elif event.kind in _DECIDED:
            self._decided(name, event, line)

    def end(self, at_ms: int) -> None:
        """`at_ms`: the log's clock at the newest event."""
        for name, book in sorted(self._books.items()):
            if book.next_ms and not book.paused and book.due_ms + LATE_MS < at_ms:
                lines = () if book.announced is None else (book.announced,)
                late = at_ms - book.due_ms
                self._findings.violation(
                    f"slot {book.next_ms} of schedule {name} was due {late} ms ago and is not decided", lines
                )

    def _advanced(self, name: str, event: Event, line: Line) -> None:
        """All slots up to one are decided, and the next one is announced."""
        book, next_ms = self._book(name), event.d.get("next_slot_ms", 0)
        lines = (line,) if book.announced is None else (book.announced, line)
        if not next_ms and book.bounded:
            pass  # it has had all its runs: what was still to be decided is decided by that
        elif book.next_ms and event.d.get("after_ms", 0) >= book.next_ms:
            self._findings.violation(f"slot {book.next_ms} of schedule {name} was passed over", lines)
        elif book.period_ms and book.next_ms and next_ms and next_ms != book.next_ms:
            what = f"slot {book.next_ms} of schedule {name} was to be next, and {next_ms} is"
            self._findings.violation(what, lines)
        book.next_ms, book.due_ms, book.announced = next_ms, event.d.get("due_ms", 0), line

    def _book(self, name: str) -> _Book:
        return self._books.setdefault(name, _Book())

    def _put(self, event: Event) -> None:
        """Its times may be others from now on: whatever was announced does not hold."""
        spec = event.d.get("spec", {})
        book = self._book(spec.get("schedule_id", ""))
        timing = spec.get("timing", {})
        book.period_ms = timing.get("period_ms", 0) if isinstance(timing, dict) else 0
        book.next_ms = 0
        book.bounded = bool(spec.get("max_runs", 0))
        if isinstance(timing, dict) and "run_at_ms" in timing:
            book.decided = {place: how for place, how in book.decided.items() if how[0] == "slot_fired"}

    def _decided(self, name: str, event: Event, line: Line) -> None:
        book, slot = self._book(name), _slot(event)
        place = (slot.get("slot_ms", 0), slot.get("trigger", 0))
        self._findings.looked_at += 1
        what = f"slot {place[0]} of schedule {name}"
        if event.kind == "slot_fired":
            if place in book.fired:
                self._findings.violation(f"{what} was fired twice", (book.fired[place], line))
            book.fired[place] = line
            if event.job in self._jobs:
                self._findings.violation(
                    f"{what} was fired with the job of another run", (self._jobs[event.job], line)
                )
            self._jobs[event.job] = line
        if event.kind == "slot_skipped" and not slot.get("skipped"):
            self._findings.violation(f"{what} was skipped without a reason", (line,))
        if event.d.get("buffered"):
            if place not in book.buffered and book.announced is not None and place in book.decided:
                self._findings.violation(f"{what} left the buffer, and was not in it", (line,))
            book.buffered.discard(place)
            return
        if event.kind == "slot_buffered":
            book.buffered.add(place)
        if not place[1]:
            self._in_turn(book, what, slot, event, line)

    def _in_turn(self, book: _Book, what: str, slot: dict[str, Any], event: Event, line: Line) -> None:
        """A slot whose time has come: the announced one, or one that stands for it."""
        slot_ms, missed = slot.get("slot_ms", 0), slot.get("missed", 0)
        before = book.decided.get((slot_ms, 0))
        if book.paused:
            self._findings.violation(f"{what} was decided while the schedule was paused", (line,))
        if before is not None and not (before[0] == "slot_skipped" or event.kind == "slot_skipped"):
            self._findings.violation(f"{what} was decided twice", (before[1], line))
        book.decided[(slot_ms, 0)] = (event.kind, line)
        if book.next_ms:
            lines = (line,) if book.announced is None else (book.announced, line)
            if slot_ms < book.next_ms:
                self._findings.violation(f"{what} was decided, and the next one was {book.next_ms}", lines)
            elif not missed and slot_ms != book.next_ms:
                self._findings.violation(f"{what} was decided, and slot {book.next_ms} was left out", lines)
            elif book.period_ms and slot_ms - missed * book.period_ms != book.next_ms:
                late = f"{what} stands for {missed} before it, and those do not reach back to {book.next_ms}"
                self._findings.violation(late, lines)
            # Within one plan an interval says what follows; of a calendar that is not known here.
            book.next_ms = slot_ms + book.period_ms if book.period_ms else 0


def _slot(event: Event) -> dict[str, Any]:
    slot = event.d.get("slot", {})
    return slot if isinstance(slot, dict) else {}
