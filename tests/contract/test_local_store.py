"""What every store of node-local data promises; the LMDB one and its twin in memory run the same suite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from orchestrix_raft.storage.limits import JOB_LOG_BYTES_MAX, JOB_LOGS_BYTES_MAX, JOB_LOGS_DROPPED_AT_ONCE
from orchestrix_raft.storage.local import LmdbLocalStore
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import LinePlace, LocalStore, LogLine

JOB = bytes(15) + b"\x01"
OTHER = bytes(15) + b"\x02"


class Bench(Protocol):
    """A disk with one local store on it."""

    def open(self, bytes_max: int = JOB_LOGS_BYTES_MAX) -> LocalStore: ...
    def done(self) -> None: ...


class LmdbBench:
    def __init__(self, root: Path) -> None:
        self._path = root / "local"
        self._open: LmdbLocalStore | None = None

    def open(self, bytes_max: int = JOB_LOGS_BYTES_MAX) -> LmdbLocalStore:
        self._open = LmdbLocalStore(self._path, bytes_max=bytes_max)
        return self._open

    def done(self) -> None:
        if self._open is not None:
            self._open.close()


class MemoryBench:
    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self, bytes_max: int = JOB_LOGS_BYTES_MAX) -> LocalStore:
        return self._disk.open_local_store(bytes_max)

    def done(self) -> None:
        self._disk.close()


@pytest.fixture(params=["lmdb", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench: Bench = LmdbBench(tmp_path) if request.param == "lmdb" else MemoryBench()
    yield bench
    bench.done()


MIB = 1 << 20
START = (0, 0)


def said(*words: str, first: int = 1, attempt: int = 1) -> list[LogLine]:
    return [LogLine(attempt, first + n, 1_000 + n, "info", word) for n, word in enumerate(words)]


def words(
    store: LocalStore, job_id: bytes, after: LinePlace = START, limit: int = 100
) -> list[tuple[int, str]]:
    return [(line.number, line.message) for line in store.lines(job_id, after, limit, MIB)]


def test_a_job_without_lines_has_none(bench: Bench) -> None:
    store = bench.open()
    assert words(store, JOB) == []
    assert store.dropped(JOB) == 0
    store.append_lines({JOB: []}, 5)
    assert words(store, JOB) == []
    assert store.expire_lines(10, 10) == 0


def test_lines_are_told_in_the_order_of_their_places_whenever_they_came(bench: Bench) -> None:
    store = bench.open()
    line = LogLine(1, 3, 7, "warning", "Überlauf\n")
    second_attempt = said("x", attempt=2)
    store.append_lines({JOB: [*second_attempt, line], OTHER: said("y")}, 10)
    store.append_lines({JOB: said("a", "b")}, 11)
    assert store.lines(JOB, START, 10, MIB) == [*said("a", "b"), line, *second_attempt]
    assert words(store, OTHER) == [(1, "y")]


def test_a_line_that_comes_again_is_kept_once(bench: Bench) -> None:
    store = bench.open()
    store.append_lines({JOB: said("a", "b", "b again"), OTHER: said("x")}, 10)
    store.append_lines({JOB: said("b", "c", "d", first=2)}, 11)
    assert words(store, JOB) == [(1, "a"), (2, "b"), (3, "b again"), (4, "d")]
    assert store.dropped(JOB) == 0


def test_lines_are_read_in_pages(bench: Bench) -> None:
    store = bench.open()
    store.append_lines({JOB: said("a", "b", "c", "d"), OTHER: said("x")}, 10)
    assert words(store, JOB, START, 2) == [(1, "a"), (2, "b")]
    assert words(store, JOB, (1, 2), 2) == [(3, "c"), (4, "d")]
    assert words(store, JOB, (1, 3), 2) == [(4, "d")]
    assert words(store, JOB, (1, 4), 2) == []
    assert words(store, JOB, (0, 17), 1) == [(1, "a")], "a place without a line is a place nevertheless"
    assert words(store, JOB, START, 0) == []


def test_a_page_ends_with_the_line_that_fills_it(bench: Bench) -> None:
    store = bench.open()
    store.append_lines({JOB: said(*("x" * 100 for _ in range(5)))}, 10)
    assert len(store.lines(JOB, START, 10, 150)) == 2
    assert len(store.lines(JOB, START, 10, 1)) == 1


def test_behind_the_greatest_place_there_are_no_lines(bench: Bench) -> None:
    """A caller may ask for anything."""
    store = bench.open()
    greatest = ((1 << 32) - 1, (1 << 64) - 1)
    store.append_lines({JOB: [LogLine(*greatest, 1, "info", "a")], OTHER: said("b")}, 1_000)
    assert len(store.lines(JOB, START, 10, MIB)) == 1
    assert store.lines(JOB, greatest, 10, MIB) == []


def test_lines_are_there_after_closing_and_opening(bench: Bench) -> None:
    store = bench.open()
    store.append_lines({JOB: said("a")}, 10)
    store.close()
    store = bench.open()
    store.append_lines({JOB: said("b", first=2)}, 11)
    assert words(store, JOB) == [(1, "a"), (2, "b")]


def test_what_exceeds_the_cap_is_counted_and_not_kept(bench: Bench) -> None:
    store = bench.open()
    large = "x" * (JOB_LOG_BYTES_MAX // 4)
    store.append_lines({JOB: said(large, large), OTHER: said("x")}, 10)
    assert store.dropped(JOB) == 0
    store.append_lines({JOB: said(large, large, "small", "small", first=3)}, 11)
    assert [number for number, _ in words(store, JOB)] == [1, 2, 3]
    assert store.dropped(JOB) == 3
    store.append_lines({JOB: said("small", first=7), OTHER: said("y", first=2)}, 12)
    assert store.dropped(JOB) == 4, "no gaps: after the first dropped line all are"
    store.append_lines({JOB: said(large, first=3)}, 12)
    assert store.dropped(JOB) == 4, "one that is kept already"
    assert len(words(store, JOB)) == 3
    assert words(store, OTHER) == [(1, "x"), (2, "y")]


def test_jobs_expire_by_their_last_line_oldest_first(bench: Bench) -> None:
    store = bench.open()
    jobs = [bytes(15) + bytes([n]) for n in range(1, 6)]
    for at_ms, job in zip((50, 10, 30, 20, 40), jobs, strict=True):
        store.append_lines({job: said("a", "b")}, at_ms)
    store.append_lines({jobs[1]: said("c", first=3)}, 60)
    assert store.expire_lines(40, 1) == 1
    assert [bool(words(store, job)) for job in jobs] == [True, True, True, False, True]
    assert store.expire_lines(40, 10) == 1
    assert [bool(words(store, job)) for job in jobs] == [True, True, False, False, True]
    assert store.expire_lines(40, 10) == 0, "a last line at the limit itself is not older"
    assert words(store, jobs[1]) == [(1, "a"), (2, "b"), (3, "c")]


def test_an_expired_job_starts_again_from_nothing(bench: Bench) -> None:
    store = bench.open()
    store.append_lines({JOB: said("x" * JOB_LOG_BYTES_MAX)}, 10)
    assert store.dropped(JOB) == 1
    assert store.expire_lines(11, 10) == 1
    assert store.dropped(JOB) == 0
    store.append_lines({JOB: said("a")}, 20)
    assert words(store, JOB) == [(1, "a")]
    assert store.expire_lines(20, 10) == 0
    assert store.expire_lines(21, 10) == 1


def numbered(number: int) -> bytes:
    return number.to_bytes(16, "big")


def kept(store: LocalStore, jobs: int) -> list[int]:
    return [number for number in range(jobs) if words(store, numbered(number))]


def test_the_whole_is_bounded_and_the_jobs_that_were_silent_longest_go_first(bench: Bench) -> None:
    store = bench.open(bytes_max=5_000)  # four jobs of a kilobyte
    for number in range(4):
        store.append_lines({numbered(number): said("x" * 1_000)}, 10 + number)
    store.append_lines({numbered(0): said("again", first=2)}, 20)
    assert kept(store, 4) == [0, 1, 2, 3]
    store.append_lines({numbered(4): said("x" * 1_000)}, 21)
    assert kept(store, 5) == [0, 2, 3, 4]
    assert words(store, numbered(0))[1:] == [(2, "again")]


def test_what_the_whole_holds_is_known_after_opening_and_after_lines_expired(bench: Bench) -> None:
    bench.open(bytes_max=5_000)
    for number in range(12):
        bench.done()
        store = bench.open(bytes_max=5_000)
        store.append_lines({numbered(number): said("x" * 1_000)}, number)
    assert kept(store, 12) == [8, 9, 10, 11]
    assert store.expire_lines(10, 10) == 2
    store.append_lines({numbered(12): said("x" * 1_000), numbered(13): said("x" * 1_000)}, 12)
    assert kept(store, 14) == [10, 11, 12, 13]


def test_much_that_is_to_go_at_once_goes_a_bounded_number_at_a_time(bench: Bench) -> None:
    store = bench.open()
    jobs = 2 * JOB_LOGS_DROPPED_AT_ONCE + 10
    for number in range(jobs):
        store.append_lines({numbered(number): said("x" * 1_000)}, number)
    bench.done()
    store = bench.open(bytes_max=1_500)
    for left in (jobs - JOB_LOGS_DROPPED_AT_ONCE, jobs - 2 * JOB_LOGS_DROPPED_AT_ONCE, 1):
        store.append_lines({numbered(jobs - 1): said("y", first=2)}, jobs)
        assert len(kept(store, jobs)) == left
