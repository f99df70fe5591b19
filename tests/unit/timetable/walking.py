"""The slots around a change of the clocks, computed the slow and obvious way, to compare with.

Walks the time line step by step with zoneinfo, notes what clocks show at each step, and reads the policy off
those notes.  Shares nothing with the code under test but the zone's rules.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo

from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable.evaluator import cron_evaluator, slots_between

HOUR = 3_600
BEGIN = int(datetime(1970, 1, 2, tzinfo=UTC).timestamp())
END = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
POLICIES = tuple(itertools.product(DstGap, DstOverlap))


class Turn(NamedTuple):
    """Clocks that would show `old` show `new`, from the instant `at` on (seconds)."""

    at: int
    old: datetime
    new: datetime


class Case(NamedTuple):
    """An expression, and what it means, said again as a predicate on naive local times."""

    expression: str
    matches: Callable[[datetime], bool]
    fixed_hours: bool


def load(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def shown(at: int, zone: ZoneInfo) -> datetime:
    """What a naive clock shows."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None)


def turns(zone: ZoneInfo, begin: int = BEGIN, end: int = END) -> Iterator[Turn]:
    """Every change of the clocks."""
    step = 3 * HOUR
    before = shown(begin, zone)
    for at in range(begin + step, end, step):
        now = shown(at, zone)
        if now - before != timedelta(seconds=step):
            yield next(turn for turn in _single_steps(zone, at - step, at))
        before = now


def _single_steps(zone: ZoneInfo, begin: int, end: int) -> Iterator[Turn]:
    for step in (60, 1):
        for at in range(begin, end, step):
            old, new = shown(at, zone) + timedelta(seconds=step), shown(at + step, zone)
            if old != new:
                if step > 1:
                    begin, end = at, at + step
                    break
                yield Turn(at + 1, old, new)
                return


def cases(turn: Turn) -> list[Case]:
    """Expressions that are due before, in, at the end of, and after what the change skips or repeats."""
    low, high = sorted((turn.old, turn.new))
    middle = low + (high - low) / 2
    m, h = middle.minute, middle.hour
    hours = sorted({low.hour, h, high.hour})
    listed = ",".join(map(str, hours))
    weekday = middle.isoweekday() % 7
    return [
        Case(f"{m} {h} * * *", lambda t: (t.hour, t.minute) == (h, m), True),
        Case(
            f"{turn.new.minute} {turn.new.hour} * * *",
            lambda t: (t.hour, t.minute) == (turn.new.hour, turn.new.minute),
            True,
        ),
        Case(f"*/15 {listed} * * *", lambda t: t.hour in hours and t.minute % 15 == 0, True),
        Case(f"* {h} * * *", lambda t: t.hour == h, True),
        Case("0 0,12 * * *", lambda t: t.minute == 0 and t.hour in (0, 12), True),
        Case(
            f"50 {h} {middle.day} {middle.month} *",
            lambda t: (t.minute, t.hour, t.day, t.month) == (50, h, middle.day, middle.month),
            True,
        ),
        Case(
            f"10,40 0-3 * * {weekday}",
            lambda t: t.minute in (10, 40) and t.hour <= 3 and t.isoweekday() % 7 == weekday,
            True,
        ),
        Case("*/20 * * * *", lambda t: t.minute % 20 == 0, False),
        Case("5 */2 * * *", lambda t: t.minute == 5 and t.hour % 2 == 0, False),
    ]


class Walk:
    """What clocks show at each step around a change."""

    def __init__(self, zone: ZoneInfo, turn: Turn) -> None:
        jump = abs(turn.new - turn.old) // timedelta(seconds=1)
        reach = jump + 13 * HOUR
        self.low, self.high = turn.at - reach - turn.at % 60, turn.at + reach
        begin, end = self.low - jump - HOUR, self.high + jump + HOUR
        first = shown(begin, zone)
        self.step = math.gcd(60, begin, turn.at, first.second, turn.new.second)
        self.steps = [(at, shown(at, zone)) for at in range(begin, end, self.step)]
        self.instants: dict[datetime, list[int]] = {}
        for at, local in self.steps:
            self.instants.setdefault(local, []).append(at)
        self.gaps = [
            (a[1], *b)
            for a, b in itertools.pairwise(self.steps)
            if b[1] - a[1] > timedelta(seconds=self.step)
        ]
        self._matching: dict[str, list[datetime]] = {}
        lowest, highest = min(self.instants), max(self.instants)
        step = timedelta(seconds=self.step)
        self.locals = [lowest + i * step for i in range((highest - lowest) // step + 1)]
        self.locals = [local for local in self.locals if local.second == 0]

    def expected(self, case: Case, gap: DstGap, overlap: DstOverlap) -> list[int]:
        """Slots after `low` up to `high`."""
        found: set[int] = set()
        for local in self.matching(case):
            if case.fixed_hours:
                found.update(self._chosen(local, gap, overlap))
            else:
                found.update(self.instants.get(local, ()))
        return sorted(at for at in found if self.low < at <= self.high)

    def matching(self, case: Case) -> list[datetime]:
        """The local times, shown or skipped, that the expression names."""
        if case.expression not in self._matching:
            self._matching[case.expression] = [local for local in self.locals if case.matches(local)]
        return self._matching[case.expression]

    def _chosen(self, local: datetime, gap: DstGap, overlap: DstOverlap) -> list[int]:
        instants = self.instants.get(local)
        if instants is None:
            return [self._end_of_gap(local)] if gap is DstGap.SHIFT else []
        return {DstOverlap.FIRST: instants[:1], DstOverlap.LAST: instants[-1:], DstOverlap.BOTH: instants}[
            overlap
        ]

    def _end_of_gap(self, local: datetime) -> int:
        return next(at for before, at, after in self.gaps if before < local < after)


def compare(name: str, zone: ZoneInfo, turn: Turn) -> int:
    """AssertionError at the first difference; how many slots were compared."""
    walk = Walk(zone, turn)
    compared = 0
    for case in cases(turn):
        for gap, overlap in POLICIES:
            evaluator = cron_evaluator(case.expression, name, gap, overlap, seed="")
            where = (name, turn, case.expression, gap, overlap)
            wanted = [at * 1_000 for at in walk.expected(case, gap, overlap)]
            low, high = walk.low * 1_000, walk.high * 1_000
            assert slots_between(evaluator, low, high, len(wanted) + 1) == wanted, where
            backwards = [evaluator.previous_at_or_before(slot - 1) for slot in wanted[1:]]
            assert backwards == wanted[:-1], where
            last = evaluator.previous_at_or_before(high)
            assert last == wanted[-1] if wanted else last is None or last <= low, where
            assert evaluator.count_between(low, high) == len(wanted), where
            compared += len(wanted)
            if not case.fixed_hours and overlap is DstOverlap.LAST:
                break  # the policies do not matter: two of them are enough to show it
    return compared
