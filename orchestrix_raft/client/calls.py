"""Unary calls that survive the failure of servers.

A call goes to the current server; when that one cannot be reached, has no leader or breaks off, the
same request goes to the next, until it is answered or its deadline has passed.  That is safe because
every request is a read or carries ids that make its repetition one request.
"""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
import grpc.aio

from orchestrix_raft.client import doubt
from orchestrix_raft.client.notes import Notes
from orchestrix_raft.client.requests import unanswered
from orchestrix_raft.wire import services
from orchestrix_raft.wire.cluster import StatusRequest, StatusResponse
from orchestrix_raft.wire.errors import UNKNOWN, OrchestrixError, OutcomeUnknown, Unavailable, error_for
from orchestrix_raft.wire.servers import Backoff, Servers
from orchestrix_raft.wire.services import Method
from orchestrix_raft.wire.status import reason_of
from orchestrix_raft.wire.transport import TlsFiles, check_tls, connected, open_channel
from orchestrix_raft.wire.unreachable import why_not_connected

CONNECT_S: Final = 2.0  # a server that does not answer a connection attempt for this long is passed over
ATTEMPT_S: Final = 8.0  # a node holds calls for 5 s while there is no leader; after that it is frozen
LEARN_EVERY_S: Final = 30.0  # members come and go; a client that is idle for longer may miss it
LEARN_AFTER_S: Final = 1.0  # short programs need not ask who else is a member

TRIED: Final = "one of those tried: "
"""Before what went wrong at the server that was asked last, in the line of a call that nobody answered."""

_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE.value[0]
_BROKEN: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,  # grpc.aio's word for a stream that broke while it was written to
    }
)
"""What the transport says when a connection or an attempt ended without an answer of the node; an answer of
the node has a reason."""

_log = logging.getLogger(__name__)


class Failed(Exception):
    """An attempt brought no answer: ask another server."""

    def __init__(self, why: str, in_doubt: bool, told: bool = False) -> None:
        super().__init__(why)
        self.in_doubt = in_doubt  # the request may have been applied
        self.told = told  # by a node, in its own words

    def over(self, before: "Failed | None") -> "Failed":
        """Which of two failures a person should hear of: what a node said, else the newer one."""
        return before if before is not None and before.told and not self.told else self


class Channel:
    """One connection.  Retired when it fails, closed when its last call is over: closing it earlier would
    cancel the calls of others."""

    def __init__(self, address: str, tls: TlsFiles | None) -> None:
        self.address = address
        self._tls = tls
        self._channel = open_channel(address, tls)
        self._stubs: dict[str, Any] = {}
        self._users = 0
        self._retired = False
        self._closing: asyncio.Task[None] | None = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Held open for the length of a call."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._close_if_unused()

    def retire(self) -> None:
        """No new calls."""
        self._retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and self._users == 0 and self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._channel.close(None))

    async def close(self) -> None:
        """Close now, whatever is under way."""
        await self._channel.close(None)

    async def connect(self) -> str:
        """Wait for the connection; why it cannot be had, in one line, or empty."""
        if self._channel.get_state() is grpc.ChannelConnectivity.READY:
            return ""
        with self.in_use():
            try:
                # Not wait_for: before Python 3.12 it drops a cancellation that meets the connection.
                async with asyncio.timeout(CONNECT_S):
                    ready = await connected(self._channel)
            except TimeoutError:
                return f"cannot connect to {self.address}: no answer within {CONNECT_S:g} s"
            if ready:
                return ""
            return await why_not_connected(self._channel, self.address, self._tls)

    def stub(self, method: Method) -> Any:
        """What grpc.aio calls a multicallable."""
        stub = self._stubs.get(method.name)
        if stub is None:
            read: Any = method.response.FromString
            write: Any = method.request.SerializeToString
            if method.client_streams:
                make: Any = self._channel.stream_stream
            else:
                make = self._channel.unary_stream if method.server_streams else self._channel.unary_unary
            stub = self._stubs[method.name] = make(method.path, write, read)
        return stub


