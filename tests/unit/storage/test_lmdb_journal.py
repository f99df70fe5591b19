"""What a crash or a damaged file may do to the LMDB journal: an error or an older state, never wrong data."""

import os
import random
import resource
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import lmdb
import pytest

from orchestrix_raft.storage import journal as journal_module
from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.port import Damaged, DiskFull, Entry, StorageError

PAGE = resource.getpagesize()
META_PAGES = 2


def entry(index: int, term: int = 1, size: int = 100) -> Entry:
    return Entry(random.Random(index * 1_000 + term).randbytes(size), index, term)


def facts(journal: LmdbJournal) -> tuple[list[Entry], int, str | None]:
    return journal.slice(0, journal.last_index + 1), journal.term, journal.voted_for


def reopened(path: Path) -> tuple[list[Entry], int, str | None]:
    journal = LmdbJournal(path)
    try:
        return facts(journal)
    finally:
        journal.close()


def placed(root: Path, data: bytes | bytearray) -> Path:
    """A directory with this as its data file."""
    path = root / "copy"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    (path / "data.mdb").write_bytes(data)
    return path


History = list[tuple[bytes, tuple[list[Entry], int, str | None]]]


def recorded(path: Path, seed: int, flushes: int) -> History:
    """The data file after each flush of a random history, and what the journal held then."""
    dice = random.Random(seed)
    journal = LmdbJournal(path)
    history = [((path / "data.mdb").read_bytes(), facts(journal))]
    for _ in range(flushes):
        for _ in range(dice.randint(1, 6)):
            first, last = journal.first_index, journal.last_index
            action = dice.randrange(10)
            if action == 0 and last > first:
                journal.truncate_from(dice.randint(first + 1, last))
            elif action == 1:
                journal.compact_to(dice.randint(first, last))
            elif action == 2:
                journal.set_term(journal.term + 1, dice.choice([None, "a"]))
            elif action == 3 and dice.random() < 0.3:
                journal.reset(entry(last + 10, journal.term))
            else:
                size = dice.choice([0, 30, 3_000, 9_000])
                journal.append(entry(last + 1, journal.term, size))
        journal.flush()
        history.append(((path / "data.mdb").read_bytes(), facts(journal)))
    journal.close()
    return history


@pytest.fixture
def history(tmp_path: Path) -> History:
    return recorded(tmp_path / "raft", seed=1, flushes=40)


def test_every_flush_left_a_file_that_opens_as_just_that_state(history: History, tmp_path: Path) -> None:
    for data, expected in history:
        assert reopened(placed(tmp_path, data)) == expected


