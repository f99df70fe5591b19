"""One TCP connection of the peer link: bytes to frames, frames to Hellos and messages.

It knows what may arrive when; which connection to keep, and whom to trust, is the link's business.
Used by `link` only.
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar, cast

import msgspec

from orchestrix_raft.coordinator import hello
from orchestrix_raft.coordinator.frames import FrameError, FrameReader, frame
from orchestrix_raft.coordinator.hello import HELLO_BYTES, Hello, Refusal
from orchestrix_raft.coordinator.rivals import Rivals
from orchestrix_raft.coordinator.tls import NO_HOSTS, Hosts, hosts_of
from orchestrix_raft.undecodable import UNDECODABLE, words_of

M = TypeVar("M")

READ_BYTES: Final = 128 << 10  # most bytes taken from the socket at once
KEEPALIVE: Final = frame(msgspec.msgpack.encode([]))
"""No messages: says only that the sender lives."""

_MAP16, _MAP32 = 0xDE, 0xDF
_log = logging.getLogger(__name__)


class Owner(Protocol[M]):
    """What a connection reports to."""

    decoder: msgspec.msgpack.Decoder[list[M]]

    def opened(self, connection: "Connection[M]") -> None: ...
    def greeted(self, connection: "Connection[M]", greeting: Hello | Refusal) -> None: ...
    def received(self, connection: "Connection[M]", messages: list[M]) -> None: ...
    def offended(self, connection: "Connection[M]", fault: str) -> None:
        """The other side broke the protocol, or does not read what it is sent."""
        ...

    def ended(self, connection: "Connection[M]", error: Exception | None) -> None:
        """It is closed; `connection.over` says whether this side had closed it."""
        ...


class Connection(asyncio.BufferedProtocol, Generic[M]):
    """target: the address that was dialled, None for an accepted one.

    A *buffered* protocol reads into one block that is reused, which saves an allocation and a copy for
    every read; the unpacker copies what it keeps.
    """

    def __init__(self, owner: Owner[M], target: str | None, frame_bytes: int, backlog_bytes: int) -> None:
        self.target = target
        self.remote = target or "?"  # for logs
        self.remote_host = self.remote
        self.hosts: Hosts = NO_HOSTS  # that the certificate of the other side speaks for, under TLS
        self.hello: Hello | None = None  # the newest one of the other side, once accepted
        self.said: Hello | None = None  # the newest one of this side
        self.member = False  # messages flow
        self.over = False  # nothing more is read or written
        self.quiet = False  # nothing was written since the last sweep
        self.opened_at = self.heard_at = 0.0  # on the link's clock; the link keeps them
        self.heard = True  # something arrived since the last sweep
        self.rivals = Rivals()
        self.settled = asyncio.Event()  # the link has decided about it
        self.kept: Connection[M] | None = None  # then: the connection that serves the other node, if any
        self.closed = asyncio.Event()
        self.abandon: Callable[[], object] = _nothing  # stops whoever still sets the connection up
        self._owner = owner
        self._backlog_bytes = backlog_bytes
        self._reader = FrameReader(frame_bytes, HELLO_BYTES)
        self._block = memoryview(bytearray(READ_BYTES))
        self._transport: asyncio.Transport | None = None

    @property
    def opened(self) -> bool:
        """It is, or was, open: `closed` will be or is set."""
        return self._transport is not None

    @property
    def backlog_bytes(self) -> int:
        """Written and not yet taken by the system."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    # ---- writing -------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray) -> None:
        """`data` is a whole frame and is not touched again by the caller."""
        if self._transport is not None and not self.over:
            self.quiet = False
            self._transport.write(data)

    def say(self, mine: Hello) -> None:
        """Send a Hello, unless the last one said the same."""
        if self.said != mine:
            self.said = mine
            self.write(frame(hello.encode(mine)))

    def refuse(self, reason: str, final: bool) -> None:
        """Give the reason and close."""
        self.write(frame(hello.encode(Refusal(reason[: hello.REASON_CHARS], final))))
        self.close()

    def put_off(self, reason: str) -> None:
        """Give a reason, and stay."""
        self.write(frame(hello.encode(Refusal(reason[: hello.REASON_CHARS], stay=True))))

    def close(self) -> None:
        """Stop reading; what is written still goes out."""
        self.over = True
        self.quiet = False
        if self._transport is not None:
            self._transport.close()
        else:
            self.abandon()

    def abort(self) -> None:
        """Close now."""
        self.over = True
        if self._transport is not None:
            self._transport.abort()
        else:
            self.abandon()

    # ---- called by asyncio ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        if self.over:
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(high=self._backlog_bytes)
        where = transport.get_extra_info("peername")
        if isinstance(where, tuple):
            self.remote_host = str(where[0])
            self.remote = self.target or f"{where[0]}:{where[1]}"
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.hosts = hosts_of(tls.getpeercert())
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.ended(self, exc)
        self.over = True
        self.closed.set()

    def pause_writing(self) -> None:
        """Called from inside `write`, whose caller does not expect to lose the connection there."""
        fault = f"does not read: more than {self._backlog_bytes} bytes wait to be sent"
        asyncio.get_running_loop().call_soon(self._owner.offended, self, fault)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._block

    def buffer_updated(self, nbytes: int) -> None:
        if self.over:
            return
        self.heard = True
        try:
            self._take(self._reader.feed(self._block[:nbytes]))
        except FrameError as fault:
            self._owner.offended(self, str(fault))

    def _take(self, payloads: list[bytes]) -> None:
        messages: list[M] = []
        for payload in payloads:
            if _is_map(payload):
                if messages:
                    self._owner.received(self, messages)
                    messages = []
                self._owner.greeted(self, hello.decode(payload))
            else:
                messages += self._decode(payload)
            if self.over:
                return
        if messages:
            self._owner.received(self, messages)

    def _decode(self, payload: bytes) -> list[M]:
        if self.hello is None:
            raise FrameError("the first frame is no Hello")
        try:
            messages = self._owner.decoder.decode(payload)
        except UNDECODABLE as error:
            raise FrameError(f"not a list of messages: {words_of(error)}") from error
        if messages and not self.member:
            raise FrameError("messages from a node that is not a member yet")
        return messages


class Complaints:
    """Log lines about strangers: one per remote host and interval, and a bounded table of hosts, so that
    whoever reaches the port can fill neither the log nor the memory."""

    def __init__(self, clock: Callable[[], float], interval_s: float = 60.0, hosts_max: int = 1_024) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._hosts_max = hosts_max
        self._hosts: dict[str, tuple[float, int]] = {}  # host -> (when it was named, lines held back since)

    def log(self, host: str, line: str) -> None:
        """Log `line` unless this host was named a moment ago."""
        now = self._clock()
        named_at, held_back = self._hosts.pop(host, (-self._interval_s, 0))
        if now - named_at < self._interval_s:
            self._hosts[host] = (named_at, held_back + 1)
            return
        if len(self._hosts) >= self._hosts_max:
            del self._hosts[next(iter(self._hosts))]
        self._hosts[host] = (now, 0)
        _log.warning("%s%s", line, f" ({held_back} more since the last such line)" if held_back else "")


def _is_map(payload: bytes) -> bool:
    """Hellos are MessagePack maps, messages come in arrays."""
    return bool(payload) and (payload[0] & 0xF0 == 0x80 or payload[0] in (_MAP16, _MAP32))


def _nothing() -> None:
    """There is nobody to stop."""


def why(error: OSError) -> str:
    """The system's words; asyncio and TLS put their own into `strerror`."""
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
