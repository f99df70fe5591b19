"""Copies of a checkpoint as files: made beside the store while it moves on, or received from a peer.

A copy is a compact LMDB file written through a pipe, so that one pass gives the file, its size and its
SHA-256, and closing the pipe ends a copy that is no longer wanted.  For `storage` only.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import lmdb

from orchestrix_raft.storage.checks import check_position, check_stream
from orchestrix_raft.storage.copies import Copy
from orchestrix_raft.storage.environment import DATA_FILE, lmdb_errors, open_copy, translated
from orchestrix_raft.storage.files import file_errors, remove_tree, sync_directory
from orchestrix_raft.storage.limits import TABLES_MAX
from orchestrix_raft.storage.port import Damaged, Position, SnapshotRef, StorageError
from orchestrix_raft.storage.records import META_TABLE, POSITION_KEY, decode_position

CHUNK_BYTES = 1 << 20
SYNC_BYTES = 1 << 20
"""A file that grows beside the journal is synced after each so many bytes: one sync of all of it would
stall the node, and the journal's own syncs with it.  With eight times as many at once those of the journal
take four times as long or more, and the file grows no faster (`bench/syncs.py`)."""


def position_in(path: Path) -> Position | None:
    """Where the checkpoint in directory `path` stands.  Damaged if it is no checkpoint."""
    record = row_in(path, META_TABLE, POSITION_KEY)
    return None if record is None else decode_position(record, path / DATA_FILE)


def row_in(path: Path, table: bytes, key: bytes) -> bytes | None:
    """One row of the checkpoint in directory `path`, which nobody writes."""
    env = open_copy(path, tables_max=TABLES_MAX)
    try:
        with lmdb_errors(path), env.begin() as txn:
            try:
                database = env.open_db(table, txn=txn, create=False)
            except (lmdb.NotFoundError, lmdb.ReadonlyError):
                return None
            return txn.get(key, db=database)
    finally:
        env.close()


class FileCopy:
    """A finished copy in a directory of its own."""

    def __init__(self, path: Path, ref: SnapshotRef) -> None:
        self._path = path
        self._ref = ref
        self._descriptor = os.open(path / DATA_FILE, os.O_RDONLY)

    @property
    def ref(self) -> SnapshotRef:
        return self._ref

    def read(self, offset: int, limit: int) -> bytes:
        with file_errors(self._path):
            return os.pread(self._descriptor, limit, offset)

    def get(self, table: str, key: bytes) -> bytes | None:
        return row_in(self._path, table.encode(), key)

    def remove(self) -> None:
        with file_errors(self._path):
            os.close(self._descriptor)
            remove_tree(self._path)


class FileCopying:
    """A copy under way: one thread walks the pages into a pipe, another hashes and stores them."""

    def __init__(self, env: lmdb.Environment, path: Path) -> None:
        """Copy the newest checkpoint of `env` into directory `path`, which must not exist."""
        self._path = path
        self._env = env
        self._copy: FileCopy | None = None
        self._failures: dict[str, StorageError] = {}
        self._cancelled = threading.Event()
        with file_errors(path):
            path.mkdir()
            self._source, self._sink = os.pipe()
        self._threads = [
            threading.Thread(
                target=self._guarded, args=(step,), name=f"snapshot-{step.__name__}", daemon=True
            )
            for step in (self._send, self._store)
        ]
        for thread in self._threads:
            thread.start()

    def result(self) -> Copy | None:
        if any(thread.is_alive() for thread in self._threads):
            return None
        if self._copy is not None:
            return self._copy
        with file_errors(self._path):
            remove_tree(self._path)
        # When storing fails, sending fails of the closed pipe: the first is the reason.
        reason = self._failures.get("_store") or self._failures.get("_send")
        raise reason or StorageError(f"{self._path}: the copy of the checkpoint ended half-way")

    def cancel(self) -> None:
        self._cancelled.set()
        for thread in self._threads:
            thread.join()
        if self._copy is not None:
            self._copy.remove()
        with file_errors(self._path):
            remove_tree(self._path)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except StorageError as error:
            self._failures[step.__name__] = error

    def _send(self) -> None:
        try:
            self._env.copyfd(self._sink, compact=True)
        except lmdb.Error as error:
            raise translated(error, Path(self._env.path())) from error
        finally:
            os.close(self._sink)

    def _store(self) -> None:
        try:
            with file_errors(self._path / DATA_FILE):
                digest, size = self._drain()
        finally:
            os.close(self._source)
        self._threads[0].join()
        if self._failures or self._cancelled.is_set():
            return
        position = position_in(self._path)
        if position is None:
            raise Damaged(f"{self._path / DATA_FILE}: a copy of the checkpoint came out without a position")
        ref = SnapshotRef(
            position.index, position.term, size, digest, position.configuration_index, position.configuration
        )
        with file_errors(self._path):
            self._copy = FileCopy(self._path, ref)

    def _drain(self) -> tuple[bytes, int]:
        """The pipe into the file until it ends or the copy is cancelled; SHA-256 and size.

        Synced piece by piece although the copy need not survive a crash: with the journal's next sync the
        file system may write all new pages of other files too, and commits would wait for the whole copy.
        """
        digest, size, unsynced = hashlib.sha256(), 0, 0
        with (self._path / DATA_FILE).open("wb", buffering=0) as file:
            while not self._cancelled.is_set() and (chunk := os.read(self._source, CHUNK_BYTES)):
                digest.update(chunk)
                size += len(chunk)
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) :]
                unsynced += len(chunk)
                if unsynced >= SYNC_BYTES:
                    os.fsync(file.fileno())
                    unsynced = 0
        return digest.digest(), size


class IncomingFile:
    """A snapshot being received into a directory of its own, beside the state in use."""

    def __init__(self, path: Path, ref: SnapshotRef, install: Callable[[Path, SnapshotRef], None]) -> None:
        """`install(path, ref)` makes the complete, verified, durable directory the state."""
        self._path = path
        self._ref = ref
        self._install = install
        self._digest = hashlib.sha256()
        self._size = self._unsynced = 0
        self._open = True
        with file_errors(path):
            remove_tree(path)
            path.mkdir()
            self._file = (path / DATA_FILE).open("wb", buffering=0)

    def write(self, offset: int, data: bytes) -> None:
        self._check_open()
        if offset != self._size:
            raise ValueError(f"snapshot bytes at {offset}, expected {self._size}")
        if offset + len(data) > self._ref.size:
            raise Damaged(f"snapshot {self._ref.index} is longer than the {self._ref.size} bytes announced")
        with file_errors(self._path / DATA_FILE):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            self._unsynced += len(data)
            if self._unsynced >= SYNC_BYTES:
                os.fsync(self._file.fileno())
                self._unsynced = 0
        self._digest.update(data)
        self._size += len(data)

    def commit(self) -> None:
        self._check_open()
        try:
            check_stream(self._ref, self._size, self._digest.digest())
            with file_errors(self._path):
                os.fsync(self._file.fileno())
                sync_directory(self._path)
                self._file.close()
            check_position(self._ref, position_in(self._path))
            self._install(self._path, self._ref)
            self._open = False
        finally:
            self.abort()  # unless it is installed

    def abort(self) -> None:
        if not self._open:
            return
        self._open = False
        with file_errors(self._path):
            self._file.close()
            remove_tree(self._path)

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError(f"the transfer of snapshot {self._ref.index} has ended")
