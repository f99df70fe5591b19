"""Following events at a node: nothing waits for ever, nobody is queued for."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from orchestrix_raft.coordinator import watching
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter
from orchestrix_raft.coordinator.port import EventPage
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.machine.commands import Enqueue
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.version import MACHINE_LEVEL
from tests.scenarios.driver import job
from tests.unit.coordinator.bench import Cores

Pages = AsyncGenerator[EventPage | Rejected, None]


def enqueue(cores: Cores, *names: str) -> None:
    cores.submit("n1", Enqueue(tuple(job(name) for name in names)))
    cores.run()


def watch(cores: Cores, since: Cursor | None = None, follow: bool = True) -> Pages:
    return watching.watch(cores["n1"], since, EventFilter(), follow)


async def page(pages: Pages) -> EventPage:
    """The next one that is not just a sign of life."""
    while True:
        found = await anext(pages)
        assert isinstance(found, EventPage), found
        if found.events:
            return found


async def refusal(pages: Pages) -> Rejected:
    async for found in pages:
        if isinstance(found, Rejected):
            return found
    raise AssertionError("it ended without a refusal")


async def test_the_past_ends_where_the_node_stands() -> None:
    cores = Cores()
    enqueue(cores, "a", "b")
    told = [found async for found in watch(cores, follow=False)]
    (only,) = told
    assert isinstance(only, EventPage)
    raised = ["level_raised"] * (MACHINE_LEVEL - FIRST_LEVEL)
    assert [event.kind for event in only.events] == ["node_joined", *raised, "job_enqueued", "job_enqueued"]
    assert only.cursor == Cursor(cores["n1"].state.index + 1, 0)
    assert cores["n1"].feed.followers == 0


async def test_what_happens_is_told_when_it_happens() -> None:
    cores = Cores()
    pages = watch(cores)
    first = await page(pages)
    waiting = asyncio.ensure_future(page(pages))
    await asyncio.sleep(0)
    enqueue(cores, "a")
    assert [event.kind for event in (await waiting).events] == ["job_enqueued"]
    assert first.cursor <= waiting.result().events[0].cursor
    await pages.aclose()
    assert cores["n1"].feed.followers == 0


async def test_a_place_that_is_not_reached_yet_is_waited_for() -> None:
    cores = Cores()
    index = cores["n1"].state.index
    pages = watch(cores, Cursor(index + 2, 0))
    waiting = asyncio.ensure_future(page(pages))
    await asyncio.sleep(0)
    enqueue(cores, "a")
    enqueue(cores, "b")
    (event,) = (await waiting).events
    assert event.cursor == Cursor(index + 2, 1)
    await pages.aclose()


async def test_a_sign_of_life_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "IDLE_S", 0.01)
    cores = Cores()
    pages = watch(cores, Cursor(cores["n1"].state.index + 1, 0))
    for _ in range(2):
        found = await anext(pages)
        assert isinstance(found, EventPage)
        assert found.events == []
        assert found.cursor == Cursor(cores["n1"].state.index + 1, 0)
    await pages.aclose()


async def test_a_node_that_is_cut_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "IDLE_S", 0.01)
    cores = Cores()
    monkeypatch.setattr(type(cores["n1"]), "stale", property(lambda core: True))
    assert (await refusal(watch(cores))).reason == "NOT_FRESH"


async def test_a_node_that_stops_lets_its_readers_go() -> None:
    cores = Cores()
    pages = watch(cores)
    await page(pages)
    waiting = asyncio.ensure_future(refusal(pages))
    await asyncio.sleep(0)
    cores["n1"].stop("the end")
    assert (await waiting).reason == "NODE_STOPPING"


async def test_readers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FOLLOWERS", 1)
    cores = Cores()
    first = watch(cores)
    await page(first)
    assert (await refusal(watch(cores))).reason == "TOO_MANY_FOLLOWERS"
    await first.aclose()
    second = watch(cores)
    await page(second)
    await second.aclose()


async def test_a_feed_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = Cores()

    def read(*_: object) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(cores["n1"].feed, "read", read)
    refused = await refusal(watch(cores))
    assert refused.reason == "EVENTS_UNREADABLE"
    assert "the disk is gone" in refused.message
