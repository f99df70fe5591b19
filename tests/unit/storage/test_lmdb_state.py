"""The LMDB state store against crashes at every step, damaged files, threads and a full disk."""

import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from orchestrix_raft.storage.files import sync_directory
from orchestrix_raft.storage.port import Damaged, DiskFull, SnapshotRef, StorageError
from orchestrix_raft.storage.state import LmdbStateStore
from tests.unit.storage.states import at, join_copies

ROWS: dict[bytes, bytes | None] = {b"%03d" % n: b"new" * 50 for n in range(200)}


@pytest.fixture(scope="module")
def offer(tmp_path_factory: pytest.TempPathFactory) -> tuple[SnapshotRef, bytes]:
    """A snapshot at index 50 and its bytes."""
    store = LmdbStateStore(tmp_path_factory.mktemp("sender") / "state")
    store.write([{"jobs": ROWS}], at(50))
    assert store.snapshot() is None
    join_copies()
    reader = store.snapshot()
    assert reader is not None
    data = reader.read(0, reader.ref.size)
    reader.close()
    store.close()
    return reader.ref, data


def install(store: LmdbStateStore, offer: tuple[SnapshotRef, bytes]) -> None:
    ref, data = offer
    writer = store.receive(ref)
    writer.write(0, data)
    writer.commit()


def test_after_an_installation_the_new_file_is_the_one_that_must_stay(
    store: LmdbStateStore, root: Path, offer: tuple[SnapshotRef, bytes]
) -> None:
    install(store, offer)
    store.check_in_place()
    shutil.rmtree(root / (root / "CURRENT").read_text().strip())
    with pytest.raises(StorageError, match="was removed while the node was using it"):
        store.check_in_place()


