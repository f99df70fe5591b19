"""Pieces of the time line where changes of the clocks come so close that they meddle with each other.

No zone has such changes since 1970; a law may make some.
"""

import pytest

from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable.cron import parse
from orchestrix_raft.timetable.evaluator import CronEvaluator, slots_between
from orchestrix_raft.timetable.timeline import BLOCK_BITS, pieces
from orchestrix_raft.timetable.zones import Change, Zone

MINUTE, HOUR, DAY = 60, 3_600, 86_400
TWO = 100 * DAY + 2 * HOUR  # 02:00 UTC, some day in 1970


class MadeUpZone(Zone):
    """UTC, but for an hour that comes and goes at the given instants."""

    def __init__(self, *turns: int) -> None:
        self.name = "made up"
        self.turns = turns

    def offset_at(self, instant_s: int) -> int:
        return sum(turn <= instant_s for turn in self.turns) % 2 * HOUR

    def changes(self, low_s: int, end_s: int) -> list[Change]:
        inside = [turn for turn in self.turns if low_s <= turn < end_s]
        return [Change(turn, self.offset_at(turn - 1), self.offset_at(turn)) for turn in inside]


def slots(zone: Zone, expression: str, gap: DstGap, overlap: DstOverlap) -> list[int]:
    """Minutes after 02:00 UTC."""
    evaluator = CronEvaluator(parse(expression, seed=""), zone, gap, overlap)
    low, high = (TWO - HOUR) * 1_000, (TWO + 6 * HOUR) * 1_000
    found = slots_between(evaluator, low, high, 100)
    assert evaluator.count_between(low, high) == len(found)
    assert [evaluator.previous_at_or_before(slot) for slot in found] == found
    return [(slot // 1_000 - TWO) // MINUTE for slot in found]


@pytest.mark.parametrize(
    ("expression", "overlap", "minutes"),
    [
        ("15 2 * * *", DstOverlap.FIRST, [0]),  # never shown: gathered behind the gap
        ("45 2 * * *", DstOverlap.FIRST, [45]),  # jumped over, but shown after clocks went back
        ("15,45 2 * * *", DstOverlap.FIRST, [0, 45]),
        ("15 3 * * *", DstOverlap.FIRST, [15]),  # shown in the short hour, and again
        ("15 3 * * *", DstOverlap.LAST, [75]),
        ("15 3 * * *", DstOverlap.BOTH, [15, 75]),
    ],
)
def test_forward_and_back_within_half_an_hour(
    expression: str, overlap: DstOverlap, minutes: list[int]
) -> None:
    zone = MadeUpZone(TWO, TWO + 30 * MINUTE)
    assert slots(zone, expression, DstGap.SHIFT, overlap) == minutes


def test_what_two_gaps_jump_over_is_gathered_once_at_the_first() -> None:
    """02:00 -> 03:00, ten minutes later back to 02:10, ten later 02:20 -> 03:20."""
    zone = MadeUpZone(TWO, TWO + 10 * MINUTE, TWO + 20 * MINUTE)
    assert slots(zone, "5 2 * * *", DstGap.SHIFT, DstOverlap.FIRST) == [0]
    assert slots(zone, "15 2 * * *", DstGap.SHIFT, DstOverlap.FIRST) == [15]
    assert slots(zone, "30 2 * * *", DstGap.SHIFT, DstOverlap.FIRST) == [0]
    assert slots(zone, "30 2 * * *", DstGap.SKIP, DstOverlap.FIRST) == []


def test_a_change_between_two_blocks_belongs_to_one() -> None:
    border = 40 << BLOCK_BITS
    zone = MadeUpZone(border)
    before, after = (
        pieces(zone, DstGap.SHIFT, DstOverlap.FIRST, block)
        for block in ((border >> BLOCK_BITS) - 1, border >> BLOCK_BITS)
    )
    assert [piece.gathering for piece in before] == [False]
    assert [piece.gathering for piece in after] == [True, False]
    assert before[-1].end_s == after[0].begin_s == after[1].begin_s == border
