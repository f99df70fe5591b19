"""Hash splay, intervals, one-shots, jitter, horizons."""

from collections import Counter

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.schedule import DstGap, DstOverlap, Misfire, Overlap, parse_choice
from orchestrix_raft.timetable.cron import parse
from orchestrix_raft.timetable.evaluator import (
    CronEvaluator,
    IntervalEvaluator,
    OneShotEvaluator,
    ScheduleEvaluator,
    cron_evaluator,
    interval_evaluator,
    slots_between,
)
from orchestrix_raft.timetable.fields import CronError
from orchestrix_raft.timetable.jitter import jitter_ms

DAY_MS = 86_400_000


def test_a_hash_is_the_same_on_every_machine() -> None:
    times = parse("H H H * * *", seed="nightly").times
    assert (times.hours, times.minutes, times.seconds) == HASHED


HASHED = ((0,), (59,), (8,))
"""Pinned: another hash would move the slots of every schedule that uses H."""


def test_hashes_spread_over_their_range() -> None:
    minutes = Counter(parse("H * * * *", seed=f"job-{i}").times.minutes[0] for i in range(6_000))
    assert set(minutes) == set(range(60))
    assert max(minutes.values()) < 160
    assert {parse("0 H(3-5) * * *", seed=str(i)).times.hours[0] for i in range(60)} == {3, 4, 5}


def test_a_hashed_step_begins_somewhere_in_the_first_step() -> None:
    starts = {parse("H/15 * * * *", seed=str(i)).times.minutes[0] for i in range(300)}
    assert starts == set(range(15))
    for i in range(50):
        minutes = parse("H/15 * * * *", seed=str(i)).times.minutes
        assert minutes == tuple(range(minutes[0], 60, 15))
        assert len(minutes) == 4
        listed = parse("H(0-29)/10 * * * *", seed=str(i)).times.minutes
        assert listed == tuple(range(listed[0], 30, 10))
        assert len(listed) == 3


def test_a_hash_means_the_same_for_a_schedule_whatever_else_it_says() -> None:
    assert parse("H 3 * * *", seed="a").times.minutes == parse("H * * * *", seed="a").times.minutes
    assert parse("H 3 * * *", seed="a").hashed
    assert not parse("0 3 * * THU", seed="a").hashed


def test_what_was_parsed_is_kept() -> None:
    assert parse("0 3 * * *", seed="a") is parse("0 3 * * *", seed="b")
    assert parse("H 3 * * *", seed="a") is not parse("H 3 * * *", seed="b")


def test_an_endless_expression_is_refused() -> None:
    with pytest.raises(CronError, match="longer than 300 characters"):
        parse("1," * 200 + "1 * * * *", seed="")


def test_an_interval_does_not_drift() -> None:
    evaluator = IntervalEvaluator(anchor_ms=1_050, period_ms=100)
    assert slots_between(evaluator, 0, 1_400, 10) == [1_050, 1_150, 1_250, 1_350]
    assert evaluator.next_after(1_050) == 1_150
    assert evaluator.next_after(1_049) == 1_050
    far = 1_050 + 10**12 * 100
    assert evaluator.next_after(far - 1) == far
    assert evaluator.previous_at_or_before(far) == far
    assert evaluator.previous_at_or_before(far + 99) == far
    assert evaluator.previous_at_or_before(1_049) is None


@pytest.mark.parametrize("period_ms", [0, -1, 99, limits.DURATION_MS + 1])
def test_an_interval_outside_its_bounds_is_refused(period_ms: int) -> None:
    with pytest.raises(ValueError, match="allowed: 100ms to 366d"):
        interval_evaluator(0, period_ms)


def test_an_interval_of_a_hundred_milliseconds_is_allowed() -> None:
    assert interval_evaluator(0, 100).next_after(0) == 100


def test_a_one_shot_is_due_once() -> None:
    evaluator = OneShotEvaluator(5_000)
    assert evaluator.next_after(4_999) == 5_000
    assert evaluator.next_after(5_000) is None
    assert evaluator.previous_at_or_before(4_999) is None
    assert evaluator.previous_at_or_before(5_000) == 5_000


