"""Following what happens: a stream of events that survives the node it comes from.

Whatever node answers, the cursor of the last page tells the next one where to go on, so nothing is left out
and nothing told twice.  Used by both clients.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

import grpc.aio
import msgspec

from orchestrix_raft.client import building
from orchestrix_raft.client.calls import Caller, Channel, Failed
from orchestrix_raft.client.model import at
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.wire import services
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.errors import CursorTooOld, Unavailable
from orchestrix_raft.wire.events import NOW, EventMessage, WatchRequest, WatchResponse
from orchestrix_raft.wire.servers import Backoff
from orchestrix_raft.wire.transport import EOF

SILENT_S: Final = 5.0  # a node that has nothing to tell says so every second

_METHOD: Final = services.CLUSTER.methods["Watch"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    cursor: str  # right behind it: give it as `since` to go on from here
    at: datetime | None  # of the cluster's clock
    kind: str  # job_enqueued, job_completed, session_attached, ...
    actor: str  # who caused it
    reason: str
    job_id: str  # "": it concerns no job
    queue: str  # of the job, or the queue that it concerns; "": neither, or the job is forgotten
    type: str
    details: dict[str, Any]  # the rest; fields of the kind


def event_of(message: EventMessage) -> Event:
    """From the wire."""
    return Event(
        cursor=message.cursor,
        at=at(message.at_ms),
        kind=message.kind,
        actor=message.actor,
        reason=message.reason,
        job_id=format_job_id(message.job_id) if message.job_id else "",
        queue=message.queue,
        type=message.type,
        details=msgspec.json.decode(message.details, type=dict[str, Any]),
    )


def watch_request(
    since: str | None,
    follow: bool,
    job: str | Iterable[str] | None,
    queue: str | Iterable[str] | None,
    type: str | Iterable[str] | None,
    kind: str | Iterable[str] | None,
) -> WatchRequest:
    """What is asked; ValueError for a job id that is none."""
    return WatchRequest(
        since=(NOW if follow else "") if since is None else since,
        follow=follow,
        kinds=_several(kind),
        job_ids=[building.id_bytes(job_id) for job_id in _several(job)],
        queues=_several(queue),
        types=_several(type),
    )


def _several(given: str | Iterable[str] | None) -> list[str]:
    if given is None:
        return []
    return [given] if isinstance(given, str) else list(given)


async def pages(caller: Caller, request: WatchRequest) -> AsyncGenerator[list[Event], None]:
    """Pages of events in order, each event once; empty ones as signs of life.

    `Unavailable` when no server has answered for the client's deadline; `CursorTooOld` when none knows what
    happened right behind the cursor.
    """
    now = asyncio.get_running_loop().time
    failing_since: float | None = None
    backoff = Backoff(caller.servers)
    forgetful: dict[str, CursorTooOld] = {}
    while True:
        channel: Channel | None = None
        try:
            channel = await caller.channel()
            async with aclosing(_stream(caller, channel, request)) as responses:
                async for response in responses:
                    failing_since = None
                    backoff = Backoff(caller.servers)
                    forgetful.clear()
                    request.since = response.cursor
                    yield [event_of(message) for message in response.events]
            if not request.follow:
                return
            failure = Failed(f"{channel.address}: the stream ended", in_doubt=False)
        except CursorTooOld as error:
            assert channel is not None
            forgetful[channel.address] = error
            if len(forgetful) >= len(caller.servers):
                await caller.learn()  # somebody else may remember
            if len(forgetful) >= len(caller.servers):
                raise _least(forgetful) from error
            failure = Failed(str(error), in_doubt=False, told=True)
        except Failed as error:
            failure = error
        if channel is not None:
            caller.failed(channel)
        failing_since = now() if failing_since is None else failing_since
        delay_s = backoff.next_s()
        if now() + delay_s - failing_since >= caller.deadline_s:
            if forgetful:
                raise _least(forgetful)
            text = (
                f"no server told what happens within {caller.deadline_s:g} s; one of those tried: {failure}"
            )
            raise Unavailable(text, "NO_SERVER")
        await asyncio.sleep(delay_s)


async def _stream(
    caller: Caller, channel: Channel, request: WatchRequest
) -> AsyncGenerator[WatchResponse, None]:
    """The pages of one node.  `Failed`: ask another one."""
    request.read.CopyFrom(ReadOptions(min_index=caller.index))
    oldest = ""
    with channel.in_use():
        call = channel.stub(_METHOD)(request)
        try:
            while True:
                response = await asyncio.wait_for(call.read(), SILENT_S)
                if response is EOF:
                    return
                if response.oldest:
                    oldest = response.oldest
                else:
                    yield response
        except TimeoutError as error:
            raise Failed(f"{channel.address}: silent for {SILENT_S:g} s", in_doubt=False) from error
        except grpc.aio.AioRpcError as error:
            verdict = caller.judge(error, channel)
            if isinstance(verdict, CursorTooOld):
                verdict.oldest = oldest
            raise verdict from error
        finally:
            call.cancel()


def _least(told: dict[str, CursorTooOld]) -> CursorTooOld:
    """Of the node that goes back furthest."""
    return min(told.values(), key=lambda error: [int(part) for part in error.oldest.split("-") if part])
