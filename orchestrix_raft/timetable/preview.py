"""The next slots of a cron schedule as people read them, with every change of the clocks on the way.

For `schedules preview` and whoever shows a schedule.  Slow compared with the evaluator, and bounded.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from orchestrix_raft.domain.schedule import DstGap
from orchestrix_raft.timetable.cron import DAY_S
from orchestrix_raft.timetable.evaluator import CronEvaluator
from orchestrix_raft.timetable.timeline import MARGIN_S
from orchestrix_raft.timetable.zones import Change, utc_text

_CHANGES_NAMED: Final = 4  # between two runs of a rare schedule; the others are counted


class Run(NamedTuple):
    """One slot."""

    at_ms: int
    at: str  # RFC 3339 in UTC
    local: str  # RFC 3339 with the offset of the zone
    note: str  # changes of the clocks since the run before, and what they did to this one; or empty


def preview(evaluator: CronEvaluator, from_ms: int, count: int) -> list[Run]:
    """At most `count` slots, the first one not before `from_ms`."""
    runs: list[Run] = []
    before = from_ms - 1
    while len(runs) < count and (slot := evaluator.next_after(before)) is not None:
        note = "; ".join(_notes(evaluator, before, slot))
        runs.append(Run(slot, utc_text(slot), evaluator.zone.local_text(slot), note))
        before = slot
    return runs


def _notes(evaluator: CronEvaluator, before_ms: int, slot_ms: int) -> Iterator[str]:
    slot = slot_ms // 1_000
    changes = evaluator.zone.changes(before_ms // 1_000 + 1, slot + 1)
    if len(changes) > _CHANGES_NAMED:
        yield f"{len(changes) - _CHANGES_NAMED} earlier changes since the run before"
    for change in changes[-_CHANGES_NAMED:]:
        yield _change(change)
        jumped = _jumped(evaluator, change)
        if jumped:
            yield jumped
    occurrences = _occurrences(evaluator, slot)
    if len(occurrences) > 1:
        which = f"{_ORDINALS[occurrences.index(slot)]} of {len(occurrences)} times"
        yield f"the {which} that clocks show {_clock(evaluator.zone.local(slot))}"


_ORDINALS: Final = ("first", "second", "third")  # nowhere does a time come more often


def _change(change: Change) -> str:
    """`clocks forward 1h: 2026-03-29 02:00 -> 03:00`."""
    old, new = change.at_s + change.before_s, change.at_s + change.after_s
    way = "forward" if new > old else "back"
    to = _clock(new) if old // DAY_S == new // DAY_S else f"{_day(new)} {_clock(new)}"
    return f"clocks {way} {_length(abs(new - old))}: {_day(old)} {_clock(old)} -> {to}"


def _jumped(evaluator: CronEvaluator, change: Change) -> str:
    """What became of the times of this schedule that the clocks jumped over; empty if there were none."""
    low, end = change.at_s + change.before_s, change.at_s + change.after_s
    first, last = evaluator.expression.first(low, end), evaluator.expression.last(low, end)
    if first is None or last is None:
        return ""
    times = _clock(first) if first == last else f"{_clock(first)} to {_clock(last)}"
    if evaluator.expression.follows_clock:
        return f"{times} does not exist: no run, the hours follow the clock"
    if evaluator.gap is DstGap.SKIP:
        return f"{times} does not exist: skipped"
    merged = ", merged with the run there" if end in evaluator.expression else ""
    to = _clock(end) if last // DAY_S == end // DAY_S else f"{_day(end)} {_clock(end)}"
    return f"{times} does not exist: shifted to {to}{merged}"


def _occurrences(evaluator: CronEvaluator, slot: int) -> list[int]:
    """Every instant at which clocks show what they show at `slot`."""
    zone = evaluator.zone
    changes = zone.changes(slot - MARGIN_S, slot + MARGIN_S)
    offsets = {zone.offset_at(slot), *(c.before_s for c in changes), *(c.after_s for c in changes)}
    local = zone.local(slot)
    return sorted(local - offset for offset in offsets if zone.local(local - offset) == local)


def _day(local: int) -> str:
    return utc_text(local * 1_000)[:10]


def _clock(local: int) -> str:
    """`02:30`, with seconds where there are any."""
    text = utc_text(local * 1_000)[11:19]
    return text.removesuffix(":00") if local % 60 == 0 else text


def _length(seconds: int) -> str:
    hours, rest = divmod(seconds, 3_600)
    minutes, rest = divmod(rest, 60)
    return "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if n)
