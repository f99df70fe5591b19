"""Which job goes to which worker, and what the index behind it costs and keeps."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import Job
from orchestrix_raft.machine import board as board_module
from orchestrix_raft.machine import heap as heap_module
from orchestrix_raft.machine import rows as rows_module
from orchestrix_raft.machine.board import Lane, Pool, SeatItem
from orchestrix_raft.machine.commands import DetachSession, Enqueue, ResumeSession
from orchestrix_raft.machine.rows import ReadyItem
from tests.scenarios.driver import Driver, job, key


def test_all_jobs_of_a_command_stand_in_line_before_one_is_assigned() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("low", priority=1), job("high", priority=9, queue="default"))
    assert driver.assignments() == [("high", "w")]


def test_a_batch_of_commands_is_dispatched_command_by_command() -> None:
    driver = Driver()
    driver.attach("w")
    low, high = Enqueue((job("low", priority=1),)), Enqueue((job("high", priority=9),))
    driver.apply(driver.batch(low, high))
    assert driver.assignments() == [("low", "w")]


def test_longest_idle_first_among_equally_loaded_workers() -> None:
    driver = Driver()
    for name in ("v", "w", "x"):
        driver.attach(name)
    driver.enqueue("a", "b", "c")
    assert driver.assignments() == [("a", "v"), ("b", "w"), ("c", "x")]
    for name in ("c", "a", "b"):  # when a job ended does not matter, when it was assigned does
        driver.complete(name)
    driver.enqueue("d", "e", "f")
    assert driver.assignments() == [("d", "v"), ("e", "w"), ("f", "x")]


def test_the_share_of_used_slots_decides_not_their_number() -> None:
    driver = Driver()
    driver.attach("small", capacity=2)
    driver.attach("large", capacity=10)
    driver.enqueue(*"abcdef")
    assert [worker for _, worker in driver.assignments()] == [
        "small",
        "large",
        "large",
        "large",
        "large",
        "large",
    ]
    driver.enqueue("g")
    assert driver.assignments() == [("g", "small")]


def test_a_worker_chooses_over_all_its_lanes_by_priority_then_order() -> None:
    driver = Driver()
    driver.enqueue(
        job("a", queue="x"),
        job("b", queue="y", priority=5),
        job("c", queue="y", labels=("l",)),
        job("d", queue="x"),
    )
    driver.attach("w", queues=("x", "y"), capacity=4, labels=("l", "m"))
    assert [name for name, _ in driver.assignments()] == ["b", "a", "c", "d"]


def test_detached_and_draining_workers_get_nothing_and_resumed_ones_at_once() -> None:
    driver = Driver()
    driver.attach("w")
    driver.do(DetachSession(key("w"), 1))
    driver.enqueue("a")
    assert driver.assignments() == []
    driver.do(ResumeSession(key("w"), "n0", 1))
    assert driver.assignments() == [("a", "w")]


def test_jobs_that_cannot_run_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog of another queue and of other labels costs nothing."""
    driver = Driver()
    driver.enqueue(*(job(f"x{n}", queue="blocked", priority=9) for n in range(300)))
    driver.enqueue(*(job(f"y{n}", labels=("gpu",), priority=9) for n in range(300)))
    driver.attach("w")
    looked: list[object] = []
    first = Lane.first

    def counting(lane: Lane, jobs: dict[bytes, Job]) -> ReadyItem | None:
        looked.append(lane.key)
        return first(lane, jobs)

    monkeypatch.setattr(Lane, "first", counting)
    driver.enqueue("a")
    assert driver.assignments() == [("a", "w")]
    assert set(looked) == {("default", ())}


def test_an_assignment_looks_at_few_of_many_different_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker has a label of its own, so each is a pool; an assignment must not walk over them."""
    driver = Driver()
    for n in range(100):
        driver.attach(f"w{n}", labels=(f"host-{n:03}",), capacity=2)
    driver.enqueue("first")
    looked: list[object] = []
    first = Pool.first

    def counting(pool: Pool) -> SeatItem | None:
        looked.append(pool.key)
        return first(pool)

    monkeypatch.setattr(Pool, "first", counting)
    monkeypatch.setattr("tests.scenarios.driver.check", lambda machine: None)
    driver.enqueue(*(f"a{n}" for n in range(50)))
    assert [worker for _, worker in driver.assignments()] == [f"w{n}" for n in range(1, 51)]
    assert len(looked) <= 3 * 50


def test_empty_lanes_are_dropped_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EMPTY_LANES", 3)
    driver = Driver()
    driver.attach("w", queues=[f"q{n}" for n in range(9)], capacity=20)
    board = driver.machine.state.board
    for n in range(9):
        driver.enqueue(job(f"a{n}", queue=f"q{n}"))
        assert driver.assignments() == [(f"a{n}", "w")]
        assert len(board.lanes) <= 3
    (pool,) = board.pools.values()
    assert len(pool.lanes) <= 3
    driver.enqueue(job("again", queue="q5"))
    assert driver.assignments() == [("again", "w")]


def test_a_pool_ends_with_its_last_session() -> None:
    driver = Driver()
    driver.attach("w")
    driver.attach("v", labels=("l",))
    driver.do(DetachSession(key("w"), 1))
    driver.tick(limits.SESSION_DEADLINE_MS)
    board = driver.machine.state.board
    assert list(board.pools) == [(("default",), ("l",))]
    driver.enqueue("a")
    assert driver.assignments() == [("a", "v")]


def test_heaps_stay_in_proportion_to_what_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "_SLACK", 4)
    monkeypatch.setattr(heap_module, "_SLACK", 4)
    monkeypatch.setattr(rows_module, "_SLACK", 4)
    driver = Driver()
    driver.attach("w", capacity=3)
    driver.attach("v", capacity=3, labels=("l",))
    driver.enqueue(job("first due", timeout_ms=3_000_000))
    for n in range(60):
        driver.enqueue(job(f"a{n}", timeout_ms=3_600_000))
        driver.complete(f"a{n}")
        driver.enqueue(job(f"b{n}", queue="unserved"))
        driver.cancel(f"b{n}")
    state = driver.machine.state
    assert len(state.elapsed_timers) <= 6
    assert all(len(pool.seats) <= 8 for pool in state.board.pools.values())
    assert all(len(lane.offers) <= 10 for lane in state.board.lanes.values())
    assert all(lane.rows.length <= 6 for lane in state.board.lanes.values())


def test_cancelled_jobs_in_front_of_a_lane_are_passed_over() -> None:
    driver = Driver()
    driver.enqueue("a", "b", "c", "d")
    driver.cancel("a", "c")
    driver.attach("w", capacity=4)
    assert driver.assignments() == [("b", "w"), ("d", "w")]