def test_a_transaction_cut_short_before_its_last_page_leaves_the_state_before_it(
    history: History, tmp_path: Path
) -> None:
    """LMDB writes a transaction's pages in any order, syncs, then writes one of the two meta pages."""
    dice = random.Random(2)
    for (before, expected), (after, _) in pairwise(history):
        changed = [
            page
            for page in range(META_PAGES, len(after) // PAGE)
            if before[page * PAGE : (page + 1) * PAGE] != after[page * PAGE : (page + 1) * PAGE]
        ]
        written = dice.sample(changed, dice.randint(0, len(changed)))
        torn = bytearray(before)
        for page in sorted(written):
            if len(torn) < (page + 1) * PAGE:
                torn.extend(bytes((page + 1) * PAGE - len(torn)))
            torn[page * PAGE : (page + 1) * PAGE] = after[page * PAGE : (page + 1) * PAGE]
        assert reopened(placed(tmp_path, torn)) == expected


def test_a_file_cut_short_is_damaged(history: History, tmp_path: Path) -> None:
    data, _ = history[-1]
    dice = random.Random(3)
    for size in [1, 100, PAGE - 1, PAGE, PAGE + 1, *(dice.randrange(1, len(data)) for _ in range(30))]:
        if size >= _pages_in_use(tmp_path, data) * PAGE:
            continue
        with pytest.raises(Damaged, match=r"data\.mdb"):
            LmdbJournal(placed(tmp_path, data[:size]))


def _pages_in_use(root: Path, data: bytes) -> int:
    with lmdb.open(str(placed(root, data)), readonly=True, lock=False) as env:
        return int(env.info()["last_pgno"]) + 1


def test_a_flipped_bit_is_damage_or_an_earlier_state_and_never_wrong_data(
    history: History, tmp_path: Path
) -> None:
    data, expected = history[-1]
    once_true = [state for _, state in history]
    dice = random.Random(4)
    damaged = 0
    for flip in range(300):
        scrambled = bytearray(data)
        meta = flip < 60  # the first two pages matter more than their size
        scrambled[dice.randrange(200) + PAGE * dice.randrange(2) if meta else dice.randrange(len(data))] ^= (
            1 << dice.randrange(8)
        )
        try:
            assert reopened(placed(tmp_path, scrambled)) in (once_true if meta else [expected])
        except StorageError:
            damaged += 1
    assert damaged > 30


def _rewritten(path: Path, change: Callable[["lmdb.Transaction[bytes]"], object]) -> None:
    """Change records behind the journal's back."""
    with lmdb.open(str(path), map_size=1 << 24) as env, env.begin(write=True) as txn:
        change(txn)


def _key(index: int) -> bytes:
    return index.to_bytes(8)


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """A closed journal with entries 5..10."""
    path = tmp_path / "ten"
    journal = LmdbJournal(path)
    for index in range(2, 11):
        journal.append(entry(index))
    journal.set_term(3, "a")
    journal.flush()
    journal.compact_to(5)
    journal.flush()
    journal.close()
    return path


def _flip(record: bytes | None, at: int) -> bytes:
    assert record is not None
    scrambled = bytearray(record)
    scrambled[at] ^= 1
    return bytes(scrambled)


@pytest.mark.parametrize("at", [0, 4, 11, 12, -1])
def test_a_changed_record_is_named_with_file_and_index(ten: Path, at: int) -> None:
    _rewritten(ten, lambda txn: txn.put(_key(7), _flip(txn.get(_key(7)), at)))
    with pytest.raises(Damaged, match=r"ten/data\.mdb: entry 7 of the Raft journal is damaged"):
        LmdbJournal(ten)


def test_a_record_in_another_ones_place_is_damage(ten: Path) -> None:
    _rewritten(ten, lambda txn: txn.put(_key(7), txn.get(_key(8)) or b""))
    with pytest.raises(Damaged, match="entry 7"):
        LmdbJournal(ten)


@pytest.mark.parametrize("record", [b"", b"12345", zlib.crc32(_key(7)).to_bytes(4)])
def test_a_record_too_short_to_hold_an_entry_is_damage(ten: Path, record: bytes) -> None:
    _rewritten(ten, lambda txn: txn.put(_key(7), record))
    with pytest.raises(Damaged, match="entry 7"):
        LmdbJournal(ten)


@pytest.mark.parametrize("index", [5, 8])
def test_a_missing_entry_is_damage(ten: Path, index: int) -> None:
    _rewritten(ten, lambda txn: txn.delete(_key(index)))
    with pytest.raises(Damaged, match=f"entry {index} of the Raft journal is missing"):
        LmdbJournal(ten)


def test_a_journal_without_any_entry_is_damage(ten: Path) -> None:
    _rewritten(ten, lambda txn: [txn.delete(_key(index)) for index in range(5, 11)])
    with pytest.raises(Damaged, match="entry 5"):
        LmdbJournal(ten)


@pytest.mark.parametrize("at", [0, 4, 5, 13, 21, -1])
def test_a_changed_head_is_damage(ten: Path, at: int) -> None:
    _rewritten(ten, lambda txn: txn.put(_key(0), _flip(txn.get(_key(0)), at)))
    with pytest.raises(Damaged, match="head"):
        LmdbJournal(ten)


def test_a_missing_head_is_damage(ten: Path) -> None:
    _rewritten(ten, lambda txn: txn.delete(_key(0)))
    with pytest.raises(Damaged, match="head"):
        LmdbJournal(ten)


def test_a_refused_journal_can_be_opened_again_once_it_is_repaired(ten: Path) -> None:
    good: list[bytes] = []
    _rewritten(ten, lambda txn: good.append(txn.pop(_key(7)) or b""))
    for _ in range(2):
        with pytest.raises(Damaged):
            LmdbJournal(ten)
    _rewritten(ten, lambda txn: txn.put(_key(7), good[0]))
    assert [e.index for e in reopened(ten)[0]] == [5, 6, 7, 8, 9, 10]


def _stored_keys(path: Path) -> list[int]:
    with lmdb.open(str(path)) as env, env.begin() as txn:
        return [int.from_bytes(key) for key, _ in txn.cursor()]


def test_a_long_compacted_log_is_removed_a_little_with_each_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "LEFTOVERS_REMOVED_MAX", 3)
    path = tmp_path / "raft"
    journal = LmdbJournal(path)
    for index in range(2, 11):
        journal.append(entry(index))
    journal.flush()
    journal.compact_to(9)
    journal.flush()
    journal.close()
    assert _stored_keys(path) == [0, 4, 5, 6, 7, 8, 9, 10]

    journal = LmdbJournal(path)
    assert (journal.first_index, journal.last_index) == (9, 10)
    for index in (11, 12):
        journal.append(entry(index))
        journal.flush()
    journal.close()
    assert _stored_keys(path) == [0, 9, 10, 11, 12]


