"""Job logs and event feed of this node on LMDB, outside Raft.

Written without sync: a killed process loses nothing, a power loss may scramble the file.  Losing it loses
no job, so a file that was not closed in order and does not verify is thrown away, and `discarded` says so.
Counters and places that cannot be right in a file that does are taken for none: a log may then be forgotten
too soon, and everything goes on.
Tables: `log_lines` (job id + token + number -> line), `log_jobs` (job id -> counters), `log_ages` (time of
the last line + job id), the index by which jobs expire and by which they make room for others; and those of
`feed`.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import lmdb
import msgspec

from orchestrix_raft.storage import feed
from orchestrix_raft.storage.environment import DATA_FILE, lmdb_errors, open_environment
from orchestrix_raft.storage.files import Held, file_errors, remove_tree, sync_directory
from orchestrix_raft.storage.limits import (
    JOB_LOG_BYTES_MAX,
    JOB_LOGS_BYTES_MAX,
    JOB_LOGS_DROPPED_AT_ONCE,
    LINE_COST_BYTES,
    LOGGED_JOB_COST_BYTES,
    MAP_BYTES,
    VERIFIED_BYTES_MAX,
)
from orchestrix_raft.storage.port import Damaged, LinePlace, LogLine
from orchestrix_raft.undecodable import UNDECODABLE, words_of

CLOSED_MARKER = "CLOSED"
"""File that stands in the directory while the store is closed and synced."""

_COUNTERS = struct.Struct(">IIQQ")
_PLACE = struct.Struct(">QQ")
_TIME = struct.Struct(">Q")
_TABLES = (b"log_lines", b"log_jobs", b"log_ages")
_OLD_TABLES = (b"lines", b"jobs", b"ages")  # of lines that had no place
_TOTAL_KEY = b"total"  # in `log_jobs`, whose other keys are the 16 bytes of job ids
_TOTAL = struct.Struct(">Q")
_JOB_ID_BYTES = 16
_COUNT_MAX = (1 << 32) - 1

_encode = msgspec.msgpack.Encoder().encode
_TIME_MS = Annotated[int, msgspec.Meta(ge=0)]
_ATTEMPT = Annotated[int, msgspec.Meta(ge=0, le=_COUNT_MAX)]
_decode = msgspec.msgpack.Decoder(tuple[_TIME_MS, str, str, _ATTEMPT]).decode


class _Counters(NamedTuple):
    """What is known of one job's log."""

    lines: int
    dropped: int
    size: int  # encoded bytes of the lines kept
    last_ms: int

    @property
    def cost(self) -> int:
        """Bytes that count against the bound of the whole."""
        return self.size + self.lines * LINE_COST_BYTES + LOGGED_JOB_COST_BYTES


_NO_LINES = _Counters(0, 0, 0, 0)


def _counters(row: bytes | None) -> _Counters:
    """As stored; _NO_LINES: there are none, or none that can be right."""
    if row is None or len(row) != _COUNTERS.size:
        return _NO_LINES
    found = _Counters(*_COUNTERS.unpack(row))
    return found if found.lines <= found.size <= JOB_LOG_BYTES_MAX else _NO_LINES


