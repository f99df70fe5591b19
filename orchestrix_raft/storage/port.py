"""What the layers above may ask of a disk.

Three adapters' worth of contracts live here and nothing else: the Raft journal, the store of
checkpointed state with its snapshots, and the store of node-local data.  The LMDB adapters are the
product; `memory.py` holds their twins, which forget on `crash()` exactly what a power loss would
take.  Both pass the suite in tests/contract.

Everything here is bytes and integers: this package knows neither jobs nor Raft messages.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

Changes = Mapping[str, Mapping[bytes, bytes | None]]
"""table -> key -> new value, or None to delete the key."""


class StorageError(Exception):
    """The disk refused or is damaged.  The message says which file and what to do about it."""


class DiskFull(StorageError):
    """No room for the write: nothing of it was stored."""


class Damaged(StorageError):
    """Bytes on disk are not what was written."""


class Entry(NamedTuple):
    """One record of the Raft log, in the field order that PySyncObj uses."""

    data: bytes
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    term: int


class Journal(Protocol):
    """The Raft log with term and vote.

    The first entry is the *base*: the newest one known to be inside the checkpoint (an empty journal
    is opened with the base `Entry(b"\\x01", 1, 0)`).  Changes are seen by readers at once and are
    durable after `flush()`, all together or not at all, in the order they were made.
    """

    @property
    def first_index(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    @property
    def durable_index(self) -> int:
        """Every entry up to this index would survive a power loss now."""
        ...

    @property
    def dirty(self) -> bool:
        """A power loss now would undo some change: of an entry, the base, the term or the vote."""
        ...

    @property
    def last_term(self) -> int: ...
    @property
    def term(self) -> int: ...
    @property
    def voted_for(self) -> str | None: ...
    @property
    def size_bytes(self) -> int:
        """Bytes of the entries held (data only)."""
        ...

    def entry(self, index: int) -> Entry:
        """The entry at `index`; IndexError outside first_index..last_index."""
        ...

    def slice(self, start: int, stop: int) -> list[Entry]:
        """Entries start <= index < stop that are held."""
        ...

    def append(self, entry: Entry) -> None:
        """`entry.index` must be `last_index + 1`, else ValueError."""
        ...

    def truncate_from(self, index: int) -> None:
        """Drop `index` and everything after it; never the base (ValueError)."""
        ...

    def compact_to(self, index: int) -> None:
        """Make the held entry at `index` the base, dropping what is before it."""
        ...

    def reset(self, base: Entry) -> None:
        """Forget every entry and start again at `base` (after a snapshot was installed)."""
        ...

    def set_term(self, term: int, voted_for: str | None) -> None: ...
    def flush(self) -> None:
        """Make everything so far durable in one synced transaction; raises DiskFull or StorageError,
        after which the journal refuses every further change."""
        ...

    def close(self) -> None: ...


class SnapshotRef(NamedTuple):
    """Names a snapshot and what a receiver needs before it reads the first byte."""

    index: int  # type: ignore[assignment]  # last applied log index inside the snapshot
    term: int  # term of that entry
    size: int  # bytes of the stream
    digest: bytes  # SHA-256 of the stream
    configuration_index: int  # log index of `configuration`
    configuration: bytes  # cluster configuration as of `index`


class SnapshotReader(Protocol):
    """A consistent copy of one checkpoint, readable while the store moves on."""

    @property
    def ref(self) -> SnapshotRef: ...
    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`; empty at the end.  May be called in any one thread."""
        ...

    def get(self, table: str, key: bytes) -> bytes | None:
        """One row of the copy."""
        ...

    def close(self) -> None: ...


class SnapshotWriter(Protocol):
    """Receives a snapshot, in order, beside the state in use."""

    def write(self, offset: int, data: bytes) -> None:
        """ValueError when `offset` is not where the last write ended."""
        ...

    def commit(self) -> None:
        """Verify size and digest (Damaged), make the copy durable and make it *the* state of this
        store in one atomic step.  After it `position()` and `load()` answer from the new state."""
        ...

    def abort(self) -> None: ...


