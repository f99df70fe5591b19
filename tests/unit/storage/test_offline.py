"""Data directories made or replaced offline: wholly or not at all, whatever step a crash comes at."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrix_raft.storage.disk import Identity
from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.offline import Survivor, half_made, make_directory
from orchestrix_raft.storage.port import DiskFull, Entry, Position, StorageError
from orchestrix_raft.storage.state import LmdbStateStore

NEW = Identity(disk_id="f" * 16, node_id="n1", cluster_id="new")
FORMER = "old"


def fill(journal: LmdbJournal, state: LmdbStateStore) -> Identity:
    state.write([{"jobs": {b"a": b"1"}}], Position(50, 7, 50, b"c", b""))
    journal.reset(Entry(b"\x01", 50, 7))
    journal.set_term(7, None)
    journal.flush()
    return NEW


def held(path: Path) -> tuple[str, int, int]:
    """(cluster, index of the state, first index of the log) of a directory that a node can use."""
    directory = DataDirectory.open(path)
    state, journal = directory.open_state_store(), directory.open_journal()
    position = state.position()
    directory.close()
    assert position is not None
    return directory.identity.cluster_id, position.index, journal.first_index


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A data directory with some life behind it."""
    directory = DataDirectory.open(tmp_path / "data")
    directory.set_node_id("n1")
    directory.set_cluster_id(FORMER)
    directory.open_state_store().write([{"jobs": {b"old": b"1"}}], Position(9, 1, 0, b"", b""))
    journal = directory.open_journal()
    journal.append(Entry(b"x", 2, 1))
    journal.flush()
    directory.open_local_store()
    directory.close()
    return tmp_path / "data"


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


# ---- made from nothing


@pytest.mark.parametrize("there", [False, True], ids=["missing", "empty"])
def test_a_new_directory_is_one_that_a_node_can_use(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "a" / "new"
    if there:
        path.mkdir(parents=True)
    make_directory(path, fill)
    assert held(path) == ("new", 50, 50)
    assert names(path) == ["FORMAT", "LOCK", "identity", "raft", "state"]


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path: Path, used: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"not empty \(it holds 'a.txt'\)"):
        make_directory(tmp_path / "notes", fill)
    assert names(tmp_path / "notes") == ["a.txt"]
    with pytest.raises(StorageError, match="not empty"):
        make_directory(used, fill)
    assert held(used) == (FORMER, 9, 1)
    with pytest.raises(StorageError, match="not a directory"):
        make_directory(tmp_path / "notes" / "a.txt", fill)


@pytest.mark.parametrize("there", [False, True], ids=["missing", "empty"])
def test_nothing_stays_of_one_that_could_not_be_filled(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "new"
    if there:
        path.mkdir()

    def fails(journal: LmdbJournal, state: LmdbStateStore) -> Identity:
        fill(journal, state)
        raise DiskFull("no room")

    with pytest.raises(DiskFull):
        make_directory(path, fails)
    assert names(path) == [] if there else not path.exists()


def test_strange_files_in_what_is_half_made_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "half-made").touch()
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(StorageError, match=r"not empty \(it holds 'notes'\)"):
        make_directory(tmp_path, fill)
    assert names(tmp_path) == ["half-made", "notes"]


class Power(Exception):
    """The machine dies here."""


