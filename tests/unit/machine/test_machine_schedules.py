"""Schedules in the machine beyond the scenarios: plans that are refused, limits, bugs, memory of requests."""

from types import MappingProxyType

import pytest
from msgspec.structs import replace

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobSpec, JobState
from orchestrix_raft.domain.schedule import (
    NO_SLOT,
    UNPLANNED,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    Schedule,
    ScheduleSpec,
    Slot,
    run_id,
)
from orchestrix_raft.machine import codec, evolve, firing, schedules
from orchestrix_raft.machine.commands import (
    CancelJobs,
    Enqueue,
    FireSchedule,
    PauseSchedule,
    PutSchedule,
    ResumeSchedule,
    RetryJobs,
    ScheduleResult,
    TriggerSchedule,
)
from orchestrix_raft.machine.events import ScheduleAdvanced, SlotFired, SlotSkipped
from orchestrix_raft.machine.memory import MemoryStore
from tests.scenarios.driver import WALL_START_MS, Driver
from tests.scenarios.scheduling import interval, plans, scan, template


def made(spec: ScheduleSpec) -> Driver:
    """A driver with one schedule whose first slot is planned."""
    driver = Driver()
    driver.do(PutSchedule(b"", spec))
    scan(driver)
    return driver


def the(driver: Driver, schedule_id: str = "s") -> Schedule:
    return driver.machine.state.schedules[schedule_id]


def due_plan(spec: ScheduleSpec, late_ms: int = 10_000) -> tuple[Driver, FireSchedule]:
    driver = made(spec)
    driver.elapsed_ms += late_ms
    driver.wall_ms += late_ms
    (plan,) = plans(driver.machine.state, driver.wall_ms)
    return driver, plan


@pytest.mark.parametrize(
    "change",
    [
        {"incarnation": 99},
        {"version": 2},
        {"seen_ms": UNPLANNED},
        {"slots": ()},
        {"slots": (Slot(WALL_START_MS + 9_999),)},
        {"slots": (Slot(WALL_START_MS + 20_000),)},
        {"slots": (Slot(WALL_START_MS + 10_000), Slot(WALL_START_MS + 10_000))},
        {"slots": (Slot(WALL_START_MS + 10_000, -1),)},
        {"slots": (Slot(WALL_START_MS + 10_000, skipped="overlap"),)},
        {"slots": (Slot(WALL_START_MS + 10_000, trigger=1),)},
        {"next_slot_ms": WALL_START_MS + 10_000},
        {"next_slot_ms": WALL_START_MS + 20_001},
        {"due_ms": WALL_START_MS + 20_001},
        {"due_ms": WALL_START_MS + 19_999},
        {"next_slot_ms": NO_SLOT},
    ],
    ids=str,
)
def test_a_plan_that_does_not_fit_changes_nothing(change: dict[str, object]) -> None:
    driver, plan = due_plan(interval())
    before = codec.encode_record(the(driver))
    result = driver.do(replace(plan, **change))
    assert isinstance(result, Rejected)
    assert result.reason in ("PLAN_STALE", "PLAN_INVALID")
    assert not driver.events
    assert codec.encode_record(the(driver)) == before
    assert driver.do(plan) is None
    assert the(driver).fired == 1


def test_a_plan_may_not_do_what_the_misfire_policy_forbids() -> None:
    late = Slot(WALL_START_MS + 10_000)
    for misfire, slots, words in (
        (Misfire.LATEST, (late, Slot(WALL_START_MS + 20_000)), "2 runs at once"),
        (Misfire.SKIP, (late,), "too long ago"),
        (Misfire.ALL, (Slot(WALL_START_MS + 20_000, 1),), "stands for others"),
    ):
        driver, plan = due_plan(interval(misfire=misfire), 25_000)
        result = driver.do(replace(plan, slots=slots, next_slot_ms=WALL_START_MS + 30_000))
        assert isinstance(result, Rejected)
        assert words in result.message


def test_a_one_shot_fires_at_its_time_or_not_at_all() -> None:
    spec = replace(interval(), timing=OneShotSchedule(WALL_START_MS + 10_000))
    driver, plan = due_plan(spec)
    result = driver.do(replace(plan, next_slot_ms=WALL_START_MS + 10_001, due_ms=WALL_START_MS + 10_001))
    assert isinstance(result, Rejected)
    assert driver.do(plan) is None
    assert the(driver).word == "finished"


