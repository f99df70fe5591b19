"""The registry of owners: what it reads off sessions and slots, and that its readings are bounded."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.machine.commands import DetachSession, ResumeSession
from orchestrix_raft.machine.ownership import JobAssignment, JobOwnershipRegistry, weight
from tests.scenarios.driver import Driver, job, key


@pytest.fixture
def driver() -> Driver:
    """w1 at n0 runs a and c, w2 at n1 runs b."""
    driver = Driver()
    driver.start_node("n1")
    driver.attach("w1", capacity=2)
    driver.attach("w2", "n1", capacity=1)
    driver.enqueue("a", "b", "c")
    return driver


def assignment(driver: Driver, name: str, worker: str, owner: str) -> JobAssignment:
    return JobAssignment(key(name), driver.job(name).token, key(worker), owner)


def test_by_owner_and_by_worker(driver: Driver) -> None:
    registry = JobOwnershipRegistry(driver.machine.state)
    a, c = (assignment(driver, name, "w1", "n0") for name in "ac")
    assert registry.of_owner("n0", 10) == [a, c]
    assert registry.of_owner("n0", 1) == [a]
    assert registry.of_owner("n0", 0) == registry.of_owner("nowhere", 10) == []
    assert registry.of_worker(key("w2"), 10) == [assignment(driver, "b", "w2", "n1")]
    assert registry.of_worker(key("w1"), 1) == [a]
    assert registry.of_worker(key("nobody"), 10) == []
    assert [registry.load(node) for node in ("n0", "n1", "nowhere")] == [3, 2, 0]


def test_ownership_moves_with_the_session_and_ends_with_the_job(driver: Driver) -> None:
    registry = JobOwnershipRegistry(driver.machine.state)
    driver.do(ResumeSession(key("w1"), "n1", 1))
    assert {one.owner for one in registry.of_worker(key("w1"), 10)} == {"n1"}
    assert len(registry.of_owner("n1", 10)) == 3
    assert driver.job("a").owner == "n1"
    driver.complete("a")
    driver.cancel("b")  # told to stop: its slot is still taken
    assert registry.load("n1") == 4
    driver.do(DetachSession(key("w1"), 2))
    assert registry.of_worker(key("w1"), 10) == [assignment(driver, "c", "w1", "")]
    assert registry.load("n1") == 2


def test_the_slot_of_a_hung_handler_is_no_assignment_of_the_job_that_runs_again() -> None:
    driver = Driver()
    driver.attach("w", capacity=2)
    driver.enqueue(job("a", timeout_ms=1_000))
    driver.tick(1_000)
    driver.tick(limits.FORCED_END_MS)
    driver.tick(600_000)
    assert driver.assignments() == [("a", "w")]
    registry = JobOwnershipRegistry(driver.machine.state)
    assert registry.of_worker(key("w"), 10) == [assignment(driver, "a", "w", "n0")]
    assert registry.load("n0") == 3
    assert weight(driver.machine.state.sessions[key("w")]) == 3
