"""The Raft log in memory, with what a flush has to change on disk.

Both journals are this class plus one method that stores a difference in one transaction, so readers
never touch the disk and the two cannot disagree about what an append, a truncation or a compaction
means.  For `storage` only; others use the port.
"""

from abc import ABC, abstractmethod

from orchestrix_raft.storage.port import Entry, StorageError

FIRST_BASE = Entry(b"\x01", 1, 0)
"""The base an empty journal is opened with."""


class JournalMirror(ABC):
    """Held entries, term and vote, and how far the disk agrees with them.

    `_kept` is the last index up to which the stored entries are those held here.  A flush therefore
    drops whatever is stored outside `_first`.. `_kept` and adds what is held after it; that is the net
    effect of every change since the last flush, in order.
    """

    def __init__(self, entries: list[Entry], term: int, voted_for: str | None) -> None:
        """`entries` are stored already, contiguous, base first."""
        self._entries = entries
        self._first = entries[0].index
        # of the newest entry held; kept up to date by every change, because it is asked for all the time
        self.last_index = entries[-1].index
        self._size = sum(len(entry.data) for entry in entries)
        self._term = term
        self._voted_for = voted_for
        self._kept = entries[-1].index
        self._stored_first = self._first
        self._stored_last = self._kept
        self._head_changed = False
        self._dirty = False
        self._refusal = ""

    @abstractmethod
    def _store(self, added: list[Entry]) -> None:
        """Make the disk equal to what is held in one synced transaction: keep the stored entries
        `_first`.. `_kept` (none if that range is empty), then `added`; and term and vote when
        `_head_changed`.  StorageError: nothing may be relied on any more."""

    @property
    def first_index(self) -> int:
        return self._first

    @property
    def durable_index(self) -> int:
        return self._kept

    @property
    def dirty(self) -> bool:
        return self._dirty

    @property
    def last_term(self) -> int:
        return self._entries[-1].term

    @property
    def term(self) -> int:
        return self._term

    @property
    def voted_for(self) -> str | None:
        return self._voted_for

    @property
    def size_bytes(self) -> int:
        return self._size

    def entry(self, index: int) -> Entry:
        offset = index - self._first
        if offset < 0:
            raise IndexError(f"entry {index} is before the base {self._first}")
        return self._entries[offset]

    def slice(self, start: int, stop: int) -> list[Entry]:
        first = self._first
        return self._entries[max(start - first, 0) : max(stop - first, 0)]

    def append(self, entry: Entry) -> None:
        if self._refusal:
            raise StorageError(self._refusal)
        if entry.index != self.last_index + 1:
            raise ValueError(f"entry {entry.index} does not follow {self.last_index}")
        self._entries.append(entry)
        self.last_index = entry.index
        self._size += len(entry.data)
        self._dirty = True

    def truncate_from(self, index: int) -> None:
        self._changeable()
        if index <= self._first:
            raise ValueError(f"truncation from {index} would drop the base {self._first}")
        dropped = self._entries[index - self._first :]
        if not dropped:
            return
        del self._entries[index - self._first :]
        self.last_index = index - 1
        self._size -= sum(len(entry.data) for entry in dropped)
        self._kept = min(self._kept, index - 1)
        self._dirty = True

    def compact_to(self, index: int) -> None:
        self._changeable()
        offset = index - self._first
        if not 0 <= offset < len(self._entries):
            raise ValueError(f"entry {index} is not held ({self._first}..{self.last_index})")
        if not offset:
            return
        self._size -= sum(len(entry.data) for entry in self._entries[:offset])
        del self._entries[:offset]
        self._first = index
        self._dirty = True

    def reset(self, base: Entry) -> None:
        self._changeable()
        if base.index < 1:
            raise ValueError(f"a base at index {base.index}; the first is 1")
        self._entries = [base]
        self._first = self.last_index = base.index
        self._size = len(base.data)
        self._kept = min(self._kept, base.index - 1)
        self._dirty = True

    def set_term(self, term: int, voted_for: str | None) -> None:
        self._changeable()
        if (term, voted_for) == (self._term, self._voted_for):
            return
        self._term = term
        self._voted_for = voted_for
        self._head_changed = True
        self._dirty = True

    def flush(self) -> None:
        if not self._dirty:
            return
        self._changeable()
        start = self._kept + 1 - self._first
        try:
            self._store(self._entries[start:] if start > 0 else self._entries[:])
        except StorageError as error:
            self._refusal = f"the journal takes no change since its last flush failed: {error}"
            raise
        self._stored_first = self._first
        self._kept = self._stored_last = self.last_index
        self._head_changed = False
        self._dirty = False

    def close(self) -> None:
        """What was not flushed is forgotten."""
        self._refusal = self._refusal or "the journal is closed"

    def _changeable(self) -> None:
        if self._refusal:
            raise StorageError(self._refusal)
