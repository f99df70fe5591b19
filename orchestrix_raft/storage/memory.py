"""A disk in memory for the simulator, with the faults real disks have.

It promises what the LMDB adapters promise, under the same contract suite: what was flushed survives
`crash`, the rest is gone, a transaction is stored wholly or not at all.  It is deterministic and fast,
because a simulated cluster runs at about a hundred times real time.  For `simulation` and tests.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from orchestrix_raft.storage.checks import check_key, check_position, check_stream, check_table
from orchestrix_raft.storage.copies import Copies, Copy, SharedReader
from orchestrix_raft.storage.disk import Disk, Identity
from orchestrix_raft.storage.limits import (
    JOB_LOG_BYTES_MAX,
    JOB_LOGS_BYTES_MAX,
    JOB_LOGS_DROPPED_AT_ONCE,
    LINE_COST_BYTES,
    LOGGED_JOB_COST_BYTES,
)
from orchestrix_raft.storage.memory_feed import FeedOnDisk, MemoryFeed
from orchestrix_raft.storage.mirror import FIRST_BASE, JournalMirror
from orchestrix_raft.storage.port import (
    Changes,
    Damaged,
    DiskFull,
    Entry,
    LinePlace,
    LogLine,
    Position,
    SnapshotRef,
    StorageError,
)
from orchestrix_raft.storage.views import CopiedView
from orchestrix_raft.undecodable import UNDECODABLE

_Table = dict[bytes, bytes]


class DiskGone(BaseException):
    """The simulated process died in the middle of a durable step.

    Not an Exception: code that handles errors must not take the end of its own process for one.
    """


class _Life:
    """One process's use of the disk, from the first opening to `kill` or `crash`."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open: set[str] = set()


class _JobLog:
    """The lines of one job."""

    __slots__ = ("dropped", "last_ms", "lines", "size")

    def __init__(self) -> None:
        self.lines: dict[LinePlace, LogLine] = {}
        self.size = 0
        self.dropped = 0
        self.last_ms = 0

    @property
    def cost(self) -> int:
        """Bytes that count against the bound of the whole."""
        return self.size + len(self.lines) * LINE_COST_BYTES + LOGGED_JOB_COST_BYTES