def test_at_the_cap_of_unfinished_jobs_a_slot_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_JOBS", 2)
    driver, plan = due_plan(interval(misfire=Misfire.ALL, overlap=Overlap.ALLOW), 35_000)
    driver.enqueue("a")
    result = driver.do(plan)
    assert isinstance(result, Rejected)
    assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "LIVE_JOBS_LIMIT")
    assert [event.slot.slot_ms for event in driver.events if isinstance(event, SlotFired)] == [
        WALL_START_MS + 10_000
    ]
    assert the(driver).next_slot_ms == the(driver).due_ms == WALL_START_MS + 20_000
    assert isinstance(driver.do(TriggerSchedule(b"", "s")), Rejected)
    (held,) = scan(driver)
    assert isinstance(driver.events, list)
    assert not driver.events, "there is still no room, and nothing moves"
    driver.cancel("a")
    driver.do(held)
    assert [type(event) for event in driver.events[1:]] == [SlotFired, ScheduleAdvanced]
    assert the(driver).next_slot_ms == WALL_START_MS + 30_000


def test_missed_slots_beyond_a_hundred_are_skipped_together() -> None:
    driver = made(interval(period_ms=1_000, misfire=Misfire.ALL, overlap=Overlap.ALLOW))
    driver.tick(250_000)
    scan(driver)
    fired = [event.slot for event in driver.events if isinstance(event, SlotFired)]
    assert [slot.slot_ms for slot in fired] == [WALL_START_MS + n * 1_000 for n in range(1, 101)]
    skipped = [event.slot for event in driver.events if isinstance(event, SlotSkipped)]
    assert skipped == [Slot(WALL_START_MS + 250_000, 149, "misfire_limit")]
    assert the(driver).next_slot_ms == WALL_START_MS + 251_000


def test_a_buffer_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUFFERED_SLOTS", 3)
    driver = made(interval(misfire=Misfire.ALL, overlap=Overlap.BUFFER_ALL))
    driver.tick(60_000)
    scan(driver)
    assert len(the(driver).buffered) == 3
    assert (the(driver).skipped, the(driver).last_skip) == (2, "buffer_full")


def test_a_run_whose_id_is_taken_is_skipped_and_the_schedule_goes_on() -> None:
    driver, plan = due_plan(interval())
    job_id = run_id("s", the(driver).incarnation, WALL_START_MS + 10_000)
    driver.do(Enqueue((JobSpec(job_id, "t", "default", b"{}"),)))
    driver.do(plan)
    assert the(driver).last_skip == "job_exists"
    assert the(driver).next_slot_ms == WALL_START_MS + 20_000
    driver.do(CancelJobs(b"", (job_id,), ""))
    assert the(driver).last_outcome == "", "it was no run of the schedule"


def test_there_are_only_so_many_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCHEDULES", 1)
    driver = made(interval())
    result = driver.do(PutSchedule(b"", interval("t")))
    assert isinstance(result, Rejected)
    assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "SCHEDULES_LIMIT")
    assert isinstance(driver.do(PutSchedule(b"", interval(period_ms=5_000))), ScheduleResult)


def test_a_request_sent_again_gets_its_answer_and_changes_nothing() -> None:
    driver = made(interval())
    first = driver.do(TriggerSchedule(b"r", "s"))
    assert isinstance(first, ScheduleResult)
    assert first.word == "fired"
    assert driver.do(TriggerSchedule(b"r", "s")) == first
    assert not driver.events
    assert the(driver).triggers == 1
    driver.machine.load(driver.store.pairs)
    assert driver.do(TriggerSchedule(b"r", "s")) == first
    reused = driver.do(CancelJobs(b"r", (), ""))
    assert isinstance(reused, Rejected)
    assert reused.reason == "REQUEST_ID_REUSED"
    long = driver.do(TriggerSchedule(b"r" * 65, "s"))
    assert isinstance(long, Rejected)


