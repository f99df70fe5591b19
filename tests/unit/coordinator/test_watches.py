"""Whoever waits for the end of a job is woken by it, and nobody is kept for ever."""

from orchestrix_raft.coordinator.watches import Watches
from orchestrix_raft.domain.job import JobState
from tests.scenarios.driver import Driver, key


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
