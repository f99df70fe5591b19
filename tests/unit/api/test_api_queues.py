"""QueueService over a real gRPC connection, with a node in memory."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from orchestrix_raft.domain.job import JobState, OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.domain.queue import QueueChange, QueueOptions, RateLimitOptions
from orchestrix_raft.machine.commands import CancelWhere, ConfigureQueue, Enqueue
from orchestrix_raft.wire import jobs as jobs_wire
from orchestrix_raft.wire import queues as wire
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.services import JOBS, QUEUES
from orchestrix_raft.wire.status import reason_of
from tests.unit.api.fake_node import WALL_MS, FakeNode, serving

REQUEST = bytes(range(16))


class Stub:
    """Methods of QueueService, and Enqueue, by name."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        method = QUEUES.methods.get(name) or JOBS.methods[name]
        make: Any = self._channel.unary_unary
        return make(method.path, method.request.SerializeToString, method.response.FromString)


@pytest.fixture
async def stub(node: FakeNode) -> AsyncIterator[Stub]:
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        yield Stub(channel)


def request(**fields: Any) -> wire.ConfigureQueueRequest:
    return wire.ConfigureQueueRequest(**({"request_id": REQUEST, "name": "mail"} | fields))


async def refusal(call: Any) -> tuple[str, str, str]:
    """(code, reason, message) of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    trailers: Any = error.trailing_metadata()
    return error.code().name, reason_of(trailers), error.details() or ""


async def test_configure_names_only_what_changes_and_answers_what_holds(stub: Stub, node: FakeNode) -> None:
    rate = RateLimitOptions(100, 1_000)
    node.options["mail"] = QueueOptions(True, None, 3, None, 4)
    answer = await stub.ConfigureQueue(
        request(rate={"count": 100, "window_ms": 1_000}, clear=["key_concurrency"], concurrency=9)
    )
    change = QueueChange(None, rate, 9, None, None, ("key_concurrency",))
    assert node.submitted == [ConfigureQueue(REQUEST, "mail", change)]
    assert node.options["mail"] == QueueOptions(True, rate, 9, None, 0)
    assert answer.applied_index == node.index
    assert (answer.queue.paused, answer.queue.concurrency, answer.queue.key_concurrency) == (True, 9, 0)
    assert (answer.queue.rate.count, answer.queue.HasField("key_rate")) == (100, False)


async def test_pause_and_resume_are_told_from_saying_nothing(stub: Stub, node: FakeNode) -> None:
    for fields, paused in (({"paused": True}, True), ({"paused": False}, False), ({"concurrency": 1}, None)):
        await stub.ConfigureQueue(request(**fields))
        command = node.submitted[-1]
        assert isinstance(command, ConfigureQueue)
        assert command.change.paused is paused


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"rate": {"count": 0, "window_ms": 1_000}}, "QUEUE_OPTIONS_INVALID", "rate of 0: from 1 to"),
        ({"key_rate": {"count": 5}}, "QUEUE_OPTIONS_INVALID", "key_rate per 0 ms: the window is from 1 ms"),
        ({"concurrency": 0}, "QUEUE_OPTIONS_INVALID", "concurrency 0: from 1 to 1000000"),
        ({"clear": ["speed"]}, "QUEUE_OPTIONS_INVALID", "(there are rate, concurrency, key_rate, key_"),
        ({"name": "a b"}, "QUEUE_INVALID", "only letters, digits"),
        ({"request_id": b"1"}, "REQUEST_ID_INVALID", "16 random ones"),
    ],
)
async def test_bad_changes_are_refused_in_one_line(
    stub: Stub, node: FakeNode, fields: dict[str, Any], reason: str, says: str
) -> None:
    code, told, message = await refusal(stub.ConfigureQueue(request(**fields)))
    assert (code, told) == ("INVALID_ARGUMENT", reason)
    assert says in message
    assert "\n" not in message
    assert not node.submitted


async def test_queues_are_listed_and_got_with_what_counts_against_them(stub: Stub, node: FakeNode) -> None:
    node.options = {"b": QueueOptions(paused=True), "a": QueueOptions(concurrency=2)}
    listed = await stub.ListQueues(wire.ListQueuesRequest())
    assert [(q.name, q.paused, q.concurrency) for q in listed.queues] == [("a", False, 2), ("b", True, 0)]
    got = (await stub.GetQueue(wire.GetQueueRequest(name="a"))).queue
    assert (got.scheduled, got.pending, got.dispatched, got.running) == (1, 2, 3, 4)
    assert (got.held, got.rate_used, got.rate_opens_ms) == (5, 6, WALL_MS)
    assert (await refusal(stub.GetQueue(wire.GetQueueRequest(name=""))))[1] == "QUEUE_INVALID"


async def test_reads_wait_for_their_index(stub: Stub, node: FakeNode) -> None:
    node.index = 3
    read = ReadOptions(min_index=2)
    assert (await stub.ListQueues(wire.ListQueuesRequest(read=read))).read.applied_index >= 2


async def test_a_purge_is_a_walk_over_what_waits(stub: Stub, node: FakeNode) -> None:
    for n in range(2):
        new = jobs_wire.NewJob(job_id=bytes([n + 1]) * 16, type="t", queue="mail")
        await stub.Enqueue(jobs_wire.EnqueueRequest(jobs=[new]))
    first = await stub.PurgeQueue(wire.PurgeQueueRequest(request_id=REQUEST, name="mail"))
    command = node.submitted[-1]
    assert isinstance(command, CancelWhere)
    assert set(command.where.states) == {JobState.SCHEDULED, JobState.PENDING}
    assert (command.where.queue, command.reason) == ("mail", "purged")
    assert (first.purged, first.next_cursor) == (1, b"\x01" * 16)
    again = wire.PurgeQueueRequest(request_id=REQUEST, name="mail", cursor=first.next_cursor)
    assert (await stub.PurgeQueue(again)).purged == 1


async def test_new_jobs_carry_key_rule_and_expiry(stub: Stub, node: FakeNode) -> None:
    window = {"scope": "SCOPE_WINDOW", "on_conflict": "ON_CONFLICT_REJECT"}
    new = jobs_wire.NewJob(job_id=REQUEST, type="t", key="k", unique_key="u", unique=window, expires_ms=5)
    await stub.Enqueue(jobs_wire.EnqueueRequest(jobs=[new]))
    (command,) = node.submitted
    assert isinstance(command, Enqueue)
    (spec,) = command.jobs
    assert (spec.key, spec.expires_ms) == ("k", 5)
    assert spec.unique == UniqueRule(UniqueScope.WINDOW, 3_600_000, OnConflict.REJECT)
    job = (await stub.GetJob(jobs_wire.GetJobRequest(job_id=REQUEST))).job
    assert (job.key, job.expires_ms, job.unique.for_ms) == ("k", 5, 3_600_000)


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"unique": {"scope": 7}}, "UNIQUE_RULE_INVALID", "0 until_done, 1 until_started, 2 window"),
        ({"unique": {"on_conflict": 9}}, "UNIQUE_RULE_INVALID", "0 return_existing, 1 replace, 2 reject"),
        ({"unique": {"for_ms": 9}}, "UNIQUE_RULE_INVALID", "belongs to the scope `window`"),
        ({"unique": {"scope": 2, "for_ms": 1 << 40}}, "UNIQUE_RULE_INVALID", "(30 days)"),
        ({"unique_key": "", "unique": {}}, "UNIQUE_RULE_INVALID", "needs a unique_key"),
        ({"key": "k" * 257}, "KEY_TOO_LONG", "at most 256"),
        ({"expires_ms": 1 << 50}, "DURATION_TOO_LONG", "expires_ms"),
    ],
)
async def test_bad_rules_of_jobs_are_refused_in_one_line(
    stub: Stub, node: FakeNode, fields: dict[str, Any], reason: str, says: str
) -> None:
    new = jobs_wire.NewJob(**({"job_id": REQUEST, "type": "t", "unique_key": "u"} | fields))
    code, told, message = await refusal(stub.Enqueue(jobs_wire.EnqueueRequest(jobs=[new])))
    assert (code, told) == ("INVALID_ARGUMENT", reason)
    assert says in message
    assert not node.submitted