class MemoryDisk(Disk):
    """What survives, and the faults.

    A *durable step* is one synced transaction or one change of the identity.  `steps` counts those
    begun.  Faults, set and cleared freely between steps:

    - `full`: every step raises DiskFull and stores nothing.
    - `fail_next_flush`: the next step raises StorageError and stores nothing, once.
    - `fuse = n`: n more steps succeed, at the one after them the process dies (DiskGone), and every
      later step raises DiskGone too, until `kill` or `crash` ends that life.  `torn` says whether that
      last step is lost (True) or stored without the process hearing of it (False).
    """

    def __init__(self, disk_id: str = "0000000000000000") -> None:
        self.full = False
        self.fail_next_flush = False
        self.fuse: int | None = None
        self.torn = True
        self.steps = 0
        self._identity = self._stored_identity = Identity(disk_id)
        self._entries: list[Entry] = []
        self._term = 0
        self._voted_for: str | None = None
        self._tables: dict[str, _Table] = {}
        self._position: Position | None = None
        self._logs: dict[bytes, _JobLog] = {}
        self.feed = FeedOnDisk()
        self._life = _Life()
        self._gone = False

    def open_journal(self) -> "MemoryJournal":
        self._open("journal")
        return MemoryJournal(self, self._life)

    def open_state_store(self) -> "MemoryStateStore":
        self._open("state store")
        return MemoryStateStore(self, self._life)

    def open_local_store(self, bytes_max: int = JOB_LOGS_BYTES_MAX) -> "MemoryLocalStore":
        self._open("local store")
        return MemoryLocalStore(self, self._life, bytes_max)

    def close(self) -> None:
        """An orderly end: like `kill`, because nothing unflushed is ever written by closing."""
        self.kill()

    def kill(self) -> None:
        """The process dies: its buffers are gone, and its stores can do nothing any more.  A burnt
        fuse is removed; `full` stays."""
        self._life = _Life()
        self._gone = False
        self.fuse = None
        self.fail_next_flush = False
        self._identity = self._stored_identity

    def crash(self) -> None:
        """The power fails: as `kill`, and what was written without sync is gone too."""
        self.kill()
        self._logs = {}
        self.feed.lose_newest(self.steps % 7)  # some: the system writes back when it likes

    def job_lines(self) -> dict[bytes, list[LogLine]]:
        """The job logs it holds, for whoever looks at it from outside."""
        return {job_id: list(log.lines.values()) for job_id, log in self._logs.items()}

    @property
    def gone(self) -> bool:
        """The fuse burnt: the process that used the disk is dead."""
        return self._gone

    def _open(self, store: str) -> None:
        if self._gone:
            raise DiskGone("the process on this disk died; kill() or crash() begins the next one")
        if store in self._life.open:
            raise StorageError(f"the {store} of this disk is open already")
        self._life.open.add(store)

    def _step(self, life: _Life) -> bool:
        """Begin a durable step; True: store it, then call `_die`."""
        if life is not self._life or self._gone:
            raise DiskGone("this process was killed")
        self.steps += 1
        if self.full:
            raise DiskFull("the disk is full")
        if self.fail_next_flush:
            self.fail_next_flush = False
            raise StorageError("input/output error")
        if self.fuse is None:
            return False
        if self.fuse > 0:
            self.fuse -= 1
            return False
        if self.torn:
            self._die()
        return True

    def _die(self) -> None:
        self._gone = True
        raise DiskGone("the fuse burnt in the middle of a durable step")

    def _save_identity(self, identity: Identity) -> None:
        dies = self._step(self._life)
        self._stored_identity = identity
        if dies:
            self._die()


class MemoryJournal(JournalMirror):
    """The twin of LmdbJournal."""

    def __init__(self, disk: MemoryDisk, life: _Life) -> None:
        self._disk = disk
        self._life = life
        if not disk._entries:
            dies = disk._step(life)
            disk._entries.append(FIRST_BASE)
            if dies:
                disk._die()
        super().__init__(disk._entries.copy(), disk._term, disk._voted_for)

    def _store(self, added: list[Entry]) -> None:
        disk = self._disk
        dies = disk._step(self._life)
        stored = disk._entries
        if self._kept < self._first:
            stored[:] = added
        else:
            if self._kept < self._stored_last:
                del stored[self._kept + 1 - self._stored_first :]
            stored += added
            if self._first > self._stored_first:
                del stored[: self._first - self._stored_first]
        disk._term = self._term
        disk._voted_for = self._voted_for
        if dies:
            disk._die()

    def close(self) -> None:
        super().close()
        self._life.open.discard("journal")


class _Frozen(msgspec.Struct, array_like=True, frozen=True):
    """A checkpoint as one value: the stream of the twin's snapshots."""

    position: Position
    tables: list[tuple[str, list[tuple[bytes, bytes]]]]


class _MemoryCopy:
    """A finished copy, and the copying itself: it is ready at the second question."""

    __slots__ = ("_ref", "_stream")

    def __init__(self, tables: Mapping[str, _Table], position: Position) -> None:
        frozen = _Frozen(position, [(name, sorted(rows.items())) for name, rows in sorted(tables.items())])
        self._stream = msgspec.msgpack.encode(frozen)
        self._ref = SnapshotRef(
            position.index,
            position.term,
            len(self._stream),
            hashlib.sha256(self._stream).digest(),
            position.configuration_index,
            position.configuration,
        )

    @property
    def ref(self) -> SnapshotRef:
        return self._ref

    def read(self, offset: int, limit: int) -> bytes:
        return self._stream[offset : offset + limit]

    def get(self, table: str, key: bytes) -> bytes | None:
        frozen = msgspec.msgpack.decode(self._stream, type=_Frozen)
        return dict(dict(frozen.tables).get(table, ())).get(key)

    def remove(self) -> None:
        self._stream = b""

    def result(self) -> Copy:
        return self

    def cancel(self) -> None:
        self._stream = b""