def crash_at(step: int, patch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Die before the step of that number that changes a name; whether there were so many."""
    count = 0

    def tap(module: object, name: str) -> None:
        real = getattr(module, name)

        def tapped(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count > step:
                raise Power
            return real(*arguments, **options)

        patch.setattr(module, name, tapped)

    for name in ("replace", "rename", "mkdir", "rmdir", "unlink"):
        tap(os, name)
    tap(shutil, "rmtree")
    return lambda: count > step


def test_a_crash_at_any_step_of_making_leaves_a_whole_directory_or_one_that_is_made_anew(
    tmp_path: Path,
) -> None:
    for step in range(1_000):
        path = tmp_path / str(step)
        with pytest.MonkeyPatch.context() as patch:
            died = crash_at(step, patch)
            with contextlib.suppress(Power):
                make_directory(path, fill)
        if not died():
            assert held(path) == ("new", 50, 50)
            assert step >= 5
            return
        if path.exists() and (path / "FORMAT").exists():
            assert held(path) == ("new", 50, 50), "all but the last mark was done"
        elif path.exists() and names(path) not in ([], ["LOCK"]):
            with pytest.raises(StorageError, match="a restore into it was cut short"):
                DataDirectory.open(path)
            assert half_made(path)
            make_directory(path, fill)
            assert held(path) == ("new", 50, 50)
            assert names(path) == ["FORMAT", "LOCK", "identity", "raft", "state"]
    raise AssertionError("it never ends")


# ---- replaced


def replace(path: Path) -> Path:
    survivor = Survivor(path)
    try:
        return survivor.put_in_place() if survivor.interrupted else survivor.replace(fill)
    finally:
        survivor.close()


def test_what_is_replaced_is_kept_and_the_rest_stays(used: Path) -> None:
    assert replace(used) == used / "before-recovery-1"
    assert held(used) == ("new", 50, 50)
    assert names(used) == ["FORMAT", "LOCK", "before-recovery-1", "identity", "local", "raft", "state"]
    former = used / "before-recovery-1"
    shutil.copy(used / "FORMAT", former)
    assert held(former) == (FORMER, 9, 1)
    assert replace(used) == used / "before-recovery-2"


def test_the_new_state_begins_as_a_copy_of_the_former(used: Path) -> None:
    seen: list[dict[bytes, bytes]] = []

    def look(journal: LmdbJournal, state: LmdbStateStore) -> Identity:
        seen.append(dict(state.load("jobs")))
        return fill(journal, state)

    survivor = Survivor(used)
    survivor.replace(look)
    survivor.close()
    assert seen == [{b"old": b"1"}]


def test_a_crash_at_any_step_of_replacing_leaves_the_former_or_a_directory_that_is_completed(
    used: Path, tmp_path: Path
) -> None:
    outcomes = []
    for step in range(1_000):
        path = tmp_path / str(step)
        shutil.copytree(used, path)
        with pytest.MonkeyPatch.context() as patch:
            died = crash_at(step, patch)
            with contextlib.suppress(Power):
                replace(path)
        if not died():
            break
        if (path / "FORMAT").exists():
            outcomes.append(held(path)[0])
        else:
            with pytest.raises(StorageError, match="the recovery of this directory was cut short"):
                DataDirectory.open(path)
            outcomes.append("refused")
        replace(path)
        assert held(path) == ("new", 50, 50)
        asides = [name for name in names(path) if name.startswith("before-recovery")]
        assert asides
        assert names(path / asides[0]) == ["identity", "raft", "state"]
        assert "recovered" not in names(path)
    order = {FORMER: 0, "refused": 1, "new": 2}
    assert sorted(outcomes, key=order.__getitem__) == outcomes
    assert set(outcomes) >= {FORMER, "refused"}


def test_a_directory_that_could_not_be_replaced_is_as_it_was(used: Path) -> None:
    def fails(journal: LmdbJournal, state: LmdbStateStore) -> Identity:
        raise DiskFull("no room")

    survivor = Survivor(used)
    with pytest.raises(DiskFull):
        survivor.replace(fails)
    survivor.close()
    assert held(used) == (FORMER, 9, 1)
    assert "recovered" not in names(used)


def test_a_directory_in_use_or_of_somebody_else_is_refused(used: Path, tmp_path: Path) -> None:
    directory = DataDirectory.open(used)
    with pytest.raises(StorageError, match="in use by a running node"):
        Survivor(used)
    directory.close()
    with pytest.raises(StorageError, match="not a data directory"):
        Survivor(tmp_path)
    with pytest.raises(StorageError, match="not a data directory"):
        Survivor(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("store", ["raft", "state"])
def test_without_journal_or_state_there_is_nothing_to_recover(used: Path, store: str) -> None:
    shutil.rmtree(used / store)
    survivor = Survivor(used)
    with pytest.raises(StorageError, match=rf"{store}: missing"), survivor.journal(), survivor.state():
        raise AssertionError("opened")
    survivor.close()


def test_a_copy_of_a_store_holds_its_checkpoint_and_nothing_of_what_was_deleted(tmp_path: Path) -> None:
    store = LmdbStateStore(tmp_path / "state")
    store.write([{"jobs": {b"%05d" % n: bytes(500) for n in range(5_000)}}], Position(1, 1, 0, b"", b""))
    store.write(
        [{"jobs": {b"%05d" % n: None for n in range(4_000)}, "other": {b"k": b"v"}}],
        Position(2, 1, 0, b"", b""),
    )
    store.copy_to(tmp_path / "copy")
    copy = LmdbStateStore(tmp_path / "copy")
    assert copy.position() == store.position()
    assert list(copy.load("jobs")) == list(store.load("jobs"))
    assert copy.get("other", b"k") == b"v"
    assert copy.size_bytes < store.size_bytes / 2
    copy.write([{"jobs": {b"x": b"y"}}], Position(3, 1, 0, b"", b""))
    copy.close()
    store.close()
