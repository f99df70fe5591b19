"""Cuts the byte stream of a peer connection into frames.

Whoever reaches the peer port can send bytes, so this is the first thing that looks at them: one frame
is one MessagePack `bin`, and anything else is refused at its first bytes.  Memory is bounded by the
limits given here, never by what a header announces.  Sans-IO; used by `link`.
"""

import struct
from typing import Final

import msgpack  # type: ignore[import-untyped]

HEADER_BYTES: Final = 5
"""Frames are written with the longest form of the header (bin 32), so that a payload can be encoded
behind room left for it."""

_BIN8, _BIN16, _BIN32 = 0xC4, 0xC5, 0xC6
_STEP: Final = 64 << 10  # bytes handed to the unpacker at once: what it may hold beyond one whole frame
_HEADER = struct.Struct(">BI")
_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """These bytes are no frames, or a frame is too long.  One line; the connection must be closed."""


def frame(payload: bytes) -> bytes:
    """`payload` as one frame."""
    return _HEADER.pack(_BIN32, len(payload)) + payload


def seal(buffer: bytearray) -> None:
    """Make a frame of a buffer whose payload begins at `HEADER_BYTES`, in place."""
    _HEADER.pack_into(buffer, 0, _BIN32, len(buffer) - HEADER_BYTES)


class FrameReader:
    """Bytes in, payloads out.

    limit_bytes: longest payload accepted.  first_limit_bytes: that of the very first frame, which comes
    from somebody yet unknown.
    """

    def __init__(self, limit_bytes: int, first_limit_bytes: int | None = None) -> None:
        self._later_limit = limit_bytes
        self._first = first_limit_bytes is not None
        self._fault: FrameError | None = None
        self._start(first_limit_bytes if first_limit_bytes is not None else limit_bytes)

    def _start(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._fed = 0  # bytes given to this unpacker
        self._cut = 0  # of those, bytes of complete frames
        self._unpacker = msgpack.Unpacker(
            max_buffer_size=limit_bytes + HEADER_BYTES + _STEP,
            max_bin_len=limit_bytes,
            max_str_len=0,
            max_array_len=0,
            max_map_len=0,
            max_ext_len=0,
        )

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Payloads that are complete now, in order.  FrameError is final: every later call raises it too."""
        if self._fault is not None:
            raise self._fault
        payloads: list[bytes] = []
        try:
            for start in range(0, len(data), _STEP):
                self._feed_step(data[start : start + _STEP], payloads)
        except FrameError as fault:
            self._fault = fault
            raise
        return payloads

    def _feed_step(self, data: bytes | bytearray | memoryview, payloads: list[bytes]) -> None:
        between_frames = self._cut == self._fed
        head = self._fed
        try:
            self._unpacker.feed(data)
            self._fed += len(data)
            for payload in self._unpacker:
                if type(payload) is not bytes:
                    raise FrameError(f"a frame holds {type(payload).__name__}, not bytes")
                payloads.append(payload)
                self._cut = self._unpacker.tell()
                between_frames = True
                if self._first:
                    return self._after_first(payloads)
        except (ValueError, msgpack.UnpackException) as error:
            raise FrameError(f"not a frame: {error or type(error).__name__}") from error
        if between_frames and self._cut < self._fed:
            self._check_head(bytes(data[self._cut - head :][:HEADER_BYTES]))

    def _after_first(self, payloads: list[bytes]) -> None:
        """The sender is known now: go on under the other limit with the bytes that came along."""
        rest = self._unpacker.read_bytes(self._fed - self._cut)
        self._first = False
        self._start(self._later_limit)
        if rest:
            self._feed_step(rest, payloads)

    def _check_head(self, head: bytes) -> None:
        """Refuse an incomplete frame by its header, instead of waiting for bytes that need not come.  A
        header cut in two by the network is left to the unpacker's own limits."""
        if head[0] not in (_BIN8, _BIN16, _BIN32):
            raise FrameError(f"not a frame: begins with byte 0x{head[0]:02x}")
        if head[0] == _BIN32 and len(head) == HEADER_BYTES:
            announced: int = _LENGTH.unpack_from(head, 1)[0]
            if announced > self._limit:
                raise FrameError(f"a frame of {announced} bytes is announced, at most {self._limit} are read")
