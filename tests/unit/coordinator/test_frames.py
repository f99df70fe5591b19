"""Frames: what a stranger's bytes can and cannot do."""

import contextlib
import tracemalloc

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.coordinator.frames import HEADER_BYTES, FrameError, FrameReader, frame, seal

LIMIT = 1 << 20


def feed_all(reader: FrameReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.lists(st.integers(1, 400), min_size=1, max_size=20),
    st.booleans(),
)
def test_frames_come_out_as_they_went_in_however_the_network_cuts_them(
    payloads: list[bytes], cuts: list[int], first_limit: bool
) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    reader = FrameReader(LIMIT, 300 if first_limit else None)
    out: list[bytes] = []
    position = 0
    while position < len(stream):
        size = cuts[position % len(cuts)]
        out += reader.feed(memoryview(stream)[position : position + size])
        position += size
    assert out == payloads


def test_short_headers_of_other_encoders_are_read_too() -> None:
    payloads = [b"a", b"b" * 300, b"c" * 70_000]
    assert FrameReader(LIMIT).feed(b"".join(msgpack.packb(p) for p in payloads)) == payloads


def test_a_sealed_buffer_is_the_frame_of_its_payload() -> None:
    buffer = bytearray(HEADER_BYTES) + b"payload"
    seal(buffer)
    assert bytes(buffer) == frame(b"payload")


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_longest_frame_is_read_and_one_byte_more_is_refused(size: int) -> None:
    reader = FrameReader(LIMIT)
    stream = frame(bytes(size))
    if size == LIMIT:
        assert reader.feed(stream) == [bytes(size)]
    else:
        with pytest.raises(FrameError, match="1048577 bytes"):
            reader.feed(stream)


def test_a_frame_beyond_the_limit_in_one_piece_is_refused_though_it_is_complete() -> None:
    with pytest.raises(FrameError, match="exceeds"):
        FrameReader(10).feed(frame(bytes(11)))


def test_only_the_first_frame_has_the_first_limit() -> None:
    stream = frame(b"hello") + frame(bytes(200_000)) + frame(b"x")
    assert [len(p) for p in FrameReader(LIMIT, 10).feed(stream)] == [5, 200_000, 1]
    with pytest.raises(FrameError):
        FrameReader(LIMIT, 10).feed(frame(bytes(11)))


@pytest.mark.parametrize("cut", range(1, HEADER_BYTES + 1))
def test_an_announced_gigabyte_costs_no_memory(cut: int) -> None:
    header = frame(b"")[:1] + (1 << 30).to_bytes(4, "big")
    reader = FrameReader(LIMIT, 64 << 10)
    tracemalloc.start()
    with pytest.raises(FrameError):
        feed_all(reader, [header[:cut], header[cut:], *[bytes(64 << 10)] * 100])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello on a plain port
        b"\x80\x04\x95K\x00.",  # the beginning of a pickle
        msgpack.packb([b"a"]),
        msgpack.packb({"a": b"b"}),
        msgpack.packb("text"),
        msgpack.packb(None),
        msgpack.packb(7),
        msgpack.packb([]),
        msgpack.packb(""),
        msgpack.packb(msgpack.ExtType(1, b"x" * 20)),
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xdb\xff",  # the beginning of a long string
        b"\xc1",
    ],
)
def test_what_is_no_frame_is_refused_at_its_first_bytes(garbage: bytes) -> None:
    reader = FrameReader(LIMIT, 64 << 10)
    with pytest.raises(FrameError):
        reader.feed(garbage)
    with pytest.raises(FrameError):
        reader.feed(frame(b"good"))


def test_garbage_after_a_good_frame_is_refused() -> None:
    reader = FrameReader(LIMIT)
    with pytest.raises(FrameError):
        reader.feed(frame(b"good") + b"\x00")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_but_a_frame_error(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        feed_all(FrameReader(100, 50), [bytes([byte]) for byte in data])
