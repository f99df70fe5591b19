"""A link in user space: TCP connections between named places pass through it, and it can hold, delay, lose
and break them, in each direction by itself.

For machines whose kernel has no packet scheduling, and for users without rights.  What one place sends
another arrives in order or not at all, as TCP promises; a lost packet is therefore what TCP makes of one: a
wait until it is sent again.  What a held wire did not let through arrives when it is released, unless one
end has given up meanwhile.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

CHUNK_BYTES: Final = 64 << 10
STOP_S: Final = 10.0
_AT_ONCE: Final = struct.pack("ii", 1, 0)

Answer = TypeVar("Answer")


class Wire:
    """What one place sends to another, and what becomes of it.  Changed by the link's owner at any time."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.jitter_s = 0.0  # on top of the delay, up to this
        self.lost = 0.0  # chance that a piece is lost on its way and sent again ...
        self.again_s = 0.0  # ... after this long, twice as long if it is lost again
        self.released = asyncio.Event()
        self.released.set()

    def wait_s(self, rng: random.Random) -> float:
        """How late the next piece comes."""
        wait_s = self.delay_s + rng.uniform(0.0, self.jitter_s)
        again_s = self.again_s
        while again_s and rng.random() < self.lost:
            wait_s += again_s
            again_s *= 2
        return wait_s


class _Connection:
    """One connection and its continuation at the other side."""

    def __init__(self, source: str, target: str) -> None:
        self.ends = (source, target)
        self.writers: list[asyncio.StreamWriter] = []

    def abort(self) -> None:
        """Both sides are told that it broke."""
        for writer in self.writers:
            _reset(writer)

    def close(self) -> None:
        """What is under way still arrives."""
        for writer in self.writers:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without waiting for what is under way: the other end gets an error, not an end."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


class Link:
    """An event loop in a thread of its own with everything that passes.

    seed: of the chance by which pieces are lost.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._wires: dict[tuple[str, str], Wire] = {}
        self._connections: set[_Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.carried_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(STOP_S)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ---- what is connected -----------------------------------------------------------------------------

    def serve(
        self,
        target: str,
        listening: socket.socket,
        dial: Callable[[], tuple[socket.socket, Any]],
        source_of: Callable[[socket.socket], str],
    ) -> None:
        """Connections that come to `listening`, which is open, go on to the place `target`.

        dial: an unconnected socket from which `target` is reached, and the address it has there.  source_of:
        the name of the place that an accepted connection comes from.
        """
        listening.setblocking(False)

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._begin(self._carry(target, reader, writer, dial, source_of))

        async def start() -> asyncio.Server:
            return await asyncio.start_server(accepted, sock=listening, limit=CHUNK_BYTES)

        self._servers.append(self._run(start()))

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry(
        self,
        target: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        dial: Callable[[], tuple[socket.socket, Any]],
        source_of: Callable[[socket.socket], str],
    ) -> None:
        accepted = writer.get_extra_info("socket")
        source = source_of(accepted)
        connection = _Connection(source, target)
        connection.writers.append(writer)
        self._connections.add(connection)
        there, back = self._wire(source, target), self._wire(target, source)
        try:
            await there.released.wait()
            await back.released.wait()
            sock, address = dial()
            sock.setblocking(False)
            with contextlib.ExitStack() as undo:
                undo.callback(sock.close)
                await self._loop.sock_connect(sock, address)
                far_reader, far_writer = await asyncio.open_connection(sock=sock, limit=CHUNK_BYTES)
                undo.pop_all()
            connection.writers.append(far_writer)
            one = self._begin(self._pump(there, reader, far_writer))
            other = self._begin(self._pump(back, far_reader, writer))
            await asyncio.wait({one, other})
        except OSError:  # nobody listens there: the caller's connection breaks, as if it had asked itself
            connection.abort()
        finally:
            connection.close()
            self._connections.discard(connection)

    async def _pump(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Everything from one side to the other, its end included."""
        try:
            while piece := await reader.read(CHUNK_BYTES):
                await self._let_through(wire)
                writer.write(piece)
                self.carried_bytes += len(piece)
                await writer.drain()
            await self._let_through(wire)
            writer.write_eof()
        except OSError:  # one side broke off; the other hears of it when the wire lets it
            await self._let_through(wire)
            _reset(writer)

    async def _let_through(self, wire: Wire) -> None:
        wait_s = wire.wait_s(self._rng)
        if wait_s:
            await asyncio.sleep(wait_s)
        await wire.released.wait()

    # ---- what goes wrong -------------------------------------------------------------------------------

    def _wire(self, source: str, target: str) -> Wire:
        wire = self._wires.get((source, target))
        if wire is None:
            wire = self._wires[source, target] = Wire()
        return wire

    def hold(self, source: str, target: str) -> None:
        """Nothing that `source` sends to `target` arrives any more, connections included."""
        self._change(source, target, lambda wire: wire.released.clear())

    def release(self, source: str, target: str) -> None:
        """Undo `hold`."""
        self._change(source, target, lambda wire: wire.released.set())

    def weather(
        self,
        source: str,
        target: str,
        *,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        lost: float = 0.0,
        again_s: float = 0.2,
    ) -> None:
        """How well things pass from now on; without arguments: perfectly.  lost: chance below 1."""

        def change(wire: Wire) -> None:
            wire.delay_s, wire.jitter_s, wire.lost, wire.again_s = delay_s, jitter_s, lost, again_s

        self._change(source, target, change)

    def _change(self, source: str, target: str, change: Callable[[Wire], None]) -> None:
        async def apply() -> None:
            change(self._wire(source, target))

        self._run(apply())

    def break_off(self, place: str) -> int:
        """Reset every connection of one place; how many there were."""

        async def abort() -> int:
            found = [connection for connection in self._connections if place in connection.ends]
            for connection in found:
                connection.abort()
            return len(found)

        return self._run(abort())

    def connections(self) -> list[tuple[str, str]]:
        """(source, target) of every connection there is."""

        async def look() -> list[tuple[str, str]]:
            return sorted(connection.ends for connection in self._connections)

        return self._run(look())