class Position(NamedTuple):
    """Where in the log the stored state stands."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    term: int
    configuration_index: int
    configuration: bytes
    meta: bytes  # the owner's own record (clocks, counters), opaque here


class StateView(Protocol):
    """One checkpoint, held still while the store moves on.  May be read in any one thread; StorageError once
    it or its store was closed, or the state was replaced by a received snapshot."""

    @property
    def position(self) -> Position | None: ...
    def tables(self) -> list[str]:
        """Names, sorted."""
        ...

    def slices(self, table: str) -> Iterator[list[tuple[bytes, bytes]]]:
        """Every (key, value) of a table in key order, some at a time."""
        ...

    def close(self) -> None: ...


class StateStore(Protocol):
    """The last checkpoint of the replicated state, by table and key, in key order."""

    def position(self) -> Position | None:
        """None: nothing was ever checkpointed."""
        ...

    def load(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Every (key, value) of a table in key order."""
        ...

    def get(self, table: str, key: bytes) -> bytes | None: ...
    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` pairs with key >= start in key order; reverse: key <= start, downwards."""
        ...

    def write(self, changes: Iterable[Changes], position: Position) -> None:
        """One synced transaction for all of it (the mappings in order, the last one wins).  May run in
        a thread beside readers, never beside another write.  Changes at a position before the stored
        one are ignored: an installed snapshot has overtaken them."""
        ...

    def snapshot(self) -> SnapshotReader | None:
        """A reader of the newest checkpoint.  The copy is made in the background: None means not yet,
        ask again.  Readers of one checkpoint share one copy; the last close removes it.  StorageError:
        making the copy failed (the state itself is unharmed); asking again starts another."""
        ...

    def receive(self, ref: SnapshotRef) -> SnapshotWriter: ...
    def view(self) -> StateView:
        """The newest checkpoint as it is now.  To be called where `write` is, or while nothing is written."""
        ...

    @property
    def size_bytes(self) -> int: ...
    def close(self) -> None: ...


class FeedRow(NamedTuple):
    """What one applied entry did."""

    index: int  # type: ignore[assignment]  # hides tuple.index, as above
    at_ms: int  # wall
    record: bytes


class FeedSpan(NamedTuple):
    """What a feed covers: every entry beyond `after`, up to and with `newest`.  Entries that did nothing have
    no row."""

    after: int
    newest: int


class FeedStore(Protocol):
    """What the newest applied entries did, in their order.  Written without sync: see `rewind`."""

    @property
    def span(self) -> FeedSpan: ...
    @property
    def size_bytes(self) -> int:
        """Of all rows, with what keeping each costs."""
        ...

    def append(self, rows: Sequence[FeedRow], newest: int) -> None:
        """Rows of entries beyond the newest one covered, ascending; from now on `newest` is that."""
        ...

    def rewind(self, index: int) -> None:
        """The state stands at `index`, and what follows will be appended (again).  Rows beyond it go.  If the
        feed does not reach it, or begins behind it, a part in between is missing: then it covers nothing, and
        begins anew behind `index`."""
        ...

    def read(self, after: int, limit: int, bytes_max: int) -> list[FeedRow]:
        """Rows beyond `after`, oldest first, up to `limit` of them and, but for the last, `bytes_max`."""
        ...

    def trim(self, before_ms: int, bytes_max: int, limit: int) -> int:
        """Forget at most `limit` of the oldest rows: those that are not covered any more, those older than
        `before_ms`, and those beyond `bytes_max` in all; how many were forgotten."""
        ...


class LogLine(NamedTuple):
    """One line a handler logged.  Its place in the job's log is (token, number): the same on every node
    that keeps it.  The token, because an attempt that was given back is begun again under its number."""

    token: int  # of the assignment; 64 bits
    number: int  # within the assignment, in order; 64 bits
    at_ms: int
    level: str
    message: str
    attempt: int = 1

    @property
    def place(self) -> "LinePlace":
        return self.token, self.number


LinePlace = tuple[int, int]
"""Token and number of a line; (0, 0) is before the first."""


class LocalStore(Protocol):
    """What this node keeps for itself, outside Raft: job logs, the event feed.  Losing it loses no job."""

    @property
    def feed(self) -> FeedStore: ...

    def append_lines(self, lines: Mapping[bytes, list[LogLine]], now_ms: int) -> None:
        """Lines by job id (16 bytes), each place once: what comes again is ignored.  Capped per job (1 MiB:
        then the rest is counted, not kept) and in all: over that the jobs whose last line is oldest are
        forgotten, a bounded number at a time.  Written without sync."""
        ...

    def lines(self, job_id: bytes, after: LinePlace, limit: int, bytes_max: int) -> list[LogLine]:
        """Lines behind `after`, in the order of their places, up to `limit` of them and, but for the last,
        `bytes_max` of their records."""
        ...

    def dropped(self, job_id: bytes) -> int:
        """How many lines of the job were counted but not kept."""
        ...

    def expire_lines(self, before_ms: int, limit: int) -> int:
        """Forget at most `limit` jobs whose last line is older; how many were forgotten."""
        ...

    def close(self) -> None: ...
