"""The accounts of a run notice each way in which a job can go wrong."""

from typing import Any

from orchestrix_raft.client.model import Attempt, Job
from orchestrix_raft.testing.accounts import account
from orchestrix_raft.testing.ledger import LedgerLine


def job(job_id: str, state: str = "completed") -> Job:
    values: dict[str, Any] = dict.fromkeys(Job.__struct_fields__)
    return Job(**values | {"id": job_id, "state": state})


def start(job_id: str, attempt: int = 1, token: int = 1) -> LedgerLine:
    return LedgerLine("start", job_id, attempt, token, 0.0)


def end(job_id: str, attempt: int = 1, token: int = 1) -> LedgerLine:
    return LedgerLine("end", job_id, attempt, token, 0.0)


def past(attempt: int, token: int, state: str, reason: str = "") -> Attempt:
    values: dict[str, Any] = dict.fromkeys(Attempt.__struct_fields__)
    known = {"attempt": attempt, "fencing_token": token, "state": state, "reason": reason, "error": ""}
    return Attempt(**values | known)


def test_a_job_that_ran_once_is_clean() -> None:
    accounts = account(["a"], {"a": job("a")}, [start("a"), end("a")], {})
    assert accounts.clean
    assert (accounts.enqueued, accounts.completed, accounts.lost, accounts.executions) == (1, 1, 0, 1)


def test_an_acknowledged_job_that_nobody_knows_is_lost() -> None:
    accounts = account(["a", "b"], {"a": job("a")}, None, {})
    assert accounts.missing == ("b",)
    assert accounts.lost == 1
    assert not accounts.clean


def test_an_unfinished_job_is_lost() -> None:
    accounts = account(["a"], {"a": job("a", "running")}, None, {})
    assert accounts.unfinished == ("a",)
    assert accounts.lost == 1


def test_a_dead_job_is_not_lost_and_not_clean() -> None:
    accounts = account(["a"], {"a": job("a", "dead")}, None, {})
    assert accounts.lost == 0
    assert not accounts.clean


def test_a_second_start_with_a_lost_attempt_before_it_is_explained() -> None:
    lines = [start("a"), start("a", 2, 5), end("a", 2, 5)]
    accounts = account(["a"], {"a": job("a")}, lines, {"a": [past(1, 1, "lost", "worker gone")]})
    assert accounts.reexecuted == {"a": "lost: worker gone"}
    assert accounts.clean


def test_a_second_start_of_one_assignment_is_unexplained() -> None:
    lines = [start("a"), start("a"), end("a")]
    accounts = account(["a"], {"a": job("a")}, lines, {"a": [past(1, 1, "lost")]})
    assert accounts.unexplained
    assert not accounts.clean


def test_a_second_start_without_an_entry_in_the_history_is_unexplained() -> None:
    lines = [start("a"), start("a", 2, 5), end("a", 2, 5)]
    accounts = account(["a"], {"a": job("a")}, lines, {"a": [past(2, 5, "completed")]})
    assert accounts.unexplained
    assert not accounts.reexecuted


def test_a_start_after_a_completed_attempt_is_unexplained() -> None:
    lines = [start("a"), end("a"), start("a", 2, 5)]
    accounts = account(["a"], {"a": job("a")}, lines, {"a": [past(1, 1, "completed")]})
    assert accounts.unexplained


def test_two_ends_of_one_job_are_a_duplicated_effect() -> None:
    lines = [start("a"), end("a"), start("a", 2, 5), end("a", 2, 5)]
    accounts = account(["a"], {"a": job("a")}, lines, {"a": [past(1, 1, "lost")]})
    assert accounts.ended_twice == ("a",)
    assert not accounts.clean


def test_a_completed_job_whose_handler_never_ended_is_noticed() -> None:
    accounts = account(["a"], {"a": job("a")}, [start("a")], {})
    assert accounts.never_ended == ("a",)
    assert not accounts.clean


def test_an_execution_of_a_job_that_nobody_enqueued_is_unexplained() -> None:
    accounts = account(["a"], {"a": job("a")}, [start("a"), end("a"), start("x")], {})
    assert "x" in accounts.unexplained
