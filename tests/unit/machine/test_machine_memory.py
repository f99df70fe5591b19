"""What waits for long costs little memory, and the garbage collector nothing."""

import gc

import pytest

from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine import sharing
from orchestrix_raft.machine.apply import Machine
from tests.scenarios.driver import Driver, job


@pytest.fixture(params=["as applied", "as loaded"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """Two delayed jobs and one whose time on the wall is to come."""
    driver = Driver()
    for name in ("a", "b"):
        driver.enqueue(job(name, delay_ms=1_000, retry=RetryPolicy(7, 7_000)))
    driver.enqueue(job("c", run_at_ms=driver.wall_ms + 1_000, retry=RetryPolicy(7, 7_000)))
    if request.param == "as applied":
        return driver.machine
    loaded = Machine(driver.store, driver.store)
    loaded.load(driver.store.pairs)
    return loaded


def test_delayed_jobs_share_names_and_policy(machine: Machine) -> None:
    first, *others = (one.spec for one in machine.state.jobs.values())
    for spec in others:
        assert spec.type is first.type
        assert spec.queue is first.queue
        assert spec.retry is first.retry


def test_delayed_jobs_are_no_matter_of_the_garbage_collector(machine: Machine) -> None:
    gc.collect()  # which lets go of what it need not follow
    state = machine.state
    waiting = [*state.jobs.values(), *state.elapsed_timers, *state.wall_timers]
    assert len(waiting) == 6
    assert not any(gc.is_tracked(one) for one in waiting)


def test_jobs_that_wait_for_a_worker_are_none_either() -> None:
    """What is followed is a part for some hundred of them."""
    driver = Driver()
    for part in range(5):
        driver.enqueue(*(job(f"{part}-{number}") for number in range(1_000)))
    gc.collect()
    state = driver.machine.state
    (lane,) = state.board.lanes.values()
    blocks = lane.rows._rows[0]
    assert len(blocks) == -(-5_000 // 512)
    waiting = [state.jobs, *state.jobs.values(), *(block.items for block in blocks)]
    assert not any(gc.is_tracked(one) for one in waiting)


def test_of_names_and_policies_that_differ_a_bounded_number_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sharing, "_KNOWN", 10)
    shared = sharing.Sharing()
    for number in range(100):
        spec = job(f"{number}", type=f"t{number}", queue=f"q{number}", retry=RetryPolicy(7, number + 1))
        shared.share(spec)
        assert (spec.type, spec.queue, spec.retry.delay_ms) == (f"t{number}", f"q{number}", number + 1)
        assert len(shared._names) <= 11
        assert len(shared._policies) <= 10
