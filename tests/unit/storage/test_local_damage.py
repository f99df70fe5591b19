"""Rows of the local store that cannot be right, in a file that is sound: left by a power loss, or by another
version.  They cost what they are about, and nothing else."""

import struct
from pathlib import Path

import lmdb
import pytest

from orchestrix_raft.storage.local import CLOSED_MARKER, LmdbLocalStore
from orchestrix_raft.storage.port import Damaged, FeedRow, FeedSpan, LogLine

JOB = b"j" * 16
MIB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a store with two rows of the feed, and one line of a job."""
    store = LmdbLocalStore(tmp_path / "local")
    store.feed.append([FeedRow(1, 1_000, b"one"), FeedRow(2, 2_000, b"two")], 2)
    store.append_lines({JOB: [line(1)]}, 5_000)
    store.close()
    return tmp_path / "local"


def line(number: int) -> LogLine:
    return LogLine(7, number, 1_000, "info", f"line {number}")


def put(path: Path, table: str, key: bytes, value: bytes) -> None:
    """As a power loss may leave it."""
    (path / CLOSED_MARKER).unlink()
    with lmdb.open(str(path), max_dbs=9, lib_version=0) as env:
        opened = env.open_db(table.encode())
        with env.begin(write=True, db=opened) as txn:
            txn.put(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (struct.pack(">Q", 3), b"short"),
        (b"\0" * 7 + b"\x02!", b"x" * 20),
        (b"\xff", b""),
        (struct.pack(">Q", 3), b"\xff" * 20),
    ],
)
def test_a_row_of_the_feed_that_is_none_is_said_and_goes_with_the_others(
    path: Path, key: bytes, value: bytes
) -> None:
    put(path, "feed", key, value)
    store = LmdbLocalStore(path)
    assert [row.record for row in store.feed.read(0, 2, MIB)] == [b"one", b"two"]
    with pytest.raises(Damaged, match="a row of the event feed cannot be read"):
        store.feed.read(0, 10, MIB)
    assert store.feed.trim(1 << 40, MIB, 10) == 3
    assert (store.feed.read(0, 10, MIB), store.feed.size_bytes) == ([], 0)
    store.close()


def test_rows_of_a_feed_that_cannot_be_counted_can_be_appended_to(path: Path) -> None:
    put(path, "feed_span", b"span", struct.pack(">QQQ", 0, 2, 1))
    store = LmdbLocalStore(path)
    store.feed.rewind(1)
    store.feed.append([FeedRow(2, 2_000, b"again")], 2)
    assert [row.record for row in store.feed.read(0, 10, MIB)] == [b"one", b"again"]
    store.close()


@pytest.mark.parametrize(
    "span", [b"", b"short", struct.pack(">QQQ", 3, 2, 9), struct.pack(">QQQ", 0, 1 << 63, 9)]
)
def test_a_feed_that_cannot_say_what_it_covers_begins_anew(path: Path, span: bytes) -> None:
    put(path, "feed_span", b"span", span)
    store = LmdbLocalStore(path)
    assert "what the event feed covers" in store.discarded
    assert (store.feed.span, store.feed.read(0, 10, MIB)) == (FeedSpan(0, 0), [])
    store.close()


@pytest.mark.parametrize("counters", [b"", b"short", struct.pack(">IIQQ", 5, 0, 1, 1)])
def test_a_log_whose_counters_are_none_goes_on(path: Path, counters: bytes) -> None:
    put(path, "log_jobs", JOB, counters)
    store = LmdbLocalStore(path)
    assert store.dropped(JOB) == 0
    store.append_lines({JOB: [line(2)]}, 6_000)
    assert [one.number for one in store.lines(JOB, (0, 0), 10, MIB)] == [1, 2]
    store.close()


@pytest.mark.parametrize("total", [b"", struct.pack(">Q", 1 << 61), struct.pack(">Q", (1 << 64) - 1)])
@pytest.mark.parametrize("lives", [1, 2])
def test_a_total_that_is_wrong_is_counted_anew(path: Path, total: bytes, lives: int) -> None:
    """Also if nothing is kept until the node ends in order, and starts again."""
    put(path, "log_jobs", b"total", total)
    for _ in range(lives - 1):
        LmdbLocalStore(path).close()
    store = LmdbLocalStore(path)
    store.append_lines({JOB: [line(2)]}, 6_000)
    store.close()
    store = LmdbLocalStore(path)
    store.append_lines({JOB: [line(3)]}, 7_000)
    assert [one.number for one in store.lines(JOB, (0, 0), 10, MIB)] == [1, 2, 3]
    store.close()


def test_an_age_of_no_job_goes_and_holds_up_no_other(path: Path) -> None:
    put(path, "log_ages", struct.pack(">Q", 1), b"")
    store = LmdbLocalStore(path)
    assert store.expire_lines(10_000, 10) == 2
    assert store.lines(JOB, (0, 0), 10, MIB) == []
    store.close()


@pytest.mark.parametrize("record", [b"", b"\x94\xff\xa1i\xa1m\x01", b"\x95\x01\xa1i\xa1m\x01\x01"])
def test_a_line_that_is_none_is_said(path: Path, record: bytes) -> None:
    put(path, "log_lines", JOB + struct.pack(">QQ", 7, 2), record)
    store = LmdbLocalStore(path)
    with pytest.raises(Damaged, match="a job log line cannot be read"):
        store.lines(JOB, (0, 0), 10, MIB)
    store.close()
