"""The checker of histories finds faults of the product by itself: the simulator's invariants are silent."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import pytest

from orchestrix_raft.coordinator.reads import WaitingReads
from orchestrix_raft.history.checker import Report
from orchestrix_raft.machine import apply, firing, jobs, schedule_items
from orchestrix_raft.machine.commands import FireSchedule
from orchestrix_raft.machine.events import JobEnqueued
from orchestrix_raft.simulation import checks
from orchestrix_raft.simulation.checks import Checker
from orchestrix_raft.simulation.histories import SimHistory
from orchestrix_raft.simulation.run import Run

Patch = pytest.MonkeyPatch
LOST: Final = 7  # ids with this last byte are answered and not made


def drop_enqueues(patch: Patch) -> None:
    """Some jobs are acknowledged and not made."""
    decide = jobs.decide_enqueue

    def dropping(state: Any, spec: Any) -> Any:
        decided = decide(state, spec)
        made = isinstance(decided, JobEnqueued) and spec.firing is None
        return () if made and spec.job_id[-1] % 32 == LOST else decided

    patch.setattr(jobs, "decide_enqueue", dropping)


def fire_plans_twice(patch: Patch) -> None:
    """Each plan is applied twice, and nobody looks whether the schedule still stands where it was made."""
    fire = schedule_items.apply_fire

    def unchecked(state: Any, command: Any) -> Any:
        schedule = state.schedules.get(command.schedule_id)
        return firing.STALE if schedule is None or schedule.paused or not schedule.due_seq else schedule

    def twice(state: Any, command: Any, trace: Any) -> Any:
        fire(state, command, trace)
        return fire(state, command, trace)

    patch.setattr(firing, "decide_plan", unchecked)
    patch.setattr(apply, "STEPWISE", MappingProxyType({**apply.STEPWISE, FireSchedule: twice}))


def read_without_asking(patch: Patch) -> None:
    """A linearizable read is answered from what the node has."""

    def at_once(self: WaitingReads, now: float, done: Callable[[bool], None]) -> None:
        self.at(self._consensus.applied_index, now, done)

    patch.setattr(WaitingReads, "linearizable", at_once)


class Seen(Exception):
    """By the checker of histories."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fault", "mix", "seed", "check_name"),
    [
        (drop_enqueues, "calm", 1, "jobs"),
        (fire_plans_twice, "slots", 0, "slots"),
        (read_without_asking, "partition", 3, "jobs"),
    ],
)
def test_a_fault_of_the_product_is_seen_in_the_history(
    monkeypatch: Patch, fault: Callable[[Patch], None], mix: str, seed: int, check_name: str
) -> None:
    judge = SimHistory.judge

    def judge_alone(self: SimHistory, nodes: Any, violation: Callable[[str], None]) -> Any:
        def see(what: str) -> None:
            raise Seen(what)

        return judge(self, nodes, see)

    monkeypatch.setattr(SimHistory, "judge", judge_alone)
    monkeypatch.setattr(Checker, "violation", lambda self, what: None)
    monkeypatch.setattr(checks, "check", lambda machine: None)
    fault(monkeypatch)
    with pytest.raises(Seen, match=f"history: {check_name}: "):
        Run(seed, mix).go()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mix", ["crash", "slots"])
def test_a_whole_feed_decides_limits_and_slots(monkeypatch: Patch, mix: str) -> None:
    judge = SimHistory.judge
    reports: list[Report] = []

    def keep(self: SimHistory, nodes: Any, violation: Callable[[str], None]) -> Report:
        reports.append(judge(self, nodes, violation))
        return reports[-1]

    monkeypatch.setattr(SimHistory, "judge", keep)
    Run(0, mix).go()
    (report,) = reports
    assert report.executions
    assert not [one for one in report.verdicts if one.check in {"limits", "slots"} and one.undecided], report
