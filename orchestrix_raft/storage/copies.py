"""Who may read which copy of a checkpoint, and when a copy goes.

The rule is the same for files and for the in-memory twin, so it stands here once: a copy is made
because somebody asked, the next one to ask gets it, later askers share it while it is still the newest
checkpoint, and the last reader's `close` removes it.  For `storage` only.
"""

from collections.abc import Callable
from typing import Protocol

from orchestrix_raft.storage.port import SnapshotRef, StorageError

UNCLAIMED_WRITES_MAX = 8
"""A finished copy that nobody asked about during so many checkpoints is too old to be worth sending:
the log behind it is likely gone."""


class Copy(Protocol):
    """One finished copy of a checkpoint."""

    @property
    def ref(self) -> SnapshotRef: ...
    def read(self, offset: int, limit: int) -> bytes: ...
    def get(self, table: str, key: bytes) -> bytes | None: ...
    def remove(self) -> None: ...


class Copying(Protocol):
    """A copy under way."""

    def result(self) -> Copy | None:
        """None: not finished.  StorageError: it failed and left nothing behind."""
        ...

    def cancel(self) -> None:
        """Stop, wait until nothing touches the source any more, and leave nothing behind."""
        ...


class _Shared:
    """A copy and the number of its open readers."""

    __slots__ = ("copy", "readers")

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self.readers = 0


class SharedReader:
    """A `SnapshotReader` of a shared copy; closing it twice does no harm."""

    __slots__ = ("_open", "_shared")

    def __init__(self, shared: _Shared) -> None:
        shared.readers += 1
        self._shared = shared
        self._open = True

    @property
    def ref(self) -> SnapshotRef:
        return self._shared.copy.ref

    def read(self, offset: int, limit: int) -> bytes:
        if not self._open:
            raise ValueError("this snapshot reader is closed")
        return self._shared.copy.read(offset, limit)

    def get(self, table: str, key: bytes) -> bytes | None:
        if not self._open:
            raise ValueError("this snapshot reader is closed")
        return self._shared.copy.get(table, key)

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._shared.readers -= 1
        if not self._shared.readers:
            self._shared.copy.remove()


class Copies:
    """All copies of one store."""

    def __init__(self, start: Callable[[], Copying]) -> None:
        """`start` begins a copy of the checkpoint that is the newest now."""
        self._start = start
        self._under_way: Copying | None = None
        self._newest: _Shared | None = None
        self._asked_at = 0

    def reader(self, index: int, writes: int) -> SharedReader | None:
        """A reader, or None: ask again.  `index`: of the newest checkpoint; `writes`: checkpoints
        written so far.  StorageError: the copy failed; asking again starts another."""
        unasked, self._asked_at = writes - self._asked_at, writes
        if self._under_way is not None:
            if unasked > UNCLAIMED_WRITES_MAX:
                self.cancel()
            else:
                return self._claim(self._under_way)
        newest = self._newest
        if newest is not None and newest.readers and newest.copy.ref.index == index:
            return SharedReader(newest)
        self._under_way = self._start()
        return None

    def _claim(self, copying: Copying) -> SharedReader | None:
        try:
            copy = copying.result()
        except StorageError:
            self._under_way = None
            raise
        if copy is None:
            return None
        self._under_way = None
        self._newest = _Shared(copy)
        return SharedReader(self._newest)

    def cancel(self) -> None:
        """End a copy under way; readers keep theirs."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.cancel()
