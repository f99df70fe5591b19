"""Unique keys: what the scenarios do not show."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code
from orchestrix_raft.domain.job import JobState, OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import EnqueueResult, JobsResult
from orchestrix_raft.machine.history import UNIQUE_WINDOWS
from tests.scenarios.driver import Driver, job, key

WINDOW = UniqueRule(UniqueScope.WINDOW, 10_000)
REPLACE = UniqueRule(on_conflict=OnConflict.REPLACE)
REJECT = UniqueRule(on_conflict=OnConflict.REJECT)


def reasons(result: object) -> list[str]:
    assert isinstance(result, EnqueueResult)
    return [refusal.reason for refusal in result.rejected.values()]


def test_a_refusal_names_the_job_that_has_the_key() -> None:
    driver = Driver()
    driver.enqueue(job("a", unique_key="k"))
    result = driver.enqueue(job("b", unique_key="k", unique=REJECT))
    assert isinstance(result, EnqueueResult)
    (refusal,) = result.rejected.values()
    assert refusal.code is Code.ALREADY_EXISTS
    assert key("a").hex()[:8] in refusal.message
    assert "'k'" in refusal.message


def test_the_key_belongs_to_the_type() -> None:
    driver = Driver()
    result = driver.enqueue(job("a", unique_key="k", unique=REJECT), job("b", type="u", unique_key="k"))
    assert result == EnqueueResult({}, {})


def test_a_job_is_replaced_also_at_the_cap_of_live_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_JOBS", 1)
    driver = Driver()
    driver.enqueue(job("a", unique_key="k"))
    assert reasons(driver.enqueue("x")) == ["LIVE_JOBS_LIMIT"]
    assert driver.enqueue(job("b", unique_key="k", unique=REPLACE)) == EnqueueResult({}, {})
    assert (driver.job("a").state, driver.job("a").reason) == (JobState.CANCELLED, "replaced")
    assert set(driver.machine.state.jobs) == {key("b")}


def test_a_replaced_job_gives_up_its_place_in_line() -> None:
    driver = Driver()
    driver.enqueue(job("a", unique_key="k"), "x", job("b", unique_key="k", unique=REPLACE))
    driver.attach("w", capacity=3)
    assert [name for name, _ in driver.assignments()] == ["x", "b"]


def test_a_job_that_waits_for_its_retry_is_replaced_and_a_finished_one_is_not() -> None:
    driver = Driver()
    driver.attach("w", capacity=3)
    driver.enqueue(job("a", unique_key="k", unique=WINDOW))
    driver.fail("a")
    rule = UniqueRule(UniqueScope.WINDOW, 10_000, OnConflict.REPLACE)
    driver.enqueue(job("b", unique_key="k", unique=rule))
    assert driver.job("a").reason == "replaced"
    driver.complete("b")
    again = driver.enqueue(job("c", unique_key="k", unique=REPLACE))
    assert again == EnqueueResult({0: key("b")}, {})


def test_in_a_window_a_retry_by_hand_needs_no_key() -> None:
    driver = Driver()
    driver.attach("w", capacity=3)
    driver.enqueue(job("a", unique_key="k", unique=WINDOW))
    driver.fail("a", final=True)
    assert driver.retry("a") == JobsResult(("retried",))
    driver.fail("a", final=True)
    driver.tick(10_000)
    driver.enqueue(job("b", unique_key="k"))
    assert driver.retry("a") == JobsResult(("retried",))
    assert driver.machine.state.unique == {("t", "k"): key("b")}


def test_windows_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNIQUE_WINDOWS", 2)
    driver = Driver()
    specs = [job(f"j{n}", unique_key=f"k{n}", unique=WINDOW) for n in range(3)]
    assert reasons(driver.enqueue(*specs)) == ["UNIQUE_WINDOWS_LIMIT"]
    assert driver.enqueue(job("x", unique_key="k2")) == EnqueueResult({}, {})
    driver.cancel("j0", "j1", "x")
    driver.tick(10_000)
    assert not driver.machine.state.unique_windows
    assert not driver.machine.state.unique
    assert not driver.store.tables[UNIQUE_WINDOWS]
    assert driver.enqueue(specs[2]) == EnqueueResult({}, {})


def test_a_rebuilt_machine_knows_which_keys_are_taken() -> None:
    driver = Driver()
    started = UniqueRule(UniqueScope.UNTIL_STARTED)
    driver.attach("w")
    driver.enqueue(job("a", unique_key="a", unique=started), job("b", unique_key="b", unique=started))
    driver.enqueue(job("c", unique_key="c", unique=WINDOW), job("d", unique_key="d"))
    driver.cancel("c")
    rebuilt = Machine(driver.store, driver.store)
    rebuilt.load(driver.store.pairs)
    taken = {("t", "b"): key("b"), ("t", "c"): key("c"), ("t", "d"): key("d")}
    assert driver.machine.state.unique == rebuilt.state.unique == taken
    driver.machine = rebuilt
    driver.tick(10_000)
    assert ("t", "c") not in rebuilt.state.unique


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"unique": WINDOW}, "needs a unique_key"),
        ({"unique_key": "k", "unique": UniqueRule(for_ms=5)}, "belongs to the scope `window`"),
        ({"unique_key": "k", "unique": UniqueRule(UniqueScope.WINDOW)}, "within 1..2592000000 ms (30 days)"),
        ({"key": "k" * 257}, "key has at most 256"),
        ({"expires_ms": limits.DURATION_MS + 1}, "expires must be within"),
    ],
)
def test_a_bad_rule_is_refused(fields: dict[str, object], says: str) -> None:
    result = Driver().enqueue(job("a", **fields))
    assert isinstance(result, EnqueueResult)
    assert says in result.rejected[0].message


def test_the_end_of_a_job_that_gave_up_its_key_leaves_it_to_who_has_it_by_then() -> None:
    until_started = UniqueRule(UniqueScope.UNTIL_STARTED)
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a", unique_key="k", unique=until_started))
    driver.enqueue(job("b", unique_key="k", unique=until_started, delay_ms=60_000))
    driver.complete("a")
    result = driver.enqueue(job("c", unique_key="k", unique=until_started))
    assert result == EnqueueResult({0: key("b")}, {})
