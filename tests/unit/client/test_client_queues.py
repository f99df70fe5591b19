"""`client.queues`, and the options of enqueue about queues and unique keys, against a node in memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrix_raft import AlreadyExists, AsyncClient, Client, InvalidArgument
from orchestrix_raft.client.queues import AsyncQueues, RateLimit
from orchestrix_raft.client.sync import Queues
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.domain.queue import QueueOptions, RateLimitOptions
from orchestrix_raft.machine.commands import ConfigureQueue, Enqueue, EnqueueResult
from tests.unit.api.fake_node import WALL_MS, FakeNode, serving


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
async def client(node: FakeNode) -> AsyncIterator[AsyncClient]:
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        yield client


async def test_limits_are_set_one_by_one_and_removed_with_none(client: AsyncClient, node: FakeNode) -> None:
    queue = await client.queues.limit("mail", rate=(100, 1.0), concurrency=10)
    assert node.options["mail"] == QueueOptions(False, RateLimitOptions(100, 1_000), 10, None, 0)
    assert (queue.rate, queue.concurrency, queue.key_rate) == (RateLimit(100, 1.0), 10, None)
    await client.queues.limit("mail", key_rate=(5, timedelta(minutes=1)), key_concurrency=2)
    assert node.options["mail"].key_rate == RateLimitOptions(5, 60_000)
    await client.queues.limit("mail", rate=None, key_concurrency=None)
    assert node.options["mail"] == QueueOptions(False, None, 10, RateLimitOptions(5, 60_000), 0)


async def test_pause_resume_list_and_get(client: AsyncClient) -> None:
    assert (await client.queues.pause("mail")).paused
    (queue,) = await client.queues.list()
    assert (queue.name, queue.paused, queue.pending, queue.held) == ("mail", True, 2, 5)
    assert queue.rate_opens_at == datetime.fromtimestamp(WALL_MS / 1_000, UTC)
    assert not (await client.queues.resume("mail")).paused
    assert not (await client.queues.get("mail")).paused


async def test_every_change_has_a_request_id_of_its_own(client: AsyncClient, node: FakeNode) -> None:
    await client.queues.pause("a")
    await client.queues.pause("b")
    ids = [command.request_id for command in node.submitted if isinstance(command, ConfigureQueue)]
    assert len(set(ids)) == 2
    assert {len(one) for one in ids} == {16}


async def test_a_purge_goes_on_until_nothing_waits(client: AsyncClient, node: FakeNode) -> None:
    await client.enqueue_many([("t", None)] * 5, queue="mail")
    await client.enqueue("t", queue="other")
    assert await client.queues.purge("mail") == 5
    assert len(node.jobs) == 1


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"rate": (0, 1.0)}, "rate is 0: a whole number from 1 on"),
        ({"rate": 5}, r"rate is 5: it must be \(count, seconds\)"),
        ({"key_rate": "5/1s"}, r"key_rate is '5/1s': it must be \(count, seconds\)"),
        ({"rate": (5, 0)}, "the window of rate is 0: it must be more than 0 seconds"),
        ({"rate": (5, -1.0)}, "the window of rate is -1.0: it must be 0 seconds or more"),
        ({"rate": (5, float("nan"))}, "the window of rate is nan"),
        ({"rate": (5,)}, "it must be \\(count, seconds\\)"),
        ({"key_rate": (2.5, 1)}, "a whole number from 1 on"),
        ({"concurrency": -1}, "a whole number from 1 on"),
        ({"concurrency": 0}, "concurrency is 0: a whole number from 1 on"),
    ],
)
async def test_bad_limits_are_refused_with_what_is_allowed(
    client: AsyncClient, limits: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidArgument, match=says):
        await client.queues.limit("mail", **limits)


async def test_enqueue_passes_key_rule_and_expiry_on(client: AsyncClient, node: FakeNode) -> None:
    await client.enqueue("t", key="k", expires=1.5, unique_key="u", unique_scope="window", unique_for=60)
    await client.enqueue("t", unique_key="u", on_conflict="replace")
    await client.enqueue_many([("t", None)], key="m", expires=timedelta(seconds=2))
    specs = [spec for command in node.submitted if isinstance(command, Enqueue) for spec in command.jobs]
    assert [(spec.key, spec.expires_ms) for spec in specs] == [("k", 1_500), ("", 0), ("m", 2_000)]
    assert [spec.unique for spec in specs] == [
        UniqueRule(UniqueScope.WINDOW, 60_000),
        UniqueRule(on_conflict=OnConflict.REPLACE),
        None,
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"unique_scope": "window"}, "need a unique_key"),
        ({"retry": "fast"}, r"retry is 'fast': it is a RetryPolicy, such as RetryPolicy.fast\(\)"),
        ({"unique_key": "u", "unique_scope": "ever"}, "there are until_done, until_started, window"),
        ({"unique_key": "u", "on_conflict": "ask"}, "there are return_existing, replace, reject"),
        ({"unique_key": "u", "unique_for": 5}, "belongs to unique_scope='window'"),
        ({"expires": 0}, "it must be more than 0 seconds"),
    ],
)
async def test_bad_options_never_leave_the_client(
    client: AsyncClient, node: FakeNode, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidArgument, match=says):
        await client.enqueue("t", **options)
    assert not node.submitted


async def test_a_taken_key_is_already_exists_when_it_is_to_be_refused(
    client: AsyncClient, node: FakeNode
) -> None:
    taken = Rejected(Code.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN", "job x has the unique key 'u'")
    node.answer = lambda command: Done(1, EnqueueResult({}, {0: taken}))
    with pytest.raises(AlreadyExists, match="has the unique key"):
        await client.enqueue("t", unique_key="u", on_conflict="reject")


def test_the_sync_face_has_every_method_of_the_async_one() -> None:
    names = {name for name in vars(AsyncQueues) if not name.startswith("_")}
    assert names == {name for name in vars(Queues) if not name.startswith("_")}
    assert Queues.limit.__doc__ == AsyncQueues.limit.__doc__


def test_the_sync_client_steers_queues(node: FakeNode) -> None:
    async def serve(ready: asyncio.Event, over: asyncio.Event, told: list[str]) -> None:
        async with serving(node) as address:
            told.append(address)
            ready.set()
            await over.wait()

    async def both() -> None:
        ready, over, told = asyncio.Event(), asyncio.Event(), list[str]()
        server = asyncio.create_task(serve(ready, over, told))
        await ready.wait()
        try:
            await asyncio.to_thread(steer, told[0])
        finally:
            over.set()
            await server

    def steer(address: str) -> None:
        with Client(address) as client:
            assert client.queues.pause("mail").paused
            client.queues.limit("mail", concurrency=1)
            assert [queue.name for queue in client.queues.list()] == ["mail"]

    asyncio.run(both())
    assert node.options["mail"] == QueueOptions(paused=True, concurrency=1)
