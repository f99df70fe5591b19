"""ClusterService.Watch over a real gRPC connection, with a node in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from orchestrix_raft import AsyncClient, OrchestrixError
from orchestrix_raft.api import callers
from orchestrix_raft.coordinator.event_view import KINDS, Cursor, EventFilter
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.events import JobCompleted, JobEnqueued
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.events import WatchRequest, WatchResponse
from orchestrix_raft.wire.services import CLUSTER
from orchestrix_raft.wire.status import reason_of
from orchestrix_raft.wire.transport import EOF
from tests.unit.api.fake_events import AT_MS
from tests.unit.api.fake_node import NO_LEADER, FakeNode, serving

ID = bytes(range(16))


@pytest.fixture
async def watch(node: FakeNode) -> AsyncIterator[Any]:
    method = CLUSTER.methods["Watch"]
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        yield channel.unary_stream(method.path, method.request.SerializeToString, method.response.FromString)


async def pages(call: Any) -> list[WatchResponse]:
    found = []
    while (page := await call.read()) is not EOF:
        found.append(page)
    return found


async def refusal(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pages(call)
    trailers: Any = caught.value.trailing_metadata()
    return caught.value.code().name, reason_of(trailers)


async def test_what_happened_is_told_with_where_to_go_on(node: FakeNode, watch: Any) -> None:
    node.events.happen("job_enqueued", ID)
    node.events.happen("job_cancelled", ID, reason="not wanted")
    (page,) = await pages(watch(WatchRequest()))
    first, second = page.events
    assert (first.cursor, first.kind, first.job_id, first.at_ms) == ("1-1", "job_enqueued", ID, AT_MS)
    assert (first.queue, first.type, first.actor) == ("mail", "send", "client via n1")
    assert json.loads(first.details) == {"n": 1}
    assert (second.kind, second.reason) == ("job_cancelled", "not wanted")
    assert page.cursor == "3-0"
    assert node.events.asked == [(None, EventFilter(), False)]


async def test_elapsed_time_is_told_where_it_was_kept(node: FakeNode, watch: Any) -> None:
    node.events.happen("job_enqueued", ID, elapsed_ms=None)
    node.events.happen("job_cancelled", ID, elapsed_ms=0)
    node.events.happen("job_retried", ID, elapsed_ms=1 << 42)
    (page,) = await pages(watch(WatchRequest()))
    told = [event.elapsed_ms if event.HasField("elapsed_ms") else None for event in page.events]
    assert told == [None, 0, 1 << 42]


async def test_following_tells_what_happens(node: FakeNode, watch: Any) -> None:
    node.index = 7
    call = watch(WatchRequest(since="now", follow=True))
    assert (await call.read()).cursor == "8-0"
    node.events.happen("job_enqueued", ID, index=8)
    assert [event.kind for event in (await call.read()).events] == ["job_enqueued"]
    assert node.fresh_calls == [(0, True)], "now is what the leader has"
    call.cancel()
    while node.events.streams:
        await asyncio.sleep(0)


async def test_now_leaves_out_all_that_has_happened(node: FakeNode, watch: Any) -> None:
    node.index = 7
    node.events.happen("job_enqueued", ID, index=7)
    assert [event for page in await pages(watch(WatchRequest(since="now"))) for event in page.events] == []


async def test_a_cursor_waits_for_the_node_to_come_that_far(node: FakeNode, watch: Any) -> None:
    node.events.happen("job_enqueued", ID, index=40)
    assert (await pages(watch(WatchRequest(since="40-1"))))[0].cursor
    assert (await pages(watch(WatchRequest(since="40-0", read=ReadOptions(min_index=3)))))[0].events
    assert node.fresh_calls == [(40, False), (39, False)]
    assert [since for since, _, _ in node.events.asked] == [Cursor(40, 1), Cursor(40, 0)]
    node.events.told.clear()
    node.on_linearizable = lambda: setattr(node, "index", 41)
    assert (await pages(watch(WatchRequest(since="41-1"))))[0].cursor
    assert node.fresh_calls[2:] == [(0, True)], "a node that lags asks the leader"


async def test_a_cursor_that_nobody_can_have_been_told_is_refused_at_once(node: FakeNode, watch: Any) -> None:
    node.index = 7
    for follow in (False, True):
        call = watch(WatchRequest(since="2000000000-0", follow=follow))
        assert await refusal(call) == ("FAILED_PRECONDITION", "CURSOR_AHEAD")
        assert "2000000000-0 lies ahead: the latest is 8-0" in await call.details()
    assert node.fresh_calls == [(0, True), (0, True)]
    assert (await pages(watch(WatchRequest(since="8-0"))))[0].cursor == "8-0", "the latest itself is none"


async def test_filters_are_passed_on(node: FakeNode, watch: Any) -> None:
    request = WatchRequest(
        kinds=["job_enqueued", "job_completed"], job_ids=[ID], queues=["mail", "q"], types=["send"]
    )
    await pages(watch(request))
    (_, wanted, _) = node.events.asked[0]
    assert wanted == EventFilter(
        frozenset({JobEnqueued, JobCompleted}), frozenset({ID}), frozenset({"mail", "q"}), frozenset({"send"})
    )


async def test_who_misspells_a_kind_is_told_those_there_are(watch: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await pages(watch(WatchRequest(kinds=["bogus"])))
    told = refused.value.details() or ""
    assert told.startswith("no kind of event is called 'bogus': there are job_enqueued, ")
    assert all(kind in told for kind in KINDS)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (WatchRequest(since="yesterday"), "CURSOR_INVALID"),
        (WatchRequest(since="1-2-3"), "CURSOR_INVALID"),
        (WatchRequest(kinds=["job_vanished"]), "KIND_INVALID"),
        (WatchRequest(job_ids=[b"short"]), "JOB_ID_INVALID"),
        (WatchRequest(queues=["a b"]), "QUEUE_INVALID"),
        (WatchRequest(types=["a b"]), "TYPE_INVALID"),
        (WatchRequest(kinds=["job_enqueued"] * 1_001), "FILTER_INVALID"),
    ],
)
async def test_what_cannot_be_meant_is_refused(watch: Any, request_: WatchRequest, reason: str) -> None:
    assert await refusal(watch(request_)) == ("INVALID_ARGUMENT", reason)


async def test_events_that_are_gone_are_said_with_where_to_go_on(node: FakeNode, watch: Any) -> None:
    node.events.after = 50
    call = watch(WatchRequest(since="20-1"))
    assert (await call.read()).oldest == "51-0"
    assert await refusal(call) == ("FAILED_PRECONDITION", "CURSOR_TOO_OLD")


async def test_a_stream_ends_with_the_node_s_word(node: FakeNode, watch: Any) -> None:
    node.events.ending = Rejected(Code.UNAVAILABLE, "NOT_FRESH", "cut off")
    call = watch(WatchRequest(follow=True))
    assert (await call.read()) is not EOF
    assert await refusal(call) == ("UNAVAILABLE", "NOT_FRESH")


async def test_a_node_that_is_not_fresh_does_not_begin(node: FakeNode, watch: Any) -> None:
    node.refuse_fresh = NO_LEADER
    assert await refusal(watch(WatchRequest())) == ("UNAVAILABLE", "NO_LEADER")
    assert node.events.asked == []


async def test_bytes_that_are_no_request_are_refused(node: FakeNode) -> None:
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        stream: Any = channel.unary_stream
        call = stream(CLUSTER.methods["Watch"].path)
        assert await refusal(call(b"\xff\xff")) == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")


# ---- the audit trail


async def test_the_trail_is_listed_page_by_page(node: FakeNode) -> None:
    node.trail = [AuditRecord(n, "alice", "cancel_jobs", "jobs x", "done: cancelled") for n in range(1, 6)]
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        first = await client.audit(limit=2)
        rest = await client.audit(after=first[-1].number)
    assert [entry.number for entry in first + rest] == [1, 2, 3, 4, 5]
    assert (first[0].actor, first[0].action, first[0].target) == ("alice", "cancel_jobs", "jobs x")
    assert first[0].outcome == "done: cancelled"
    assert first[0].at is not None


async def test_the_trail_says_whose_it_is_and_refuses_numbers_that_lie_ahead(node: FakeNode) -> None:
    record = AuditRecord(1, "alice", "cancel_jobs", "jobs x", "done: cancelled")
    node.trail = [record]
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        assert (await client.audit()).cluster_id == "c1"
        assert await client.audit(after=1) == []
        with pytest.raises(OrchestrixError, match="record 2 lies ahead: the latest is 1") as caught:
            await client.audit(after=2)
        assert caught.value.reason == "CURSOR_AHEAD"
        node.on_linearizable = lambda: node.trail.append(record)
        assert await client.audit(after=2) == [], "it was known to another node first"


async def test_every_change_by_hand_says_who_asks(node: FakeNode) -> None:
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        node.members = [address]
        job_id = await client.enqueue("t")
        assert node.actors == [], "enqueueing is no steering"
        await client.cancel(job_id)
        await client.retry(job_id)
        await client.queues.pause("q")
        await client.schedules.every("s", 5.0, "t")
        await client.schedules.pause("s")
        assert node.actors == ["127.0.0.1"] * 5
        await client.transfer_leadership()
        while not node.notes:
            await asyncio.sleep(0)
    (note,) = node.notes
    assert (note.actor, note.action, note.target) == ("127.0.0.1", "transfer_leadership", "any node")
    assert note.outcome.startswith("done: to ")


@pytest.mark.parametrize(
    ("name", "peer", "words"),
    [
        ("", "ipv4:10.0.0.5:40000", "10.0.0.5"),
        ("alice", "ipv6:%5B::1%5D:40000", "alice at [::1]"),
        ("", "unix:/run/socket", "unix:/run/socket"),
        ("a\nb", "ipv4:10.0.0.5:1", "a?b at 10.0.0.5"),
    ],
)
def test_callers_as_they_are_told(name: str, peer: str, words: str) -> None:
    assert callers.told(name, peer) == words


def test_outside_of_a_call_there_is_no_caller() -> None:
    assert callers.caller() == ""
