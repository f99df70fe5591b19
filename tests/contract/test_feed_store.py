"""What every store of an event feed promises; the LMDB one and its twin in memory run the same suite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from orchestrix_raft.storage.limits import FEED_ROW_COST_BYTES
from orchestrix_raft.storage.local import LmdbLocalStore
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import FeedRow, FeedSpan, FeedStore

MIB = 1 << 20


class Bench(Protocol):
    """A disk with one feed on it."""

    def open(self) -> FeedStore:
        """Again, after an orderly end of what used it before."""
        ...

    def done(self) -> None: ...


class LmdbBench:
    def __init__(self, root: Path) -> None:
        self._path = root / "local"
        self._open: LmdbLocalStore | None = None

    def open(self) -> FeedStore:
        self.done()
        self._open = LmdbLocalStore(self._path)
        return self._open.feed

    def done(self) -> None:
        if self._open is not None:
            self._open.close()


class MemoryBench:
    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self) -> FeedStore:
        self.done()
        return self._disk.open_local_store().feed

    def done(self) -> None:
        self._disk.close()


@pytest.fixture(params=["lmdb", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench: Bench = LmdbBench(tmp_path) if request.param == "lmdb" else MemoryBench()
    yield bench
    bench.done()


def row(index: int, size: int = 10) -> FeedRow:
    return FeedRow(index, 1_000 * index, bytes([index % 256]) * size)


def rows(*indexes: int) -> list[FeedRow]:
    return [row(index) for index in indexes]


def read(store: FeedStore, after: int = 0) -> list[int]:
    return [found.index for found in store.read(after, 100, MIB)]


def test_a_new_feed_covers_nothing_and_begins_where_the_state_stands(bench: Bench) -> None:
    store = bench.open()
    assert store.span == FeedSpan(0, 0)
    store.rewind(7)
    assert store.span == FeedSpan(7, 7)
    assert store.read(0, 10, MIB) == []


def test_rows_are_read_in_order_from_behind_an_index(bench: Bench) -> None:
    store = bench.open()
    store.append(rows(1, 2, 5), 6)
    store.append(rows(8, 300), 301)
    assert store.span == FeedSpan(0, 301)
    assert store.read(0, 2, MIB) == rows(1, 2)
    assert store.read(2, 10, MIB) == rows(5, 8, 300)
    assert store.read(300, 10, MIB) == []


def test_a_page_ends_with_the_row_that_fills_it(bench: Bench) -> None:
    store = bench.open()
    store.append([row(n, 100) for n in range(1, 6)], 5)
    assert [found.index for found in store.read(0, 10, 150)] == [1, 2]
    assert [found.index for found in store.read(0, 10, 1)] == [1], "never none because they are large"


def test_entries_that_did_nothing_are_covered_too(bench: Bench) -> None:
    store = bench.open()
    store.append([], 40)
    assert store.span == FeedSpan(0, 40)


def test_what_was_written_is_there_after_closing_and_opening(bench: Bench) -> None:
    store = bench.open()
    store.append(rows(1, 2), 3)
    store.trim(1_500, MIB, 10)
    size = store.size_bytes
    store = bench.open()
    assert (store.span, store.size_bytes) == (FeedSpan(1, 3), size)
    assert read(store) == [2]


def test_what_will_be_applied_again_is_taken_back(bench: Bench) -> None:
    store = bench.open()
    store.append(rows(1, 2, 5, 9), 10)
    store.rewind(4)
    assert store.span == FeedSpan(0, 4)
    assert read(store) == [1, 2]
    store.append(rows(5), 5)
    assert read(store) == [1, 2, 5]
    assert store.size_bytes == 3 * (10 + FEED_ROW_COST_BYTES)


def test_rewinding_to_where_it_stands_changes_nothing(bench: Bench) -> None:
    store = bench.open()
    store.append(rows(1, 2), 3)
    store.rewind(3)
    assert store.span == FeedSpan(0, 3)
    assert read(store) == [1, 2]


def test_a_feed_that_does_not_reach_the_state_begins_anew(bench: Bench) -> None:
    """Writes were lost, or a snapshot was installed: what happened in between is not known."""
    store = bench.open()
    store.append(rows(1, 2), 3)
    store.rewind(9)
    assert store.span == FeedSpan(9, 9)
    assert store.read(0, 10, MIB) == []
    store.append(rows(10), 10)
    assert read(store) == [10]
    assert store.trim(0, MIB, 10) == 2, "what is not covered any more goes"
    assert store.size_bytes == 10 + FEED_ROW_COST_BYTES


def test_a_feed_that_begins_behind_the_state_begins_anew(bench: Bench) -> None:
    store = bench.open()
    store.rewind(9)
    store.append(rows(10, 11), 11)
    store.rewind(5)
    assert store.span == FeedSpan(5, 5)
    assert store.read(0, 10, MIB) == []


def test_old_rows_go_oldest_first_a_bounded_number_at_a_time(bench: Bench) -> None:
    store = bench.open()
    store.append(rows(1, 2, 3, 4, 5), 6)
    assert store.trim(4_000, MIB, 2) == 2
    assert (store.span, read(store)) == (FeedSpan(2, 6), [3, 4, 5])
    assert store.trim(4_000, MIB, 2) == 1
    assert (store.span, read(store)) == (FeedSpan(3, 6), [4, 5]), "a row of that very time is not older"
    assert store.trim(4_000, MIB, 2) == 0


def test_what_is_too_much_goes_oldest_first(bench: Bench) -> None:
    store = bench.open()
    store.append(rows(1, 2, 3, 4), 4)
    each = 10 + FEED_ROW_COST_BYTES
    assert store.size_bytes == 4 * each
    assert store.trim(0, 2 * each, 10) == 2
    assert (store.span.after, read(store), store.size_bytes) == (2, [3, 4], 2 * each)
    assert store.trim(0, 0, 10) == 2
    assert (store.span, store.size_bytes) == (FeedSpan(4, 4), 0)
