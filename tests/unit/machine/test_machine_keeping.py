"""Forgetting: what goes, what stays known, what a repeated or late command does."""

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import Kept
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import CancelJobs, EnqueueResult, Forget, JobsResult
from orchestrix_raft.machine.events import Event, IdForgotten, JobForgotten
from orchestrix_raft.machine.history import ATTEMPTS, FINISHED, FINISHED_BY_TIME, PAYLOADS
from tests.scenarios.driver import NO_JITTER, Driver, job, key, name_of

DAY_MS = 24 * 3_600_000


def finished(driver: Driver, *names: str, apart_ms: int = 1) -> None:
    """Jobs that complete one after the other; a worker comes if there is none."""
    if not driver.machine.state.sessions:
        driver.attach("w", capacity=2)
    for name in names:
        driver.enqueue(name)
        driver.complete(name)
        driver.tick(apart_ms)


def forget(
    driver: Driver, what: Kept, *, older_ms: int = 0, keep: int = 1_000, limit: int = 500
) -> list[Event]:
    """What the leader may propose; the events."""
    command = Forget(what, driver.wall_ms - older_ms + 1, keep, limit)
    return driver.apply(codec.unnumbered(command)).events


def gone(events: list[Event]) -> list[str]:
    return [name_of(event.job_id) for event in events if isinstance(event, JobForgotten)]


def test_the_oldest_go_first_whatever_their_state_and_no_more_than_the_bound() -> None:
    driver = Driver()
    finished(driver, "a")
    driver.enqueue(job("b", delay_ms=1_000))
    driver.cancel("b")
    driver.tick(1)
    finished(driver, "c", "d")
    assert gone(forget(driver, Kept.FINISHED, limit=3)) == ["a", "b", "c"]
    assert gone(forget(driver, Kept.FINISHED, limit=3)) == ["d"]
    assert driver.machine.state.counts[1:] == [0] * 7


def test_what_is_young_enough_and_few_enough_stays() -> None:
    driver = Driver()
    finished(driver, "a", "b", "c", apart_ms=1_000)
    assert not gone(forget(driver, Kept.FINISHED, older_ms=3_001, keep=3))
    assert gone(forget(driver, Kept.FINISHED, older_ms=3_000, keep=3)) == ["a"]
    assert gone(forget(driver, Kept.FINISHED, older_ms=10_000, keep=1)) == ["b"]


def test_live_jobs_and_other_kinds_are_left_alone() -> None:
    driver = Driver()
    finished(driver, "done")
    driver.enqueue(job("dead", retry=NO_JITTER), job("live"))
    driver.fail("dead", final=True)
    assert gone(forget(driver, Kept.FINISHED, keep=0)) == ["done"]
    assert gone(forget(driver, Kept.DEAD, keep=0)) == ["dead"]
    assert not gone(forget(driver, Kept.DEAD, keep=0))
    assert driver.job("live").state is JobState.DISPATCHED


def test_nothing_of_a_forgotten_job_is_left_but_its_id() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a", args=b"x" * 5_000))
    driver.fail("a", retry_in_ms=0)
    driver.tick(0)
    driver.complete("a")
    assert [row[0][:16] for row in driver.store.pairs(ATTEMPTS)] == [key("a")] * 2
    driver.purge("a")
    tables = driver.store.tables
    assert not tables[ATTEMPTS]
    assert not tables[PAYLOADS]
    assert tables[FINISHED] == {key("a"): b""}
    until_ms = driver.wall_ms + limits.KEEP_IDS_MS
    assert tables[FINISHED_BY_TIME] == {b"\0" + until_ms.to_bytes(8, "big") + key("a"): b""}
    assert driver.machine.find_job(key("a")) is None
    assert driver.machine.state.counts == [1, 0, 0, 0, 0, 0, 0, 0]


def test_old_attempts_of_a_long_story_go_with_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ATTEMPTS_KEPT", 3)
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a"))
    for _ in range(3):
        driver.fail("a", retry_in_ms=0)
        driver.tick(0)
    driver.fail("a", retry_in_ms=0)
    driver.retry("a")
    driver.complete("a")
    assert [attempt.attempt for attempt in driver.attempts("a")] == [3, 4, 5]
    driver.purge("a")
    assert not driver.store.tables[ATTEMPTS]


