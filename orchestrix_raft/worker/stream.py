"""One gRPC stream of a worker, from Hello to its end."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio

from orchestrix_raft.domain.session import CoordinatorMessage, Hello, WorkerMessage
from orchestrix_raft.version import VERSION
from orchestrix_raft.wire import services
from orchestrix_raft.wire import workers as wire
from orchestrix_raft.wire.conversation import converse
from orchestrix_raft.wire.status import reason_of
from orchestrix_raft.wire.transport import EOF, TlsFiles, connected, open_channel
from orchestrix_raft.wire.unreachable import why_not_connected

CONNECT_S: Final = 2.0
SDK: Final = f"orchestrix-python/{VERSION}"
_log = logging.getLogger("orchestrix_raft.worker")
_METHOD: Final = services.WORKERS.methods["Session"]


class Stream:
    """`pull` gives what gathers while the stream is busy: it is asked for the next message when nothing that
    was sent explicitly waits."""

    def __init__(
        self,
        address: str,
        tls: TlsFiles | None,
        on_message: Callable[["Stream", CoordinatorMessage], None],
        pull: Callable[["Stream"], WorkerMessage | None],
    ) -> None:
        self.address = address
        self.moved = asyncio.Event()  # the node has named others to go to
        self.welcomed = False
        self.why = ""  # it was closed by us
        self._tls = tls
        self._on_message = on_message
        self._pull = pull
        self._queue: deque[WorkerMessage] = deque()
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()

    def send(self, message: WorkerMessage) -> None:
        """In order, before anything that is pulled."""
        self._queue.append(message)
        self._wake.set()

    def wake(self) -> None:
        """There is something to pull."""
        self._wake.set()

    def close(self, why: str) -> None:
        """End it; `run` returns."""
        self.why = self.why or why
        self._closed.set()

    async def run(self, hello: Callable[[], Hello]) -> str:
        """Connect, say Hello (made at that moment), exchange messages; returns why it ended.

        Raises the grpc error of a stream that the server refused.
        """
        channel = open_channel(self.address, self._tls)
        try:
            try:
                async with asyncio.timeout(CONNECT_S):
                    ready = await connected(channel)
                if not ready:
                    return await why_not_connected(channel, self.address, self._tls)
            except TimeoutError:
                return f"cannot connect to {self.address} within {CONNECT_S:g} s"
            read: Any = _METHOD.response.FromString
            write: Any = _METHOD.request.SerializeToString
            session: Any = channel.stream_stream(_METHOD.path, write, read)
            return await self._converse(session(), hello)
        finally:
            await channel.close(None)

    async def _converse(self, call: Any, hello: Callable[[], Hello]) -> str:
        works = (self._read(call), self._write(call, hello), self._closed.wait())
        for error in await converse(call, *works):
            if not (self.why and isinstance(error, grpc.aio.AioRpcError)):
                raise error  # an error of the transport after we closed the stream is its echo
        return self.why or "the node ended the stream"

    async def _read(self, call: Any) -> None:
        while (raw := await call.read()) is not EOF:
            try:
                message = wire.read_coordinator_message(raw)
            except wire.UnknownMessage as error:
                _log.warning("%s: %s", self.address, error)
                continue
            self._on_message(self, message)

    async def _write(self, call: Any, hello: Callable[[], Hello]) -> None:
        try:
            await call.write(wire.write_worker_message(hello(), SDK))
            while True:
                while (message := self._next()) is not None:
                    await call.write(wire.write_worker_message(message))
                self._wake.clear()
                await self._wake.wait()
        except asyncio.InvalidStateError:
            # The call is over; the reader is told how.
            await asyncio.Event().wait()

    def _next(self) -> WorkerMessage | None:
        return self._queue.popleft() if self._queue else self._pull(self)


def refusal_of(error: grpc.aio.AioRpcError) -> str:
    """What a stream that ended with an error says, in one line."""
    trailers: Any = error.trailing_metadata()
    if error.code() is grpc.StatusCode.INTERNAL and not reason_of(trailers):
        # What grpc.aio makes of a connection that is gone when something is written to it, such as after this
        # process stood still: no node has said that, and none has a defect.
        return "the connection broke while a message was on its way"
    return f"{error.code().name}: {error.details()}"
