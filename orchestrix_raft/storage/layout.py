"""The data directory of a node: one lock, one format, one identity, three stores.

    LOCK        held while a process uses the directory; holds its process id
    FORMAT      what this directory is, and the version of its layout
    identity    JSON with a CRC-32: node, disk, cluster, founding members, addresses
    raft/       journal        state/   replicated state        local/   job logs

A directory that is not recognised is refused with one line, never guessed at: a journal opened by mistake
under another identity would break promises that other nodes rely on.
"""

import fcntl
import os
import re
import secrets
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import msgspec

from orchestrix_raft.storage.disk import Disk, Identity
from orchestrix_raft.storage.files import TEMPORARY, Held, file_errors, replace_file
from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.local import LmdbLocalStore
from orchestrix_raft.storage.port import Damaged, StorageError
from orchestrix_raft.storage.state import LmdbStateStore
from orchestrix_raft.undecodable import UNDECODABLE, words_of

SCHEMA = 1
"""Version of the layout; raised when an older program would misread the directory."""

LOCK = "LOCK"
FORMAT = "FORMAT"
IDENTITY = "identity"
RECOVERED = "recovered"
"""Directory in which `offline` makes what is to take the place of journal, state and identity."""

HALF_MADE = "half-made"
"""File that is there while `offline` fills a new directory."""

_FORMAT_LINE = re.compile(rb"orchestrix-raft data directory, schema (\d{1,9})\n")
HARMLESS = frozenset({LOCK, "lost+found", FORMAT + TEMPORARY})
"""What an empty directory may contain: our lock, what a file system puts there, an attempt cut short."""


class _Store(Protocol):
    def check_in_place(self) -> None: ...
    def close(self) -> None: ...


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The identity as stored."""

    crc32: int  # of the bytes of `identity`
    identity: msgspec.Raw


class DataDirectory(Disk):
    """A locked data directory; use `open`."""

    def __init__(self, path: Path, lock: int, identity: Identity) -> None:
        self._path = path
        self._lock = lock
        self._held = Held.at(path / LOCK, lock)
        self._identity = identity
        self._stores: list[_Store] = []
        self._formatted = False  # by the `open` that made this
        self._made = False  # the directory too

    @classmethod
    def open(cls, path: Path) -> "DataDirectory":
        """Lock the directory, creating and formatting it when it is missing or empty.

        StorageError, one line for a person: not a directory, not writable, in use by another process,
        written by a newer version, something else's directory.  Damaged: the identity cannot be read.
        """
        with file_errors(path):
            if path.exists() and not path.is_dir():
                raise StorageError(f"{path}: not a directory")
            made = not path.exists()
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK):
                raise StorageError(f"{path}: not writable by this user")
            _refuse_strange(path)
            lock = take_lock(path)
        try:
            with file_errors(path):
                formatted = not (path / FORMAT).exists()
                opened = cls(path, lock, _recognise(path))
                opened._formatted, opened._made = formatted, made
                return opened
        except BaseException:  # raised again; the lock must not outlive the attempt
            os.close(lock)
            raise

    @property
    def path(self) -> Path:
        return self._path

    def open_journal(self) -> LmdbJournal:
        journal = LmdbJournal(self._path / "raft")
        self._stores.append(journal)
        return journal

    def open_state_store(self) -> LmdbStateStore:
        store = LmdbStateStore(self._path / "state")
        self._stores.append(store)
        return store

    def open_local_store(self) -> LmdbLocalStore:
        store = LmdbLocalStore(self._path / "local")
        self._stores.append(store)
        return store

    def check_in_place(self) -> None:
        """StorageError when the directory, its lock or a file of a store was removed or replaced since it was
        opened: what is acknowledged from then on would be lost.  A few microseconds."""
        self._held.check()
        for store in self._stores:
            store.check_in_place()

    def close(self) -> None:
        with ExitStack() as steps:  # each of them, whatever the others say
            if self._lock >= 0:
                steps.callback(os.close, self._lock)
                self._lock = -1
            while self._stores:
                steps.callback(self._stores.pop(0).close)

    def unmake(self) -> None:
        """Close it, and leave of it what was there before `open`.  It is for a first start that fails before
        anybody has heard of this disk: kept, the directory would be tied to a node that never was.  Of a
        directory that was one before, or has a store or a cluster, everything stays."""
        identity = self._identity
        anybody = identity.cluster_id or identity.bootstrap or self._stores
        try:
            if self._formatted and not anybody:
                with file_errors(self._path):
                    self._remove()
        finally:
            self.close()

    def _remove(self) -> None:
        """In an order that makes of it, if it is cut short, a directory that can be opened."""
        self.check_in_place()
        for name in (IDENTITY, FORMAT, LOCK):
            (self._path / name).unlink()
        if self._made:
            self._path.rmdir()

    def _save_identity(self, identity: Identity) -> None:
        with file_errors(self._path):
            write_identity(self._path, identity)


def read_identity(path: Path) -> Identity | None:
    """Of the data directory at `path`, which another process may be using; None if there is none or it cannot
    be read: whoever opens it learns why."""
    try:
        return read_stored_identity(path)
    except (OSError, Damaged):
        return None


def _refuse_strange(path: Path) -> None:
    """StorageError for a directory that holds somebody else's files; asked before the first of ours."""
    if (path / FORMAT).exists():
        return
    if (path / RECOVERED / FORMAT).exists():
        raise StorageError(
            f"{path}: the recovery of this directory was cut short; run `cluster recover` again"
        )
    if (path / HALF_MADE).exists():
        raise StorageError(f"{path}: a restore into it was cut short; run `cluster restore` again")
    strange = sorted(entry.name for entry in path.iterdir() if entry.name not in HARMLESS)
    if strange:
        raise StorageError(f"{path}: neither empty nor a data directory (it holds {strange[0]!r})")