class MemoryStateStore:
    """The twin of LmdbStateStore."""

    def __init__(self, disk: MemoryDisk, life: _Life) -> None:
        self._disk = disk
        self._life = life
        self._ordered: dict[str, list[bytes]] = {}
        self._writes = 0
        self._copies = Copies(self._start_copy)
        self._incoming: MemorySnapshotWriter | None = None
        self._views: list[CopiedView] = []

    def position(self) -> Position | None:
        return self._disk._position

    def load(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        rows = self._disk._tables.get(table, {})
        return iter([(key, rows[key]) for key in self._keys(table)])

    def get(self, table: str, key: bytes) -> bytes | None:
        rows = self._disk._tables.get(table)
        return None if rows is None else rows.get(key)

    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        keys = self._keys(table)
        if reverse:
            stop = bisect_right(keys, start)
            found = keys[max(stop - limit, 0) : stop]
            found.reverse()
        else:
            begin = bisect_left(keys, start)
            found = keys[begin : begin + limit]
        rows = self._disk._tables.get(table, {})
        return [(key, rows[key]) for key in found]

    def write(self, changes: Iterable[Changes], position: Position) -> None:
        batches = list(changes)
        for batch in batches:
            for table, rows in batch.items():
                check_table(table)
                for key in rows:
                    check_key(key)
        stored = self._disk._position
        if stored is not None and position.index < stored.index:
            return  # an installed snapshot has overtaken these changes
        dies = self._disk._step(self._life)
        for batch in batches:
            for table, rows in batch.items():
                self._apply(table, rows)
        self._disk._position = position
        self._writes += 1
        if dies:
            self._disk._die()

    def _apply(self, table: str, rows: Mapping[bytes, bytes | None]) -> None:
        stored = self._disk._tables.setdefault(table, {})
        before = len(stored)
        removed = False
        for key, value in rows.items():
            if value is None:
                removed = stored.pop(key, None) is not None or removed
            else:
                stored[key] = value
        if removed or len(stored) != before:
            self._ordered.pop(table, None)

    def _keys(self, table: str) -> list[bytes]:
        """The table's keys in order, sorted again only after keys came or went."""
        keys = self._ordered.get(table)
        if keys is None:
            keys = self._ordered[table] = sorted(self._disk._tables.get(table, ()))
        return keys

    def snapshot(self) -> SharedReader | None:
        position = self.position()
        return None if position is None else self._copies.reader(position.index, self._writes)

    def _start_copy(self) -> _MemoryCopy:
        position = self._disk._position
        assert position is not None  # snapshot() asks for a copy only once there is a checkpoint
        self._check_room()
        return _MemoryCopy(self._disk._tables, position)

    def view(self) -> CopiedView:
        view = CopiedView(self._disk._tables, self._disk._position)
        self._views.append(view)
        return view

    def _end_reading(self) -> None:
        self._copies.cancel()
        while self._views:
            self._views.pop().close()

    def receive(self, ref: SnapshotRef) -> "MemorySnapshotWriter":
        if self._incoming is not None:
            self._incoming.abort()
        self._check_room()
        self._incoming = MemorySnapshotWriter(self, ref)
        return self._incoming

    def _check_room(self) -> None:
        if self._disk.full:
            raise DiskFull("the disk is full")

    def _install(self, frozen: _Frozen) -> None:
        """Make a received checkpoint the state, in one durable step."""
        dies = self._disk._step(self._life)
        self._end_reading()
        self._disk._tables = {name: dict(rows) for name, rows in frozen.tables}
        self._disk._position = frozen.position
        self._ordered = {}
        self._writes += 1
        if dies:
            self._disk._die()

    @property
    def size_bytes(self) -> int:
        return sum(len(k) + len(v) for rows in self._disk._tables.values() for k, v in rows.items())

    def close(self) -> None:
        self._end_reading()
        self._life.open.discard("state store")


class MemorySnapshotWriter:
    """The twin of the LMDB store's snapshot writer."""

    def __init__(self, store: MemoryStateStore, ref: SnapshotRef) -> None:
        self._store = store
        self._ref = ref
        self._stream = bytearray()
        self._open = True

    def write(self, offset: int, data: bytes) -> None:
        self._check_open()
        if offset != len(self._stream):
            raise ValueError(f"snapshot bytes at {offset}, expected {len(self._stream)}")
        if offset + len(data) > self._ref.size:
            raise Damaged(f"snapshot {self._ref.index} is longer than the {self._ref.size} bytes announced")
        self._stream += data

    def commit(self) -> None:
        self._check_open()
        self._open = False
        check_stream(self._ref, len(self._stream), hashlib.sha256(self._stream).digest())
        try:
            frozen = msgspec.msgpack.decode(self._stream, type=_Frozen)
        except UNDECODABLE as error:
            raise Damaged(f"snapshot {self._ref.index} cannot be read: {error}") from error
        check_position(self._ref, frozen.position)
        self._store._install(frozen)

    def abort(self) -> None:
        self._open = False
        self._stream.clear()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError(f"the transfer of snapshot {self._ref.index} has ended")


class MemoryLocalStore:
    """The twin of LmdbLocalStore."""

    def __init__(self, disk: MemoryDisk, life: _Life, bytes_max: int) -> None:
        self._disk = disk
        self._life = life
        self._bytes_max = bytes_max
        self._total = sum(log.cost for log in disk._logs.values())
        self.feed = MemoryFeed(disk.feed, self._writable)

    def append_lines(self, lines: Mapping[bytes, list[LogLine]], now_ms: int) -> None:
        self._writable()
        for job_id, added in lines.items():
            if not added:
                continue
            known = self._disk._logs.get(job_id)
            log = self._disk._logs[job_id] = known or _JobLog()
            self._total -= known.cost if known else 0
            log.last_ms = now_ms
            for line in added:
                size = len(msgspec.msgpack.encode(line[2:]))
                if line.place in log.lines:
                    continue
                if log.dropped or log.size + size > JOB_LOG_BYTES_MAX:
                    log.dropped += 1
                    continue
                log.lines[line.place] = line
                log.size += size
            self._total += log.cost
        if self._total > self._bytes_max:
            self._make_room()

    def _make_room(self) -> None:
        logs = self._disk._logs
        oldest = sorted((log.last_ms, job_id) for job_id, log in logs.items())
        for _, job_id in oldest[:JOB_LOGS_DROPPED_AT_ONCE]:
            self._total -= logs.pop(job_id).cost
            if self._total <= self._bytes_max:
                return

    def lines(self, job_id: bytes, after: LinePlace, limit: int, bytes_max: int) -> list[LogLine]:
        log = self._disk._logs.get(job_id)
        found: list[LogLine] = []
        size = 0
        for place in sorted(() if log is None else log.lines):
            if log is None or len(found) >= limit or size >= bytes_max:
                break
            if place > after:
                found.append(log.lines[place])
                size += len(msgspec.msgpack.encode(log.lines[place][2:]))
        return found

    def dropped(self, job_id: bytes) -> int:
        log = self._disk._logs.get(job_id)
        return 0 if log is None else log.dropped

    def expire_lines(self, before_ms: int, limit: int) -> int:
        self._writable()
        logs = self._disk._logs
        aged = sorted((log.last_ms, job_id) for job_id, log in logs.items() if log.last_ms < before_ms)
        for _, job_id in aged[:limit]:
            self._total -= logs.pop(job_id).cost
        return len(aged[:limit])

    def close(self) -> None:
        self._life.open.discard("local store")

    def _writable(self) -> None:
        """Writes here are not synced, so they are no durable steps; a full disk stops them too."""
        if self._life is not self._disk._life or self._disk._gone:
            raise DiskGone("this process was killed")
        if self._disk.full:
            raise DiskFull("the disk is full")
