"""The event feed of this node on LMDB: what each applied entry did, as bytes, in the order of the log.

Shares the environment of the job logs, and their fate: written without sync, thrown away when damaged.
So nothing here may be taken for granted at a start: `rewind` says from where on the feed can be trusted.
A row that cannot be one is said to be damaged when it is read, and forgotten with the others.
Tables: `feed` (index -> wall ms + record), `feed_span` (what the feed covers, and how much it holds).
"""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import lmdb

from orchestrix_raft.storage.environment import lmdb_errors
from orchestrix_raft.storage.limits import FEED_ROW_COST_BYTES
from orchestrix_raft.storage.port import Damaged, FeedRow, FeedSpan

TABLES: Final = (b"feed", b"feed_span")

_NUMBER = struct.Struct(">Q")
_SPAN = struct.Struct(">QQQ")
_SPAN_KEY: Final = b"span"
_SOUND: Final = 1 << 62  # no index, no time and no size is as large


class LmdbFeed:
    """FeedStore; see the port for what it promises."""

    def __init__(self, env: lmdb.Environment, path: Path) -> None:
        """`env` is open, with room for TABLES; `path` is its directory.  Damaged: what the feed covers cannot
        be told."""
        self._env = env
        self._path = path
        with lmdb_errors(path):
            self._rows, self._meta = (env.open_db(name) for name in TABLES)
            with env.begin(db=self._meta) as txn:
                known = txn.get(_SPAN_KEY)
        after, newest, size = (0, 0, 0) if known is None else _covered(known, path)
        self._span = FeedSpan(after, newest)
        self._bytes: int = size

    @property
    def span(self) -> FeedSpan:
        return self._span

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def append(self, rows: Sequence[FeedRow], newest: int) -> None:
        size = self._bytes + sum(len(row.record) for row in rows) + FEED_ROW_COST_BYTES * len(rows)
        span = FeedSpan(self._span.after, newest)
        with lmdb_errors(self._path), self._env.begin(write=True) as txn:
            with txn.cursor(self._rows) as cursor:
                cursor.putmulti(_stored(rows))
            self._note(txn, span, size)
        self._span, self._bytes = span, size

    def rewind(self, index: int) -> None:
        after, newest = self._span
        span = FeedSpan(after if after <= index <= newest else index, index)
        with lmdb_errors(self._path), self._env.begin(write=True) as txn:
            size = self._bytes
            with txn.cursor(self._rows) as cursor:
                cursor.set_range(_NUMBER.pack(index + 1))
                while cursor.key():  # empty behind the last row
                    size -= _cost(cursor.value())
                    cursor.delete()
                size = _at_least(cursor, size)
            self._note(txn, span, size)
        self._span, self._bytes = span, size

    def read(self, after: int, limit: int, bytes_max: int) -> list[FeedRow]:
        found: list[FeedRow] = []
        size = 0
        first = max(after, self._span.after) + 1
        with lmdb_errors(self._path), self._env.begin(db=self._rows) as txn, txn.cursor() as cursor:
            placed = cursor.set_range(_NUMBER.pack(first))
            while placed and len(found) < limit and size < bytes_max:
                key, value = cursor.item()
                index, at_ms = _number(key), _number(value[: _NUMBER.size])
                if index is None or at_ms is None:
                    raise Damaged(f"{self._path}: a row of the event feed cannot be read")
                found.append(FeedRow(index, at_ms, value[_NUMBER.size :]))
                size += len(value)
                placed = cursor.next()
        return found

    def trim(self, before_ms: int, bytes_max: int, limit: int) -> int:
        after, newest = self._span
        size, gone = self._bytes, 0
        with lmdb_errors(self._path), self._env.begin(write=True) as txn:
            with txn.cursor(self._rows) as cursor:
                cursor.first()
                while cursor.key() and gone < limit:
                    key, value = cursor.item()
                    # What makes a row old that is none: it goes with the others.
                    index, at_ms = _number(key) or 0, _number(value[: _NUMBER.size]) or 0
                    if index > after and size <= bytes_max and at_ms >= before_ms:
                        break
                    size -= _cost(value)
                    after = max(after, index)
                    gone += 1
                    cursor.delete()
                size = _at_least(cursor, size)
            if gone:
                self._note(txn, FeedSpan(after, newest), size)
        self._span, self._bytes = FeedSpan(after, newest), size
        return gone

    def _note(self, txn: "lmdb.Transaction[bytes]", span: FeedSpan, size: int) -> None:
        txn.put(_SPAN_KEY, _SPAN.pack(*span, size), db=self._meta)


def _stored(rows: Iterable[FeedRow]) -> list[tuple[bytes, bytes]]:
    pack = _NUMBER.pack
    return [(pack(index), pack(at_ms) + record) for index, at_ms, record in rows]


def _covered(known: bytes, path: Path) -> tuple[int, int, int]:
    """Span and size, as noted."""
    if len(known) == _SPAN.size:
        after, newest, size = _SPAN.unpack(known)
        if after <= newest < _SOUND and size < _SOUND:
            return after, newest, size
    raise Damaged(f"{path}: it cannot be told what the event feed covers")


def _number(stored: bytes) -> int | None:
    """An index or a time; None: it can be none."""
    if len(stored) != _NUMBER.size:
        return None
    number: int = _NUMBER.unpack(stored)[0]
    return number if number < _SOUND else None


def _at_least(cursor: "lmdb.Cursor[bytes]", size: int) -> int:
    """The size, if what was noted of it may be wrong: nothing where there are no rows, and never less."""
    return max(size, 0) if cursor.first() else 0


def _cost(value: bytes) -> int:
    return len(value) - _NUMBER.size + FEED_ROW_COST_BYTES
