"""Commands about handing over name what they saw, and are refused when that has changed."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import (
    Command,
    DetachSession,
    DrainNode,
    ExpireSession,
    Move,
    MoveSessions,
    ResumeSession,
    UndrainNode,
)
from orchestrix_raft.machine.invariants import check
from tests.scenarios.driver import Driver, key


@pytest.fixture
def driver() -> Driver:
    """A worker w at n0; n1 and n2 are there."""
    driver = Driver()
    driver.attach("w")
    driver.start_node("n1")
    driver.start_node("n2")
    return driver


def reason(driver: Driver, command: Command) -> str:
    result = driver.do(command)
    assert isinstance(result, Rejected)
    assert driver.events == []
    return result.reason


def test_a_drain_is_meant_for_one_process(driver: Driver) -> None:
    former = driver.machine.state.nodes["n1"].incarnation
    present = driver.start_node("n1", boot="again")
    assert reason(driver, DrainNode("n1", former, False)) == "INCARNATION_OVER"
    driver.do(DrainNode("n1", present, False))
    assert reason(driver, UndrainNode("n1", former)) == "INCARNATION_OVER"
    assert driver.machine.state.nodes["n1"].drain is not None


def test_a_worker_that_has_moved_meanwhile_is_not_told_to_move(driver: Driver) -> None:
    driver.do(ResumeSession(key("w"), "n1", 1))
    driver.do(MoveSessions((Move(key("w"), 1, "n2"),)))
    assert driver.events == []
    driver.do(MoveSessions((Move(key("w"), 2, "n2"),)))
    assert len(driver.events) == 1


def test_an_entry_tells_a_bounded_number_of_workers(driver: Driver) -> None:
    moves = (Move(key("w"), 1, "n1"),) * limits.HANDOFFS_AT_ONCE
    assert reason(driver, MoveSessions((*moves, Move(key("w"), 1, "n2")))) == "TOO_MANY_MOVES"
    driver.do(MoveSessions(moves))
    assert len(driver.events) == 1


def test_a_session_that_was_resumed_since_is_no_orphan(driver: Driver) -> None:
    driver.do(DetachSession(key("w"), 1))
    driver.do(ResumeSession(key("w"), "n1", 1))
    assert reason(driver, ExpireSession(key("w"), 1)) == "SESSION_MOVED"
    driver.do(DetachSession(key("w"), 2))
    assert reason(driver, ExpireSession(key("w"), 2)) == "SESSION_NOT_ORPHANED"


def test_a_rebuilt_machine_gives_a_draining_node_nothing(driver: Driver) -> None:
    driver.do(DrainNode("n0", driver.machine.state.nodes["n0"].incarnation, False))
    rebuilt = Machine(driver.store, driver.store)
    rebuilt.load(driver.store.pairs)
    check(rebuilt)
    driver.machine = rebuilt
    driver.enqueue("a")
    assert driver.assignments() == []


def test_what_a_worker_takes_along_is_counted_by_its_jobs() -> None:
    driver = Driver()
    driver.start_node("n1")
    for name in ("w", "v"):
        driver.attach(name, capacity=2)
    driver.enqueue("a", "b", "c", "d")
    driver.do(DrainNode("n0", driver.machine.state.nodes["n0"].incarnation, False))
    driver.do(ResumeSession(key("w"), "n1", 1))
    driver.do(DetachSession(key("v"), 1))
    drain = driver.machine.state.nodes["n0"].drain
    assert drain is not None
    assert (drain.acknowledged, drain.acknowledged_jobs) == (1, 2)
    assert (drain.orphaned, drain.orphaned_jobs) == (1, 2)
