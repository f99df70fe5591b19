"""File system steps whose order matters for what a power loss may leave.  For `storage` only."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from orchestrix_raft.storage.port import DiskFull, StorageError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""System errors that mean that the write did not fit (EFBIG: a limit on the size of one file)."""

TEMPORARY = ".tmp"
"""Ending of a file that was being written when the process died; worth nothing."""


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors into ours, with the file's name."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in NO_ROOM:
            raise DiskFull(f"{where}: no room on this disk; free some space") from error
        raise StorageError(f"{where}: {error.strerror or error}") from error


class Held(NamedTuple):
    """A file that is open, by the path it was opened at.  A file that is removed, or whose directory is, goes
    on taking writes and syncs until it is closed, and then all of them are gone."""

    path: Path
    device: int
    inode: int

    @classmethod
    def at(cls, path: Path, descriptor: int | None = None) -> "Held":
        """The file opened just now at `path`, known by its descriptor if there is one."""
        with file_errors(path):
            found = os.stat(path if descriptor is None else descriptor)
        return cls(path, found.st_dev, found.st_ino)

    def check(self) -> None:
        """StorageError when the path does not lead to this file any more.  Costs some 2 us."""
        with file_errors(self.path):
            try:
                found = os.stat(self.path)
            except FileNotFoundError:
                raise StorageError(self._gone("was removed")) from None
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            raise StorageError(self._gone("was replaced"))

    def _gone(self, how: str) -> str:
        return (
            f"{self.path}: {how} while the node was using it, so what it writes may be lost; "
            "if its data is gone, never start a node under this id again"
        )


def check_room(path: Path, size_bytes: int) -> None:
    """DiskFull unless the file system that holds `path` has room for so many bytes more."""
    with file_errors(path):
        found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    if free < size_bytes:
        raise DiskFull(
            f"{path}: a copy of the state needs {size_bytes} bytes of free space and the disk has {free}; "
            "free some space"
        )


def sync_directory(path: Path) -> None:
    """Make creations, renames and removals in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_temporary(path: Path, content: bytes) -> Path:
    """Write and sync what is to replace the file `path`; the first half of `replace_file`.
    OSError: nothing is left behind."""
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def put_in_place(temporary: Path, path: Path) -> None:
    """The second half of `replace_file`.  OSError: whether the new content will survive a crash is not
    known."""
    os.replace(temporary, path)
    sync_directory(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file in one durable step: afterwards it holds `content`; after a crash or an OSError it
    holds the old or the new content, never a mixture."""
    put_in_place(write_temporary(path, content), path)


def remove_tree(path: Path) -> None:
    """Remove a directory with all in it; nothing to do if it is gone already."""
    if path.exists():
        shutil.rmtree(path)
