"""The checkpointed state on LMDB: one environment in use, replaced as a whole by a received snapshot.

The root directory holds `CURRENT`, a file with the name of the directory in use (`state-<index>`), that
directory, and possibly copies (`copy-…`) and a snapshot being received (`incoming-…`).  Everything not
named by `CURRENT` is left over from a crash and removed at opening.

Threads: `get`, `scan`, `snapshot` and all of receiving belong to one thread, the owner's.  `write` may run
in another one, `load` in any.  A reader sees the checkpoint before or after a write, never a mixture, and
once `write` has returned it sees the new one.
"""

import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import lmdb

from orchestrix_raft.storage.checks import check_key, check_table
from orchestrix_raft.storage.copies import Copies, SharedReader
from orchestrix_raft.storage.environment import (
    DATA_FILE,
    lmdb_errors,
    open_environment,
    pages_bytes,
    translated,
)
from orchestrix_raft.storage.files import (
    TEMPORARY,
    Held,
    check_room,
    file_errors,
    put_in_place,
    remove_tree,
    replace_file,
    sync_directory,
    write_temporary,
)
from orchestrix_raft.storage.limits import (
    COPY_RESERVE_BYTES,
    MAP_BYTES,
    STATE_BYTES_MAX,
    TABLES_MAX,
    VERIFIED_BYTES_MAX,
)
from orchestrix_raft.storage.port import Changes, Damaged, DiskFull, Position, SnapshotRef, StorageError
from orchestrix_raft.storage.records import META_TABLE, POSITION_KEY, decode_position, encode_position
from orchestrix_raft.storage.snapshots import FileCopying, IncomingFile
from orchestrix_raft.storage.views import LmdbStateView

log = logging.getLogger(__name__)

CURRENT = "CURRENT"

_FIRST = "state-0"
_SORTED_ROWS = 2_000  # at once: sorting stops every other thread, the node's loop among them
_STATE_NAME = re.compile(r"state-\d+(\.\d+)?")
_LEFTOVER_NAME = re.compile(rf"(state|copy|incoming)-\d+(\.\d+)?|{CURRENT}{re.escape(TEMPORARY)}")

_Database = lmdb._Database


class _View(NamedTuple):
    """What readers go by; replaced as a whole after each commit, so that it is always one checkpoint."""

    tables: dict[str, _Database]
    position: Position | None


