"""What holds a job, where the scenarios do not go: nodes that drain, handlers that hang."""

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.machine.commands import DrainNode
from orchestrix_raft.machine.explain import Reason, blocked_by
from tests.scenarios.driver import Driver, job


def slots_and_stuck(driver: Driver, name: str) -> tuple[object, object]:
    """Of what holds a new job."""
    driver.enqueue(name)
    (held,) = blocked_by(driver.machine.state, driver.job(name))
    assert held.code == "workers_full"
    return held.facts["slots"], held.facts["stuck"]


def test_workers_at_a_draining_node_take_nothing() -> None:
    driver = Driver()
    driver.attach("w")
    driver.do(DrainNode("n0", driver.machine.state.nodes["n0"].incarnation, False))
    driver.enqueue("a")
    held = blocked_by(driver.machine.state, driver.job("a"))
    assert held == [Reason("workers_draining", {"queue": "default", "workers": 1})]


def test_a_handler_is_stuck_whose_job_has_ended_waits_again_or_runs_elsewhere() -> None:
    driver = Driver()
    driver.attach("w", capacity=2)
    driver.enqueue(job("a", timeout_ms=1_000), job("b", timeout_ms=1_000))
    driver.cancel("b")
    driver.tick(1_000)
    driver.tick(limits.FORCED_END_MS)
    assert (driver.job("a").state, driver.job("b").state) == (JobState.SCHEDULED, JobState.CANCELLED)
    assert slots_and_stuck(driver, "c") == (2, 2)
    driver.cancel("c")
    driver.attach("x")
    driver.tick(600_000)
    assert driver.assignments() == [("a", "x")]
    assert slots_and_stuck(driver, "d") == (3, 2)
