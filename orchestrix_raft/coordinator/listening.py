"""The listening sockets of the peer link: they accept until told to stop, and lose no connection then."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

from orchestrix_raft.coordinator.addresses import Address
from orchestrix_raft.coordinator.connection import why

_BACKLOG: Final = 128
"""Connections that the system holds until they are accepted."""

_log = logging.getLogger(__name__)

Accepted = Callable[[socket.socket, tuple[Any, ...]], None]
"""Takes a connection and the address it comes from."""


class LinkError(Exception):
    """The link cannot be started; one line."""


class Listening:
    """`open`, run what `accepting` gives, `accept_no_more`, `close`.  pause_s: after a failure to accept."""

    def __init__(self, accepted: Accepted, pause_s: float) -> None:
        self._accepted = accepted
        self._pause_s = pause_s
        self._sockets: list[socket.socket] = []
        self._closing = False

    async def open(self, listen: Address) -> None:
        """Listen at `listen`; LinkError if that cannot be."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, where in sorted({(info[0], info[4]) for info in found}):
                sock = socket.create_server(where[:2], family=family, backlog=_BACKLOG)
                sock.setblocking(False)
                self._sockets.append(sock)
        except OSError as error:
            self.close()
            raise LinkError(f"the peer link cannot listen at {listen}: {why(error)}") from error

    @property
    def port(self) -> int:
        """Where it listens (the real one, when 0 was asked for)."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    def accepting(self) -> list[Coroutine[object, object, None]]:
        """The work of accepting, one task for each socket."""
        return [self._accept(sock) for sock in self._sockets]

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while not self._closing:
            try:
                sock, where = await loop.sock_accept(listening)
            except OSError as error:
                _log.error("the peer link cannot accept connections: %s", why(error))
                await asyncio.sleep(self._pause_s)  # out of file descriptors: let some be closed
                continue
            self._accepted(sock, where)

    async def accept_no_more(self) -> None:
        """Let those who accept take what they have: a connection that comes as they are cancelled is lost
        without being closed."""
        self._closing = True
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            if sys.platform != "win32":  # its loop has no readers
                loop.remove_reader(sock)
        await asyncio.sleep(0)

    def close(self) -> None:
        """Idempotent."""
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