def test_a_bug_in_deciding_a_plan_pauses_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, plan = due_plan(interval())
    with monkeypatch.context() as patch:
        patch.setattr(firing, "decide_slot", lambda *_: 1 // 0)
        result = driver.do(plan)
    assert isinstance(result, Rejected)
    assert result.code is Code.INTERNAL
    assert [type(fault) for fault in driver.applied.faults] == [ZeroDivisionError]
    assert (the(driver).paused, the(driver).fired) == (True, 0)
    assert "ZeroDivisionError" in the(driver).reason
    assert not plans(driver.machine.state, driver.wall_ms), "it is not planned again and again"


def test_a_bug_in_deciding_what_follows_a_run_pauses_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, plan = due_plan(interval())
    driver.do(plan)
    monkeypatch.setattr(firing, "decide_after_run", lambda *_: 1 // 0)
    driver.cancel("s@10s")
    assert the(driver).paused


def test_a_bug_in_deciding_a_command_of_a_user_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = made(interval())
    monkeypatch.setattr(schedules, "decide_pause", lambda *_: 1 // 0)
    result = driver.do(PauseSchedule(b"", "s", ""))
    assert isinstance(result, Rejected)
    assert result.code is Code.INTERNAL
    assert not the(driver).paused


def test_a_bug_in_evolving_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrix_raft.machine import schedule_items

    driver, plan = due_plan(interval())
    broken = {**evolve.EVOLVE, SlotFired: lambda *_: 1 // 0}
    monkeypatch.setattr(schedule_items, "EVOLVE", MappingProxyType(broken))
    with pytest.raises(ZeroDivisionError):
        driver.do(plan)


@pytest.mark.parametrize("fault", [MemoryError, RecursionError])
def test_faults_of_this_node_stop_it(monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]) -> None:
    def raising(*_: object) -> None:
        raise fault

    driver, plan = due_plan(interval())
    monkeypatch.setattr(firing, "decide_slot", raising)
    with pytest.raises(fault):
        driver.do(plan)


def test_a_rebuilt_machine_knows_what_is_due_and_which_runs_are_active() -> None:
    driver = made(interval(overlap=Overlap.BUFFER_ONE))
    driver.do(PutSchedule(b"", interval("t", 7_000)))
    scan(driver)
    driver.tick(10_000)
    scan(driver)
    driver.tick(10_000)
    before = plans(driver.machine.state, driver.wall_ms)
    runs = driver.machine.state.book.runs
    store = driver.store.copy()
    rebuilt = type(driver.machine)(store, MemoryStore())
    rebuilt.load(store.pairs)
    assert plans(rebuilt.state, driver.wall_ms) == before
    assert rebuilt.state.book.runs == runs
    assert rebuilt.state.book.first_due_ms(rebuilt.state.schedules) == WALL_START_MS + 14_000


def test_an_interval_counts_from_its_anchor_its_start_or_its_creation() -> None:
    for timing, fields, expected in (
        (IntervalSchedule(10_000), {}, 10_000),
        (IntervalSchedule(10_000, WALL_START_MS - 3_000), {}, 7_000),
        (IntervalSchedule(10_000), {"start_ms": WALL_START_MS + 4_000}, 4_000),
        (IntervalSchedule(10_000, WALL_START_MS + 25_000), {}, 25_000),
    ):
        driver = made(ScheduleSpec("s", timing, template(), **fields))  # type: ignore[arg-type]
        assert the(driver).next_slot_ms == WALL_START_MS + expected


def test_active_runs_are_told_by_slot_whatever_the_order_in_which_they_began_to_live() -> None:
    driver = made(interval(overlap=Overlap.ALLOW))
    for _ in range(2):
        driver.tick(10_000)
        scan(driver)
    runs = driver.machine.state.book.active("s")
    assert len(runs) == 2
    driver.do(CancelJobs(b"", (runs[0],), ""))
    driver.do(RetryJobs(b"", (runs[0],)))
    assert driver.machine.state.book.active("s") == runs


def test_a_plan_made_before_a_change_is_refused_although_the_slot_is_the_same() -> None:
    driver = made(interval())
    (before,) = plans(driver.machine.state, WALL_START_MS + 10_000)
    driver.do(PutSchedule(b"", interval(overlap=Overlap.ALLOW)))
    scan(driver)
    assert the(driver).next_slot_ms == before.seen_ms
    driver.tick(10_000)
    driver.do_unnumbered(before)
    assert driver.events == []


def test_a_plan_that_names_a_slot_twice_is_refused() -> None:
    driver, plan = due_plan(interval(misfire=Misfire.ALL))
    driver.do_unnumbered(replace(plan, slots=plan.slots * 2))
    assert driver.events == []
    driver.do_unnumbered(plan)
    assert any(isinstance(event, SlotFired) for event in driver.events)


def test_the_jitter_of_a_slot_does_not_make_it_late() -> None:
    spec = interval(period_ms=3_600_000, misfire=Misfire.SKIP, jitter_ms=9_000)
    driver, plan = due_plan(spec, 3_600_000 + spec.jitter_ms + limits.MISFIRE_GRACE_MS)
    assert [slot.skipped for slot in plan.slots] == [""]
    driver.do_unnumbered(plan)
    assert any(isinstance(event, SlotFired) for event in driver.events)


def test_a_plan_for_a_time_that_is_none_of_its_interval_is_refused() -> None:
    driver, plan = due_plan(interval(), 15_000)
    driver.do_unnumbered(replace(plan, slots=(Slot(WALL_START_MS + 10_001),)))
    assert driver.events == []


def test_slots_in_the_buffer_count_among_the_runs_that_a_schedule_may_have() -> None:
    driver = made(interval(max_runs=2, overlap=Overlap.BUFFER_ALL))
    for _ in range(4):
        driver.tick(10_000)
        scan(driver)
    assert (the(driver).fired, len(the(driver).buffered), the(driver).next_slot_ms) == (1, 1, NO_SLOT)


def test_a_slot_in_the_buffer_waits_for_the_last_of_several_active_runs() -> None:
    driver = made(interval(overlap=Overlap.ALLOW))
    for overlap in (Overlap.ALLOW, Overlap.BUFFER_ONE, Overlap.BUFFER_ONE):
        driver.tick(10_000)
        scan(driver)
        driver.do(PutSchedule(b"", interval(overlap=overlap)))
        scan(driver)
    first, second = driver.machine.state.book.active("s")
    assert len(the(driver).buffered) == 1
    driver.do(CancelJobs(b"", (first,), ""))
    assert len(the(driver).buffered) == 1
    driver.do(CancelJobs(b"", (second,), ""))
    assert the(driver).buffered == ()


def test_no_run_is_told_to_stop_for_a_slot_that_there_is_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = made(interval(overlap=Overlap.CANCEL_RUNNING))
    driver.attach("w")
    driver.tick(10_000)
    scan(driver)
    monkeypatch.setattr(limits, "LIVE_JOBS", 1)
    driver.tick(10_000)
    scan(driver)
    assert driver.events == []
    assert driver.job("s@10s").stop is None


def test_missed_slots_are_made_up_for_up_to_the_number_of_runs_that_a_schedule_may_have() -> None:
    spec = interval(max_runs=2, misfire=Misfire.ALL, overlap=Overlap.ALLOW)
    driver, plan = due_plan(spec, 40_000)
    assert len(plan.slots) == 4
    driver.do_unnumbered(plan)
    assert (the(driver).fired, the(driver).next_slot_ms) == (2, NO_SLOT)


def test_a_trigger_ends_the_runs_that_it_supersedes() -> None:
    driver = made(interval(overlap=Overlap.CANCEL_RUNNING))
    driver.tick(10_000)
    scan(driver)
    result = driver.do(TriggerSchedule(b"", "s"))
    assert isinstance(result, ScheduleResult)
    assert result.word == "fired"
    assert driver.job("s@10s").state is JobState.CANCELLED


def test_failures_before_a_pause_do_not_count_after_it() -> None:
    driver = made(interval(pause_on_failure=2))
    driver.attach("w")
    for slot in ("s@10s", "s@20s"):
        driver.tick(10_000)
        scan(driver)
        driver.fail(slot)
        assert not the(driver).paused
        driver.do(PauseSchedule(b"", "s", "by hand"))
        driver.do(ResumeSchedule(b"", "s"))
        scan(driver)


def test_skipped_slots_are_counted_one_by_one() -> None:
    driver, plan = due_plan(interval(misfire=Misfire.SKIP), 30_000)
    driver.do_unnumbered(plan)
    assert (the(driver).fired, the(driver).skipped) == (1, 2)


def test_triggers_that_wait_in_the_buffer_become_runs_of_their_own() -> None:
    driver = made(interval(overlap=Overlap.BUFFER_ALL))
    driver.attach("w")
    for word in ("fired", "buffered", "buffered"):
        result = driver.do(TriggerSchedule(b"", "s"))
        assert isinstance(result, ScheduleResult)
        assert result.word == word
    for run in ("s!1", "s!2", "s!3"):
        driver.complete(run)
    assert the(driver).buffered == ()