class LmdbStateStore:
    """StateStore; see the port for what it promises."""

    def __init__(
        self, root: Path, *, size_bytes_max: int = STATE_BYTES_MAX, map_bytes: int = MAP_BYTES
    ) -> None:
        """Open or create the store in directory `root` (its parent exists)."""
        self._root = root
        self._size_bytes_max = size_bytes_max
        self._map_bytes = map_bytes
        self._reserve_bytes = COPY_RESERVE_BYTES
        self._writing = threading.Lock()
        self._refusal = ""
        self._writes = 0
        self._copies_made = 0
        self._copies = Copies(self._start_copy)
        self._incoming: IncomingFile | None = None
        self._views: list[LmdbStateView] = []
        with file_errors(root):
            root.mkdir(exist_ok=True)
            self._path = root / self._current()
            self._remove_leftovers()
        self._use(*self._open(self._path), Held.at(self._path / DATA_FILE))

    # -- opening

    def _current(self) -> str:
        """The name of the directory in use; makes the first one official on a new store."""
        pointer = self._root / CURRENT
        if pointer.exists():
            name = pointer.read_bytes().decode(errors="replace").removesuffix("\n")
            if not _STATE_NAME.fullmatch(name):
                raise Damaged(f"{pointer}: {name!r} is not the name of a state directory")
            if not (self._root / name / DATA_FILE).exists():
                raise Damaged(f"{self._root / name / DATA_FILE}: missing, although {pointer} names it")
            return name
        states = [path.name for path in self._root.iterdir() if _STATE_NAME.fullmatch(path.name)]
        if states not in ([], [_FIRST]):
            raise Damaged(f"{pointer}: missing, although there is state ({', '.join(sorted(states))})")
        env, view = self._open(self._root / _FIRST)
        env.close()
        if view.position is not None:
            raise Damaged(f"{pointer}: missing, although {_FIRST} holds a checkpoint")
        replace_file(pointer, f"{_FIRST}\n".encode())
        return _FIRST

    def _remove_leftovers(self) -> None:
        for path in self._root.iterdir():
            if path != self._path and _LEFTOVER_NAME.fullmatch(path.name):
                if path.is_dir():
                    remove_tree(path)
                else:
                    path.unlink()

    def _open(
        self, path: Path, *, verified_bytes_max: int = VERIFIED_BYTES_MAX
    ) -> tuple[lmdb.Environment, _View]:
        env = open_environment(
            path, tables_max=TABLES_MAX, map_bytes=self._map_bytes, verified_bytes_max=verified_bytes_max
        )
        try:
            with lmdb_errors(path):
                with env.begin() as txn:
                    names = list(txn.cursor().iternext(values=False))
                try:
                    tables = {name.decode(): env.open_db(name, create=False) for name in names}
                except UnicodeDecodeError as error:
                    raise Damaged(f"{path / DATA_FILE}: the name of a table is damaged ({error})") from error
                meta = tables.pop(META_TABLE.decode(), None)
                if meta is None:
                    return env, _View(tables, None)
                with env.begin(db=meta) as txn:
                    record = txn.get(POSITION_KEY)
            if record is None:
                raise Damaged(f"{path / DATA_FILE}: the position of the checkpoint is missing")
            return env, _View(tables, decode_position(record, path / DATA_FILE))
        except BaseException:  # raised again; left open it could never be opened again
            env.close()
            raise

    def _use(self, env: lmdb.Environment, view: _View, held: Held) -> None:
        """Answer from this environment, which is at `_path`, from now on."""
        self._env = env
        self._view = self._seen = view
        self._reading = env.begin()
        self._held = held

    # -- reading

    def position(self) -> Position | None:
        return self._view.position

    def get(self, table: str, key: bytes) -> bytes | None:
        if self._seen is not self._view:
            self._renew()
        database = self._seen.tables.get(table)
        if database is None:
            return None
        try:
            return self._reading.get(key, None, database)
        except lmdb.Error as error:
            raise translated(error, self._path) from error

    def _renew(self) -> None:
        """Let the owner's read transaction see what was committed since."""
        with lmdb_errors(self._path):
            self._seen = self._view
            self._reading.abort()
            self._reading = self._env.begin()

    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        if self._seen is not self._view:
            self._renew()
        database = self._seen.tables.get(table)
        if database is None or limit <= 0:
            return []
        with lmdb_errors(self._path), self._reading.cursor(database) as cursor:
            if not _placed(cursor, start, reverse):
                return []
            pairs = cursor.iterprev() if reverse else cursor.iternext()
            return [pair for pair, _ in zip(pairs, range(limit), strict=False)]

    def load(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        database = self._view.tables.get(table)
        return iter(()) if database is None else self._rows(self._env, self._path, database)

    @staticmethod
    def _rows(env: lmdb.Environment, path: Path, database: _Database) -> Iterator[tuple[bytes, bytes]]:
        """One consistent view from the first row to the last; ends with the iterator's own life."""
        with lmdb_errors(path), env.begin(db=database) as txn:
            yield from txn.cursor()

    # -- writing

    def write(self, changes: Iterable[Changes], position: Position) -> None:
        with self._writing:
            self._writable()
            stored = self._view.position
            if stored is not None and position.index < stored.index:
                return  # an installed snapshot has overtaken these changes
            tables = dict(self._view.tables)
            try:
                with lmdb_errors(self._path), self._env.begin(write=True) as txn:
                    added = sum(self._apply(txn, batch, tables) for batch in changes)
                    if added:
                        self._check_room(txn, tables)
                    meta = self._env.open_db(META_TABLE, txn=txn)
                    txn.put(POSITION_KEY, encode_position(position), db=meta)
            except DiskFull:
                raise  # nothing was stored and the next write may fit
            except StorageError as error:
                self._refusal = f"the state store takes no change since a write failed: {error}"
                raise
            self._writes += 1
            self._view = _View(tables, position)

    def _apply(self, txn: "lmdb.Transaction[bytes]", batch: Changes, tables: dict[str, _Database]) -> int:
        """Make one batch of changes; how many rows it puts."""
        added = 0
        for table, rows in batch.items():
            database = tables.get(table)
            if database is None:
                check_table(table)
                database = tables[table] = self._env.open_db(table.encode(), txn=txn)
            puts = []
            with txn.cursor(database) as cursor:
                for key, value in rows.items():
                    check_key(key)
                    if value is None:
                        txn.delete(key, db=database)
                        continue
                    puts.append((key, value))
                    if len(puts) == _SORTED_ROWS:
                        _put(cursor, puts)
                        added += len(puts)
                        puts = []
                _put(cursor, puts)
            added += len(puts)
        return added

    def _check_room(self, txn: "lmdb.Transaction[bytes]", tables: dict[str, _Database]) -> None:
        """DiskFull when the transaction would leave more pages in use than the limit."""
        used = _used_bytes(txn, tables)
        if used > self._size_bytes_max:
            raise DiskFull(
                f"{self._path / DATA_FILE}: the state would take {used} bytes, "
                f"more than its limit of {self._size_bytes_max}"
            )

    def _writable(self) -> None:
        if self._refusal:
            raise StorageError(self._refusal)

    # -- views and copies

    def view(self) -> LmdbStateView:
        with self._writing:
            self._views = [view for view in self._views if not view.closed]
            view = LmdbStateView(self._env, self._path, dict(self._view.tables), self._view.position)
            self._views.append(view)
            return view

    def copy_to(self, root: Path) -> None:
        """Make another store, with a compact copy of the checkpoint, in directory `root`, which must not
        exist (its parent does).  It is durable when this returns."""
        with lmdb_errors(self._path), self._env.begin() as txn:
            size = _used_bytes(txn, self._view.tables)
        check_room(root.parent, size + self._reserve_bytes)
        path = root / self._path.name
        with file_errors(root):
            root.mkdir()
            path.mkdir()
            with lmdb_errors(self._path):
                self._env.copy(str(path), compact=True)
            with (path / DATA_FILE).open("rb") as file:
                os.fsync(file.fileno())
            sync_directory(path)
            replace_file(root / CURRENT, f"{path.name}\n".encode())
            sync_directory(root.parent)

    def snapshot(self) -> SharedReader | None:
        position = self._view.position
        return None if position is None else self._copies.reader(position.index, self._writes)

    def _start_copy(self) -> FileCopying:
        self._writable()
        assert self._view.position is not None  # snapshot() asks for a copy only once there is a checkpoint
        with lmdb_errors(self._path), self._env.begin() as txn:
            size = _used_bytes(txn, self._view.tables)
        check_room(self._root, size + self._reserve_bytes)
        self._copies_made += 1
        name = f"copy-{self._view.position.index}.{self._copies_made}"
        return FileCopying(self._env, self._root / name)

    def receive(self, ref: SnapshotRef) -> IncomingFile:
        """Begin to receive; ends a transfer that is still open."""
        self._writable()
        if self._incoming is not None:
            self._incoming.abort()
        check_room(self._root, ref.size + self._reserve_bytes)
        self._incoming = IncomingFile(self._root / f"incoming-{ref.index}", ref, self._install)
        return self._incoming

    def _install(self, incoming: Path, ref: SnapshotRef) -> None:
        """Make a received, verified, synced directory the state in use.

        Until CURRENT is replaced a crash leaves the old state, afterwards the new one.
        """
        with self._writing:
            self._writable()
            path = self._free_path(ref.index)
            env, view, held, pointer = self._prepare(incoming, path)
            try:
                with file_errors(path):
                    put_in_place(pointer, self._root / CURRENT)
            except StorageError as error:
                # Old or new: the next opening will know.  Until then neither may be written or removed.
                self._refusal = f"the state store takes no change since installing a snapshot failed: {error}"
                env.close()
                raise
            # The new state is in place: nothing that fails from here on is a failure of installing it.
            old = self._path
            try:
                self._release()
            except StorageError as error:
                log.warning("the state that a snapshot replaced was not closed in good order: %s", error)
            self._path = path
            self._writes += 1
            self._use(env, view, held)
            try:
                remove_tree(old)
            except OSError as error:  # the next opening removes it
                log.warning("%s: the state that a snapshot replaced was not removed: %s", old, error)

    def _prepare(self, incoming: Path, path: Path) -> tuple[lmdb.Environment, _View, Held, Path]:
        """All of an installation that can fail without harm: the received directory under its final
        name, opened, and the new CURRENT, not yet in place."""
        with file_errors(path):
            incoming.rename(path)
            try:
                sync_directory(self._root)
                env, view = self._open(path, verified_bytes_max=0)  # the digest was right
                try:
                    held = Held.at(path / DATA_FILE)
                    return env, view, held, write_temporary(self._root / CURRENT, f"{path.name}\n".encode())
                except (OSError, StorageError):
                    env.close()
                    raise
            except (OSError, StorageError):
                remove_tree(path)
                raise

    def _free_path(self, index: int) -> Path:
        """A directory name for a state received at `index` that is not the one in use."""
        path = self._root / f"state-{index}"
        return path if path != self._path else self._root / f"state-{index}.1"

    @property
    def size_bytes(self) -> int:
        with lmdb_errors(self._path):
            return pages_bytes(self._env)

    def check_in_place(self) -> None:
        """StorageError when what is written would be lost: see `Held`."""
        self._held.check()

    def _release(self) -> None:
        """Let go of the environment in use."""
        for view in self._views:
            view.close()
        self._views.clear()
        try:
            self._copies.cancel()
        finally:
            self._reading.abort()
            self._env.close()

    def close(self) -> None:
        with self._writing:
            if self._incoming is not None:
                self._incoming.abort()
            self._refusal = self._refusal or "the state store is closed"
            self._release()


def _put(cursor: "lmdb.Cursor[bytes]", puts: list[tuple[bytes, bytes]]) -> None:
    """Neighbours in the tree one after the other: half the page look-ups."""
    puts.sort()
    cursor.putmulti(puts)


def _used_bytes(txn: "lmdb.Transaction[bytes]", tables: dict[str, _Database]) -> int:
    """Of the pages that hold rows."""
    used = 0
    for database in tables.values():
        stat = txn.stat(database)
        used += (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * stat["psize"]
    return used


def _placed(cursor: "lmdb.Cursor[bytes]", start: bytes, reverse: bool) -> bool:
    """Put the cursor on the first pair to return; False when there is none."""
    found = cursor.set_range(start) if start else cursor.first()
    if not reverse:
        return found
    if not found:
        return cursor.last()
    return cursor.key() == start or cursor.prev()
