"""What the newest entries did, kept by this node for those who follow events.

Each node has its own feed, derived from the log, so all feeds say the same under the same cursors; how far
back one reaches is the node's own affair.  Rows gather in memory and are written a few times a second.
Whatever is lost with the process is applied again when it starts, from the checkpoint on; what is missing
nevertheless (after a power loss, a snapshot, a full disk) is said, never skipped: see `after`.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from orchestrix_raft.machine.packing import pack
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.storage.port import FeedRow, FeedStore, StorageError

WRITE_S: Final = 0.25  # rows wait for others to share a transaction with
WRITE_BYTES: Final = 512 << 10  # or until there are so many of them
TRIM_S: Final = 1.0
TRIM_ROWS: Final = 1_000  # at once: some 3 ms of the loop


class FeedKeep(NamedTuple):
    """How much of the past a feed has; whichever ends first."""

    for_s: float = 3_600.0
    bytes_max: int = 1 << 30


class Feed:
    """The feed of one node.  `begin`, then `note` for every applied entry."""

    def __init__(self, store: FeedStore, keep: FeedKeep) -> None:
        self._store = store
        self._keep = keep
        self._waiting: list[FeedRow] = []  # to be written
        self._waiting_bytes = 0
        self._write_at = 0.0
        self._trim_at = 0.0
        self._newest = 0
        self._gap: int | None = None  # what was to be written up to this index is lost
        self._followers: dict[Callable[[], None], None] = {}
        self._grown = False
        self.problem = ""  # what is wrong at present, one line

    @property
    def after(self) -> int:
        """What entries up to this index did is not known here."""
        return self._store.span.after if self._gap is None else self._gap

    @property
    def newest(self) -> int:
        """The newest entry whose events can be read."""
        return self._newest

    @property
    def due_at(self) -> float:
        """When `tick` has something to do."""
        return min(self._write_at, self._trim_at)

    # ---- writing -------------------------------------------------------------------------------------

    def begin(self, index: int) -> None:
        """The state stands at `index`: loaded at the start, or replaced by a snapshot."""
        self._drop()
        self._newest = index
        self._gap = None
        try:
            self._store.rewind(index)
        except StorageError as error:
            self._fail(error)
        self._grown = True

    def note(self, index: int, at_ms: int, elapsed_ms: int, applied: Applied) -> None:
        """An entry was applied: at wall time `at_ms` and elapsed time `elapsed_ms` of the log."""
        self._newest = index
        if applied.events:
            record = pack(applied.causes, applied.encoded, applied.events, elapsed_ms)
            row = FeedRow(index, at_ms, record)
            self._waiting.append(row)
            self._waiting_bytes += len(row.record)
            self._grown = True
            if self._waiting_bytes >= WRITE_BYTES:
                self.write()

    def tick(self, now: float, wall_ms: int) -> None:
        """What is due: writing, and forgetting what is too old or too much, a bounded number of rows at a
        time."""
        if now >= self._write_at:
            self._write_at = now + WRITE_S
            self.write()
        if now >= self._trim_at:
            self._trim_at = now + (WRITE_S if self._trim(wall_ms) == TRIM_ROWS else TRIM_S)

    def write(self) -> None:
        """Put what waits where a restart finds it; before a checkpoint, so that nothing is missing between
        the two."""
        if self._newest == self._store.span.newest and self._gap is None:
            return
        try:
            if self._gap is not None:
                self._store.rewind(self._gap)
                self._gap = None
            self._store.append(self._waiting, self._newest)
        except StorageError as error:
            self._fail(error)
        else:
            self._drop()
            self.problem = ""

    def _trim(self, wall_ms: int) -> int:
        try:
            return self._store.trim(wall_ms - int(self._keep.for_s * 1000), self._keep.bytes_max, TRIM_ROWS)
        except StorageError as error:
            self.problem = f"old events cannot be removed: {error}"
            return 0

    def _drop(self) -> None:
        self._waiting = []
        self._waiting_bytes = 0

    def _fail(self, error: StorageError) -> None:
        """Losing events loses no job; those who follow them are told."""
        self._drop()
        self._gap = self._newest
        self.problem = f"the events up to entry {self._newest} were not kept: {error}"

    # ---- reading -------------------------------------------------------------------------------------

    def read(self, after: int, limit: int, bytes_max: int) -> list[FeedRow]:
        """Rows beyond `after`, oldest first.  StorageError: this node cannot say."""
        rows = [] if self._gap is not None else self._store.read(after, limit, bytes_max)
        stored = self._store.span.newest
        if not rows or rows[-1].index == stored or len(rows) < limit:
            size = sum(len(row.record) for row in rows)
            for row in self._waiting:
                if len(rows) >= limit or size >= bytes_max:
                    break
                if row.index > after:
                    rows.append(row)
                    size += len(row.record)
        return rows

    def follow(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called when there is more to read; the answer ends that."""

        def end() -> None:
            self._followers.pop(wake, None)

        self._followers[wake] = None
        return end

    @property
    def followers(self) -> int:
        """How many follow at present."""
        return len(self._followers)

    def tell(self) -> None:
        """Wake those who follow, if there is more than when they were last told."""
        if self._grown:
            self._grown = False
            self.wake_all()

    def wake_all(self) -> None:
        """The node stops: they look and see how it stands."""
        for wake in list(self._followers):
            wake()
