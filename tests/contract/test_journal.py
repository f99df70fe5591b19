"""What every Raft journal promises; the LMDB one and its twin in memory run the same suite."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import DiskFull, Entry, Journal, StorageError


class Bench(Protocol):
    """A disk with one journal on it."""

    def open(self) -> Journal: ...
    def after_power_loss(self) -> Journal:
        """The journal that the next process finds; the one before is not to be used any more."""
        ...

    def fill_up(self) -> None:
        """From now on nothing fits on the disk."""
        ...

    def done(self) -> None: ...


class LmdbBench:
    """A power loss is a copy of the files as they are, opened beside the ones in use."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lives = 0
        self._open: list[LmdbJournal] = []

    def _path(self) -> Path:
        return self._root / f"life-{self._lives}"

    def open(self) -> LmdbJournal:
        self._open.append(LmdbJournal(self._path()))
        return self._open[-1]

    def after_power_loss(self) -> LmdbJournal:
        before = self._path()
        self._lives += 1
        shutil.copytree(before, self._path())
        return self.open()

    def fill_up(self) -> None:
        self._open[-1]._size_bytes_max = 0

    def done(self) -> None:
        for journal in self._open:
            journal.close()


class MemoryBench:
    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self) -> Journal:
        return self._disk.open_journal()

    def after_power_loss(self) -> Journal:
        self._disk.crash()
        return self.open()

    def fill_up(self) -> None:
        self._disk.full = True

    def done(self) -> None:
        self._disk.close()


