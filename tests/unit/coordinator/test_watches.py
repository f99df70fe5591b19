"""Whoever waits for the end of a job is woken by it, and nobody is kept for ever."""

from typing import Any

import pytest

from orchestrix_raft.coordinator.effects import Effects
from orchestrix_raft.coordinator.watches import Watches
from orchestrix_raft.domain.job import TERMINAL, JobState
from orchestrix_raft.machine.commands import DrainSession
from orchestrix_raft.machine.events import AttemptEnded, JobCancelled, JobCompleted, JobGivenUp
from tests.scenarios.driver import Driver, job, key


def test_everybody_who_waits_for_a_job_is_woken_once() -> None:
    watches, woken = Watches(), list[str]()
    watches.add(b"a", lambda: woken.append("1"))
    watches.add(b"a", lambda: woken.append("2"))
    watches.add(b"b", lambda: woken.append("3"))
    watches.finished(b"a")
    watches.finished(b"a")
    watches.finished(b"c")
    assert woken == ["1", "2"]
    assert len(watches) == 1


def test_waiters_are_counted_and_not_the_jobs_they_wait_for() -> None:
    watches = Watches()
    waiters = [lambda number=number: None for number in range(3)]
    for waiter in waiters:
        watches.add(b"a", waiter)
    assert len(watches) == 3
    watches.remove(b"a", waiters[1])
    watches.remove(b"a", waiters[1])
    assert len(watches) == 2
    watches.finished(b"a")
    watches.remove(b"a", waiters[0])
    assert len(watches) == 0


def test_one_who_goes_leaves_nothing_behind() -> None:
    watches, woken = Watches(), list[str]()

    def first() -> None:
        woken.append("first")

    def second() -> None:
        woken.append("second")

    watches.add(b"a", first)
    watches.add(b"a", second)
    watches.remove(b"a", first)
    watches.remove(b"a", first)
    watches.remove(b"b", first)
    watches.finished(b"a")
    watches.remove(b"a", second)
    assert woken == ["second"]
    assert len(watches) == 0


def test_after_a_snapshot_those_are_woken_whose_job_has_ended_or_is_gone() -> None:
    driver, watches, woken = Driver(), Watches(), list[str]()
    driver.enqueue("live", "ended")
    driver.cancel("ended")
    assert driver.job("ended").state is JobState.CANCELLED
    for name in ("live", "ended", "gone"):
        watches.add(key(name), lambda name=name: woken.append(name))  # type: ignore[misc]
    watches.state_replaced(driver.machine.find_job)
    assert woken == ["ended", "gone"]
    assert len(watches) == 1


def test_a_stopping_node_wakes_everybody() -> None:
    watches, woken = Watches(), list[str]()
    watches.add(b"a", lambda: woken.append("a"))
    watches.add(b"b", lambda: woken.append("b"))
    watches.fail_all()
    assert woken == ["a", "b"]
    assert len(watches) == 0


@pytest.mark.parametrize("end", ["complete", "cancel", "expire", "fail", "give up"])
def test_whoever_waits_hears_of_every_way_in_which_a_job_can_end(end: str) -> None:
    driver, watches, heard = Driver(), Watches(), list[str]()
    nobody: Any = None  # hears nothing of ends
    effects = Effects(nobody, watches, nobody, nobody)
    if end != "expire":
        driver.attach("w")
    driver.enqueue(job("a", retry_for_ms=5_000, expires_ms=10_000))
    watches.add(key("a"), lambda: heard.append(end))
    match end:
        case "complete":
            driver.complete("a")
        case "cancel":
            driver.do(DrainSession(key("w")))
            driver.release("a")
            driver.cancel("a")
        case "expire":
            driver.tick(10_000)
        case "fail":
            driver.fail("a", final=True)
        case _:
            driver.fail("a", retry_in_ms=1_000)
            driver.do(DrainSession(key("w")))
            driver.tick(1_000)
            driver.tick(5_000)
    assert driver.job("a").state in TERMINAL
    ends = (JobCompleted, JobCancelled, JobGivenUp, AttemptEnded)
    effects.follow([event for event in driver.events if isinstance(event, ends)], 0.0)
    assert heard == [end]
    assert not len(watches)
