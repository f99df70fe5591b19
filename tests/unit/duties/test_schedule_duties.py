"""The scanner and the planner: what is due, in which order, and what the misfire policies make of it."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.schedule import (
    UNPLANNED,
    WINDOW,
    CronSchedule,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    ScheduleSpec,
    Slot,
    Timing,
)
from orchestrix_raft.duties.schedules import JobPlanner, ScheduleScanner
from orchestrix_raft.machine.commands import PutSchedule
from orchestrix_raft.timetable.schedule_times import evaluator_of
from tests.scenarios.driver import WALL_START_MS, Driver
from tests.scenarios.scheduling import interval, scan, template

SECOND, HOUR = 1_000, 3_600_000


def no_jitter(schedule_id: str, slot_ms: int, at_most_ms: int) -> int:
    return 0


def planned(spec: ScheduleSpec, outage_ms: int, delay: dict[int, int] | None = None) -> list[Slot]:
    """What the plan says after a time without a leader; `delay`: jitter by slot.  Both since the start."""

    def jitter(schedule_id: str, slot_ms: int, at_most_ms: int) -> int:
        return (delay or {}).get(slot_ms - WALL_START_MS, 0)

    driver = Driver()
    driver.do(PutSchedule(b"", spec))
    schedule = driver.machine.state.schedules[spec.schedule_id]
    plan = JobPlanner(evaluator_of, jitter).plan(schedule, WALL_START_MS + outage_ms)
    return [Slot(slot.slot_ms - WALL_START_MS, slot.missed, slot.skipped) for slot in plan.slots]


def test_the_scanner_finds_what_is_due_in_order_and_nothing_else() -> None:
    driver = Driver()
    for name, period_ms in (("a", 3_000), ("b", 1_000), ("c", 2_000), ("d", 60_000), ("e", 1_000)):
        driver.do(PutSchedule(b"", interval(name, period_ms)))
    scan(driver)
    state, scanner = driver.machine.state, ScheduleScanner()
    assert scanner.next_due_ms(state) == WALL_START_MS + 1_000
    found = [item[2] for item, _ in scanner.due(state, WALL_START_MS + 2_999, {})]
    assert found == ["b", "e", "c"]
    passed_over = {"b": state.schedules["b"].due_seq, "e": 0}
    assert [item[2] for item, _ in scanner.due(state, WALL_START_MS + 2_999, passed_over)] == ["e", "c"]
    assert not list(scanner.due(state, WALL_START_MS + 999, {}))


def test_the_scanner_sees_a_new_schedule_at_once() -> None:
    driver = Driver()
    driver.do(PutSchedule(b"", interval()))
    ((_, schedule),) = ScheduleScanner().due(driver.machine.state, 0, {})
    assert schedule.next_slot_ms == UNPLANNED


@pytest.mark.parametrize(
    ("misfire", "outage_ms", "expected"),
    [
        (Misfire.LATEST, 9 * SECOND, []),
        (Misfire.LATEST, 10 * SECOND, [Slot(10_000)]),
        (Misfire.LATEST, 35 * SECOND, [Slot(30_000, 2)]),
        (Misfire.SKIP, 19 * SECOND, [Slot(10_000)]),
        (Misfire.SKIP, 35 * SECOND, [Slot(20_000, 1, "misfire"), Slot(30_000)]),
        (Misfire.ALL, 35 * SECOND, [Slot(10_000), Slot(20_000), Slot(30_000)]),
    ],
)
def test_each_misfire_policy(misfire: Misfire, outage_ms: int, expected: list[Slot]) -> None:
    assert planned(interval(misfire=misfire), outage_ms) == expected


def test_what_is_too_late_to_be_made_up_for() -> None:
    daily = 24 * HOUR
    assert planned(interval(period_ms=daily), 2 * daily - 1) == [Slot(daily)]
    weekly = interval(period_ms=7 * daily)
    assert planned(weekly, 8 * daily) == [Slot(7 * daily)]
    assert planned(weekly, 8 * daily + 1) == [Slot(7 * daily, 0, "misfire_window")]
    skip = interval(period_ms=HOUR, misfire=Misfire.SKIP)
    assert planned(skip, HOUR + 10_000) == [Slot(HOUR)]
    assert planned(skip, HOUR + 10_001) == [Slot(HOUR, 0, "misfire")]
    every = interval(period_ms=10 * HOUR, misfire=Misfire.ALL)
    assert planned(every, 45 * HOUR) == [
        Slot(20 * HOUR, 1, "misfire_window"),
        Slot(30 * HOUR),
        Slot(40 * HOUR),
    ]


def test_jitter_decides_when_and_not_whether() -> None:
    spec = interval(misfire=Misfire.ALL, jitter_ms=9_000)
    delay = {10_000: 9_000, 20_000: 8_000, 30_000: 0, 40_000: 9_000}
    assert planned(spec, 18_999, delay) == []
    assert planned(spec, 19_000, delay) == [Slot(10_000)]
    assert planned(spec, 27_999, delay) == [Slot(10_000)]
    assert planned(spec, 30_000, delay) == [Slot(10_000), Slot(20_000), Slot(30_000)]
    assert planned(spec, 48_999, delay) == [Slot(10_000), Slot(20_000), Slot(30_000)]


@pytest.mark.parametrize("misfire", [Misfire.LATEST, Misfire.ALL])
def test_a_slot_is_made_up_for_to_the_last_moment_of_its_window(misfire: Misfire) -> None:
    jitter_ms = 9_000 if misfire is Misfire.LATEST else 0
    timing = OneShotSchedule(WALL_START_MS + 5_000)
    spec = ScheduleSpec("s", timing, template(), misfire=misfire, jitter_ms=jitter_ms)
    last_ms = 5_000 + jitter_ms + limits.MISFIRE_WINDOW_MS
    assert planned(spec, last_ms) == [Slot(5_000)]
    assert planned(spec, last_ms + 1) == [Slot(5_000, 0, WINDOW)]


def test_there_is_room_for_runs_below_the_cap_of_unfinished_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_JOBS", 2)
    driver = Driver()
    driver.enqueue("a")
    assert ScheduleScanner.has_room(driver.machine.state)
    driver.enqueue("b")
    assert not ScheduleScanner.has_room(driver.machine.state)


@pytest.mark.parametrize(
    ("timing", "fields", "outage_ms", "expected"),
    [
        (OneShotSchedule(WALL_START_MS + 5_000), {}, 4_999, []),
        (OneShotSchedule(WALL_START_MS + 5_000), {}, HOUR, [Slot(5_000)]),
        (OneShotSchedule(WALL_START_MS - 5_000), {}, 0, [Slot(-5_000)]),
        (IntervalSchedule(10_000), {"start_ms": WALL_START_MS + 25_000}, 60_000, [Slot(55_000, 3)]),
        (IntervalSchedule(10_000), {"end_ms": WALL_START_MS + 25_000}, 60_000, [Slot(20_000, 1)]),
        (IntervalSchedule(10_000), {"end_ms": WALL_START_MS + 20_000}, 60_000, [Slot(20_000, 1)]),
        (CronSchedule("*/20 * * * * *", "UTC"), {}, 41_000, [Slot(40_000, 1)]),
    ],
)
def test_times_of_every_kind(
    timing: Timing, fields: dict[str, int], outage_ms: int, expected: list[Slot]
) -> None:
    spec = ScheduleSpec("s", timing, template(), **fields)  # type: ignore[arg-type]
    assert planned(spec, outage_ms) == expected


def test_a_plan_names_the_place_that_it_is_for() -> None:
    driver = Driver()
    driver.do(PutSchedule(b"", interval()))
    scan(driver)
    schedule = driver.machine.state.schedules["s"]
    plan = JobPlanner(evaluator_of, no_jitter).plan(schedule, WALL_START_MS + 10_000)
    assert (plan.schedule_id, plan.incarnation, plan.version) == ("s", schedule.incarnation, 1)
    assert plan.seen_ms == WALL_START_MS + 10_000
    assert (plan.next_slot_ms, plan.due_ms) == (WALL_START_MS + 20_000,) * 2
