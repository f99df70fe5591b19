"""Backups and the comparison of contents over the wire, without an SDK."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from orchestrix_raft.api import backups
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.commands import MarkContents
from orchestrix_raft.storage.views import Contents
from orchestrix_raft.wire import backup as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.status import reason_of
from tests.unit.api.fake_node import FakeNode

METHODS = services.CLUSTER.methods


def call(channel: grpc.aio.Channel, name: str, request: Any) -> Any:
    method = METHODS[name]
    make = channel.unary_stream if method.server_streams else channel.unary_unary
    write: Any = method.request.SerializeToString
    read: Any = method.response.FromString
    return make(method.path, write, read)(request)


def reason(error: grpc.aio.AioRpcError) -> str:
    trailers: Any = error.trailing_metadata()
    return reason_of(trailers)


async def test_a_backup_begins_with_what_it_is(channel: grpc.aio.Channel, node: FakeNode) -> None:
    first, *rest = [piece async for piece in call(channel, "Backup", wire.BackupRequest())]
    head = node.backups.head()
    assert (first.info.index, first.info.term, first.info.digest) == (77, 3, head.digest.hex())
    assert (first.info.size, first.info.sha256) == (head.size, head.sha256)
    assert dict(first.info.jobs) == head.jobs
    assert first.info.head == node.backups.opened[0].head_bytes
    assert b"".join(piece.data for piece in rest) == node.backups.content
    assert node.backups.opened[0].closed


@pytest.mark.parametrize("late", [False, True], ids=["at once", "while it is read"])
async def test_a_refusal_keeps_its_reason(channel: grpc.aio.Channel, node: FakeNode, late: bool) -> None:
    refusal = Rejected(Code.FAILED_PRECONDITION, "BACKUP_FAILED", "no room")
    if late:
        node.backups.pieces = [b"x", refusal]
    else:
        node.backups.refusal = refusal
    with pytest.raises(grpc.aio.AioRpcError, match="no room") as caught:
        [piece async for piece in call(channel, "Backup", wire.BackupRequest())]
    assert reason(caught.value) == "BACKUP_FAILED"
    assert all(backup.closed for backup in node.backups.opened)


async def _rest(standing: Any) -> AsyncIterator[Any]:
    while (piece := await standing.read()) is not None:
        yield piece


async def test_a_caller_who_goes_away_or_stands_still_does_not_keep_the_copy(
    channel: grpc.aio.Channel, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "STALL_S", 0.1)
    node.backups.pieces = [bytes(1 << 20)] * 200
    standing = call(channel, "Backup", wire.BackupRequest())
    await standing.read()
    while not (node.backups.opened and node.backups.opened[0].closed):
        await asyncio.sleep(0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [piece async for piece in _rest(standing)]
    assert reason(caught.value) == "BACKUP_STALLED"
    leaving = call(channel, "Backup", wire.BackupRequest())
    await leaving.read()
    leaving.cancel()
    while not node.backups.opened[1].closed:
        await asyncio.sleep(0)


async def test_a_mark_is_committed_and_answered_with_its_index(
    channel: grpc.aio.Channel, node: FakeNode
) -> None:
    node.answer = lambda command: Done(42, None) if isinstance(command, MarkContents) else None
    assert (await call(channel, "MarkContents", wire.MarkContentsRequest())).index == 42


async def test_contents_are_ready_not_ready_or_will_not_be(channel: grpc.aio.Channel, node: FakeNode) -> None:
    node.backups.found = {1: Contents(b"\x01\x02", 3, 4), 2: "it restarted"}

    async def ask(index: int) -> Any:
        return await call(channel, "GetContents", wire.GetContentsRequest(index=index))

    assert await ask(1) == wire.GetContentsResponse(node_id="n1", ready=True, digest="0102", rows=3, size=4)
    assert await ask(2) == wire.GetContentsResponse(node_id="n1", ready=True, why_not="it restarted")
    assert await ask(3) == wire.GetContentsResponse(node_id="n1")


async def test_bytes_that_are_no_request_are_refused(channel: grpc.aio.Channel, node: FakeNode) -> None:
    raw = channel.unary_stream(METHODS["Backup"].path, lambda data: data, lambda data: data)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [piece async for piece in raw(b"\xff\xff")]
    assert reason(caught.value) == "MALFORMED_MESSAGE"
    assert not node.backups.opened
