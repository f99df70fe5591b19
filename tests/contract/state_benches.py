"""Disks for the contract suites of the state store, and what both suites need to use it."""

import shutil
import threading
from pathlib import Path
from typing import Protocol

from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import Position, SnapshotReader, StateStore
from orchestrix_raft.storage.state import LmdbStateStore

KINDS = ("lmdb", "memory")


class Bench(Protocol):
    """A disk with one state store on it."""

    def open(self) -> StateStore: ...
    def after_power_loss(self) -> StateStore:
        """The store that the next process finds; the one before is not to be used any more."""
        ...

    def fill_up(self) -> None:
        """From now on nothing fits on the disk."""
        ...

    def make_room(self) -> None: ...
    def done(self) -> None: ...


class LmdbBench:
    """A power loss is a copy of the files as they are, opened beside the ones in use."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lives = 0
        self._open: list[LmdbStateStore] = []

    def _path(self) -> Path:
        return self._root / f"life-{self._lives}"

    def open(self) -> LmdbStateStore:
        self._open.append(LmdbStateStore(self._path()))
        return self._open[-1]

    def after_power_loss(self) -> LmdbStateStore:
        before = self._path()
        self._lives += 1
        shutil.copytree(before, self._path())
        return self.open()

    def fill_up(self) -> None:
        store = self._open[-1]
        self._limits = store._size_bytes_max, store._reserve_bytes
        store._size_bytes_max, store._reserve_bytes = 0, 1 << 60

    def make_room(self) -> None:
        store = self._open[-1]
        store._size_bytes_max, store._reserve_bytes = self._limits

    def done(self) -> None:
        for store in self._open:
            store.close()


class MemoryBench:
    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self) -> StateStore:
        return self._disk.open_state_store()

    def after_power_loss(self) -> StateStore:
        self._disk.crash()
        return self.open()

    def fill_up(self) -> None:
        self._disk.full = True

    def make_room(self) -> None:
        self._disk.full = False

    def done(self) -> None:
        self._disk.close()


def bench_of(kind: str, root: Path) -> Bench:
    return LmdbBench(root) if kind == "lmdb" else MemoryBench()


def at(index: int, term: int = 1) -> Position:
    return Position(index, term, max(index - 1, 0), b"configuration %d" % index, b"meta %d" % index)


def copied(store: StateStore) -> SnapshotReader:
    """A reader of a copy of the newest checkpoint, or of the one asked for before."""
    reader = store.snapshot()
    if reader is None:
        for thread in threading.enumerate():
            if thread.name.startswith("snapshot-"):
                thread.join()
        reader = store.snapshot()
    assert reader is not None, "no copy was made"
    return reader


def stream(reader: SnapshotReader) -> bytes:
    data = b""
    while part := reader.read(len(data), 10_000):
        data += part
    return data


ROWS = {b"a": b"1", b"b": b"", b"ba": b"3", b"c": bytes(5_000)}
