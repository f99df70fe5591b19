"""Enqueueing, cancelling, retrying by hand, and what is kept of a job that has ended."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import (
    CancelJobs,
    DetachSession,
    Enqueue,
    EnqueueResult,
    JobsResult,
    RetryJobs,
)
from orchestrix_raft.machine.events import JobEnqueued
from orchestrix_raft.machine.history import FINISHED, FINISHED_BY_TIME, LIVE_JOBS, PAYLOADS, REQUESTS
from orchestrix_raft.machine.state import IllegalMove, move
from tests.scenarios.driver import Driver, job, key

S = JobState


def test_each_item_of_an_enqueue_is_decided_by_itself() -> None:
    driver = Driver()
    driver.enqueue("a")
    result = driver.enqueue("b", job("bad", type=""), "a", "c", "b")
    assert isinstance(result, EnqueueResult)
    assert result.existing == {2: key("a"), 4: key("b")}
    assert {n: (r.code, r.reason) for n, r in result.rejected.items()} == {
        1: (Code.INVALID_ARGUMENT, "INVALID_JOB")
    }
    assert [event.spec.job_id for event in driver.events if isinstance(event, JobEnqueued)] == [
        key("b"),
        key("c"),
    ]


def test_a_batch_beyond_the_limit_is_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_JOBS", 2)
    driver = Driver()
    for command in (
        Enqueue((job("a"), job("b"), job("c"))),
        CancelJobs(b"r", (key("a"),) * 3, ""),
        RetryJobs(b"r", (key("a"),) * 3),
    ):
        result = driver.do(command)
        assert isinstance(result, Rejected)
        assert result.reason == "TOO_MANY"
        assert not driver.events


def test_live_jobs_are_capped_for_new_and_for_revived_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue("dead")
    driver.fail("dead", final=True)
    monkeypatch.setattr(limits, "LIVE_JOBS", 2)
    result = driver.enqueue("a", "b", "c")
    assert isinstance(result, EnqueueResult)
    assert result.rejected[2].code == Code.RESOURCE_EXHAUSTED
    assert result.rejected[2].reason == "LIVE_JOBS_LIMIT"
    assert driver.retry("dead") == JobsResult(("live_jobs_limit",))
    driver.cancel("b")
    assert driver.retry("dead") == JobsResult(("retried",))


def test_run_at_in_the_past_is_ready_at_once_and_in_the_future_waits_for_the_wall_clock() -> None:
    driver = Driver()
    driver.enqueue(job("past", run_at_ms=driver.wall_ms), job("future", run_at_ms=driver.wall_ms + 5))
    assert driver.job("past").state is S.PENDING
    assert driver.job("future").state is S.SCHEDULED
    assert driver.machine.state.next_due() == (None, driver.wall_ms + 5)
    driver.elapsed_ms += 10_000  # elapsed time alone does not make it due
    driver.tick(0)
    assert driver.job("future").state is S.SCHEDULED
    driver.wall_ms += 5
    driver.tick(0)
    assert driver.job("future").state is S.PENDING


def test_large_arguments_live_on_disk_until_the_job_ends() -> None:
    driver = Driver()
    args = bytes(limits.INLINE_PAYLOAD_BYTES + 1)
    driver.enqueue(job("large", args=args), job("small", args=args[:-1]))
    assert (driver.job("large").spec.args, driver.job("large").args_stored) == (b"", True)
    assert (driver.job("small").spec.args, driver.job("small").args_stored) == (args[:-1], False)
    assert driver.store.tables[PAYLOADS] == {key("large"): args}
    driver.cancel("large")
    assert (driver.job("large").spec.args, driver.job("large").args_stored) == (args, False)
    assert driver.store.tables[PAYLOADS] == {}
    driver.retry("large")
    assert (driver.job("large").spec.args, driver.job("large").args_stored) == (b"", True)
    assert driver.store.tables[PAYLOADS] == {key("large"): args}


def test_large_arguments_survive_enqueue_and_end_within_one_entry() -> None:
    driver = Driver()
    args = bytes(limits.INLINE_PAYLOAD_BYTES + 1)
    driver.apply(driver.batch(Enqueue((job("a", args=args),)), CancelJobs(b"", (key("a"),), "")))
    assert driver.job("a").spec.args == args


def test_a_job_that_ends_moves_to_the_finished_ones() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue("a")
    driver.wall_ms += 7
    driver.complete("a", result=b'"r"')
    assert driver.machine.state.jobs == {}
    assert driver.store.tables[LIVE_JOBS] == {}
    kept = codec.decode_job(driver.store.tables[FINISHED][key("a")])
    assert (kept.state, kept.result, kept.finished_ms) == (S.COMPLETED, b'"r"', driver.wall_ms)
    place = bytes([S.COMPLETED]) + driver.wall_ms.to_bytes(8, "big") + key("a")
    assert driver.store.tables[FINISHED_BY_TIME] == {place: b"\x01"}  # one attempt


def test_a_revived_job_leaves_the_finished_ones_and_starts_afresh() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a", retry=RetryPolicy(max_retries=0)))
    driver.fail("a", "first")
    assert (driver.job("a").state, driver.job("a").reason) == (S.DEAD, "retries_exhausted")
    driver.retry("a")
    assert driver.store.tables[FINISHED] == driver.store.tables[FINISHED_BY_TIME] == {}
    revived = driver.job("a")
    assert (revived.failures, revived.losses, revived.finished_ms, revived.reason) == (0, 0, 0, "")
    assert (revived.attempt, revived.error) == (2, "first")
    assert driver.retry("a") == JobsResult(("already_dispatched",))


def test_a_poison_job_that_is_revived_may_be_lost_as_often_again() -> None:
    driver = Driver()
    driver.enqueue("a")
    for number in range(limits.LOSSES_MAX):
        lose_worker(driver, f"w{number}")
    assert (driver.job("a").state, driver.job("a").reason) == (S.DEAD, "poison")
    driver.retry("a")
    lose_worker(driver, "x")
    assert (driver.job("a").state, driver.job("a").losses) == (S.PENDING, 1)


def lose_worker(driver: Driver, name: str) -> None:
    driver.attach(name)
    driver.do(DetachSession(key(name), 1))
    driver.tick(limits.SESSION_DEADLINE_MS)


def test_a_finished_id_is_remembered_and_its_unique_key_is_free() -> None:
    driver = Driver()
    driver.enqueue(job("a", unique_key="k"))
    driver.cancel("a")
    assert driver.enqueue("a") == EnqueueResult({0: key("a")}, {})
    assert driver.enqueue(job("b", unique_key="k")) == EnqueueResult({}, {})
    assert driver.retry("a") == JobsResult(("unique_conflict",))


def test_words_of_cancel_and_retry() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue("done", job("later", delay_ms=5_000), "waiting")
    driver.complete("done")
    driver.enqueue("other")
    assert driver.retry("done", "later", "waiting", "other", "none") == JobsResult(
        ("already_completed", "retried", "already_dispatched", "already_pending", "not_found")
    )
    assert driver.cancel("done", "waiting", "waiting", "none") == JobsResult(
        ("already_completed", "requested", "requested", "not_found")
    )


def test_a_cancel_outranks_a_time_out_that_was_sent_before() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a", timeout_ms=1_000))
    driver.tick(1_000)
    driver.tick(3_000)
    assert driver.cancel("a", reason="no more") == JobsResult(("requested",))
    driver.tick(6_999)
    assert driver.job("a").state is S.DISPATCHED
    driver.tick(1)
    assert (driver.job("a").state, driver.job("a").reason) == (S.CANCELLED, "no more")


def test_a_repeated_request_gets_its_first_answer_until_it_expires() -> None:
    driver = Driver()
    driver.enqueue("a")
    assert driver.cancel("a", request=b"r") == JobsResult(("cancelled",))
    driver.retry("a")
    assert driver.cancel("a", request=b"r") == JobsResult(("cancelled",))
    assert driver.job("a").state is S.PENDING
    driver.tick(limits.REQUEST_TTL_MS - 1)
    assert driver.cancel("a", request=b"r") == JobsResult(("cancelled",))
    driver.tick(1)
    assert driver.store.tables[REQUESTS] == {}
    assert driver.cancel("a", request=b"r") == JobsResult(("cancelled",))
    assert driver.job("a").state is S.CANCELLED


def test_remembered_requests_are_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUESTS_KEPT", 2)
    driver = Driver()
    for request in (b"1", b"2", b"3"):
        driver.cancel(request=request)
    assert set(driver.store.tables[REQUESTS]) == {b"2", b"3"}


def test_a_rebuilt_machine_forgets_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUESTS_KEPT", 2)
    driver = Driver()
    for request in (b"z", b"a"):
        driver.cancel(request=request)
    driver.machine.load(driver.store.pairs)
    driver.cancel(request=b"b")
    assert set(driver.store.tables[REQUESTS]) == {b"a", b"b"}


def test_a_request_used_again_while_its_old_memory_waits_to_go_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "TIMERS_PER_ENTRY", 1)
    driver = Driver()
    driver.enqueue("a")
    driver.cancel(request=b"1")
    driver.cancel("x", request=b"2")
    driver.tick(limits.REQUEST_TTL_MS - 1)
    driver.elapsed_ms += 1
    assert driver.cancel("a", request=b"2") == JobsResult(("cancelled",)), "the old answer is no longer given"
    driver.tick(0)
    assert set(driver.store.tables[REQUESTS]) == {b"2"}
    assert driver.cancel("a", request=b"2") == JobsResult(("cancelled",)), "the new answer is kept"


def test_a_request_used_again_has_one_place_in_line_as_in_a_node_that_was_rebuilt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Found by comparing rebuilt nodes with their twins: the old place of "2" took the turn of "3".
    monkeypatch.setattr(limits, "TIMERS_PER_ENTRY", 1)
    driver = Driver()
    for request in (b"1", b"2", b"3"):
        driver.cancel(request=request)
    driver.tick(limits.REQUEST_TTL_MS - 1)
    driver.elapsed_ms += 1
    driver.cancel(request=b"2")
    driver.tick(0)
    assert list(driver.machine.state.requests) == [b"2"]
    assert set(driver.store.tables[REQUESTS]) == {b"2"}


def test_a_request_without_an_id_is_not_remembered_and_an_endless_one_is_refused() -> None:
    driver = Driver()
    driver.cancel()
    assert driver.store.tables.get(REQUESTS, {}) == {}
    result = driver.cancel(request=bytes(limits.REQUEST_ID_BYTES + 1))
    assert isinstance(result, Rejected)
    assert result.reason == "INVALID_REQUEST_ID"


def test_counts_follow_every_move() -> None:
    driver = Driver()
    driver.enqueue("a", "b", job("c", delay_ms=1_000), job("d", queue="other"))
    driver.attach("w")
    state = driver.machine.state
    assert state.counts[1:] == [1, 2, 1, 0, 0, 0, 0]
    assert state.queues == {"default": [3, 1, 1, 1, 0, 0, 0, 0], "other": [1, 0, 1, 0, 0, 0, 0, 0]}
    driver.complete("a")
    driver.cancel("c", "d")
    assert state.counts[1:] == [0, 0, 1, 0, 1, 2, 0]
    assert state.queues == {"default": [1, 0, 0, 1, 0, 0, 0, 0]}
    assert state.totals == [0, 0, 0, 0, 0, 1, 2, 0]
    driver.retry("c")
    assert state.counts[1:] == [0, 1, 1, 0, 1, 1, 0]
    assert state.totals == [0, 0, 0, 0, 0, 1, 2, 0]


@pytest.mark.parametrize("new", [S.SCHEDULED, S.RUNNING, S.COMPLETED, S.PENDING])
def test_a_move_outside_the_life_cycle_stops_the_node(new: JobState) -> None:
    driver = Driver()
    driver.enqueue("a")
    with pytest.raises(IllegalMove):
        move(driver.machine.state, driver.job("a"), new)


def test_a_job_whose_time_is_over_is_not_handed_out_although_its_timer_waits_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More timers are due than one entry may run, and a worker comes in the same entry."""
    monkeypatch.setattr(limits, "TIMERS_PER_ENTRY", 1)
    driver = Driver()
    driver.enqueue(*(job(name, expires_ms=1_000) for name in "abc"), job("d"), job("e", expires_ms=1_001))
    driver.elapsed_ms += 1_000
    driver.attach("w", capacity=5)
    assert driver.assignments() == [("d", "w"), ("e", "w")]
    for name in "abc":
        assert (driver.job(name).state, driver.job(name).reason) == (JobState.CANCELLED, "expired")