def take_lock(path: Path) -> int:
    """The descriptor that holds the lock of a data directory; the system releases it with the process,
    however that ends."""
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        by = f" (process {holder})" if holder.isdigit() else ""
        raise StorageError(
            f"{path}: in use by a running node{by}: stop it first, or name another directory"
        ) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _recognise(path: Path) -> Identity:
    """The identity of a directory of ours; of a new one, after formatting it."""
    if not (path / FORMAT).exists():
        write_format(path)
    check_format(path)
    if (path / IDENTITY).exists():
        return read_stored_identity(path)
    if any((path / store).exists() for store in ("raft", "state")):
        raise Damaged(f"{path / IDENTITY}: missing, although the directory holds data")
    identity = Identity(disk_id=secrets.token_hex(8))
    write_identity(path, identity)
    return identity


def write_format(path: Path) -> None:
    """From now on the directory is a data directory of this schema."""
    replace_file(path / FORMAT, b"orchestrix-raft data directory, schema %d\n" % SCHEMA)


def check_format(path: Path) -> None:
    """Damaged, or StorageError for a newer schema, unless this version can use the directory."""
    marker = path / FORMAT
    match = _FORMAT_LINE.fullmatch(marker.read_bytes()[:100])
    if match is None:
        raise Damaged(f"{marker}: cannot be read; the directory was not written by this program")
    schema = int(match[1])
    if schema > SCHEMA:
        raise StorageError(
            f"{path}: schema {schema} was written by a newer version; this one reads up to {SCHEMA}: "
            "install that version or a newer one"
        )


def read_stored_identity(path: Path) -> Identity:
    """Of a data directory.  Damaged: it cannot be read."""
    file = path / IDENTITY
    try:
        sealed = msgspec.json.decode(file.read_bytes(), type=_Sealed)
        if zlib.crc32(sealed.identity) != sealed.crc32:
            raise Damaged(f"{file}: damaged (checksum); restore the file or remove the node from its cluster")
        return msgspec.json.decode(sealed.identity, type=Identity)
    except UNDECODABLE as error:
        raise Damaged(
            f"{file}: damaged ({words_of(error)}); restore the file or remove the node from its cluster"
        ) from None


def write_identity(path: Path, identity: Identity) -> None:
    """In one durable step."""
    record = msgspec.json.encode(identity)
    sealed = _Sealed(zlib.crc32(record), msgspec.Raw(record))
    replace_file(path / IDENTITY, msgspec.json.encode(sealed) + b"\n")
