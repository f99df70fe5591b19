"""GetLogs and FollowLogs over a real gRPC connection, with a node in memory."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from orchestrix_raft.api import logs
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.storage.port import LogLine
from orchestrix_raft.wire import jobs as wire
from orchestrix_raft.wire.services import JOBS
from orchestrix_raft.wire.status import reason_of
from orchestrix_raft.wire.transport import EOF
from tests.unit.api.fake_node import FakeNode

ID = bytes(range(16))


async def enqueue(channel: grpc.aio.Channel) -> None:
    await call(channel, "Enqueue", wire.EnqueueRequest(jobs=[wire.NewJob(job_id=ID, type="t")]))


def call(channel: Any, name: str, request: Any) -> Any:
    method = JOBS.methods[name]
    make = channel.unary_stream if method.server_streams else channel.unary_unary
    return make(method.path, method.request.SerializeToString, method.response.FromString)(request)


def line(number: int, attempt: int = 1) -> LogLine:
    return LogLine(6 + attempt, number, 5, "info", f"{attempt}-{number}", attempt)


def end(node: FakeNode) -> None:
    node.jobs[ID].state = JobState.COMPLETED
    node._ended.set()


async def refusal(asked: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (asked.read() if hasattr(asked, "read") else asked)
    trailers: Any = caught.value.trailing_metadata()
    return caught.value.code().name, reason_of(trailers)


def words(page: wire.GetLogsResponse) -> list[str]:
    return [one.message for one in page.lines]


async def test_lines_have_their_place_and_silent_members_are_named(
    node: FakeNode, channel: grpc.aio.Channel
) -> None:
    await enqueue(channel)
    node.lines[ID] = [line(1), line(2), line(1, attempt=2)]
    node.silent = ("n3",)
    page = await call(channel, "GetLogs", wire.GetLogsRequest(job_id=ID, after_token=7, after_number=1))
    assert [(one.token, one.attempt, one.number, one.at_ms, one.level) for one in page.lines] == [
        (7, 1, 2, 5, "info"),
        (8, 2, 1, 5, "info"),
    ]
    assert page.silent_nodes == ["n3"]
    first = await call(channel, "GetLogs", wire.GetLogsRequest(job_id=ID, limit=1))
    assert words(first) == ["1-1"]


@pytest.mark.parametrize("name", ["GetLogs", "FollowLogs"])
async def test_an_unknown_job_is_confirmed_with_the_leader(
    node: FakeNode, channel: grpc.aio.Channel, name: str
) -> None:
    asked = call(channel, name, wire.GetLogsRequest(job_id=ID))
    assert await refusal(asked) == ("NOT_FOUND", "JOB_NOT_FOUND")
    assert node.fresh_calls == [(0, True)]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (wire.GetLogsRequest(job_id=b"short"), "JOB_ID_INVALID"),
        (wire.GetLogsRequest(job_id=ID, limit=1_001), "LIMIT_OUT_OF_RANGE"),
        (wire.GetLogsRequest(job_id=ID, after_number=1 << 63), "CURSOR_INVALID"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    channel: grpc.aio.Channel, request_: wire.GetLogsRequest, reason: str
) -> None:
    assert await refusal(call(channel, "GetLogs", request_)) == ("INVALID_ARGUMENT", reason)


async def test_following_tells_old_lines_then_new_ones_and_ends_with_the_job(
    node: FakeNode, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_MS", 5)
    await enqueue(channel)
    node.lines[ID] = [line(1), line(2), line(3)]
    stream = call(channel, "FollowLogs", wire.GetLogsRequest(job_id=ID, limit=2))
    assert words(await stream.read()) == ["1-1", "1-2"]
    assert words(await stream.read()) == ["1-3"]
    assert words(await stream.read()) == [], "a sign of life"
    node.lines[ID].append(line(1, attempt=2))
    while not (told := words(await stream.read())):
        pass
    assert told == ["2-1"]
    node.lines[ID].append(line(2, attempt=2))
    end(node)
    rest: list[str] = []
    while (page := await stream.read()) is not EOF:
        rest += words(page)
    assert rest == ["2-2"], "its last line too"


async def test_a_finished_job_is_told_at_once(node: FakeNode, channel: grpc.aio.Channel) -> None:
    await enqueue(channel)
    node.lines[ID] = [line(n) for n in range(1, 6)]
    end(node)
    stream = call(
        channel, "FollowLogs", wire.GetLogsRequest(job_id=ID, after_token=7, after_number=1, limit=2)
    )
    pages = []
    while (page := await stream.read()) is not EOF:
        pages.append(words(page))
    assert pages == [["1-2", "1-3"], ["1-4", "1-5"]]


async def test_followers_are_bounded(
    node: FakeNode, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FOLLOWERS", 1)
    monkeypatch.setattr(logs, "LOOK_MS", 5)
    await enqueue(channel)
    first = call(channel, "FollowLogs", wire.GetLogsRequest(job_id=ID))
    await first.read()
    second = call(channel, "FollowLogs", wire.GetLogsRequest(job_id=ID))
    assert await refusal(second) == ("RESOURCE_EXHAUSTED", "TOO_MANY_FOLLOWERS")
    end(node)
    while await first.read() is not EOF:
        await asyncio.sleep(0)
    third = call(channel, "FollowLogs", wire.GetLogsRequest(job_id=ID))
    assert words(await third.read()) == []