class Tape:
    """The file system steps of one call, with the directory as it stood before each."""

    def __init__(self, root: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.photos = photos
        self._root = root
        self._recording = True
        for name in ("fsync", "rename", "replace", "mkdir", "rmdir", "unlink"):
            self._tap(monkeypatch, os, name)
        self._tap(monkeypatch, shutil, "rmtree")

    def _tap(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        real = getattr(module, name)

        def tapped(target: int | str | Path, *rest: object, **options: object) -> object:
            if self._recording:
                self.photo(f"{name} {self._name_of(target)}")
            return real(target, *rest, **options)

        monkeypatch.setattr(module, name, tapped)

    def _name_of(self, target: int | str | Path) -> str:
        if not isinstance(target, int):
            return os.path.relpath(target, self._root)
        paths = [self._root, *self._root.rglob("*")]
        return next(
            str(p.relative_to(self._root)) for p in paths if os.path.samestat(p.stat(), os.fstat(target))
        )

    def photo(self, step: str) -> None:
        self._recording = False
        shutil.copytree(self._root, self.photos / str(len(self.steps)))
        self.steps.append(step)
        self._recording = True

    def end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.photo("end")
        monkeypatch.undo()


def test_a_crash_at_any_step_of_an_installation_leaves_the_old_or_the_new_state(
    store: LmdbStateStore,
    root: Path,
    offer: tuple[SnapshotRef, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tape = Tape(root, tmp_path / "photos", monkeypatch)
    install(store, offer)
    tape.end(monkeypatch)
    found = []
    for step in range(len(tape.steps)):
        survived = LmdbStateStore(tape.photos / str(step))
        position = survived.position()
        assert position is not None
        found.append(position.index)
        rows = dict(survived.load("jobs"))
        assert rows == ({b"old": b"old"} if position.index == 9 else ROWS)
        survived.close()
        names = sorted(path.name for path in (tape.photos / str(step)).iterdir())
        assert names == ["CURRENT", "state-0" if position.index == 9 else "state-50"]
    assert found == sorted(found)
    assert set(found) == {9, 50}


def test_an_installation_syncs_what_it_points_to_before_it_points(
    store: LmdbStateStore,
    root: Path,
    offer: tuple[SnapshotRef, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tape = Tape(root, tmp_path / "photos", monkeypatch)
    install(store, offer)
    tape.end(monkeypatch)
    order = [
        "fsync incoming-50/data.mdb",
        "fsync incoming-50",
        "rename incoming-50",
        "fsync .",
        "fsync CURRENT.tmp",
        "replace CURRENT.tmp",
        "fsync .",
        "rmtree state-0",
    ]
    places: list[int] = []
    for step in order:
        places.append(tape.steps.index(step, places[-1] + 1 if places else 0))
    assert places == sorted(places)


def _failing(module: object, name: str, when: Callable[[str], bool], patch: pytest.MonkeyPatch) -> None:
    real = getattr(module, name)

    def fails(target: str | Path, *rest: object, **options: object) -> object:
        if when(str(target)):
            raise OSError(28, "No space left on device", str(target))
        return real(target, *rest, **options)

    patch.setattr(module, name, fails)


def test_no_room_for_the_pointer_keeps_the_old_state_in_use(
    store: LmdbStateStore, root: Path, offer: tuple[SnapshotRef, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(Path, "open", lambda path: path.endswith("CURRENT.tmp"), monkeypatch)
    with pytest.raises(DiskFull):
        install(store, offer)
    monkeypatch.undo()
    assert store.get("jobs", b"old") == b"old"
    assert sorted(path.name for path in root.iterdir()) == ["CURRENT", "state-0"]
    install(store, offer)
    assert store.position() == at(50)


def test_a_pointer_that_may_or_may_not_be_in_place_ends_every_change_and_removes_nothing(
    store: LmdbStateStore, root: Path, offer: tuple[SnapshotRef, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(os, "replace", lambda path: path.endswith("CURRENT.tmp"), monkeypatch)
    with pytest.raises(StorageError):
        install(store, offer)
    monkeypatch.undo()
    with pytest.raises(StorageError, match="no change"):
        store.write([], at(10))
    assert {"state-0", "state-50"} <= {path.name for path in root.iterdir()}
    store.close()
    reopened = LmdbStateStore(root)
    assert reopened.position() == at(9)
    reopened.close()


@pytest.mark.parametrize("what", ["old state", "copy"])
def test_once_the_pointer_is_in_place_nothing_makes_installing_fail(
    store: LmdbStateStore,
    root: Path,
    offer: tuple[SnapshotRef, bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    """The caller would go on with the state from before over the store that has the new one."""
    name = {"old state": "state-0", "copy": "copy-"}[what]
    if what == "copy":
        assert store.snapshot() is None
        join_copies()
    _failing(shutil, "rmtree", lambda path: name in path, monkeypatch)
    install(store, offer)
    monkeypatch.undo()
    assert len(caplog.records) == 1
    assert store.position() == at(50)
    store.write([{"jobs": {b"later": b"1"}}], at(51))
    store.close()
    reopened = LmdbStateStore(root)
    assert (reopened.position(), reopened.get("jobs", b"later")) == (at(51), b"1")
    assert sorted(path.name for path in root.iterdir()) == ["CURRENT", "state-50"]
    reopened.close()


# -- opening


def test_leftovers_of_a_crash_are_removed_at_opening(root: Path) -> None:
    for name in ("state-3", "state-50.1", "copy-9.1", "incoming-50"):
        (root / name).mkdir()
        (root / name / "data.mdb").write_bytes(b"x")
    (root / "CURRENT.tmp").write_bytes(b"state-3\n")
    (root / "notes").write_bytes(b"not ours")
    store = LmdbStateStore(root)
    assert store.position() == at(9)
    store.close()
    assert sorted(path.name for path in root.iterdir()) == ["CURRENT", "notes", "state-0"]


def test_a_creation_cut_short_is_begun_again(tmp_path: Path) -> None:
    root = tmp_path / "state"
    LmdbStateStore(root).close()
    (root / "CURRENT").unlink()
    store = LmdbStateStore(root)
    assert store.position() is None
    store.close()


@pytest.mark.parametrize("content", [b"", b"state-9", b"../state-0\n", b"\xff\xfe\n", b"state-0\nstate-1\n"])
def test_a_pointer_to_nothing_is_damage(root: Path, content: bytes) -> None:
    (root / "CURRENT").write_bytes(content)
    with pytest.raises(Damaged, match=r"CURRENT"):
        LmdbStateStore(root)


def test_a_missing_pointer_beside_a_checkpoint_is_damage(root: Path) -> None:
    (root / "CURRENT").unlink()
    with pytest.raises(Damaged, match=r"CURRENT: missing"):
        LmdbStateStore(root)
    (root / "state-0").rename(root / "state-5")
    with pytest.raises(Damaged, match=r"CURRENT: missing"):
        LmdbStateStore(root)


def test_a_file_cut_short_is_damage_whatever_its_size(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root / "state-0" / "data.mdb"
    data = file.read_bytes()
    with lmdb.open(str(file.parent), max_dbs=5, readonly=True, lock=False) as env:
        used = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    for verified in (1 << 30, 0):
        defaults = LmdbStateStore._open.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "verified_bytes_max", verified)
        for size in (1, used // 2, used - 1):
            file.write_bytes(data[:size])
            with pytest.raises(Damaged, match=r"data\.mdb"):
                LmdbStateStore(root)
    file.write_bytes(data)
    LmdbStateStore(root).close()


def test_a_damaged_position_is_damage(root: Path) -> None:
    with lmdb.open(str(root / "state-0"), max_dbs=5) as env:
        meta = env.open_db(b"_meta")
        with env.begin(write=True, db=meta) as txn:
            record = txn.get(b"position")
            assert record is not None
            txn.put(b"position", record[:5] + bytes([record[5] ^ 1]) + record[6:])  # the index
    with pytest.raises(Damaged, match="position"):
        LmdbStateStore(root)


def test_a_flipped_bit_in_the_tree_never_kills_the_process(root: Path) -> None:
    file = root / "state-0" / "data.mdb"
    data = file.read_bytes()
    dice = random.Random(1)
    for _ in range(200):
        scrambled = bytearray(data)
        scrambled[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        file.write_bytes(scrambled)
        try:
            store = LmdbStateStore(root)
        except StorageError:
            continue
        assert len(list(store.load("jobs"))) <= 1
        store.close()


def test_one_root_is_open_only_once(store: LmdbStateStore, root: Path) -> None:
    with pytest.raises(StorageError, match="already open"):
        LmdbStateStore(root)


# -- beside other threads


def test_a_reader_beside_a_writing_thread_sees_whole_checkpoints(store: LmdbStateStore) -> None:
    tables = [f"t{n}" for n in range(4)]
    returned = 0

    def write() -> None:
        nonlocal returned
        for index in range(10, 200):
            value = b"%d" % index
            store.write([{table: {b"k": value} for table in tables[: 1 + index % 4]}], at(index))
            returned = index

    writer = threading.Thread(target=write)
    writer.start()
    latest: dict[str, int] = {}
    while writer.is_alive():
        known = returned
        position = store.position()
        assert position is not None
        assert position.index >= known, "what write returned for must be seen"
        for table in tables:
            value = store.get(table, b"k")
            if value is not None:
                assert int(value) >= latest.get(table, 0), "a checkpoint once seen is not unseen"
                latest[table] = int(value)
        if known >= 10:
            assert latest["t0"] >= known
    writer.join()
    assert returned == 199


def test_a_write_waits_for_an_installation_and_goes_to_the_new_state(
    store: LmdbStateStore, root: Path, offer: tuple[SnapshotRef, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    pointing, written = threading.Event(), threading.Event()

    def write() -> None:
        pointing.wait()
        store.write([{"jobs": {b"late": b"1"}}], at(51))
        written.set()

    writer = threading.Thread(target=write)
    writer.start()

    def put_in_place(temporary: Path, path: Path) -> None:
        pointing.set()
        assert not written.wait(0.05), "a write beside an installation would go to the old state"
        os.replace(temporary, path)
        sync_directory(path.parent)

    monkeypatch.setattr("orchestrix_raft.storage.state.put_in_place", put_in_place)
    install(store, offer)
    writer.join()
    store.close()
    reopened = LmdbStateStore(root)
    assert (reopened.position(), reopened.get("jobs", b"late")) == (at(51), b"1")
    reopened.close()


# -- errors of the disk


def test_a_failed_write_other_than_a_full_disk_ends_every_change(
    store: LmdbStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise lmdb.CorruptedError("mdb_put")

    monkeypatch.setattr(store, "_check_room", broken)
    with pytest.raises(StorageError):
        store.write([{"jobs": {b"a": b"1"}}], at(10))
    monkeypatch.undo()
    with pytest.raises(StorageError, match="no change"):
        store.write([{"jobs": {b"a": b"1"}}], at(10))
    assert store.position() == at(9)
    assert store.get("jobs", b"old") == b"old"


def test_a_full_map_is_a_full_disk_and_deleting_still_works(tmp_path: Path) -> None:
    store = LmdbStateStore(tmp_path / "state", map_bytes=1 << 20)
    store.write([{"jobs": {b"a": bytes(200_000)}}], at(1))
    with pytest.raises(DiskFull):
        store.write([{"jobs": {b"b": bytes(2_000_000)}}], at(2))
    store.write([{"jobs": {b"a": None}}], at(2))
    assert store.get("jobs", b"a") is None
    store.close()


def test_at_its_own_limit_only_deleting_works(tmp_path: Path) -> None:
    store = LmdbStateStore(tmp_path / "state", size_bytes_max=100_000)
    store.write([{"jobs": {b"a": bytes(60_000)}}], at(1))
    with pytest.raises(DiskFull, match="limit of 100000"):
        store.write([{"jobs": {b"b": bytes(60_000)}}], at(2))
    store.write([{"jobs": {b"a": None}}], at(2))
    store.write([{"jobs": {b"b": bytes(60_000)}}], at(3))
    store.close()
    store = LmdbStateStore(tmp_path / "state", size_bytes_max=1)
    store.write([{"jobs": {b"nothing": None}}], at(4))
    store.close()


def test_a_closed_store_answers_with_an_error(root: Path) -> None:
    store = LmdbStateStore(root)
    rows = store.load("jobs")
    store.close()
    calls: list[Callable[[], object]] = [
        lambda: store.receive(SnapshotRef(50, 1, 0, b"", 0, b"")),
        lambda: store.get("jobs", b"old"),
        lambda: store.scan("jobs", b"", 1),
        lambda: next(rows),
        lambda: store.write([], at(10)),
        store.snapshot,
        lambda: store.size_bytes,
    ]
    for call in calls:
        with pytest.raises(StorageError):
            call()