class LmdbLocalStore:
    """LocalStore; see the port for what it promises."""

    def __init__(
        self, path: Path, *, map_bytes: int = MAP_BYTES, bytes_max: int = JOB_LOGS_BYTES_MAX
    ) -> None:
        """Open or create the store in directory `path` (its parent exists)."""
        self._path = path
        self._bytes_max = bytes_max
        self._marker = path / CLOSED_MARKER
        self.discarded = ""
        """Why the lines of earlier runs are gone; empty: they are not."""
        self._counted = False
        """The noted total is what all jobs cost: not after a power loss, until it was counted anew."""
        self._env = self._open(map_bytes)
        self._held = Held.at(path / DATA_FILE)

    def _open(self, map_bytes: int) -> lmdb.Environment:
        with file_errors(self._path):
            closed = self._marker.exists()
            if closed:
                self._marker.unlink()
                sync_directory(self._path)
        self._counted = closed
        try:
            return self._environment(map_bytes, VERIFIED_BYTES_MAX if closed else MAP_BYTES)
        except Damaged as error:
            self.discarded = str(error)
            with file_errors(self._path):
                remove_tree(self._path)
            return self._environment(map_bytes, 0)

    def _environment(self, map_bytes: int, verified_bytes_max: int) -> lmdb.Environment:
        env = open_environment(
            self._path,
            tables_max=len(_TABLES + _OLD_TABLES + feed.TABLES),
            map_bytes=map_bytes,
            synced=False,
            verified_bytes_max=verified_bytes_max,
        )
        try:
            with lmdb_errors(self._path):
                _drop_old_tables(env)
                self._lines, self._jobs, self._ages = (env.open_db(name) for name in _TABLES)
            self.feed = feed.LmdbFeed(env, self._path)
        except BaseException:  # raised again; left open it could never be opened again
            env.close()
            raise
        return env

    def append_lines(self, lines: Mapping[bytes, list[LogLine]], now_ms: int) -> None:
        with lmdb_errors(self._path), self._env.begin(write=True) as txn:
            total = self._total(txn)
            for job_id, added in lines.items():
                if not added:
                    continue
                known = txn.get(job_id, db=self._jobs)
                before = _counters(known)
                after = self._append(txn, job_id, before, added, now_ms)
                txn.put(job_id, _COUNTERS.pack(*after), db=self._jobs)
                total += after.cost - (0 if known is None else before.cost)
                if before.last_ms != now_ms or known is None:
                    txn.delete(_TIME.pack(before.last_ms) + job_id, db=self._ages)
                    txn.put(_TIME.pack(now_ms) + job_id, b"", db=self._ages)
            for _ in range(JOB_LOGS_DROPPED_AT_ONCE):
                if total <= self._bytes_max:
                    break
                total -= self._forget_oldest(txn)
            self._note_total(txn, total)
        self._counted = True

    def _total(self, txn: "lmdb.Transaction[bytes]") -> int:
        """What all jobs cost."""
        known = txn.get(_TOTAL_KEY, db=self._jobs)
        if self._counted and known is not None:
            return int(_TOTAL.unpack(known)[0])
        # Of a store that is new, was written by an earlier version, or was not closed in order.
        with txn.cursor(self._jobs) as cursor:
            return sum(_counters(row).cost for job_id, row in cursor if job_id != _TOTAL_KEY)

    def _note_total(self, txn: "lmdb.Transaction[bytes]", total: int) -> None:
        txn.put(_TOTAL_KEY, _TOTAL.pack(max(total, 0)), db=self._jobs)

    def _append(
        self,
        txn: "lmdb.Transaction[bytes]",
        job_id: bytes,
        before: _Counters,
        added: list[LogLine],
        now_ms: int,
    ) -> _Counters:
        """Keep lines that are new until the first that does not fit; count that one and all after it."""
        count, size, dropped = before.lines, before.size, before.dropped
        with txn.cursor(self._lines) as cursor:
            for line in added:
                key = job_id + _PLACE.pack(*line.place)
                if cursor.set_key(key):
                    continue
                record = _encode(line[2:])
                if dropped or size + len(record) > JOB_LOG_BYTES_MAX:
                    dropped += 1
                    continue
                count += 1
                size += len(record)
                cursor.put(key, record)
        return _Counters(count, min(dropped, _COUNT_MAX), size, now_ms)

    def lines(self, job_id: bytes, after: LinePlace, limit: int, bytes_max: int) -> list[LogLine]:
        found: list[LogLine] = []
        size = 0
        behind = job_id + _PLACE.pack(*after)
        with lmdb_errors(self._path), self._env.begin(db=self._lines) as txn, txn.cursor() as cursor:
            placed = cursor.set_range(behind)
            if placed and cursor.key() == behind:
                placed = cursor.next()
            while placed and len(found) < limit and size < bytes_max and _job_of(cursor.key()) == job_id:
                record = cursor.value()
                token, number = _PLACE.unpack(cursor.key()[-_PLACE.size :])
                found.append(LogLine(token, number, *self._parse(record)))
                size += len(record)
                placed = cursor.next()
        return found

    def _parse(self, record: bytes) -> tuple[int, str, str, int]:
        try:
            return _decode(record)
        except UNDECODABLE as error:
            raise Damaged(f"{self._path}: a job log line cannot be read ({words_of(error)})") from error

    def dropped(self, job_id: bytes) -> int:
        with lmdb_errors(self._path), self._env.begin(db=self._jobs) as txn:
            known = txn.get(job_id)
        return _counters(known).dropped

    def expire_lines(self, before_ms: int, limit: int) -> int:
        with lmdb_errors(self._path), self._env.begin(write=True) as txn:
            end = _TIME.pack(max(before_ms, 0))
            with txn.cursor(self._ages) as cursor:
                aged = [
                    key
                    for key, _ in zip(cursor.iternext(values=False), range(limit), strict=False)
                    if key < end
                ]
            if aged:
                total = self._total(txn) - sum(self._forget(txn, key) for key in aged)
                self._note_total(txn, total)
        self._counted = self._counted or bool(aged)
        return len(aged)

    def _forget_oldest(self, txn: "lmdb.Transaction[bytes]") -> int:
        with txn.cursor(self._ages) as cursor:
            return self._forget(txn, cursor.key()) if cursor.first() else 0

    def _forget(self, txn: "lmdb.Transaction[bytes]", age: bytes) -> int:
        """The job of a key of `ages`; what it has cost."""
        job_id = age[_TIME.size :]
        txn.delete(age, db=self._ages)
        if len(job_id) != _JOB_ID_BYTES:
            return 0
        known = txn.pop(job_id, db=self._jobs)
        with txn.cursor(self._lines) as cursor:
            found = cursor.set_range(job_id)
            while found and _job_of(cursor.key()) == job_id:
                found = cursor.delete()
        return 0 if known is None else _counters(known).cost

    def check_in_place(self) -> None:
        """StorageError when what is written would be lost: see `Held`."""
        self._held.check()

    def close(self) -> None:
        try:
            with lmdb_errors(self._path):
                self._env.sync(True)
                with self._env.begin(db=self._jobs) as txn:
                    sound = self._counted or not txn.stat()["entries"]
        finally:
            self._env.close()
        if sound:
            with file_errors(self._path):
                self._marker.touch()


def _drop_old_tables(env: lmdb.Environment) -> None:
    with env.begin() as txn:
        old = [name for name in _OLD_TABLES if txn.get(name) is not None]
    for name in old:
        table = env.open_db(name)
        with env.begin(write=True) as txn:
            txn.drop(table)


def _job_of(key: bytes) -> bytes:
    """Of a key of `log_lines`."""
    return key[: -_PLACE.size]
