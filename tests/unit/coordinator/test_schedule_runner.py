"""The leader's runner: slices, pauses, plans that were lost or refused, schedules that cannot be computed."""

import pytest

from orchestrix_raft.consensus.port import Accepted
from orchestrix_raft.coordinator.schedules import (
    BROKEN_S,
    FULL_S,
    PAUSE_S,
    REFUSED_S,
    SLICE_S,
    ScheduleRunner,
)
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.schedule import ScheduleSpec
from orchestrix_raft.duties.schedules import Evaluator
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import Command, FireSchedule, PutSchedule
from orchestrix_raft.timetable.schedule_times import evaluator_of
from tests.scenarios.driver import WALL_START_MS, Driver
from tests.scenarios.scheduling import interval


class Bench:
    """A runner over a driver's state; entries wait until `commit`."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.now = 0.0
        self.cost_s = 0.0  # of evaluating one schedule
        self.broken: Exception | None = None
        self.refuses = False  # consensus takes nothing
        self.entries: list[tuple[Command, ...]] = []
        self.runner = ScheduleRunner(lambda: self.now, self.evaluate)

    def evaluate(self, spec: ScheduleSpec, anchor_ms: int) -> Evaluator:
        self.now += self.cost_s
        if self.broken is not None and spec.schedule_id == "broken":
            raise self.broken
        return evaluator_of(spec, anchor_ms)

    def put(self, *names: str) -> None:
        for name in names:
            self.driver.do(PutSchedule(b"", interval(name)))

    def propose(self, commands: tuple[Command, ...]) -> Accepted | None:
        if self.refuses:
            return None
        self.entries.append(commands)
        return Accepted(self.driver.index + len(self.entries), 1)

    def step(self) -> list[str]:
        """One step; the schedules planned by it."""
        known = len(self.entries)
        self.runner.step(self.driver.machine.state, self.driver.wall_ms, self.driver.index, self.propose)
        return [one.schedule_id for e in self.entries[known:] for one in e if isinstance(one, FireSchedule)]

    def commit(self) -> None:
        for commands in self.entries:
            self.driver.apply(codec.unnumbered(*commands))
        self.entries.clear()

    def settle(self) -> None:
        """Until nothing is left to do."""
        while self.step():
            self.commit()
            self.now += 1.0

    @property
    def wait_s(self) -> float:
        return self.runner.due_in_s(self.driver.machine.state, self.driver.wall_ms)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_proposed_while_nothing_is_due(bench: Bench) -> None:
    assert bench.step() == []
    assert bench.wait_s == float("inf")
    bench.put("a")
    bench.settle()
    assert bench.wait_s == pytest.approx(10.0)
    assert not bench.runner.busy


def test_what_is_under_way_is_not_planned_again(bench: Bench) -> None:
    bench.put("a", "b")
    assert bench.step() == ["a", "b"]
    assert bench.runner.busy, "the entry is to be sent at once"
    assert bench.step() == []
    assert bench.wait_s == float("inf"), "what wakes the node is the commit"
    bench.commit()
    assert bench.step() == []
    assert bench.wait_s > 1.0


def test_an_entry_holds_so_many_runs_and_then_others_have_their_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FIRES_PER_ENTRY", 2)
    bench.put("a", "b", "c")
    assert bench.step() == ["a", "b"]
    bench.commit()
    assert bench.step() == []
    assert bench.wait_s == pytest.approx(PAUSE_S)
    bench.now += PAUSE_S
    assert bench.step() == ["c"]


def test_planning_takes_only_so_long_in_one_step(bench: Bench) -> None:
    bench.cost_s = SLICE_S / 2
    bench.put("a", "b", "c", "d")
    assert len(bench.step()) == 3


def test_a_lost_entry_is_planned_again_by_the_next_reign(bench: Bench) -> None:
    bench.put("a")
    bench.step()
    bench.entries.clear()
    assert bench.step() == []
    bench.runner.lead()
    assert bench.step() == ["a"]


def test_what_consensus_refuses_is_offered_again(bench: Bench) -> None:
    bench.put("a")
    bench.refuses = True
    assert bench.step() == []
    bench.refuses = False
    assert bench.step() == ["a"]


def test_a_plan_without_effect_is_not_made_again_at_once(bench: Bench) -> None:
    bench.put("a", "b")
    bench.step()
    spoilt = bench.entries.pop()
    bench.driver.apply(codec.unnumbered(spoilt[1]))
    assert bench.step() == []
    assert 0.0 < bench.wait_s <= REFUSED_S
    bench.now += REFUSED_S
    assert bench.step() == ["a"]


def test_a_schedule_that_cannot_be_computed_does_not_stop_the_others(bench: Bench) -> None:
    bench.put("broken", "a")
    bench.broken = ValueError("no such time zone")
    assert bench.step() == ["a"]
    assert bench.runner.problems(bench.driver.machine.state) == [
        "schedule broken does not fire: no such time zone"
    ]
    assert bench.runner.taken_faults() == [], "not a bug: the node's zones may be older"
    bench.commit()
    assert bench.step() == []
    assert 1.0 < bench.wait_s <= BROKEN_S, "and does not keep the node busy"
    bench.broken = None
    bench.now += BROKEN_S
    assert bench.step() == ["broken"]
    assert bench.runner.problems(bench.driver.machine.state) == []


def test_a_bug_of_an_evaluator_is_told_once(bench: Bench) -> None:
    bench.put("broken")
    bench.broken = ZeroDivisionError("oh")
    bench.step()
    bench.now += BROKEN_S
    bench.step()
    assert bench.runner.taken_faults() == [bench.broken]
    assert bench.runner.taken_faults() == []


def test_many_problems_are_counted(bench: Bench) -> None:
    def evaluate(spec: ScheduleSpec, anchor_ms: int) -> Evaluator:
        raise ValueError("no")

    bench.put(*(f"s{n}" for n in range(8)))
    bench.runner = ScheduleRunner(lambda: bench.now, evaluate)
    bench.step()
    problems = bench.runner.problems(bench.driver.machine.state)
    assert len(problems) == 6
    assert problems[-1] == "3 more schedules do not fire"


def test_without_room_for_runs_nothing_is_planned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put("a")
    bench.settle()
    bench.driver.tick(10_000)
    bench.driver.enqueue("x", "y")
    monkeypatch.setattr(limits, "LIVE_JOBS", 2)
    assert bench.step() == []
    assert bench.wait_s == pytest.approx(FULL_S)
    bench.driver.cancel("x")
    bench.now += FULL_S
    assert bench.step() == ["a"]
    bench.commit()
    assert bench.driver.machine.state.schedules["a"].fired == 1


def test_slots_are_fired_as_time_goes_on(bench: Bench) -> None:
    bench.put("a")
    bench.settle()
    for _ in range(3):
        bench.driver.tick(10_000)
        bench.settle()
        bench.driver.cancel(f"a@{bench.driver.elapsed_ms // 1_000}s")
    assert bench.driver.machine.state.schedules["a"].fired == 3
    assert bench.driver.machine.state.schedules["a"].next_slot_ms == WALL_START_MS + 40_000
