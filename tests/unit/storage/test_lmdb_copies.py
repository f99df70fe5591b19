"""Copies of a checkpoint, made beside the work for snapshots and backups."""

import hashlib
import os
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrix_raft.storage import snapshots
from orchestrix_raft.storage.port import DiskFull
from orchestrix_raft.storage.state import LmdbStateStore
from tests.unit.storage.states import at, join_copies


def test_the_last_reader_removes_the_file_and_closing_ends_a_copy_under_way(
    store: LmdbStateStore, root: Path
) -> None:
    store.write([{"jobs": {b"%d" % n: bytes(1_000) for n in range(5_000)}}], at(10))
    assert store.snapshot() is None
    join_copies()
    reader = store.snapshot()
    assert reader is not None
    assert any(path.name.startswith("copy-10") for path in root.iterdir())
    reader.close()
    assert sorted(path.name for path in root.iterdir()) == ["CURRENT", "state-0"]
    assert store.snapshot() is None
    store.close()
    assert sorted(path.name for path in root.iterdir()) == ["CURRENT", "state-0"]


def test_a_copy_that_fails_says_why_and_can_be_asked_for_again(
    store: LmdbStateStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drain(_: object) -> tuple[bytes, int]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots.FileCopying, "_drain", drain)
    assert store.snapshot() is None
    join_copies()
    with pytest.raises(DiskFull):
        store.snapshot()
    assert sorted(path.name for path in root.iterdir()) == ["CURRENT", "state-0"]
    monkeypatch.undo()
    assert store.snapshot() is None
    join_copies()
    reader = store.snapshot()
    assert reader is not None
    reader.close()


def test_a_copy_is_synced_piece_by_piece(store: LmdbStateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    store.write([{"jobs": {b"%d" % n: bytes(1_000) for n in range(5_000)}}], at(10))
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(snapshots, "SYNC_BYTES", 1 << 20)
    assert store.snapshot() is None
    join_copies()
    reader = store.snapshot()
    assert reader is not None
    steps = [after - before for before, after in pairwise([0, *synced, reader.ref.size])]
    assert len(synced) >= 3
    assert max(steps) <= (1 << 20) + snapshots.CHUNK_BYTES
    reader.close()


def test_a_snapshot_is_compact(store: LmdbStateStore) -> None:
    store.write([{"jobs": {b"%d" % n: bytes(1_000) for n in range(5_000)}}], at(10))
    store.write([{"jobs": {b"%d" % n: None for n in range(5_000)}}], at(11))
    assert store.snapshot() is None
    join_copies()
    reader = store.snapshot()
    assert reader is not None
    assert reader.ref.size < store.size_bytes / 20
    assert hashlib.sha256(reader.read(0, reader.ref.size)).digest() == reader.ref.digest
    reader.close()
