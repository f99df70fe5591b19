"""The cutter of peer frames: the first thing that looks at what a stranger sends.

However the bytes are split on their way, the same payloads come out, and they are those that a plain reading
of the format gives; a frame over its limit is refused; only `FrameError` is raised, and then always.
"""

from enum import Enum
from typing import Final

from orchestrix_raft.coordinator.frames import FrameError, FrameReader, frame
from tests.fuzz.pieces import Pieces

FIRST_LIMIT: Final = 24
LIMIT: Final = 300  # more than a bin 8 can say, so that all three forms occur on both sides of it
_LENGTH_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}

WORDS = (
    b"\xc4\x18",
    b"\xc4\x19",
    b"\xc5\x01\x2c",
    b"\xc5\x01\x2d",
    b"\xc6\x00\x00\x01\x2c",
    b"\xc6\x00\x00\x01\x2d",
)


class Fault(Enum):
    """What is wrong with a stream."""

    NONE = 0
    BYTES = 1  # no header where one belongs, or a whole frame that is too long
    ANNOUNCED = 2  # a frame that would be too long, of which the end is not there yet


def target(data: bytes) -> None:
    """The first byte says how long the stretches are in which the rest arrives."""
    pieces = Pieces(data)
    step = 1 + pieces.byte()
    stream = pieces.rest()
    expected, fault = _plain(stream)
    whole, whole_refused = _read([stream])
    split, split_refused = _read([stream[at : at + step] for at in range(0, len(stream), step)])
    if fault is Fault.NONE:
        assert (whole, split) == (expected, expected), "complete frames are delivered, however they arrive"
        assert not whole_refused, "sound frames are not refused"
        assert not split_refused, "sound frames are not refused"
    else:
        assert whole == expected[: len(whole)], "nothing is delivered that is no frame"
        assert split == expected[: len(split)], "nothing is delivered that is no frame"
        assert whole_refused, "what is no frame is refused"
        # A header in two parts may announce too much and wait: the unpacker bounds what it holds.
        assert split_refused or fault is Fault.ANNOUNCED, "what is no frame is refused, however it arrives"
    payload = stream[:LIMIT]
    reader = FrameReader(LIMIT)
    assert reader.feed(frame(payload)) == [payload]


def _read(parts: list[bytes]) -> tuple[list[bytes], bool]:
    """What was delivered, and whether the reader gave up; what it said together with the last frames before a
    fault is lost with the connection."""
    reader = FrameReader(LIMIT, FIRST_LIMIT)
    found: list[bytes] = []
    for part in parts:
        try:
            found += reader.feed(part)
        except FrameError:
            _must_go_on_refusing(reader)
            return found, True
    return found, False


def _must_go_on_refusing(reader: FrameReader) -> None:
    try:
        reader.feed(frame(b"x"))
    except FrameError:
        return
    raise AssertionError("a reader that gave up reads on")


def _plain(stream: bytes) -> tuple[list[bytes], Fault]:
    """The payloads before the first fault, by the format alone, and what that is."""
    found: list[bytes] = []
    at = 0
    while at < len(stream):
        size = _LENGTH_BYTES.get(stream[at])
        if size is None:
            return found, Fault.BYTES
        begin = at + 1 + size
        if begin > len(stream):
            return found, Fault.NONE
        length = int.from_bytes(stream[at + 1 : begin])
        complete = begin + length <= len(stream)
        if length > (LIMIT if found else FIRST_LIMIT) and (complete or size == 4):
            return found, Fault.BYTES if complete else Fault.ANNOUNCED
        if not complete:
            return found, Fault.NONE
        found.append(stream[begin : begin + length])
        at = begin + length
    return found, Fault.NONE
