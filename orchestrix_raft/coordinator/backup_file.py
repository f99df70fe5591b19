"""The file that a backup is: what stands at its head, and whether it is whole.

    "orchestrix-raft backup\\n"    what the file is
    4 bytes                       version of the format
    4 bytes                       length of the head
    32 bytes                      SHA-256 of the head
    head                          `Head` as MessagePack, by field names
    body                          the checkpoint, as snapshots carry it; length and SHA-256 stand in the head

Numbers are big-endian.  A later version of the format is refused; fields that are added to the head are not
a new version, and are ignored by older programs.  docs/decisions has the reasons."""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.storage.port import Damaged, SnapshotRef, StorageError
from orchestrix_raft.undecodable import UNDECODABLE, words_of

MAGIC: Final = b"orchestrix-raft backup\n"
FORMAT: Final = 1
HEAD_BYTES_MAX: Final = 1 << 20
CHUNK_BYTES: Final = 1 << 20

_FIXED: Final = struct.Struct(">II32s")
_PREFIX_BYTES: Final = len(MAGIC) + _FIXED.size


_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Time = Annotated[int, msgspec.Meta(ge=0, lt=limits.WALL_MS_MAX)]


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds, for people and for a restore."""

    cluster_id: str
    node_id: str  # that made it
    version: str  # of the program that did
    made_ms: _Time  # when, by the replicated clock
    index: _Number  # of the last entry inside
    term: _Number  # of that entry
    wall_ms: _Time  # the replicated clock then
    generation: _Number
    digest: bytes  # of the state then
    jobs: dict[str, int]  # by state
    size: _Number  # of the body
    sha256: bytes  # of the body
    configuration_index: _Number
    configuration: bytes

    @property
    def ref(self) -> SnapshotRef:
        """The body as a snapshot."""
        return SnapshotRef(
            self.index, self.term, self.size, self.sha256, self.configuration_index, self.configuration
        )


def encode_head(head: Head) -> bytes:
    """Everything before the body."""
    data = msgspec.msgpack.encode(head)
    return MAGIC + _FIXED.pack(FORMAT, len(data), hashlib.sha256(data).digest()) + data


def read_head(data: bytes, name: object) -> tuple[Head, int]:
    """The head at the beginning of a file, and where the body begins.  `name`: of the file, for the message.
    Damaged, or StorageError for what this version cannot read."""
    if not data.startswith(MAGIC):
        raise Damaged(f"{name}: not a backup of orchestrix-raft")
    if len(data) < _PREFIX_BYTES:
        raise Damaged(f"{name}: cut short in its head")
    form, length, digest = _FIXED.unpack_from(data, len(MAGIC))
    if form > FORMAT:
        raise StorageError(
            f"{name}: format {form} was written by a newer version; this one reads up to {FORMAT}"
        )
    if form < FORMAT:
        raise Damaged(f"{name}: its head is damaged (there is no format {form})")
    record = data[_PREFIX_BYTES : _PREFIX_BYTES + length]
    if length > HEAD_BYTES_MAX or hashlib.sha256(record).digest() != digest:
        raise Damaged(f"{name}: its head is damaged (SHA-256 differs)")
    try:
        return msgspec.msgpack.decode(record, type=Head), _PREFIX_BYTES + length
    except UNDECODABLE as error:
        raise Damaged(f"{name}: its head cannot be read ({words_of(error)})") from error


class BackupFile:
    """An existing file, found whole: opening it reads all of it.  Close it."""

    def __init__(self, path: Path) -> None:
        """Damaged: what is wrong with it.  StorageError: it cannot be read."""
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}") from error
        try:
            self.head, self._body = read_head(self._file.read(_PREFIX_BYTES + HEAD_BYTES_MAX), path)
            self._verify()
        except OSError as error:
            self._file.close()
            raise StorageError(f"{path}: {error.strerror or error}") from error
        except BaseException:  # raised again
            self._file.close()
            raise

    def _verify(self) -> None:
        head = self.head
        size = os.fstat(self._file.fileno()).st_size
        if size != self._body + head.size:
            raise Damaged(f"{self.path}: has {size} bytes, should have {self._body + head.size}")
        digest = hashlib.sha256()
        for _, data in self.chunks():
            digest.update(data)
        if digest.digest() != head.sha256:
            raise Damaged(f"{self.path}: damaged (SHA-256 of its content differs)")

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of the body, in order."""
        self._file.seek(self._body)
        offset = 0
        while data := self._file.read(CHUNK_BYTES):
            yield offset, data
            offset += len(data)

    def close(self) -> None:
        self._file.close()
