"""Backups while the cluster works: a fresh checkpoint, a copy of it beside the store, read in pieces.

What is in a backup: everything that was acknowledged before it was asked for, as of one entry of the log.
The node goes on meanwhile; it needs room on its disk for one more copy of the state."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from orchestrix_raft.coordinator.backup_file import CHUNK_BYTES, Head, encode_head
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.port import Freshness
from orchestrix_raft.coordinator.renewal import jobs_of
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.codec import decode_core
from orchestrix_raft.machine.history import CORE_KEY, SINGLES
from orchestrix_raft.storage.port import SnapshotReader, StorageError
from orchestrix_raft.version import VERSION

log = logging.getLogger(__name__)

COPIES_TRIED: Final = 3  # one made for a follower just before may be older than what was asked for

_RUNNING: Final = Rejected(
    Code.RESOURCE_EXHAUSTED,
    "BACKUP_RUNNING",
    "this node makes a backup already: wait until it is done, or ask another node",
)

Fresh = Callable[[int, bool], Awaitable[Freshness | Rejected]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


def _failed(error: StorageError) -> Rejected:
    return Rejected(
        Code.FAILED_PRECONDITION, "BACKUP_FAILED", f"the backup could not be made on this node: {error}"
    )


class Backup:
    """One that is ready to be read; `close` it, or its copy stays on the disk."""

    def __init__(self, reader: SnapshotReader, head: Head, closed: Callable[[], None]) -> None:
        self.head = head
        self.head_bytes = encode_head(head)
        self._reader = reader
        self._closed = closed

    async def body(self) -> AsyncIterator[bytes | Rejected]:
        """What follows the head, in pieces, read beside the loop; a rejection is the last one."""
        offset = 0
        while offset < self.head.size:
            try:
                data = await asyncio.to_thread(self._reader.read, offset, CHUNK_BYTES)
                if not data:
                    raise StorageError(f"the copy of the state ends after {offset} of {self.head.size} bytes")
            except StorageError as error:
                yield _failed(error)
                return
            yield data
            offset += len(data)

    def close(self) -> None:
        """Remove the copy."""
        self._closed()
        try:
            self._reader.close()
        except StorageError as error:  # the store's next opening removes it
            log.warning("the copy behind a backup was not removed: %s", error)


class Backups:
    """Those of one node, one at a time."""

    def __init__(self, core: Core, cluster_id: str, fresh: Fresh, until: Until) -> None:
        """`until` waits for a condition that is looked at after every step of the core."""
        self._core = core
        self._store = core.replica.store
        self._cluster_id = cluster_id
        self._fresh = fresh
        self._until = until
        self._busy = False

    async def open(self) -> Backup | Rejected:
        """A backup that holds everything acknowledged by now."""
        if self._busy:
            return _RUNNING
        self._busy = True
        try:
            backup = await self._make()
        except StorageError as error:
            backup = _failed(error)
        except BaseException:  # raised again: the caller has gone away
            self._busy = False
            raise
        self._busy = isinstance(backup, Backup)
        return backup

    async def _make(self) -> Backup | Rejected:
        core, store = self._core, self._store
        fresh = await self._fresh(0, True)
        if isinstance(fresh, Rejected):
            return fresh
        core.replica.checkpoints.ask()
        await self._until(lambda: (at := store.position()) is not None and at.index >= fresh.applied_index)
        for _ in range(COPIES_TRIED):
            reader = await self._copy()
            try:
                if reader.ref.index >= fresh.applied_index:
                    return Backup(reader, self._head(reader), self._end)
            except StorageError:
                reader.close()
                raise
            reader.close()
        return _RUNNING

    def _end(self) -> None:
        self._busy = False

    async def _copy(self) -> SnapshotReader:
        """Of the newest checkpoint.  The store says when it is made only if it is asked again."""
        found: list[SnapshotReader | StorageError] = []

        def made() -> bool:
            if not found:
                try:
                    reader = self._store.snapshot()
                except StorageError as error:
                    found.append(error)
                else:
                    found.extend([reader] if reader is not None else [])
            return bool(found)

        try:
            await self._until(made)
        except asyncio.CancelledError:
            if found and not isinstance(found[0], StorageError):
                found[0].close()
            raise
        if isinstance(found[0], StorageError):
            raise found[0]
        return found[0]

    def _head(self, reader: SnapshotReader) -> Head:
        record = reader.get(SINGLES, CORE_KEY)
        if record is None:
            raise StorageError("the checkpoint holds no counters")
        state, ref = decode_core(record), reader.ref
        return Head(
            cluster_id=self._cluster_id,
            node_id=self._core.identity.node_id,
            version=VERSION,
            made_ms=self._core.wall_ms,
            index=ref.index,
            term=ref.term,
            wall_ms=state.wall_ms,
            generation=state.generation,
            digest=state.digest,
            jobs=jobs_of(state.counts),
            size=ref.size,
            sha256=ref.digest,
            configuration_index=ref.configuration_index,
            configuration=ref.configuration,
        )
