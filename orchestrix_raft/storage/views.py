"""A checkpoint held still while the store moves on, and one digest of all that is in it.

A view is read in slices, each under a lock: the store that it belongs to may be closed, or replaced by a
received snapshot, at any moment, and LMDB must not be closed under a reader.  From then on the view refuses.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import lmdb

from orchestrix_raft.storage.environment import lmdb_errors
from orchestrix_raft.storage.port import Position, StateView, StorageError

CONTENTS_BYTES = 16
"""Length of a digest of contents."""

ROWS_AT_ONCE = 500
"""In one slice: about a millisecond."""

_SHORT = tuple(size.to_bytes(4) for size in range(1024))
"""The lengths of most keys and values, ready made: there are two in every row."""

Slice = list[tuple[bytes, bytes]]


class Contents(NamedTuple):
    """All rows of a checkpoint, in short."""

    digest: bytes
    rows: int
    size: int  # bytes of keys and values


def contents_of(view: StateView, pause: Callable[[], None] = lambda: None) -> Contents:
    """The digest of every row of every table, in order; `pause` is called between slices.

    It depends on nothing else: not on empty tables, not on when and in how many steps the rows were written.
    """
    digest = hashlib.blake2b(digest_size=CONTENTS_BYTES)
    rows = size = 0
    for table in view.tables():
        found = 0
        for piece in view.slices(table):
            if not found:
                digest.update(_framed(table.encode()))
            found += len(piece)
            data = b"".join(_parts(piece))
            size += len(data) - 8 * len(piece)
            digest.update(data)
            pause()
        if found:
            digest.update(found.to_bytes(8))
        rows += found
    return Contents(digest.digest(), rows, size)


def _parts(piece: Slice) -> list[bytes]:
    """Each key and value behind its length."""
    parts: list[bytes] = []
    short, most = _SHORT, len(_SHORT)
    for key, value in piece:
        long = len(value)
        parts += short[len(key)], key, short[long] if long < most else long.to_bytes(4), value
    return parts


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(4) + part


class LmdbStateView:
    """A read transaction of the newest checkpoint; see `port.StateView`."""

    def __init__(
        self,
        env: lmdb.Environment,
        path: Path,
        tables: "dict[str, lmdb._Database]",
        position: Position | None,
    ) -> None:
        self._path = path
        self._tables = tables
        self._position = position
        self._lock = threading.Lock()
        self._cursors: list[lmdb.Cursor[bytes]] = []
        with lmdb_errors(path):
            self._reading: lmdb.Transaction[bytes] | None = env.begin()

    @property
    def position(self) -> Position | None:
        return self._position

    def tables(self) -> list[str]:
        return sorted(self._tables)

    def slices(self, table: str) -> Iterator[Slice]:
        with self._lock, lmdb_errors(self._path):
            cursor = self._open().cursor(self._tables[table])
            self._cursors.append(cursor)
            rows = iter(cursor)
        while True:
            with self._lock, lmdb_errors(self._path):
                self._open()
                piece = list(islice(rows, ROWS_AT_ONCE))
            if not piece:
                return
            yield piece

    def _open(self) -> "lmdb.Transaction[bytes]":
        if self._reading is None:
            raise StorageError(f"{self._path}: the state was closed or replaced while it was read")
        return self._reading

    @property
    def closed(self) -> bool:
        """Nothing can be read any more."""
        return self._reading is None

    def close(self) -> None:
        with self._lock:
            if self._reading is not None:
                for cursor in self._cursors:
                    cursor.close()
                self._reading.abort()
                self._reading = None


class CopiedView:
    """The twin: a copy of the rows."""

    def __init__(self, tables: Mapping[str, Mapping[bytes, bytes]], position: Position | None) -> None:
        # sorting keys alone is twice as fast as sorting pairs
        self._rows = {name: [(key, rows[key]) for key in sorted(rows)] for name, rows in tables.items()}
        self._position = position
        self._closed = False

    @property
    def position(self) -> Position | None:
        return self._position

    def tables(self) -> list[str]:
        return sorted(self._rows)

    def slices(self, table: str) -> Iterator[Slice]:
        rows = self._rows[table]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            if self._closed:
                raise StorageError("the state was closed or replaced while it was read")
            yield rows[start : start + ROWS_AT_ONCE]

    def close(self) -> None:
        self._closed = True
