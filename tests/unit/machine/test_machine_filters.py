"""Commands on a filter: whom they meet, in which order, and that they end."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine.commands import (
    CancelWhere,
    DrainSession,
    JobsResult,
    PurgeWhere,
    RetryWhere,
    WhereResult,
)
from orchestrix_raft.machine.events import JobCancelled, JobForgotten, JobRetried
from tests.scenarios.driver import Driver, job, key, name_of

S = JobState
NO_RETRY = RetryPolicy(max_retries=0)


def step(driver: Driver, command: CancelWhere | RetryWhere | PurgeWhere) -> WhereResult:
    result = driver.do(command)
    assert isinstance(result, WhereResult)
    return result


def met(driver: Driver) -> list[str]:
    """The jobs that the newest entry did something to, in order."""
    kinds = JobCancelled | JobRetried | JobForgotten
    return [name_of(event.job_id) for event in driver.events if isinstance(event, kinds)]


def dead(driver: Driver, *names: str) -> None:
    if not driver.machine.state.sessions:
        driver.attach("w")
    for name in names:
        driver.enqueue(job(name, retry=NO_RETRY))
        driver.fail(name)


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_live_jobs_are_met_by_id_and_finished_ones_by_their_end(driver: Driver) -> None:
    driver.enqueue(job("c", queue="q"), job("a", queue="q"), job("b", queue="q", delay_ms=5_000))
    result = step(driver, CancelWhere(b"", JobFilter((S.SCHEDULED, S.PENDING)), b"", 10, "why"))
    assert (result.done, met(driver)) == (3, ["a", "b", "c"])
    dead(driver, "z")
    driver.tick(1)
    dead(driver, "y")
    step(driver, PurgeWhere(b"", JobFilter((S.DEAD,)), b"", 10))
    assert met(driver) == ["z", "y"]


def test_a_step_looks_at_no_more_than_its_bound_and_the_steps_meet_everybody_once(driver: Driver) -> None:
    driver.enqueue(*(job(f"j{n}", queue="q", type="xy"[n % 2]) for n in range(7)))
    seen: list[str] = []
    cursor = b""
    where = JobFilter((S.PENDING,), type="x")
    for _ in range(10):
        result = step(driver, CancelWhere(b"", where, cursor, 2, ""))
        assert len(met(driver)) == result.done <= 2
        seen += met(driver)
        cursor = result.cursor
        if not cursor:
            break
    assert seen == ["j0", "j2", "j4", "j6"]


def test_the_bound_of_the_state_machine_holds_whatever_is_asked_for(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FILTER_ROWS", 2)
    driver.enqueue(*(job(f"j{n}", queue="q") for n in range(3)))
    assert step(driver, CancelWhere(b"", JobFilter((S.PENDING,)), b"", 1_000, "")).done == 2


def test_a_job_that_dies_again_while_the_steps_go_on_is_not_met_again(driver: Driver) -> None:
    dead(driver, "a", "b")
    first = step(driver, RetryWhere(b"", JobFilter((S.DEAD,)), b"", 1))
    assert met(driver) == ["a"]
    driver.tick(1)
    driver.fail("a")
    second = step(driver, RetryWhere(b"", JobFilter((S.DEAD,)), first.cursor, 10))
    assert (met(driver), second.cursor) == (["b"], b"")


def test_a_job_enqueued_while_the_steps_go_on_is_not_met(driver: Driver) -> None:
    driver.enqueue(job("a", queue="q"), job("b", queue="q"))
    first = step(driver, CancelWhere(b"", JobFilter((S.PENDING,)), b"", 1, ""))
    driver.tick(1)
    driver.enqueue(job("c", queue="q"))
    step(driver, CancelWhere(b"", JobFilter((S.PENDING,)), first.cursor, 10, ""))
    assert met(driver) == ["b"]


def test_only_what_is_old_enough_is_met(driver: Driver) -> None:
    dead(driver, "a")
    driver.tick(1_000)
    dead(driver, "b")
    where = JobFilter((S.DEAD,), before_ms=driver.wall_ms)
    step(driver, PurgeWhere(b"", where, b"", 10))
    assert met(driver) == ["a"]
    driver.tick(1_000)
    driver.enqueue(job("c", queue="q"))
    driver.tick(1_000)
    driver.enqueue(job("d", queue="q"))
    step(driver, CancelWhere(b"", JobFilter((S.PENDING,), before_ms=driver.wall_ms), b"", 10, ""))
    assert met(driver) == ["c"]


def test_queue_and_type_are_looked_at_in_finished_jobs_too(driver: Driver) -> None:
    driver.attach("w", queues=("default", "mail"), capacity=3)
    driver.enqueue(job("a", retry=NO_RETRY), job("b", retry=NO_RETRY, queue="mail"))
    driver.enqueue(job("c", retry=NO_RETRY, queue="mail", type="u"))
    for name in ("a", "b", "c"):
        driver.fail(name)
    step(driver, RetryWhere(b"", JobFilter((S.DEAD,), "mail", "u"), b"", 10))
    assert met(driver) == ["c"]


def test_a_running_job_is_asked_to_stop_and_counts_as_done(driver: Driver) -> None:
    driver.attach("w")
    driver.enqueue("a")
    assert step(driver, CancelWhere(b"", JobFilter((S.DISPATCHED, S.RUNNING)), b"", 10, "")).done == 1
    assert driver.job("a").stop


def test_what_a_rule_forbids_is_skipped_and_counted(driver: Driver) -> None:
    driver.attach("w")
    driver.enqueue(job("a", unique_key="k", retry=NO_RETRY))
    driver.fail("a")
    driver.enqueue(job("b", unique_key="k"))
    assert step(driver, RetryWhere(b"", JobFilter((S.DEAD,)), b"", 10)) == WhereResult(0, 1, b"")


def test_a_step_repeated_with_its_request_id_is_one_step(driver: Driver) -> None:
    dead(driver, "a", "b")
    command = PurgeWhere(b"r", JobFilter((S.DEAD,)), b"", 1)
    first = step(driver, command)
    assert step(driver, command) == first
    assert not driver.events
    assert driver.machine.state.counts[S.DEAD] == 1


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (PurgeWhere(b"", JobFilter((S.PENDING,)), b"", 1), "FILTER_INVALID"),
        (CancelWhere(b"", JobFilter((S.DEAD,)), b"", 1, ""), "FILTER_INVALID"),
        (RetryWhere(b"", JobFilter((S.COMPLETED,)), b"", 1), "FILTER_INVALID"),
        (RetryWhere(b"", JobFilter(()), b"", 1), "FILTER_INVALID"),
        (RetryWhere(b"", JobFilter((S.DEAD,), "q" * 101), b"", 1), "FILTER_INVALID"),
        (RetryWhere(b"", JobFilter((S.DEAD,)), b"short", 1), "CURSOR_INVALID"),
        (RetryWhere(b"", JobFilter((S.DEAD,)), bytes(34), 1), "CURSOR_INVALID"),
        (RetryWhere(b"r" * 65, JobFilter((S.DEAD,)), b"", 1), "INVALID_REQUEST_ID"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    driver: Driver, command: CancelWhere | RetryWhere | PurgeWhere, reason: str
) -> None:
    result = driver.do(command)
    assert isinstance(result, Rejected)
    assert result.reason == reason


def test_a_request_id_means_one_kind_of_request(driver: Driver) -> None:
    dead(driver, "a")
    assert driver.purge("x", request=b"r") == JobsResult(("not_found",))
    refused = driver.do(PurgeWhere(b"r", JobFilter((S.DEAD,)), b"", 1))
    assert isinstance(refused, Rejected)
    assert refused.reason == "REQUEST_ID_REUSED"


def test_a_walk_through_live_and_finished_jobs_goes_through_each_part_once(driver: Driver) -> None:
    dead(driver, "z")
    driver.tick(1)
    dead(driver, "y")
    driver.enqueue(job("b", delay_ms=60_000), job("a", delay_ms=60_000))
    driver.do(DrainSession(key("w")))
    seen: list[str] = []
    cursor = b""
    for _ in range(10):
        result = step(driver, RetryWhere(b"", JobFilter((S.SCHEDULED, S.DEAD)), cursor, 1))
        seen += met(driver)
        cursor = result.cursor
        driver.tick(1)
        if not cursor:
            break
    assert seen == ["a", "b", "z", "y"]


def test_the_bound_of_a_step_is_one_for_all_parts_of_the_walk(driver: Driver) -> None:
    dead(driver, "x", "y", "z")
    driver.enqueue(job("c", delay_ms=60_000), job("l", delay_ms=60_000))
    driver.cancel("c")
    where = JobFilter((S.SCHEDULED, S.CANCELLED, S.DEAD))
    assert step(driver, RetryWhere(b"", where, b"", 3)).done == 3
    assert met(driver) == ["l", "c", "x"]
