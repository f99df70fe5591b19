"""The audit trail: who asked for what, and what came of it; each once, in order, forgotten from the front."""

from typing import Any

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.audit import TEXT_CHARS, AuditRecord
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.queue import QueueChange
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.audit_items import ACTIONS
from orchestrix_raft.machine.commands import (
    Asked,
    Auditable,
    CancelJobs,
    CancelWhere,
    ConfigureQueue,
    DeleteSchedule,
    ForgetAudit,
    JobsResult,
    NoteAudit,
    PurgeJobs,
    RetryJobs,
    WhereResult,
)
from orchestrix_raft.machine.events import Audited, AuditForgotten
from orchestrix_raft.machine.invariants import check, check_stored
from tests.scenarios.driver import Driver, key


def ask(driver: Driver, command: Any, actor: str = "alice at 10.0.0.5") -> Any:
    return driver.do(Asked(actor, command))


def trail(driver: Driver) -> list[tuple[int, AuditRecord]]:
    state = driver.machine.state
    return state.records.audit_from(state.audit.first, 1_000)


def newest(driver: Driver) -> AuditRecord:
    return trail(driver)[-1][1]


def test_a_change_is_done_and_noted_with_who_asked() -> None:
    driver = Driver()
    driver.enqueue("a")
    result = ask(driver, CancelJobs(b"r" * 16, (key("a"), key("b")), "not wanted"))
    assert result == JobsResult(("cancelled", "not_found"))
    ((number, record),) = trail(driver)
    assert (number, record.at_ms, record.actor) == (1, driver.wall_ms, "alice at 10.0.0.5")
    assert record.action == "cancel_jobs"
    assert record.target.startswith("jobs ")
    assert ", " in record.target
    assert record.outcome == "done: 1 cancelled, 1 not_found"
    assert any(isinstance(event, Audited) for event in driver.events)


def test_the_same_request_again_is_noted_once() -> None:
    driver = Driver()
    driver.enqueue("a")
    command = CancelJobs(b"r" * 16, (key("a"),), "")
    assert ask(driver, command) == ask(driver, command) == JobsResult(("cancelled",))
    assert len(trail(driver)) == 1


def test_a_refusal_is_noted_too() -> None:
    driver = Driver()
    refused = ask(driver, DeleteSchedule(b"r" * 16, "nightly"))
    assert isinstance(refused, Rejected)
    record = newest(driver)
    assert (record.action, record.target) == ("delete_schedule", "schedule nightly")
    assert record.outcome == f"refused: {refused.reason}"


def test_of_a_command_on_a_filter_the_first_step_is_noted() -> None:
    driver = Driver()
    driver.enqueue("a", "b", "c")
    where = JobFilter((JobState.PENDING,), queue="default")
    first = ask(driver, CancelWhere(b"1" * 16, where, b"", 2, ""))
    assert isinstance(first, WhereResult)
    record = newest(driver)
    assert record.target == "jobs where state is pending, queue is default"
    assert record.outcome == "done: 2 at once, more to come"
    ask(driver, CancelWhere(b"2" * 16, where, first.cursor, 2, ""))
    assert len(trail(driver)) == 1


def test_long_lists_and_words_are_cut() -> None:
    driver = Driver()
    ids = tuple(key(f"j{n}") for n in range(100))
    ask(driver, RetryJobs(b"", ids), actor="x" * 1_000)
    record = newest(driver)
    assert record.target.endswith(" and 92 more")
    assert len(record.target) <= TEXT_CHARS
    assert len(record.actor) == 200
    driver.do(NoteAudit("y" * 1_000, "z" * 1_000, "t" * 1_000, "o" * 1_000))
    assert {len(newest(driver).action), len(newest(driver).target), len(newest(driver).outcome)} == {500}


def test_what_is_no_command_can_be_noted() -> None:
    driver = Driver()
    assert driver.do(NoteAudit("bob", "transfer_leadership", "n2", "done: to n2")) is None
    record = newest(driver)
    assert (record.actor, record.action, record.target, record.outcome) == (
        *("bob", "transfer_leadership", "n2", "done: to n2"),
    )


def test_everything_that_is_audited_has_a_name() -> None:
    assert set(ACTIONS) == set(Auditable.__args__)


# ---- keeping


def forget(driver: Driver, *, before_ms: int = 0, keep: int = 1_000, limit: int = 500) -> list[Any]:
    events = driver.apply(codec.unnumbered(ForgetAudit(before_ms, keep, limit))).events
    return [event for event in events if isinstance(event, AuditForgotten)]


def noted(driver: Driver, count: int, apart_ms: int = 1_000) -> list[int]:
    """Changes of a queue, one after the other; their times."""
    times = []
    for _ in range(count):
        driver.tick(apart_ms)
        ask(driver, ConfigureQueue(b"", "mail", QueueChange(paused=True)))
        times.append(driver.wall_ms)
    return times


def numbers(driver: Driver) -> list[int]:
    check(driver.machine)
    check_stored(driver.machine, driver.store.pairs)
    return [number for number, _ in trail(driver)]


def test_the_oldest_go_by_age_and_no_more_than_the_bound() -> None:
    driver = Driver()
    times = noted(driver, 5)
    assert forget(driver, before_ms=times[0]) == [], "one of that very time is not older"
    assert forget(driver, before_ms=times[3], limit=2) == [AuditForgotten(3, times[2])]
    assert numbers(driver) == [3, 4, 5]
    assert forget(driver, before_ms=times[3]) == [AuditForgotten(4, times[3])]
    assert forget(driver, before_ms=times[4] + 1) == [AuditForgotten(6, -1)]
    assert numbers(driver) == []
    assert forget(driver, before_ms=times[4] + 1) == []
    noted(driver, 1)
    assert numbers(driver) == [6], "a number is never used again"


def test_the_oldest_go_by_number() -> None:
    driver = Driver()
    noted(driver, 5)
    assert len(forget(driver, keep=3)) == 1
    assert numbers(driver) == [3, 4, 5]


def test_no_more_than_the_bound_of_an_entry_goes_whatever_is_asked() -> None:
    driver = Driver()
    noted(driver, limits.FORGET_AT_ONCE + 3, apart_ms=0)
    forget(driver, keep=0, limit=10**9)
    assert len(numbers(driver)) == 3


def test_a_machine_rebuilt_from_its_tables_has_the_same_trail() -> None:
    driver = Driver()
    noted(driver, 3)
    forget(driver, keep=2)
    again = Machine(driver.store, driver.store)
    again.load(driver.store.pairs)
    assert again.state.audit == driver.machine.state.audit
    check(again)
    check_stored(again, driver.store.pairs)


@pytest.mark.parametrize("change", [1, -1])
def test_a_trail_that_does_not_fit_its_records_is_found(change: int) -> None:
    driver = Driver()
    noted(driver, 3)
    driver.machine.state.audit.first += change
    with pytest.raises(Exception, match="audit"):
        check_stored(driver.machine, driver.store.pairs)


def test_purging_and_forgetting_leave_the_trail() -> None:
    driver = Driver()
    driver.enqueue("a")
    driver.cancel("a")
    ask(driver, PurgeJobs(b"", (key("a"),)))
    assert newest(driver).outcome == "done: purged"
