"""`client.events`: each event once, whatever happens to the node that tells them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orchestrix_raft import (
    AsyncClient,
    Client,
    CursorTooOld,
    Event,
    InvalidArgument,
    JobNotFound,
    OrchestrixError,
    Unavailable,
)
from orchestrix_raft.api import logs
from orchestrix_raft.client import streaming
from orchestrix_raft.coordinator.event_view import Cursor
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.storage.port import LogLine
from tests.unit.api.fake_node import FakeNode
from tests.unit.client.nodes import NOBODY, Cluster, closed_port

ID = bytes(range(16))
JOB = "00010203-0405-0607-0809-0a0b0c0d0e0f"
CUT_OFF = Rejected(Code.UNAVAILABLE, "NOT_FRESH", "cut off")


async def take(stream: AsyncIterator[Event], count: int) -> list[str]:
    return [(await anext(stream)).kind for _ in range(count)]


def share(cluster: Cluster) -> None:
    """Both nodes tell the same."""
    cluster.nodes[1].events.told = cluster.nodes[0].events.told


async def test_what_happened(client: AsyncClient, node: FakeNode) -> None:
    node.events.happen("job_enqueued", ID)
    node.events.happen("node_joined")
    first, second = [event async for event in client.events()]
    assert (first.cursor, first.kind, first.job_id, first.queue, first.type) == (
        *("1-1", "job_enqueued", JOB, "mail", "send"),
    )
    assert first.at is not None
    assert (first.at.year, first.actor, first.details) == (2023, "client via n1", {"n": 1})
    assert second.job_id == ""
    assert [event.kind async for event in client.events(since=first.cursor)] == ["node_joined"]


async def test_elapsed_time_is_none_where_a_node_does_not_tell_it(
    client: AsyncClient, node: FakeNode
) -> None:
    node.events.happen("job_enqueued", ID, elapsed_ms=None)
    node.events.happen("job_cancelled", ID, elapsed_ms=0)
    assert [event.elapsed_ms async for event in client.events()] == [None, 0]


async def test_filters_are_one_value_or_several(client: AsyncClient, node: FakeNode) -> None:
    assert [
        event async for event in client.events(job=JOB, queue=("a", "b"), type="t", kind=["job_enqueued"])
    ] == []
    (_, wanted, _) = node.events.asked[0]
    assert (wanted.job_ids, wanted.queues) == (frozenset({ID}), frozenset({"a", "b"}))
    assert wanted.job_types == frozenset({"t"})
    with pytest.raises(InvalidArgument, match="job_vanished"):
        [event async for event in client.events(kind="job_vanished")]


async def test_following_begins_now_unless_told_otherwise(client: AsyncClient, node: FakeNode) -> None:
    node.events.happen("job_enqueued", ID)
    node.index = 1
    stream = client.events(follow=True)
    waiting = asyncio.ensure_future(take(stream, 1))
    while not node.events.streams:
        await asyncio.sleep(0)
    node.events.happen("job_completed", ID)
    assert await waiting == ["job_completed"]
    assert await take(client.events(follow=True, since="1-0"), 2) == ["job_enqueued", "job_completed"]


async def test_a_stream_goes_on_at_another_node_behind_what_it_told(cluster: Cluster) -> None:
    share(cluster)
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        (second,) = (node for node in cluster.nodes if node is not first)
        first.events.happen("job_enqueued", ID)
        first.events.happen("job_assigned", ID)
        stream = client.events(follow=True, since="1-0")
        assert await take(stream, 2) == ["job_enqueued", "job_assigned"]
        first.events.ending = CUT_OFF
        first.events.happen("job_completed", ID)
        assert await take(stream, 1) == ["job_completed"]
        waiting = asyncio.ensure_future(take(stream, 1))
        while not second.events.streams:
            await asyncio.sleep(0)
        assert second.events.asked[0][0] == Cursor(4, 0)
        second.events.happen("job_forgotten", ID)
        assert await waiting == ["job_forgotten"]


async def test_a_silent_node_is_left(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SILENT_S", 0.05)
    share(cluster)
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        stream = client.events(follow=True, since="1-0")
        waiting = asyncio.ensure_future(take(stream, 1))
        while not all(node.events.asked for node in cluster.nodes):
            await asyncio.sleep(0)
        cluster.nodes[0].events.happen("job_enqueued", ID)
        cluster.nodes[1].events.change()
        assert await waiting == ["job_enqueued"]


async def test_what_one_node_has_forgotten_another_may_know(cluster: Cluster) -> None:
    share(cluster)
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        first.events.happen("job_enqueued", ID)
        first.events.after = 50
        assert [event.kind async for event in client.events(since="1-0")] == ["job_enqueued"]


async def test_members_that_were_not_named_are_asked_too(cluster: Cluster) -> None:
    share(cluster)
    cluster.nodes[0].members = cluster.addresses
    cluster.nodes[0].events.happen("job_enqueued", ID)
    cluster.nodes[0].events.after = 50
    async with AsyncClient(cluster.addresses[0], deadline=5.0) as client:
        assert [event.kind async for event in client.events(since="1-0")] == ["job_enqueued"]


async def test_what_nobody_knows_any_more_is_said_with_where_to_go_on(cluster: Cluster) -> None:
    cluster.nodes[0].events.after, cluster.nodes[1].events.after = 50, 40
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        with pytest.raises(CursorTooOld, match="3-1") as caught:
            [event async for event in client.events(since="3-1", follow=True)]
    assert caught.value.oldest == "41-0", "of the node that remembers most"
    assert caught.value.reason == "CURSOR_TOO_OLD"


RESTORED = "another cluster answers: c2, made by a restore or a recovery perhaps, no longer c1"


async def test_a_stream_does_not_go_on_in_another_cluster(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        (second,) = (node for node in cluster.nodes if node is not first)
        for node in cluster.nodes:
            node.events.happen("job_enqueued", ID)
        second.events.happen("job_cancelled", ID)
        second.cluster_id = "c2"
        stream = client.events(follow=True, since="1-0")
        assert await take(stream, 1) == ["job_enqueued"]
        first.events.ending = CUT_OFF
        first.events.change()
        with pytest.raises(OrchestrixError, match=RESTORED) as caught:
            await anext(stream)
        assert (caught.value.reason, caught.value.cursor) == ("ANOTHER_CLUSTER", "2-0")
        with pytest.raises(OrchestrixError, match=RESTORED):
            [event async for event in client.events(since="2-0")]
        told = [event.kind async for event in client.events()]
        assert told == ["job_enqueued", "job_cancelled"], "who begins anew is told of the new one"
        assert [event.kind async for event in client.events(since="2-0")] == ["job_cancelled"]


async def test_that_another_cluster_answers_is_worth_more_than_that_a_cursor_is_too_old(
    client: AsyncClient, node: FakeNode
) -> None:
    node.events.happen("job_enqueued", ID)
    assert len([event async for event in client.events()]) == 1
    node.cluster_id, node.events.after = "c2", 40
    with pytest.raises(OrchestrixError, match=RESTORED):
        [event async for event in client.events(since="2-0")]


async def test_nodes_of_earlier_versions_do_not_say_their_cluster(
    client: AsyncClient, node: FakeNode
) -> None:
    node.events.happen("job_enqueued", ID)
    assert len([event async for event in client.events()]) == 1
    node.cluster_id = ""
    assert len([event async for event in client.events(since="1-0")]) == 1
    node.cluster_id = "c2"
    with pytest.raises(OrchestrixError, match=RESTORED):
        [event async for event in client.events(since="1-0")]


async def test_the_latest_records_are_right_from_a_node_that_does_not_know_the_word(
    client: AsyncClient, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.trail = [AuditRecord(1, "alice", "backup", f"record {number}", "done") for number in range(1, 6)]
    assert [entry.number for entry in await client.audit(limit=2, latest=True)] == [4, 5]
    audit = node.audit

    def earlier(after: int, limit: int, latest: bool = False) -> list[tuple[int, AuditRecord]]:
        return audit(after, limit, latest and limit == 1)  # which only the API's own look at the end is

    monkeypatch.setattr(node, "audit", earlier)
    node.cluster_id = ""
    monkeypatch.setattr("orchestrix_raft.domain.limits.PAGE", 3)
    assert [entry.number for entry in await client.audit(limit=2, latest=True)] == [4, 5]
    assert [entry.number for entry in await client.audit(limit=2)] == [1, 2]


async def test_without_any_node_it_gives_up() -> None:
    async with AsyncClient(closed_port(), deadline=0.2) as client:
        with pytest.raises(Unavailable, match=r"no server answered the request for events within 0\.2 s"):
            [event async for event in client.events(follow=True)]


async def test_the_synchronous_client_tells_the_same(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    node.events.happen("job_enqueued", ID)
    node.events.happen("job_completed", ID)

    def use() -> tuple[list[str], str]:
        with Client(cluster.addresses[0], deadline=5.0) as client:
            told = [event.kind for event in client.events()]
            for event in client.events(follow=True, since="1-0"):
                return told, event.kind
        raise AssertionError("nothing was told")

    assert await asyncio.to_thread(use) == (["job_enqueued", "job_completed"], "job_enqueued")
    while node.events.streams:
        await asyncio.sleep(0)


# ---- job logs


def line(number: int) -> LogLine:
    return LogLine(1, number, 5, "info", str(number))


async def test_followed_lines_go_on_at_another_node(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_MS", 5)
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        job_id = await client.enqueue("t")
        raw = bytes.fromhex(job_id.replace("-", ""))
        first = cluster.of(client._caller.servers.current)
        (second,) = (node for node in cluster.nodes if node is not first)
        first.lines[raw] = [line(1), line(2)]
        second.lines[raw] = [line(1), line(2), line(3)]
        stream = client.logs(job_id, follow=True)
        told = [(await anext(stream)).number, (await anext(stream)).number]
        client._caller.failed(client._caller._channels[client._caller.servers.current])
        monkeypatch.setattr(first, "logs", _cut_off)
        told.append((await anext(stream)).number)
        second.jobs[raw].state = JobState.COMPLETED
        told += [line.number async for line in stream]
    assert told == [1, 2, 3]


async def _cut_off(*_: object) -> Rejected:
    return CUT_OFF


async def test_following_the_log_of_a_job_that_is_not_there(client: AsyncClient) -> None:
    with pytest.raises(JobNotFound):
        [line async for line in client.logs(NOBODY, follow=True)]