@pytest.fixture(params=["lmdb", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench: Bench = LmdbBench(tmp_path) if request.param == "lmdb" else MemoryBench()
    yield bench
    bench.done()


def entry(index: int, term: int = 1, data: bytes | None = None) -> Entry:
    return Entry(b"entry %d of term %d" % (index, term) if data is None else data, index, term)


def filled(bench: Bench, last: int) -> Journal:
    """A journal with entries 2..last, flushed."""
    journal = bench.open()
    for index in range(2, last + 1):
        journal.append(entry(index))
    journal.flush()
    return journal


def held(journal: Journal) -> list[Entry]:
    return journal.slice(journal.first_index, journal.last_index + 1)


def test_a_new_journal_holds_only_its_base_and_that_is_durable(bench: Bench) -> None:
    journal = bench.open()
    assert held(journal) == [Entry(b"\x01", 1, 0)]
    assert (journal.first_index, journal.last_index, journal.durable_index) == (1, 1, 1)
    assert (journal.term, journal.voted_for, journal.last_term) == (0, None, 0)
    assert held(bench.after_power_loss()) == [Entry(b"\x01", 1, 0)]


def test_changes_are_seen_at_once_and_durable_only_after_a_flush(bench: Bench) -> None:
    journal = bench.open()
    journal.append(entry(2))
    journal.set_term(3, "a")
    assert (journal.last_index, journal.durable_index) == (2, 1)
    assert (journal.term, journal.voted_for, journal.last_term) == (3, "a", 1)
    journal.flush()
    assert journal.durable_index == 2
    journal.append(entry(3))
    journal.set_term(4, None)

    survived = bench.after_power_loss()
    assert held(survived) == [Entry(b"\x01", 1, 0), entry(2)]
    assert (survived.term, survived.voted_for, survived.durable_index) == (3, "a", 2)


@pytest.mark.parametrize("vote", [None, "", "node-ä", "x" * 300])
def test_the_vote_comes_back_as_it_was(bench: Bench, vote: str | None) -> None:
    journal = bench.open()
    journal.set_term(2**63, vote)
    journal.flush()
    survived = bench.after_power_loss()
    assert (survived.term, survived.voted_for) == (2**63, vote)


def test_a_vote_cast_later_in_the_same_term_is_kept(bench: Bench) -> None:
    journal = bench.open()
    journal.set_term(4, None)
    journal.flush()
    journal.set_term(4, "a")
    journal.flush()
    survived = bench.after_power_loss()
    assert (survived.term, survived.voted_for) == (4, "a")


@pytest.mark.parametrize("size", [0, 1, 2_000, 5_000, 200_000])
def test_data_of_any_size_comes_back_as_it_was(bench: Bench, size: int) -> None:
    data = random.Random(size).randbytes(size)
    journal = bench.open()
    journal.append(entry(2, data=data))
    journal.append(entry(3, data=data))
    journal.flush()
    assert held(bench.after_power_loss())[1:] == [entry(2, data=data), entry(3, data=data)]


def test_an_entry_out_of_order_is_refused(bench: Bench) -> None:
    journal = filled(bench, 3)
    for index in (1, 3, 5):
        with pytest.raises(ValueError):
            journal.append(entry(index))
    assert journal.last_index == 3


def test_reading_outside_of_what_is_held(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.compact_to(3)
    for index in (0, 2, 7, -1):
        with pytest.raises(IndexError):
            journal.entry(index)
    assert journal.entry(3) == entry(3)
    assert journal.slice(0, 5) == [entry(3), entry(4)]
    assert journal.slice(5, 100) == [entry(5), entry(6)]
    assert journal.slice(5, 5) == []
    assert journal.slice(5, 3) == []
    assert journal.slice(0, 2) == []


def test_truncation_drops_the_tail_and_lowers_what_is_durable(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.truncate_from(4)
    assert (journal.last_index, journal.durable_index) == (3, 3)
    assert [e.index for e in held(journal)] == [1, 2, 3]
    journal.append(entry(4, term=2))
    assert (journal.last_index, journal.durable_index) == (4, 3)
    assert held(journal)[3:] == [entry(4, term=2)]
    assert [e.index for e in held(bench.after_power_loss())] == [1, 2, 3, 4, 5, 6]


def test_a_flushed_truncation_leaves_nothing_of_the_old_tail(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.truncate_from(4)
    journal.append(entry(4, term=2))
    journal.flush()
    assert journal.durable_index == 4
    assert held(bench.after_power_loss())[1:] == [entry(2), entry(3), entry(4, term=2)]


def test_truncation_past_the_end_changes_nothing(bench: Bench) -> None:
    journal = filled(bench, 3)
    journal.truncate_from(4)
    assert (journal.last_index, journal.durable_index) == (3, 3)


def test_the_base_cannot_be_truncated(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.compact_to(4)
    for index in (4, 1):
        with pytest.raises(ValueError):
            journal.truncate_from(index)
    assert journal.last_index == 6


def test_compaction_moves_the_base_and_keeps_the_rest(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.compact_to(4)
    assert (journal.first_index, journal.last_index, journal.durable_index) == (4, 6, 6)
    journal.flush()
    assert held(bench.after_power_loss()) == [entry(4), entry(5), entry(6)]


def test_an_unflushed_compaction_is_forgotten_by_a_power_loss(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.compact_to(4)
    assert len(held(bench.after_power_loss())) == 6


def test_compaction_to_an_entry_that_is_not_held_is_refused(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.compact_to(3)
    journal.compact_to(3)
    for index in (2, 7):
        with pytest.raises(ValueError):
            journal.compact_to(index)


def test_compaction_into_what_was_never_flushed(bench: Bench) -> None:
    journal = filled(bench, 3)
    for index in (4, 5, 6):
        journal.append(entry(index))
    journal.compact_to(5)
    assert journal.durable_index < 5
    journal.flush()
    assert journal.durable_index == 6
    assert held(bench.after_power_loss()) == [entry(5), entry(6)]


@pytest.mark.parametrize("base_index", [2, 4, 6, 7, 1_000])
def test_a_reset_forgets_every_entry(bench: Bench, base_index: int) -> None:
    journal = filled(bench, 6)
    base = entry(base_index, term=9)
    journal.reset(base)
    assert held(journal) == [base]
    assert journal.durable_index < base_index
    journal.append(entry(base_index + 1, term=9))
    journal.flush()
    assert journal.durable_index == base_index + 1
    assert held(bench.after_power_loss()) == [base, entry(base_index + 1, term=9)]


def test_a_reset_that_was_not_flushed_is_forgotten(bench: Bench) -> None:
    journal = filled(bench, 6)
    journal.reset(entry(100))
    assert len(held(bench.after_power_loss())) == 6


def test_size_counts_the_data_of_what_is_held(bench: Bench) -> None:
    journal = bench.open()
    for index in range(2, 7):
        journal.append(entry(index, data=bytes(10 * index)))
    assert journal.size_bytes == 1 + 20 + 30 + 40 + 50 + 60
    journal.truncate_from(6)
    journal.compact_to(3)
    assert journal.size_bytes == 30 + 40 + 50
    journal.flush()
    assert bench.after_power_loss().size_bytes == 30 + 40 + 50


def test_a_full_disk_stores_nothing_and_ends_every_further_change(bench: Bench) -> None:
    journal = filled(bench, 3)
    journal.append(entry(4))
    journal.set_term(8, "b")
    bench.fill_up()
    with pytest.raises(DiskFull):
        journal.flush()
    changes: list[Callable[[], None]] = [
        lambda: journal.append(entry(5)),
        lambda: journal.truncate_from(3),
        lambda: journal.compact_to(2),
        lambda: journal.reset(entry(9)),
        lambda: journal.set_term(9, None),
        journal.flush,
    ]
    for change in changes:
        with pytest.raises(StorageError):
            change()
    assert journal.durable_index == 3
    assert journal.entry(3) == entry(3)

    survived = bench.after_power_loss()
    assert (survived.last_index, survived.term) == (3, 0)


def test_a_closed_journal_takes_no_change(bench: Bench) -> None:
    journal = filled(bench, 3)
    journal.close()
    with pytest.raises(StorageError):
        journal.append(entry(4))
    assert held(bench.open())[-1] == entry(3)


def _change(journal: Journal, dice: random.Random) -> None:
    """One change that a Raft engine could make."""
    first, last = journal.first_index, journal.last_index
    action = dice.randrange(12)
    if action == 0 and last > first:
        journal.truncate_from(dice.randint(first + 1, last))
    elif action == 1:
        journal.compact_to(dice.randint(first, last))
    elif action == 2 and dice.random() < 0.3:
        journal.reset(entry(max(1, last + dice.randint(-5, 50)), journal.term))
    elif action == 3:
        journal.set_term(journal.term + 1, dice.choice([None, "a", "b"]))
    else:
        data = dice.randbytes(dice.choice([0, 10, 300, 5_000]))
        journal.append(Entry(data, last + 1, journal.term))


def _facts(journal: Journal) -> tuple[list[Entry], int, str | None, int]:
    return held(journal), journal.term, journal.voted_for, journal.size_bytes


@pytest.mark.parametrize("seed", range(8))
def test_any_history_survives_up_to_the_last_flush(bench: Bench, seed: int) -> None:
    dice = random.Random(seed)
    journal = bench.open()
    flushed = _facts(journal)
    for _ in range(250):
        _change(journal, dice)
        durable = journal.slice(journal.first_index, journal.durable_index + 1)
        assert durable == [e for e in flushed[0] if journal.first_index <= e.index <= journal.durable_index]
        roll = dice.random()
        if roll < 0.25:
            journal.flush()
            flushed = _facts(journal)
            assert journal.durable_index == journal.last_index
        elif roll < 0.32:
            journal = bench.after_power_loss()
            assert _facts(journal) == flushed