def test_an_id_is_known_for_a_day_after_the_end_and_not_longer() -> None:
    driver = Driver()
    finished(driver, "a")
    driver.purge("a")
    ended_ms = driver.wall_ms - 1
    driver.wall_ms = ended_ms + DAY_MS - 1
    assert not [e for e in forget(driver, Kept.IDS) if isinstance(e, IdForgotten)]
    assert driver.enqueue("a") == EnqueueResult({0: key("a")}, {})
    driver.wall_ms = ended_ms + DAY_MS
    assert forget(driver, Kept.IDS)[0] == IdForgotten(key("a"), driver.wall_ms)
    assert driver.enqueue("a") == EnqueueResult({}, {})


def test_a_job_purged_after_a_day_leaves_no_id() -> None:
    driver = Driver()
    finished(driver, "a")
    driver.tick(DAY_MS - 1)
    driver.purge("a")
    assert not driver.store.tables[FINISHED]
    assert driver.enqueue("a") == EnqueueResult({}, {})


def test_ids_go_in_the_order_in_which_they_become_free() -> None:
    driver = Driver()
    finished(driver, "a", "b", "c", apart_ms=10)
    driver.purge("c")
    driver.purge("a")
    driver.purge("b")
    driver.wall_ms += DAY_MS
    assert [name_of(e.job_id) for e in forget(driver, Kept.IDS, limit=2) if isinstance(e, IdForgotten)] == [
        "a",
        "b",
    ]


def test_purge_says_what_it_did() -> None:
    driver = Driver()
    finished(driver, "a")
    driver.enqueue(job("b", delay_ms=5_000))
    assert driver.purge("a", "b", "c", "a") == JobsResult(
        ("purged", "still_scheduled", "not_found", "not_found")
    )
    assert driver.retry("a") == JobsResult(("not_found",))
    assert driver.cancel("a") == JobsResult(("not_found",))


def test_a_purge_repeated_with_its_request_id_gets_its_answer_again() -> None:
    driver = Driver()
    finished(driver, "a")
    assert driver.purge("a", request=b"r") == driver.purge("a", request=b"r") == JobsResult(("purged",))


def test_a_forgotten_job_can_be_forgotten_while_its_handler_hangs() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a"))
    driver.cancel("a")
    driver.tick(limits.FORCED_END_MS)  # the attempt is over, its handler is not
    driver.purge("a")
    driver.complete("a")
    assert not driver.machine.state.sessions[key("w")].slots


def test_the_same_command_twice_forgets_once() -> None:
    driver = Driver()
    finished(driver, "a", "b", "c", apart_ms=1_000)
    command = Forget(Kept.FINISHED, driver.wall_ms - 2_000 + 1, 1_000, 500)
    driver.apply(codec.unnumbered(command), codec.unnumbered(command))
    assert gone(driver.events) == ["a", "b"]


def test_jobs_that_end_in_the_same_entry_are_seen_and_those_retried_are_not() -> None:
    driver = Driver()
    finished(driver, "a", "b")
    driver.enqueue(job("c", delay_ms=1_000))
    driver.apply(
        driver.batch(CancelJobs(b"", (key("c"),), "")),
        codec.unnumbered(Forget(Kept.FINISHED, driver.wall_ms + 1, 0, 500)),
    )
    assert gone(driver.events) == ["a", "b", "c"]


def test_a_rebuilt_replica_knows_since_when_there_is_something_to_forget() -> None:
    driver = Driver()
    finished(driver, "a", "b", apart_ms=500)
    driver.purge("a")
    driver.tick(0)
    twin = Machine(driver.store, driver.store)
    twin.load(driver.store.pairs)
    assert twin.state.oldest == driver.machine.state.oldest
    assert twin.state.counts == driver.machine.state.counts


def test_a_place_that_is_empty_is_not_looked_at_again() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a"))
    driver.fail("a", final=True)
    driver.retry("a")  # the only dead letter lives again
    assert driver.machine.state.oldest[JobState.DEAD] >= 0
    forget(driver, Kept.DEAD)
    assert driver.machine.state.oldest[JobState.DEAD] == -1
