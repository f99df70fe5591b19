"""The event feed of a node: kept across restarts, complete from where it says it begins, bounded."""

from collections.abc import Sequence

import pytest

from orchestrix_raft.coordinator.feed import TRIM_ROWS, WRITE_BYTES, Feed, FeedKeep
from orchestrix_raft.machine.codec import encode_events
from orchestrix_raft.machine.events import Event, JobReady
from orchestrix_raft.machine.packing import unpack
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import DiskFull, FeedRow, FeedSpan

MIB = 1 << 20


def did(*events: Event) -> Applied:
    listed = list(events)
    return Applied(listed, [], [], [], (), encode_events(listed))


def ready(number: int = 1) -> JobReady:
    return JobReady(number.to_bytes(16, "big"), number)


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


def opened(disk: MemoryDisk, index: int = 0, keep: FeedKeep | None = None) -> Feed:
    feed = Feed(disk.open_local_store().feed, keep or FeedKeep())
    feed.begin(index)
    return feed


def indexes(feed: Feed, after: int = 0) -> list[int]:
    return [row.index for row in feed.read(after, 100, MIB)]


def test_what_waits_to_be_written_is_read_as_well(disk: MemoryDisk) -> None:
    feed = opened(disk)
    feed.note(1, 10, 0, did(ready()))
    feed.write()
    feed.note(2, 20, 0, did())
    feed.note(3, 30, 0, did(ready()))
    assert disk.feed.span == FeedSpan(0, 1)
    assert indexes(feed) == [1, 3]
    assert indexes(feed, after=1) == [3]
    assert [row.index for row in feed.read(0, 1, MIB)] == [1]
    assert feed.newest == 3


def test_each_entry_has_its_two_times(disk: MemoryDisk) -> None:
    feed = opened(disk)
    feed.note(1, 10, 7, did(ready()))
    feed.write()
    feed.note(2, 20, 8, did(ready()))
    rows = feed.read(0, 100, MIB)
    assert [(row.at_ms, unpack(row.record).elapsed_ms) for row in rows] == [(10, 7), (20, 8)]


def test_rows_are_written_now_and_then_and_at_once_when_they_are_many(disk: MemoryDisk) -> None:
    feed = opened(disk)
    feed.tick(10.0, 0)
    feed.note(1, 10, 0, did(ready()))
    feed.tick(10.1, 0)
    assert disk.feed.span.newest == 0
    feed.tick(10.3, 0)
    assert disk.feed.span.newest == 1
    many = [ready(n) for n in range(WRITE_BYTES // 20)]
    feed.note(2, 10, 0, did(*many))
    assert disk.feed.span.newest == 2


def test_after_a_kill_what_is_applied_again_is_there_once(disk: MemoryDisk) -> None:
    feed = opened(disk)
    for index in (1, 2, 3):
        feed.note(index, 10, 0, did(ready()))
    feed.write()
    feed.note(4, 10, 0, did(ready()))
    disk.kill()
    feed = opened(disk, index=2)  # the checkpoint
    assert (feed.after, feed.newest) == (0, 2)
    for index in (3, 4):
        feed.note(index, 10, 0, did(ready()))
    assert indexes(feed) == [1, 2, 3, 4]


def test_what_a_power_loss_took_is_said(disk: MemoryDisk) -> None:
    feed = opened(disk)
    for index in (1, 2, 3):
        feed.note(index, 10, 0, did(ready()))
        feed.write()
    disk.feed.lose_newest(2)
    disk.kill()
    feed = opened(disk, index=3)
    assert (feed.after, feed.newest, indexes(feed)) == (3, 3, [])


def test_a_snapshot_begins_it_anew(disk: MemoryDisk) -> None:
    feed = opened(disk)
    feed.note(1, 10, 0, did(ready()))
    feed.begin(50)
    feed.note(51, 10, 0, did(ready()))
    assert (feed.after, feed.newest, indexes(feed)) == (50, 51, [51])
    feed.write()
    assert disk.feed.span == FeedSpan(50, 51)


def test_a_disk_that_takes_nothing_costs_events_and_says_so(disk: MemoryDisk) -> None:
    feed = opened(disk)
    feed.note(1, 10, 0, did(ready()))
    feed.write()
    disk.full = True
    feed.note(2, 10, 0, did(ready()))
    feed.write()
    assert "up to entry 2" in feed.problem
    feed.note(3, 10, 0, did(ready()))
    assert (feed.after, indexes(feed)) == (2, [3]), "nothing is skipped in silence"
    disk.full = False
    feed.write()
    assert (feed.problem, feed.after, indexes(feed)) == ("", 2, [3])
    assert disk.feed.span == FeedSpan(2, 3)


def test_old_rows_are_forgotten_a_bounded_number_at_a_time(disk: MemoryDisk) -> None:
    feed = opened(disk, keep=FeedKeep(for_s=60.0))
    for index in range(1, TRIM_ROWS + 11):
        feed.note(index, 1_000, 0, did(ready()))
    feed.write()
    feed.tick(100.0, 62_000)
    assert feed.after == TRIM_ROWS
    feed.tick(100.3, 62_000)
    assert feed.after == TRIM_ROWS + 10
    feed.note(TRIM_ROWS + 11, 62_000, 0, did(ready()))
    feed.tick(102.0, 62_000)
    assert indexes(feed) == [TRIM_ROWS + 11]


def test_who_follows_is_woken_once_for_all_that_is_new(disk: MemoryDisk) -> None:
    feed = opened(disk)
    feed.tell()
    woken: list[int] = []
    end = feed.follow(lambda: woken.append(1))
    feed.note(1, 10, 0, did(ready()))
    feed.note(2, 10, 0, did(ready()))
    feed.tell()
    feed.tell()
    assert woken == [1]
    feed.note(3, 10, 0, did())
    feed.tell()
    assert woken == [1], "an entry that did nothing is no news"
    end()
    feed.note(4, 10, 0, did(ready()))
    feed.tell()
    assert (woken, feed.followers) == ([1], 0)


class Refusing:
    """A store that cannot be rewound."""

    span = FeedSpan(0, 0)
    size_bytes = 0

    def append(self, rows: Sequence[FeedRow], newest: int) -> None:
        raise DiskFull("no room")

    def rewind(self, index: int) -> None:
        raise DiskFull("no room")

    def read(self, after: int, limit: int, bytes_max: int) -> list[FeedRow]:
        raise AssertionError("not of a store that is not where the state is")

    def trim(self, before_ms: int, bytes_max: int, limit: int) -> int:
        raise DiskFull("no room")


def test_a_node_starts_with_a_disk_that_takes_no_events() -> None:
    feed = Feed(Refusing(), FeedKeep())
    feed.begin(5)
    feed.note(6, 10, 0, did(ready()))
    assert (feed.after, indexes(feed)) == (5, [6])
    feed.tick(10.0, 0)
    assert (feed.after, indexes(feed)) == (6, [])
    assert "removed" in feed.problem or "not kept" in feed.problem
