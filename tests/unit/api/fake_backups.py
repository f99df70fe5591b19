"""The part of a node in memory that makes backups and compares contents."""

import hashlib
from collections.abc import AsyncIterator

from orchestrix_raft.coordinator.backup_file import Head, encode_head
from orchestrix_raft.coordinator.contents import Finding
from orchestrix_raft.domain.errors import Rejected


class FakeBackup:
    """One that is ready to be read."""

    def __init__(self, pieces: list[bytes | Rejected], head: Head) -> None:
        self.head = head
        self.head_bytes = encode_head(head)
        self.closed = False
        self._pieces = pieces

    async def body(self) -> AsyncIterator[bytes | Rejected]:
        for piece in self._pieces:
            yield piece

    def close(self) -> None:
        self.closed = True


class FakeBackups:
    """`pieces`: what the next backup yields, whatever its head says."""

    def __init__(self, node_id: str) -> None:
        self.content = b"the state " * 300_000
        self.pieces: list[bytes | Rejected] = [self.content[:1_000_000], self.content[1_000_000:]]
        self.refusal: Rejected | None = None
        self.opened: list[FakeBackup] = []
        self.found: dict[int, Finding] = {}
        self._node_id = node_id

    def head(self) -> Head:
        return Head(
            cluster_id="c1",
            node_id=self._node_id,
            version="1",
            made_ms=1_700_000_000_000,
            index=77,
            term=3,
            wall_ms=1_700_000_000_000,
            generation=0,
            digest=bytes(16),
            jobs={"pending": 2, "completed": 5},
            size=len(self.content),
            sha256=hashlib.sha256(self.content).digest(),
            configuration_index=1,
            configuration=b"",
        )

    def open(self) -> FakeBackup | Rejected:
        if self.refusal is not None:
            return self.refusal
        self.opened.append(FakeBackup(self.pieces, self.head()))
        return self.opened[-1]
