"""Reports, fencing tokens, time-outs, retries, and the history of attempts."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import AttemptState, JobState
from orchestrix_raft.domain.report import Completed, Failed, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine.commands import Observe, Report, ReportResult
from orchestrix_raft.machine.events import JobAssigned, SlotFreed, StaleToken
from tests.scenarios.driver import Driver, job, key

S = JobState
OK = ReportResult({})
STALE = ReportResult({0: "STALE_TOKEN"})


def driver_with(capacity: int = 1, **workers: int) -> Driver:
    driver = Driver()
    driver.attach("w", capacity=capacity)
    for name, slots in workers.items():
        driver.attach(name, capacity=slots)
    return driver


def test_tokens_grow_with_every_assignment_and_carry_the_generation() -> None:
    driver = driver_with(2)
    driver.machine.state.generation = 3
    driver.enqueue("a", "b")
    driver.release("a")
    tokens = [driver.held("b")[1], driver.held("a")[1]]
    assert tokens == [(3 << 40) + 2, (3 << 40) + 3]


def test_the_same_result_sent_again_is_acknowledged_and_changes_nothing() -> None:
    driver = driver_with()
    driver.enqueue("a")
    assert driver.complete("a") == OK
    assert driver.complete("a", result=b'"other"') == OK
    assert not driver.events
    assert driver.job("a").result == b'"ok"'


def test_a_failure_sent_again_after_the_next_attempt_began_is_acknowledged() -> None:
    driver = driver_with()
    driver.enqueue("a")
    driver.fail("a", retry_in_ms=0)
    driver.tick(0)
    assert driver.job("a").attempt == 2
    assert driver.fail("a", attempt=1) == OK
    assert not driver.events
    assert driver.job("a").failures == 1


def test_a_release_sent_again_is_acknowledged() -> None:
    driver = driver_with()
    driver.enqueue("a", "b")
    driver.release("a")  # b is next in line
    assert driver.job("a").state is S.PENDING
    assert driver.release("a") == OK
    assert not driver.events


def test_a_result_for_an_assignment_that_was_given_back_is_stale() -> None:
    driver = driver_with()
    driver.enqueue("a", "b")
    driver.release("a")
    assert driver.complete("a") == STALE
    assert driver.job("a").state is S.PENDING


def test_a_token_that_was_never_given_is_stale() -> None:
    driver = driver_with()
    driver.enqueue("a")
    session_id, token = driver.held("a")
    for job_id, other in ((key("a"), token + 1), (key("a"), 0), (key("nobody"), token)):
        assert driver.report(session_id, Completed(job_id, other, b"1", 0, 0)) == STALE
        assert driver.events == [StaleToken(session_id, job_id, other)]
    assert driver.complete("a") == OK


def test_a_session_cannot_report_for_another_one() -> None:
    driver = driver_with(1, other=1)
    driver.enqueue("a")
    session_id, token = driver.held("a")
    assert session_id == key("w")
    assert driver.report(key("other"), Completed(key("a"), token, b"1", 0, 0)) == STALE
    assert driver.job("a").state is S.DISPATCHED


def test_an_unknown_session_is_refused() -> None:
    driver = Driver()
    for command in (Report(key("x"), ()), Observe(key("x"), (), ())):
        result = driver.do(command)
        assert isinstance(result, Rejected)
        assert result.reason == "SESSION_UNKNOWN"


def test_outcomes_of_one_report_are_decided_one_after_another() -> None:
    driver = driver_with(2)
    driver.enqueue("a", "b")
    session_id, first = driver.held("a")
    second = driver.held("b")[1]
    result = driver.report(
        session_id,
        Completed(key("a"), first, b"1", 0, 0),
        Completed(key("a"), first, b"2", 0, 0),
        Completed(key("a"), second, b"3", 0, 0),
        Failed(key("b"), second, "e", 0, 0, final=True),
        Released(key("b"), second),
    )
    assert result == ReportResult({2: "STALE_TOKEN"})
    assert driver.job("a").result == b"1"
    assert driver.job("b").state is S.DEAD


def test_a_hung_handler_keeps_its_slot_until_it_ends() -> None:
    driver = driver_with()
    driver.enqueue(job("a", timeout_ms=1_000, retry=RetryPolicy(max_retries=0)))
    driver.enqueue("b")
    driver.tick(1_000)
    driver.tick(limits.FORCED_END_MS)
    assert driver.job("a").state is S.DEAD
    assert driver.job("a").error == "no result within 1000 ms"
    assert driver.job("b").state is S.PENDING
    session_id, token = driver.held("a")
    assert driver.complete("a") == STALE
    assert driver.events[:2] == [SlotFreed(session_id, token), StaleToken(session_id, key("a"), token)]
    assert driver.assignments() == [("b", "w")]
    assert driver.complete("a", attempt=1) == STALE, "refused once, refused again"


def test_the_late_result_of_a_hung_handler_is_none_of_the_attempt_that_runs_by_then() -> None:
    driver = driver_with(2)
    driver.enqueue(job("a", timeout_ms=1_000))
    driver.tick(1_000)
    driver.tick(limits.FORCED_END_MS)
    driver.tick(600_000)
    assert driver.held("a", 2)[0] == driver.held("a", 1)[0], "both slots are of one worker: the token decides"
    assert driver.complete("a", attempt=1, result=b'"late"') == STALE
    assert (driver.job("a").state, driver.job("a").attempt) == (S.DISPATCHED, 2)
    assert driver.complete("a", attempt=2, result=b'"in time"') == OK
    assert driver.job("a").result == b'"in time"'


def test_success_wins_over_a_stop_that_was_sent() -> None:
    driver = driver_with()
    driver.enqueue("a")
    driver.cancel("a")
    assert driver.complete("a") == OK
    assert driver.job("a").state is S.COMPLETED
    assert driver.job("a").stop is None


def test_ending_by_itself_without_a_stop_is_an_ordinary_failure() -> None:
    driver = driver_with()
    driver.enqueue("a")
    driver.fail("a", cancelled=True)
    assert (driver.job("a").state, driver.job("a").failures) == (S.SCHEDULED, 1)


@pytest.mark.parametrize("ending", ["release", "fail"])
def test_a_cancelled_handler_that_ends_is_cancelled(ending: str) -> None:
    driver = driver_with()
    driver.enqueue("a")
    driver.cancel("a", reason="stop it")
    driver.release("a") if ending == "release" else driver.fail("a", final=True)
    assert (driver.job("a").state, driver.job("a").reason) == (S.CANCELLED, "stop it")
    assert driver.attempts("a")[0].state is AttemptState.CANCELLED
    assert driver.job("a").failures == 0


def test_giving_a_timed_out_job_back_does_not_undo_the_time_out() -> None:
    driver = driver_with()
    driver.enqueue(job("a", timeout_ms=1_000))
    driver.tick(1_000)
    driver.release("a")
    assert (driver.job("a").state, driver.job("a").failures) == (S.SCHEDULED, 1)
    assert driver.attempts("a")[0].state is AttemptState.TIMED_OUT


def test_released_costs_no_attempt_no_failure_no_record() -> None:
    driver = driver_with()
    driver.enqueue("a")
    driver.release("a")
    now = driver.job("a")
    assert (now.attempt, now.failures, now.losses, now.state) == (1, 0, 0, S.DISPATCHED)
    assert driver.held("a")[1] == 2
    assert driver.attempts("a") == []


def test_retries_are_counted_and_the_last_failure_kills() -> None:
    driver = driver_with()
    driver.enqueue(job("a", retry=RetryPolicy(max_retries=2, delay_ms=1_000, jitter_percent=0)))
    for wait_ms in (1_000, 2_000):
        driver.fail("a", f"after {wait_ms}")
        assert driver.machine.state.next_due() == (driver.elapsed_ms + wait_ms, None)
        driver.tick(wait_ms)
    driver.fail("a", "last")
    assert (driver.job("a").state, driver.job("a").reason) == (S.DEAD, "retries_exhausted")
    assert driver.job("a").error == "last"
    assert [(a.attempt, a.state, a.error) for a in driver.attempts("a")] == [
        (1, AttemptState.FAILED, "after 1000"),
        (2, AttemptState.FAILED, "after 2000"),
        (3, AttemptState.FAILED, "last"),
    ]


def test_a_completed_job_has_no_error_and_its_history_has() -> None:
    driver = driver_with()
    driver.enqueue("a")
    driver.fail("a", "first", retry_in_ms=0)
    driver.tick(0)
    assert driver.job("a").error == "first"
    driver.complete("a")
    assert (driver.job("a").state, driver.job("a").error) == (S.COMPLETED, "")
    assert [attempt.error for attempt in driver.attempts("a")] == ["first", ""]


def test_a_delay_the_handler_asks_for_is_bounded() -> None:
    driver = driver_with()
    driver.enqueue("a")
    driver.fail("a", retry_in_ms=1 << 60)
    assert driver.machine.state.next_due() == (driver.elapsed_ms + limits.DURATION_MS, None)


def test_errors_and_progress_messages_are_cut() -> None:
    driver = driver_with()
    driver.enqueue("a")
    session_id, token = driver.held("a")
    driver.do(Observe(session_id, (), (ProgressMark(key("a"), token, -5, "m" * 5_000),)))
    assert (driver.job("a").progress_percent, len(driver.job("a").progress_message)) == (
        0,
        limits.MESSAGE_CHARS,
    )
    driver.fail("a", "e" * (limits.ERROR_CHARS + 1))
    assert len(driver.job("a").error) == limits.ERROR_CHARS


def test_a_result_beyond_the_limit_kills_the_job_and_says_so() -> None:
    driver = driver_with()
    driver.enqueue("a")
    assert driver.complete("a", result=bytes(limits.PAYLOAD_BYTES + 1)) == OK
    assert (driver.job("a").state, driver.job("a").reason) == (S.DEAD, "result_too_large")
    assert not driver.machine.state.sessions[key("w")].slots


def test_the_history_of_a_job_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ATTEMPTS_KEPT", 3)
    driver = driver_with()
    driver.enqueue(job("a", retry=RetryPolicy(max_retries=9, delay_ms=0)))
    for _ in range(5):
        driver.fail("a")
        driver.tick(0)
    assert [a.attempt for a in driver.attempts("a")] == [3, 4, 5]


def test_starts_and_progress_count_only_for_the_running_attempt() -> None:
    driver = driver_with()
    driver.enqueue("a")
    session_id, token = driver.held("a")
    started = StartedMark(key("a"), token, 77)
    driver.do(Observe(session_id, (started,), (ProgressMark(key("a"), token, 40, "m"),)))
    now = driver.job("a")
    assert (now.state, now.started_ms, now.progress_percent) == (S.RUNNING, 77, 40)
    driver.fail("a", retry_in_ms=1)
    assert driver.attempts("a")[0].started_ms == 77
    driver.do(Observe(session_id, (started,), (ProgressMark(key("a"), token, 50, "m"),)))
    assert not driver.events
    driver.tick(1)
    again = driver.job("a")
    assert (again.state, again.started_ms, again.progress_percent) == (S.DISPATCHED, 0, 0)
    assert driver.held("a")[0] == session_id, "it is at the same worker: the token alone tells"
    driver.do(Observe(session_id, (started,), (ProgressMark(key("a"), token, 60, "m"),)))
    assert not driver.events


def test_a_time_out_counts_from_the_assignment() -> None:
    driver = Driver()
    driver.enqueue(job("a", timeout_ms=1_000))
    driver.tick(5_000)
    driver.attach("w")
    (assigned,) = [event for event in driver.events if isinstance(event, JobAssigned)]
    assert assigned.timer is not None
    assert assigned.timer.due_ms == driver.elapsed_ms + 1_000
