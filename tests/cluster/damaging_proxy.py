"""A wire between two nodes that damages what it carries: a TCP proxy in front of a node's peer port.

It cuts the stream into frames and changes one bit in some of the large ones, as a broken network card does
when the checksums of TCP do not notice.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

HEADER_BYTES: Final = 5
_READ_BYTES: Final = 1 << 16

Spoil = Callable[[bytearray], None]
"""Changes a frame, header included, in place."""


class DamagingProxy:
    """Listens at `port` of the loopback and passes everything on to `target`.  The first `times` frames of at
    least `frame_bytes` that are carried to the target are spoilt; `spoilt` counts them."""

    def __init__(self, port: int, target: int, spoil: Spoil, times: int, frame_bytes: int) -> None:
        self.spoilt = 0
        self._port, self._target = port, target
        self._spoil, self._times, self._frame_bytes = spoil, times, frame_bytes
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", self._port)
        self._ready.set()
        await self._stopping.wait()
        server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # either end may go at any time
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._carry_frames(reader, forth))
                    group.create_task(self._carry(back, writer))
            except* (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                forth.close()
        writer.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_READ_BYTES):
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError

    async def _carry_frames(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            frame = bytearray(await source.readexactly(HEADER_BYTES))
            frame += await source.readexactly(int.from_bytes(frame[1:]))
            if len(frame) >= self._frame_bytes and self.spoilt < self._times:
                self.spoilt += 1
                self._spoil(frame)
            sink.write(frame)
            await sink.drain()