class Caller:
    """All calls of one client, and the highest log index that any of its writes returned."""

    def __init__(
        self,
        servers: tuple[str, ...],
        tls: TlsFiles | None,
        deadline_s: float,
        notes: Notes | None = None,
    ) -> None:
        self.notes = notes  # of what is asked and told; None: nobody wants them
        self.servers = Servers(servers, random.randrange(len(servers)))
        self.deadline_s = deadline_s
        self.index = 0
        self.events_of = ""  # the cluster of which events were told last
        self._tls = check_tls(tls)
        self._channels: dict[str, Channel] = {}
        self._learning: asyncio.Task[None] | None = None
        self._closed = False

    def wrote(self, index: int) -> None:
        """Reads from now on see at least this write."""
        self.index = max(self.index, index)

    async def call(
        self,
        method: Method,
        request: Any,
        *,
        deadline_s: float | None = None,
        attempt_s: float = ATTEMPT_S,
    ) -> Any:
        """The response, from whichever server gives one.

        `Unavailable` when none did in time and nothing can have been changed; `OutcomeUnknown` when it
        may; every refusal of a server as its exception.
        """
        return (await self.call_told(method, request, deadline_s=deadline_s, attempt_s=attempt_s))[0]

    async def call_told(
        self,
        method: Method,
        request: Any,
        *,
        deadline_s: float | None = None,
        attempt_s: float = ATTEMPT_S,
    ) -> tuple[Any, bool]:
        """Like `call`; with the response whether an earlier sending of the request may still be applied."""
        now = asyncio.get_running_loop().time
        patience_s = self.deadline_s if deadline_s is None else deadline_s
        until = now() + patience_s
        backoff = Backoff(self.servers)
        in_doubt = False
        why: Failed | None = None
        while True:
            began = now()
            try:
                channel = await self.channel()
                return await self._attempt(channel, method, request, min(attempt_s, until - now())), in_doubt
            except Failed as failure:
                in_doubt |= failure.in_doubt
                why = failure.over(why)
                delay_s = backoff.next_s()
                left_s = until - now() - delay_s
                # A refusal that took as long as is left is the last word in time: a write sent again would
                # end in doubt, while now it is certainly not applied.
                last = failure.told and not in_doubt and method.name not in _READS and left_s < now() - began
                if left_s <= 0 or last:
                    raise _gave_up(method, patience_s, str(why), in_doubt) from failure
                await asyncio.sleep(delay_s)
            except OrchestrixError as refusal:
                if in_doubt and method.name in _REFUSALS_FORGOTTEN:
                    raise doubt.in_doubt(refusal) from refusal
                raise

    async def call_at(self, address: str, method: Method, request: Any) -> Any:
        """The response of one certain server; `Unavailable` or `OutcomeUnknown` when it gives none."""
        try:
            return await self._attempt(await self._connect(address), method, request, self.deadline_s)
        except Failed as failure:
            if failure.in_doubt and method.name not in _READS:
                raise OutcomeUnknown(f"{failure}; it may have been applied", "OUTCOME_UNKNOWN") from failure
            raise Unavailable(str(failure)) from failure

    async def channel(self) -> Channel:
        """A connection to the current server; `Failed` when it has none, and then another one is current."""
        return await self._connect(self.servers.current)

    def failed(self, channel: Channel) -> None:
        """The server did not do its part: leave this connection, turn to the next server."""
        self.servers.failed(channel.address)
        if self._channels.get(channel.address) is channel:
            del self._channels[channel.address]
        channel.retire()

    async def close(self) -> None:
        """Close every connection; calls under way are cancelled."""
        self._closed = True
        if self._learning is not None:
            self._learning.cancel()
        channels = list(self._channels.values())
        self._channels.clear()
        for channel in channels:
            await channel.close()

    async def _connect(self, address: str) -> Channel:
        if self._closed:
            raise OrchestrixError("this client is closed")
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = Channel(address, self._tls)
        why_not = await channel.connect()
        if why_not:
            self.failed(channel)
            wrong = ": its certificate" in why_not  # more worth hearing of than that another one is not there
            raise Failed(why_not, in_doubt=False, told=wrong)
        if self._learning is None:
            self._learning = asyncio.get_running_loop().create_task(self._learn())
        return channel

    async def _attempt(self, channel: Channel, method: Method, request: Any, timeout_s: float) -> Any:
        with channel.in_use():
            try:
                return await channel.stub(method)(request, timeout=max(timeout_s, 0.001))
            except grpc.aio.AioRpcError as error:
                failure = self.judge(error, channel)
                if isinstance(failure, Failed):
                    self.failed(channel)
                raise failure from error

    @staticmethod
    def judge(error: grpc.aio.AioRpcError, channel: Channel) -> Failed | OrchestrixError:
        """What an error means: another server may do better, or it is the answer."""
        code, text = error.code(), error.details() or error.code().name
        trailers: Any = error.trailing_metadata()
        reason = reason_of(trailers)
        if reason:
            number = code.value[0]
            if number == _UNAVAILABLE:
                return Failed(f"{channel.address}: {text}", in_doubt=False, told=True)
            if number == UNKNOWN and reason == "OUTCOME_UNKNOWN":
                return Failed(f"{channel.address}: {text}", in_doubt=True, told=True)
            return error_for(number, reason, text)
        if code in _BROKEN or "RST_STREAM" in text:
            return Failed(f"{channel.address}: {text}", in_doubt=True)
        return error_for(code.value[0], "", f"{channel.address}: {text}")

    async def _learn(self) -> None:
        """Ask now and then who is a member, so that the client survives the servers it was given."""
        await asyncio.sleep(LEARN_AFTER_S)
        while True:
            await self.learn()
            await asyncio.sleep(LEARN_EVERY_S * random.uniform(0.8, 1.2))

    async def learn(self) -> None:
        """Ask who else is a member."""
        try:
            status: StatusResponse = await self.call(services.CLUSTER.methods["Status"], StatusRequest())
        except OrchestrixError as error:
            _log.debug("could not ask for the members of the cluster: %s", error)
        else:
            self.servers.learn(node.address for node in status.nodes)


_READS: Final = frozenset(
    {"GetJob", "ListJobs", "WaitJob", "GetHistory", "GetLogs", "ExplainJob", "GetSchedule", "ListSchedules"}
    | {"Status", "ListAudit", "ListWorkers"}
)


_REFUSALS_FORGOTTEN: Final = frozenset({"Enqueue"})
"""Methods that make something, and whose refusals nobody remembers: sent again, they may be decided
otherwise."""


def _gave_up(method: Method, patience_s: float, last: str, in_doubt: bool) -> OrchestrixError:
    text = f"{unanswered(method, patience_s)}; {TRIED}{last}"
    if method.name in _READS:
        return Unavailable(text, "NO_SERVER")
    if in_doubt:
        return OutcomeUnknown(f"{text}; it may have been applied", "OUTCOME_UNKNOWN")
    return Unavailable(f"{text}; nothing was changed", "NO_SERVER")