def test_a_flush_without_changes_opens_no_transaction(tmp_path: Path) -> None:
    journal = LmdbJournal(tmp_path / "raft")
    journal.set_term(1, "a")
    journal.flush()
    transaction = journal._env.info()["last_txnid"]
    journal.set_term(1, "a")
    journal.compact_to(1)
    journal.truncate_from(2)
    journal.flush()
    assert journal._env.info()["last_txnid"] == transaction
    journal.close()


def test_the_journal_of_one_path_is_open_only_once(tmp_path: Path) -> None:
    journal = LmdbJournal(tmp_path / "raft")
    with pytest.raises(StorageError, match="already open"):
        LmdbJournal(tmp_path / "raft")
    journal.close()
    LmdbJournal(tmp_path / "raft").close()


def test_more_than_its_own_limit_is_not_written(tmp_path: Path) -> None:
    journal = LmdbJournal(tmp_path / "raft", size_bytes_max=10_000)
    journal.append(entry(2, size=9_000))
    journal.flush()
    journal.append(entry(3, size=2_000))
    with pytest.raises(DiskFull, match="limit of 10000"):
        journal.flush()
    journal.close()
    assert [e.index for e in reopened(tmp_path / "raft")[0]] == [1, 2]


def test_a_full_map_is_a_full_disk(tmp_path: Path) -> None:
    journal = LmdbJournal(tmp_path / "raft", map_bytes=1 << 16)
    journal.append(entry(2, size=1 << 17))
    with pytest.raises(DiskFull):
        journal.flush()
    with pytest.raises(StorageError):
        journal.append(entry(3))
    journal.close()
    assert [e.index for e in reopened(tmp_path / "raft")[0]] == [1]


@contextmanager
def no_file_grows(path: Path, room: int = 0) -> Iterator[None]:
    """The system refuses every write more than `room` bytes past the present end of the data file, as on
    a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((path / "data.mdb").stat().st_size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _large_flush(path: Path) -> LmdbJournal:
    """A journal with entries 1..2 durable and a third that needs a longer file."""
    journal = LmdbJournal(path)
    journal.append(entry(2))
    journal.flush()
    journal.append(entry(3, size=1 << 20))
    return journal


def test_a_write_that_does_not_fit_stores_nothing(tmp_path: Path) -> None:
    journal = _large_flush(tmp_path / "raft")
    with no_file_grows(tmp_path / "raft"), pytest.raises(DiskFull, match=r"data\.mdb: no room"):
        journal.flush()
    with pytest.raises(StorageError, match="no change"):
        journal.flush()
    assert journal.durable_index == 2
    journal.close()
    assert [e.index for e in reopened(tmp_path / "raft")[0]] == [1, 2]


@pytest.mark.parametrize(
    ("free_blocks", "limit_seen", "expected"),
    [(0, False, DiskFull), (1_000_000, True, DiskFull), (1_000_000, False, StorageError)],
    ids=["full disk", "file at its limit", "neither"],
)
def test_a_write_cut_short_for_lack_of_room_is_a_full_disk(
    free_blocks: int,
    limit_seen: bool,
    expected: type[StorageError],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LMDB answers "input/output error" to a write that fitted only in part."""
    real = os.statvfs(tmp_path)
    journal = _large_flush(tmp_path / "raft")
    free = os.statvfs_result((*real[:4], free_blocks, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: free)
    with no_file_grows(tmp_path / "raft", room=1 << 18), monkeypatch.context() as patch:
        if not limit_seen:
            patch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        with pytest.raises(StorageError) as caught:
            journal.flush()
    assert caught.type is expected
    journal.close()