@pytest.mark.parametrize(
    "evaluator",
    [
        IntervalEvaluator(5_000, 700),
        OneShotEvaluator(90_000),
        cron_evaluator("*/7 * * * * *", seed=""),
        cron_evaluator("30 2 * * *", "Europe/Berlin", seed=""),
    ],
    ids=["interval", "one-shot", "seconds", "daily"],
)
@pytest.mark.parametrize(("after", "until"), [(0, 200_000), (89_999, 90_000), (90_000, 200_000), (7, 3)])
def test_counting_is_listing(evaluator: ScheduleEvaluator, after: int, until: int) -> None:
    assert evaluator.count_between(after, until) == len(slots_between(evaluator, after, until, 1_000))


def test_a_day_of_every_second_is_counted_with_its_changes() -> None:
    every = cron_evaluator("* * * * * *", "Europe/Berlin", seed="")
    fixed = cron_evaluator("* * 0-22 * * *", "Europe/Berlin", seed="")
    gap, overlap = 1_774_738_800_000, 1_792_879_200_000  # local midnight before each, in 2026
    assert every.count_between(gap - 1_000, gap + 23 * 3_600_000 - 1_000) == 23 * 3_600
    assert every.count_between(overlap - 1_000, overlap + 25 * 3_600_000 - 1_000) == 25 * 3_600
    assert fixed.count_between(gap - 1_000, gap + 23 * 3_600_000 - 1_000) == 22 * 3_600
    assert fixed.count_between(overlap - 1_000, overlap + 25 * 3_600_000 - 1_000) == 23 * 3_600


def test_rare_days_are_found_in_both_directions() -> None:
    evaluator = cron_evaluator("0 0 29 2 *", seed="")
    before, after = 3_981_312_000_000, 4_233_686_400_000  # 2096 and 2104: 2100 is no leap year
    assert evaluator.next_after(before) == after
    assert evaluator.previous_at_or_before(after - 1) == before


def test_far_beyond_the_calendar_nothing_is_due() -> None:
    evaluator = cron_evaluator("0 0 1 1 *", "Europe/Berlin", seed="")
    assert evaluator.next_after(limits.WALL_MS_MAX) is None
    assert evaluator.next_after(-(10**15)) is not None
    assert evaluator.previous_at_or_before(-(10**15)) is None


def test_jitter_follows_from_schedule_and_slot() -> None:
    drawn = [jitter_ms("nightly", slot, 10_000) for slot in range(0, 2_000 * DAY_MS, DAY_MS)]
    assert drawn == [jitter_ms("nightly", slot, 10_000) for slot in range(0, 2_000 * DAY_MS, DAY_MS)]
    assert 0 <= min(drawn) < 100
    assert 9_900 < max(drawn) <= 10_000
    assert drawn[:5] != [jitter_ms("hourly", slot, 10_000) for slot in range(0, 5 * DAY_MS, DAY_MS)]
    assert jitter_ms("nightly", 0, 0) == 0


def test_choices_are_read_by_their_words() -> None:
    assert parse_choice(DstGap, "skip") is DstGap.SKIP
    assert parse_choice(DstOverlap, "both") is DstOverlap.BOTH
    assert parse_choice(Misfire, "latest") is Misfire.LATEST
    assert parse_choice(Overlap, "cancel_running") is Overlap.CANCEL_RUNNING
    with pytest.raises(ValueError, match=r"no such choice: 'later' \(there are latest, skip, all\)"):
        parse_choice(Misfire, "later")


def test_schedules_that_say_the_same_share_an_evaluator_unless_it_depends_on_their_ids() -> None:
    def evaluator(expression: str, schedule_id: str) -> CronEvaluator:
        return cron_evaluator(expression, "Europe/Berlin", seed=schedule_id)

    assert evaluator("30 2 * * *", "a") is evaluator("30 2 * * *", "b")
    assert evaluator("H H * * *", "a") is evaluator("H H * * *", "a")
    assert evaluator("H h * * *", "a") is not evaluator("H h * * *", "b")
