"""The Raft journal on LMDB.

One environment, one tree, keys are 8-byte big-endian integers: key 0 is the head (term, vote, base),
key n is entry n.  Every record carries a CRC-32 over its own key, so a record in the wrong place is as
wrong as a flipped bit.  A flush is one transaction with full sync.

Entries before the base are leftovers: a compaction moves the base, which is durable with the next flush,
and the entries it passed are removed a few with each flush, so that dropping a long log never stalls the
node.  May be imported by `storage` and whoever opens a journal by itself in tests.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lmdb

from orchestrix_raft.storage.environment import DATA_FILE, lmdb_errors, open_environment
from orchestrix_raft.storage.files import Held
from orchestrix_raft.storage.limits import JOURNAL_BYTES_MAX, MAP_BYTES
from orchestrix_raft.storage.mirror import FIRST_BASE, JournalMirror
from orchestrix_raft.storage.port import Damaged, DiskFull, Entry

LEFTOVERS_REMOVED_MAX = 1000
"""Leftover entries removed by one flush: about 0.5 ms."""

_ENTRY_OVERHEAD_BYTES = 64
_HEAD_FORMAT = 1
_HEAD_KEY = bytes(8)
_KEY = struct.Struct(">Q")
_RECORD = struct.Struct(">IQ")  # CRC-32, term; then the data
_HEAD = struct.Struct(">IBQQ?")  # CRC-32, format, base, term, voted; then the vote in UTF-8


class _Head(NamedTuple):
    base: int
    term: int
    voted_for: str | None


def _sealed(key: bytes, layout: struct.Struct, *fields: object, data: bytes = b"") -> bytes:
    """A record: CRC-32 over key, fields and data, in front of fields and data."""
    body = layout.pack(0, *fields)[4:]
    return zlib.crc32(data, zlib.crc32(key + body)).to_bytes(4) + body + data


def _intact(key: bytes, record: bytes, layout: struct.Struct) -> bool:
    if len(record) < layout.size:
        return False
    return zlib.crc32(memoryview(record)[4:], zlib.crc32(key)) == int.from_bytes(record[:4])


class LmdbJournal(JournalMirror):
    """Journal; see the port for what it promises."""

    def __init__(
        self, path: Path, *, size_bytes_max: int = JOURNAL_BYTES_MAX, map_bytes: int = MAP_BYTES
    ) -> None:
        """Open or create the journal in directory `path`.  Damaged names the file and the first entry
        that cannot be trusted; nothing is repaired by guessing."""
        self._path = path
        self._size_bytes_max = size_bytes_max
        self._env = open_environment(path, map_bytes=map_bytes)
        try:
            self._held = Held.at(path / DATA_FILE)
            with lmdb_errors(path):
                head, entries = self._read()
        except BaseException:  # raised again; left open it could never be opened again
            self._env.close()
            raise
        super().__init__(entries, head.term, head.voted_for)
        self._leftovers = True

    def _read(self) -> tuple[_Head, list[Entry]]:
        with self._env.begin() as txn:
            record = txn.get(_HEAD_KEY)
            if record is not None:
                head = self._parse_head(record)
                return head, list(self._parse_entries(txn, head.base))
            if txn.stat()["entries"]:
                raise Damaged(f"{self._path / DATA_FILE}: the head of the Raft journal is missing")
        head = _Head(FIRST_BASE.index, 0, None)
        with self._env.begin(write=True) as txn:
            txn.put(*self._head_record(head))
            txn.put(*self._entry_record(FIRST_BASE))
        return head, [FIRST_BASE]

    def _parse_head(self, record: bytes) -> _Head:
        if not _intact(_HEAD_KEY, record, _HEAD):
            raise Damaged(f"{self._path / DATA_FILE}: the head of the Raft journal is damaged")
        _, layout, base, term, voted = _HEAD.unpack_from(record)
        if layout != _HEAD_FORMAT:
            raise Damaged(f"{self._path / DATA_FILE}: Raft journal of unknown format {layout}")
        try:
            return _Head(base, term, record[_HEAD.size :].decode() if voted else None)
        except UnicodeDecodeError as error:
            raise Damaged(f"{self._path / DATA_FILE}: the vote in the Raft journal is damaged") from error

    def _parse_entries(self, txn: "lmdb.Transaction[bytes]", base: int) -> Iterator[Entry]:
        """Entries from the base on; Damaged at the first that is missing or not intact."""
        expected = base
        cursor = txn.cursor()
        held = cursor.set_range(_KEY.pack(base))
        for key, record in cursor if held else ():
            if key != _KEY.pack(expected):
                raise self._damaged(expected, "is missing")
            if not _intact(key, record, _RECORD):
                raise self._damaged(expected, "is damaged")
            yield Entry(record[_RECORD.size :], expected, int.from_bytes(record[4 : _RECORD.size]))
            expected += 1
        if expected == base:
            raise self._damaged(base, "is missing")

    def _damaged(self, index: int, what: str) -> Damaged:
        return Damaged(
            f"{self._path / DATA_FILE}: entry {index} of the Raft journal {what}; "
            "remove this node from the cluster and add it again with an empty data directory"
        )

    @staticmethod
    def _entry_record(entry: Entry) -> tuple[bytes, bytes]:
        key = _KEY.pack(entry.index)
        return key, _sealed(key, _RECORD, entry.term, data=entry.data)

    @staticmethod
    def _head_record(head: _Head) -> tuple[bytes, bytes]:
        voted = head.voted_for is not None
        vote = (head.voted_for or "").encode()
        return _HEAD_KEY, _sealed(_HEAD_KEY, _HEAD, _HEAD_FORMAT, head.base, head.term, voted, data=vote)

    def _store(self, added: list[Entry]) -> None:
        held = self._size + len(self._entries) * _ENTRY_OVERHEAD_BYTES
        if held > self._size_bytes_max:
            raise DiskFull(
                f"{self._path / DATA_FILE}: the Raft journal would hold {held} bytes, "
                f"more than its limit of {self._size_bytes_max}"
            )
        with lmdb_errors(self._path), self._env.begin(write=True) as txn:
            if self._kept < self._first:
                txn.drop(self._env.open_db(txn=txn), delete=False)
            elif self._kept < self._stored_last:
                _remove(txn, self._kept + 1, self._stored_last + 1, limit=None)
            if self._head_changed or self._first != self._stored_first or self._kept < self._first:
                txn.put(*self._head_record(_Head(self._first, self._term, self._voted_for)))
                self._leftovers = True
            if self._leftovers:
                self._leftovers = _remove(txn, 1, self._first, limit=LEFTOVERS_REMOVED_MAX)
            if len(added) == 1:
                txn.put(*self._entry_record(added[0]), append=True)
            elif added:
                txn.cursor().putmulti([self._entry_record(entry) for entry in added], append=True)

    def check_in_place(self) -> None:
        """StorageError when what is written would be lost: see `Held`."""
        self._held.check()

    def close(self) -> None:
        super().close()
        self._env.close()


def _remove(txn: "lmdb.Transaction[bytes]", start: int, stop: int, *, limit: int | None) -> bool:
    """Remove entries start <= index < stop, at most `limit`; whether some are left."""
    cursor = txn.cursor()
    end = _KEY.pack(stop)
    removed = 0
    found = cursor.set_range(_KEY.pack(start))
    while found and cursor.key() < end:
        if removed == limit:
            return True
        found = cursor.delete()
        removed += 1
    return False
