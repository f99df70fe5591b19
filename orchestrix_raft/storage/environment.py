"""Opening LMDB environments, and LMDB's errors in our words.

LMDB maps the file into memory and trusts every byte of it: a truncated or scrambled file kills the
process with a signal instead of an error.  So the structure of a file is verified before it is opened;
of a very large one only that it is not cut short, because a restart must not take minutes.
The checks cover the tree, not the values; whoever needs those to be right adds checksums.
For `storage` only; no other package knows LMDB.
"""

import errno
import os
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
from lmdb.verify import VerifyError, verify

from orchestrix_raft.storage.files import NO_ROOM, file_errors, sync_directory
from orchestrix_raft.storage.limits import MAP_BYTES, VERIFIED_BYTES_MAX
from orchestrix_raft.storage.port import Damaged, DiskFull, StorageError

DATA_FILE = "data.mdb"

_LMDB_MAJOR = 0
"""One file format everywhere (that of LMDB 0.9): snapshots travel between nodes."""

_FULL_BYTES = 1 << 16
"""Less free space than this, right after a write that was cut short, means that it filled the disk."""

_DAMAGE = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
)


def translated(error: lmdb.Error, path: Path) -> StorageError:
    """The error of ours that says what LMDB's means, with the file's name."""
    code = getattr(error, "code", 0)  # missing where the binding, not LMDB, refuses
    if isinstance(error, lmdb.MapFullError) or code in NO_ROOM or _cut_short(code, path):
        return DiskFull(f"{path / DATA_FILE}: no room for the write; free some space on this disk")
    if isinstance(error, _DAMAGE):
        return Damaged(f"{path / DATA_FILE}: the file is damaged ({error})")
    return StorageError(f"{path / DATA_FILE}: {error}")


def _cut_short(code: int, path: Path) -> bool:
    """Whether an input/output error is a full disk or a file at its limit: LMDB reports so a write that
    fitted only in part."""
    if code != errno.EIO:
        return False
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        disk = os.statvfs(path)
        size = (path / DATA_FILE).stat().st_size
    except OSError:
        return False  # a disk that cannot even be asked is not just full
    return disk.f_bavail * disk.f_frsize < _FULL_BYTES or size >= limit != resource.RLIM_INFINITY


@contextmanager
def lmdb_errors(path: Path) -> Iterator[None]:
    """Turn LMDB's errors into ours; `path` is the environment's directory."""
    try:
        yield
    except lmdb.Error as error:
        raise translated(error, path) from error


def verify_structure(path: Path) -> None:
    """Damaged unless the environment in directory `path` is a sound tree.  One that does not exist yet
    is.  Costs about 2 ms for each MiB."""
    file = path / DATA_FILE
    if not file.exists() or not file.stat().st_size:
        return
    try:
        problems = verify(str(file), subdir=False)  # type: ignore[no-untyped-call]  # it has no stubs
    except (VerifyError, struct.error, ValueError, IndexError) as error:
        # The verifier refuses what is no LMDB file at all; a file cut inside its first pages ends
        # its parsing early with one of the other three.
        raise Damaged(f"{file}: the file is damaged ({error})") from error
    if problems:
        raise Damaged(f"{file}: the file is damaged ({problems[0]}; {len(problems)} findings)")


def open_environment(
    path: Path,
    *,
    tables_max: int = 0,
    map_bytes: int = MAP_BYTES,
    synced: bool = True,
    verified_bytes_max: int = VERIFIED_BYTES_MAX,
) -> lmdb.Environment:
    """Open or create the environment in directory `path` (its parent exists).

    The structure of a file up to `verified_bytes_max` is verified.  Raises Damaged, DiskFull or
    StorageError.  An environment can be open only once in a process.
    """
    file = path / DATA_FILE
    with file_errors(file):
        size = file.stat().st_size if file.exists() else 0
        if size <= verified_bytes_max:
            verify_structure(path)
    with lmdb_errors(path):
        env = lmdb.open(
            os.fspath(path),
            map_size=map_bytes,
            max_dbs=tables_max,
            max_spare_txns=1,
            sync=synced,
            metasync=synced,
            writemap=False,
            lib_version=_LMDB_MAJOR,
        )
    try:
        if size and size < pages_bytes(env):
            raise Damaged(f"{file}: the file is damaged (cut short: {size} of {pages_bytes(env)} bytes)")
        if not size:
            with file_errors(path):
                sync_directory(path)
                sync_directory(path.parent)
    except BaseException:  # raised again; left open it could never be opened again
        env.close()
        raise
    return env


def open_copy(path: Path, *, tables_max: int) -> lmdb.Environment:
    """Open an environment that nobody writes, without leaving a lock file beside it."""
    with lmdb_errors(path):
        return lmdb.open(
            os.fspath(path),
            max_dbs=tables_max,
            readonly=True,
            lock=False,
            create=False,
            lib_version=_LMDB_MAJOR,
        )


def pages_bytes(env: lmdb.Environment) -> int:
    """Bytes of the data file that were ever used."""
    return (env.info()["last_pgno"] + 1) * env.stat()["psize"]
