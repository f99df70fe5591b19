"""Listings by owner and by worker: what the registry knows, page by page, and nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrix_raft.coordinator import queries
from orchestrix_raft.coordinator.assigned_listing import AssignedListing
from orchestrix_raft.coordinator.port import Page
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.worker import worker_id
from orchestrix_raft.machine.commands import Enqueue, ResumeSession
from tests.scenarios.driver import Driver, job, key, name_of

W1, W2 = worker_id(key("w1")), worker_id(key("w2"))


@pytest.fixture
def driver() -> Driver:
    """w1 at n0 runs a, c and e, w2 at n1 runs b, d and f (of queue mail); g and h wait."""
    driver = Driver()
    driver.start_node("n1")
    driver.attach("w1", capacity=3)
    driver.attach("w2", "n1", capacity=3, queues=("mail",))
    for name in "abcdefgh":
        driver.do(Enqueue((job(name, queue="default" if name in "aceg" else "mail"),)))
    return driver


def listing_of(driver: Driver, *wanted: Any) -> AssignedListing:
    replica = SimpleNamespace(args_of=lambda job: b"")
    core: Any = SimpleNamespace(state=driver.machine.state, replica=replica)
    return AssignedListing(core, *wanted)


def pages(
    driver: Driver, owner: str = "", worker: bytes = b"", limit: int = 10, **wanted: object
) -> list[str]:
    given: dict[str, object] = {"states": frozenset[JobState](), "queue": "", "job_type": "", **wanted}
    found: list[str] = []
    cursor = b""
    while True:
        listing = listing_of(driver, owner, worker, *given.values(), limit, cursor)
        while not listing.slice():
            pass
        page: Page = listing.page()
        assert len(page.jobs) <= limit
        found += [name_of(one.job.spec.job_id) for one in page.jobs]
        if not page.cursor:
            return found
        assert AssignedListing.check(page.cursor) is None
        cursor = page.cursor


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_what_a_node_owns_and_what_a_worker_runs(driver: Driver, limit: int) -> None:
    assert pages(driver, owner="n0", limit=limit) == ["e", "c", "a"]
    assert pages(driver, owner="n1", limit=limit) == pages(driver, worker=W2, limit=limit) == ["f", "d", "b"]
    assert pages(driver, owner="n0", worker=W1, limit=limit) == ["e", "c", "a"]
    assert pages(driver, owner="n1", worker=W1, limit=limit) == []
    assert pages(driver, owner="nowhere") == pages(driver, worker=worker_id(key("nobody"))) == []


def test_the_other_filters_go_with_it(driver: Driver) -> None:
    assert pages(driver, owner="n0", queue="mail") == []
    assert pages(driver, owner="n1", queue="mail", job_type="t") == ["f", "d", "b"]
    assert pages(driver, owner="n1", states=frozenset({JobState.DISPATCHED}), limit=2) == ["f", "d", "b"]
    assert pages(driver, owner="n1", states=frozenset({JobState.DEAD})) == []
    assert pages(driver, owner="n1", job_type="other") == []


def test_it_follows_the_session_and_ends_with_the_job(driver: Driver) -> None:
    driver.complete("c")
    driver.do(ResumeSession(key("w1"), "n1", 1))
    assert pages(driver, owner="n0") == []
    assert pages(driver, worker=W1) == ["g", "e", "a"]
    assert pages(driver, owner="n1", limit=2) == ["g", "f", "e", "d", "b", "a"]


def test_a_page_is_made_in_slices(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SLICE", 1)
    listing = listing_of(driver, "n0", b"", frozenset[JobState](), "", "", 10, b"")
    assert not listing.slice()
    driver.complete("a")
    driver.fail("c")
    while not listing.slice():
        pass
    found = [name_of(one.job.spec.job_id) for one in listing.page().jobs]
    assert found == ["e"], "the others are not assigned any more"


def test_a_cursor_of_another_listing_is_refused() -> None:
    assert AssignedListing.check(b"") is None
    for wrong in (b"L" + bytes(24), b"A" + bytes(7), b"?"):
        assert AssignedListing.check(wrong) is not None
