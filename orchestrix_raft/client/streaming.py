"""Streams of answers that survive the node they come from: the request says where to go on, at any node.

Used for events and for job logs.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

import grpc.aio

from orchestrix_raft.client.calls import TRIED, Caller, Channel, Failed
from orchestrix_raft.client.requests import unanswered
from orchestrix_raft.wire.errors import CursorTooOld, Unavailable
from orchestrix_raft.wire.servers import Backoff
from orchestrix_raft.wire.services import Method
from orchestrix_raft.wire.transport import EOF

SILENT_S: Final = 5.0  # a node that has nothing to tell says so every second


async def responses(
    caller: Caller, method: Method, request: Any, advance: Callable[[Any], None], *, endless: bool
) -> AsyncGenerator[Any, None]:
    """Responses in order, each once.  advance: note in `request` that a response was received.  endless: the
    node never ends the stream in good order.

    `Unavailable` when no server has answered for the client's deadline; `CursorTooOld` when none knows what
    comes next.
    """
    now = asyncio.get_running_loop().time
    failing_since: float | None = None
    backoff = Backoff(caller.servers)
    forgetful: dict[str, CursorTooOld] = {}
    while True:
        channel: Channel | None = None
        try:
            channel = await caller.channel()
            async with aclosing(_stream(caller, channel, method, request, advance)) as stream:
                async for response in stream:
                    failing_since = None
                    backoff = Backoff(caller.servers)
                    forgetful.clear()
                    advance(response)
                    yield response
            if not endless:
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
            text = f"{unanswered(method, caller.deadline_s)}; {TRIED}{failure}"
            raise Unavailable(text, "NO_SERVER")
        await asyncio.sleep(delay_s)


async def _stream(
    caller: Caller, channel: Channel, method: Method, request: Any, advance: Callable[[Any], None]
) -> AsyncGenerator[Any, None]:
    """The responses of one node.  `Failed`: ask another one."""
    oldest = ""
    with channel.in_use():
        call = channel.stub(method)(request)
        try:
            while True:
                async with asyncio.timeout(SILENT_S):
                    response = await call.read()
                if response is EOF:
                    return
                oldest = getattr(response, "oldest", "")
                if not oldest:
                    yield response
                else:
                    advance(response)  # it tells nothing, but of which cluster it is
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
