"""A connection from another node: greetings and messages in the frames of one byte stream.

Whatever the bytes are, the connection hands over what it understood and reports at most one offence, in one
line; nothing is handed over behind that, nor any message before a greeting was accepted.  Messages that pass
are those that an engine can be given, and can be written again.
"""

from typing import Final

import msgspec

from orchestrix_raft.consensus.messages import NUMBER_MAX, AppendEntries, malformed
from orchestrix_raft.coordinator import hello as greetings
from orchestrix_raft.coordinator.connection import READ_BYTES, Connection
from orchestrix_raft.coordinator.frames import frame
from orchestrix_raft.coordinator.hello import Hello, Refusal
from orchestrix_raft.coordinator.messages import Forward, LinesMessage, PeerMessage
from tests.fuzz.pieces import Pieces, one_line

FRAME_BYTES: Final = 1 << 20
_DECODER: Final = msgspec.msgpack.Decoder(list[PeerMessage])
_ENCODER: Final = msgspec.msgpack.Encoder()
_OTHERS: Final = Forward | LinesMessage


class Owner:
    """Accepts every greeting, and notes."""

    def __init__(self) -> None:
        self.decoder = _DECODER
        self.messages: list[PeerMessage] = []
        self.faults: list[str] = []
        self.greeted_once = False

    def opened(self, connection: Connection[PeerMessage]) -> None:
        """Never: there is no transport."""

    def greeted(self, connection: Connection[PeerMessage], greeting: Hello | Refusal) -> None:
        assert not self.faults
        if isinstance(greeting, Refusal):
            connection.over = True
            return
        connection.hello = greeting
        connection.member = self.greeted_once = True

    def received(self, connection: Connection[PeerMessage], messages: list[PeerMessage]) -> None:
        assert self.greeted_once, "messages before a greeting"
        assert not self.faults, "messages behind an offence"
        self.messages += messages

    def offended(self, connection: Connection[PeerMessage], fault: str) -> None:
        self.faults.append(fault)
        connection.over = True

    def ended(self, connection: Connection[PeerMessage], error: Exception | None) -> None:
        """Never: there is no transport."""


def target(data: bytes) -> None:
    """The first byte: whether the rest is a stream, or the payloads of frames behind a good greeting."""
    pieces = Pieces(data)
    if pieces.byte() % 2:
        stream = pieces.rest()
    else:
        stream = GREETING + b"".join(frame(one) for one in pieces.rest().split(SEPARATOR))
    owner = Owner()
    connection: Connection[PeerMessage] = Connection(owner, None, FRAME_BYTES, 1 << 20)
    for at in range(0, len(stream), READ_BYTES):
        part = stream[at : at + READ_BYTES]
        connection.get_buffer(len(part))[: len(part)] = part
        connection.buffer_updated(len(part))
    assert len(owner.faults) <= 1, "an offence is told once"
    for fault in owner.faults:
        one_line(fault)
    assert _DECODER.decode(_ENCODER.encode(owner.messages)) == owner.messages
    for message in owner.messages:
        _check(message)


def _check(message: PeerMessage) -> None:
    """`malformed` answers for every message of the engines, and lets through what they may be given."""
    names = getattr(message, "NUMBERS", None)
    if names is None or malformed(message) is not None:  # type: ignore[arg-type]  # it has them
        return
    assert all(0 <= getattr(message, name) < NUMBER_MAX for name in names)
    if isinstance(message, AppendEntries):
        assert [e.index for e in message.entries] == [
            message.prev_index + place for place in range(1, len(message.entries) + 1)
        ]
        assert all(0 <= entry.term <= message.term for entry in message.entries)


SEPARATOR: Final = b"\xc1\xc1"  # a byte that MessagePack never uses
GREETING: Final = frame(greetings.encode(Hello(1, "n2", "disk-2", "h2:7400", b"b" * 16)))
WORDS = (SEPARATOR, GREETING, frame(b"\x90"), b"\x91\x97\x01", b"\x91\x92\x64\x91", b"\x91\x98\x67")
