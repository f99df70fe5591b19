"""When a schedule is due: slots as instants, for cron, intervals and one-shots alike.

A slot is an instant in milliseconds of UTC; slots of one schedule are strictly increasing.  Equal arguments
give equal answers, so a slot can be recomputed anywhere; the tz rules of the moment are the only other input.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable import cron, zones
from orchestrix_raft.timetable.cron import DAY_S, CronExpression
from orchestrix_raft.timetable.days import YEARS_SEARCHED
from orchestrix_raft.timetable.timeline import BLOCK_BITS, MARGIN_S, Piece, pieces
from orchestrix_raft.timetable.zones import Zone

_SEARCHED_S: Final = (YEARS_SEARCHED * 366 + 1) * DAY_S
_LATEST_S: Final = limits.WALL_MS_MAX // 1_000 - 2 * 366 * DAY_S  # zoneinfo needs room before the year 10000
_EARLIEST_S: Final = -(datetime(1970, 1, 1) - datetime(1850, 1, 1)).days * DAY_S  # no zone had rules before


class ScheduleEvaluator(Protocol):
    """What the scanner of schedules asks; instants in milliseconds UTC."""

    def next_after(self, instant_ms: int) -> int | None:
        """The first slot after the instant; None if there is none."""

    def previous_at_or_before(self, instant_ms: int) -> int | None:
        """The last slot not after the instant; None if there is none."""

    def count_between(self, after_ms: int, until_ms: int) -> int:
        """How many slots after `after_ms` up to and with `until_ms`."""


def slots_between(evaluator: ScheduleEvaluator, after_ms: int, until_ms: int, limit: int) -> list[int]:
    """The oldest `limit` slots after `after_ms` up to and with `until_ms`."""
    found: list[int] = []
    slot = evaluator.next_after(after_ms)
    while slot is not None and slot <= until_ms and len(found) < limit:
        found.append(slot)
        slot = evaluator.next_after(slot)
    return found


class CronEvaluator(msgspec.Struct, frozen=True):
    """A cron expression in a time zone, under a policy for clock changes."""

    expression: CronExpression
    zone: Zone
    gap: DstGap = DstGap.SHIFT
    overlap: DstOverlap = DstOverlap.FIRST

    def next_after(self, instant_ms: int) -> int | None:
        """See `ScheduleEvaluator`.  None: not within 41 years, or beyond the year 9997."""
        after = max(instant_ms // 1_000, _EARLIEST_S)
        latest = min(after + _SEARCHED_S, _LATEST_S)
        block = after >> BLOCK_BITS
        while block << BLOCK_BITS <= latest:
            for piece in self._pieces(block):
                found = self._first_in(piece, after)
                if found is not None:
                    return found * 1_000
            # No local time from here on lies before `local`: blocks that end well before it hold no slot.
            end = (block + 1) << BLOCK_BITS
            local = self.expression.first(end - MARGIN_S, latest + MARGIN_S)
            if local is None:
                return None
            block = max(block + 1, (local - MARGIN_S) >> BLOCK_BITS)
        return None

    def previous_at_or_before(self, instant_ms: int) -> int | None:
        """See `ScheduleEvaluator`.  None: not within 41 years, or before 1850."""
        until = min(instant_ms // 1_000, _LATEST_S)
        earliest = max(until - _SEARCHED_S, _EARLIEST_S)
        block = until >> BLOCK_BITS
        while (block + 1) << BLOCK_BITS > earliest:
            for piece in reversed(self._pieces(block)):
                found = self._last_in(piece, until)
                if found is not None:
                    return found * 1_000
            local = self.expression.last(earliest - MARGIN_S, (block << BLOCK_BITS) + MARGIN_S)
            if local is None:
                return None
            block = min(block - 1, (local + MARGIN_S) >> BLOCK_BITS)
        return None

    def count_between(self, after_ms: int, until_ms: int) -> int:
        """See `ScheduleEvaluator`.  Takes as long for every second as for once a month."""
        after, until = max(after_ms // 1_000, _EARLIEST_S), min(until_ms // 1_000, _LATEST_S)
        total = 0
        gathered = None  # the last instant counted for a gap; a run that is there already merges with it
        for piece in self._pieces_between(after, until):
            if not piece.gathering:
                shift = piece.local_low - piece.begin_s
                low = max(piece.local_low, after + 1 + shift)
                total += self.expression.count(low, min(piece.local_end, until + 1 + shift))
                if piece.begin_s == gathered and piece.local_low in self.expression:
                    total -= 1
            elif piece.begin_s != gathered and self._first_in(piece, after) is not None:
                if piece.begin_s > until:
                    break
                gathered = piece.begin_s
                total += 1
        return total

    def _pieces(self, block: int) -> tuple[Piece, ...]:
        if self.expression.follows_clock:  # an instant is due if its local time matches, no more and no less
            return pieces(self.zone, DstGap.SKIP, DstOverlap.BOTH, block)
        return pieces(self.zone, self.gap, self.overlap, block)

    def _pieces_between(self, after: int, until: int) -> Iterator[Piece]:
        for block in range(after >> BLOCK_BITS, (until >> BLOCK_BITS) + 1):
            yield from self._pieces(block)

    def _first_in(self, piece: Piece, after: int) -> int | None:
        """The first slot of the piece that is later than `after`."""
        if piece.end_s <= after + 1:
            return None
        if piece.gathering:
            gathered = self.expression.first(piece.local_low, piece.local_end) is not None
            return piece.begin_s if gathered else None
        shift = piece.local_low - piece.begin_s
        local = self.expression.first(max(piece.local_low, after + 1 + shift), piece.local_end)
        return None if local is None else local - shift

    def _last_in(self, piece: Piece, until: int) -> int | None:
        """The last slot of the piece that is not later than `until`."""
        if piece.begin_s > until:
            return None
        if piece.gathering:
            gathered = self.expression.first(piece.local_low, piece.local_end) is not None
            return piece.begin_s if gathered else None
        shift = piece.local_low - piece.begin_s
        local = self.expression.last(piece.local_low, min(piece.local_end, until + 1 + shift))
        return None if local is None else local - shift


class IntervalEvaluator(msgspec.Struct, frozen=True):
    """anchor + k x period for k = 0, 1, 2, ...: in UTC, without drift."""

    anchor_ms: int
    period_ms: int

    def next_after(self, instant_ms: int) -> int:
        """See `ScheduleEvaluator`."""
        passed = (instant_ms - self.anchor_ms) // self.period_ms + 1
        return self.anchor_ms + max(passed, 0) * self.period_ms

    def previous_at_or_before(self, instant_ms: int) -> int | None:
        """See `ScheduleEvaluator`."""
        passed = (instant_ms - self.anchor_ms) // self.period_ms
        return None if passed < 0 else self.anchor_ms + passed * self.period_ms

    def count_between(self, after_ms: int, until_ms: int) -> int:
        """See `ScheduleEvaluator`."""
        return max(self._count_until(until_ms) - self._count_until(after_ms), 0)

    def _count_until(self, instant_ms: int) -> int:
        return max((instant_ms - self.anchor_ms) // self.period_ms + 1, 0)


class OneShotEvaluator(msgspec.Struct, frozen=True):
    """One slot."""

    run_at_ms: int

    def next_after(self, instant_ms: int) -> int | None:
        """See `ScheduleEvaluator`."""
        return self.run_at_ms if self.run_at_ms > instant_ms else None

    def previous_at_or_before(self, instant_ms: int) -> int | None:
        """See `ScheduleEvaluator`."""
        return self.run_at_ms if self.run_at_ms <= instant_ms else None

    def count_between(self, after_ms: int, until_ms: int) -> int:
        """See `ScheduleEvaluator`."""
        return int(after_ms < self.run_at_ms <= until_ms)


def cron_evaluator(
    expression: str,
    timezone: str = zones.DEFAULT_ZONE,
    gap: DstGap = DstGap.SHIFT,
    overlap: DstOverlap = DstOverlap.FIRST,
    *,
    seed: str,
) -> CronEvaluator:
    """From texts as users give them; `seed` is the schedule's id.

    Raises CronError or ZoneError, both ValueErrors of one line.  Evaluators are kept, and shared by all
    schedules that say the same.
    """
    return _cron_evaluator(expression, timezone, gap, overlap, cron.seed_used(expression, seed))


@lru_cache(maxsize=1 << 17)
def _cron_evaluator(
    expression: str, timezone: str, gap: DstGap, overlap: DstOverlap, seed: str
) -> CronEvaluator:
    return CronEvaluator(cron.parse(expression, seed=seed), zones.zone(timezone), gap, overlap)


def interval_evaluator(anchor_ms: int, period_ms: int) -> IntervalEvaluator:
    """ValueError if the period is too short or too long."""
    if not limits.INTERVAL_MS_MIN <= period_ms <= limits.DURATION_MS:
        allowed = f"{limits.INTERVAL_MS_MIN}ms to {limits.DURATION_MS // (DAY_S * 1_000)}d"
        raise ValueError(f"an interval of {period_ms} ms is not allowed (allowed: {allowed})")
    return IntervalEvaluator(anchor_ms, period_ms)
