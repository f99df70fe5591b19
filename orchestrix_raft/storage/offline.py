"""Data directories while no node uses them: made from a backup, or made anew after the loss of a majority.

A directory is a node's as soon as its FORMAT is in place, and nobody's without it.  So FORMAT is put there
last, and taken away first: a node that meets a directory half-way refuses it.  What was replaced is kept
beside.  What a `make_directory` that was killed has left is known by its HALF_MADE, and made anew.  All of it
is its owner's: see `owners`."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

from orchestrix_raft.storage.disk import Identity
from orchestrix_raft.storage.files import TEMPORARY, file_errors, remove_tree, sync_directory
from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.layout import (
    FORMAT,
    HALF_MADE,
    HARMLESS,
    IDENTITY,
    LOCK,
    RECOVERED,
    check_format,
    read_stored_identity,
    take_lock,
    write_format,
    write_identity,
)
from orchestrix_raft.storage.owners import hand_over, owner_of
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.storage.state import LmdbStateStore

JOURNAL: Final = "raft"
STATE: Final = "state"
ASIDE: Final = "before-recovery"
"""First part of the name of the directory that keeps what a recovery replaced."""

_FORMER: Final = "former"
_REPLACED: Final = (IDENTITY, JOURNAL, STATE)
_FILES: Final = (FORMAT, FORMAT + TEMPORARY, IDENTITY, IDENTITY + TEMPORARY)
_HALF: Final = HARMLESS | {*_FILES, HALF_MADE, JOURNAL, STATE}


class Fill(Protocol):
    """Makes journal and state in a directory and says whose they are."""

    def __call__(self, journal: LmdbJournal, state: LmdbStateStore) -> Identity: ...


def make_directory(path: Path, fill: Fill) -> None:
    """A new data directory at `path`, which must be missing, empty or `half_made`.  StorageError: nothing of
    it stays."""
    made = not path.exists()
    with file_errors(path):
        owner = owner_of(path)
    with _held(path):
        try:
            with file_errors(path):
                _unmake(path)
                (path / HALF_MADE).touch()
                sync_directory(path)
                _build(path, fill)
                hand_over(path, owner)
                write_format(path)
                hand_over(path, owner)
                (path / HALF_MADE).unlink()
        except BaseException:  # raised again; half a directory is none
            with file_errors(path):
                _unmake(path)
                (path / HALF_MADE).unlink(missing_ok=True)
                (path / LOCK).unlink(missing_ok=True)
                if made:
                    path.rmdir()
            raise


def half_made(path: Path) -> bool:
    """Whether an earlier `make_directory` was killed there."""
    with file_errors(path):
        return (path / HALF_MADE).exists() and not (path / FORMAT).exists()


def _unmake(path: Path) -> None:
    for name in (STATE, JOURNAL):
        remove_tree(path / name)
    for name in _FILES:
        (path / name).unlink(missing_ok=True)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Nobody else uses the directory, and it is empty."""
    with file_errors(path):
        if path.exists() and not path.is_dir():
            raise StorageError(f"{path}: not a directory")
        path.mkdir(parents=True, exist_ok=True)
        expected = _HALF if half_made(path) else HARMLESS
        found = sorted(entry.name for entry in path.iterdir() if entry.name not in expected)
        if found:
            raise StorageError(f"{path}: not empty (it holds {found[0]!r}); name one that is, or a new one")
        lock = take_lock(path)
    try:
        yield
    finally:
        os.close(lock)


def _build(root: Path, fill: Fill) -> None:
    with closing(LmdbStateStore(root / STATE)) as state, closing(LmdbJournal(root / JOURNAL)) as journal:
        identity = fill(journal, state)
    write_identity(root, identity)
    sync_directory(root)


class Survivor:
    """The data directory of a node that does not run, held until it is closed.

    StorageError: there is none, it is damaged, or a process uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new = path / RECOVERED
        with file_errors(path):
            if not (path / FORMAT).exists() and not self.interrupted:
                raise StorageError(f"{path}: not a data directory")
            self._lock = take_lock(path)

    @property
    def interrupted(self) -> bool:
        """An earlier recovery was cut short while it put its result in place: `put_in_place` completes it,
        and nothing else may be done."""
        return (self._new / FORMAT).exists()

    def identity(self) -> Identity:
        """Whose it is."""
        with file_errors(self.path):
            check_format(self.path)
            return read_stored_identity(self.path)

    @contextmanager
    def journal(self) -> Iterator[LmdbJournal]:
        """The log as it was left; not to be changed."""
        if not (self.path / JOURNAL).exists():
            raise StorageError(
                f"{self.path / JOURNAL}: missing, so the votes and the log of this node are lost"
            )
        with closing(LmdbJournal(self.path / JOURNAL)) as journal:
            yield journal

    @contextmanager
    def state(self) -> Iterator[LmdbStateStore]:
        """The checkpoint as it was left; not to be changed."""
        if not (self.path / STATE).exists():
            raise StorageError(f"{self.path / STATE}: missing, so the state of this node is lost")
        with closing(LmdbStateStore(self.path / STATE)) as state:
            yield state

    def replace(self, fill: Fill) -> Path:
        """Journal, state and identity anew: `fill` gets a journal that is empty and a copy of the state.
        Where the former ones are kept.  StorageError: nothing was changed, or `interrupted` is true."""
        with file_errors(self.path):
            remove_tree(self._new)
            try:
                self._new.mkdir()
                with self.state() as former:
                    former.copy_to(self._new / STATE)
                _build(self._new, fill)
                (self._new / _FORMER).mkdir()
                hand_over(self._new, owner_of(self.path))
                sync_directory(self._new)
                sync_directory(self.path)
            except BaseException:  # raised again; the directory is as it was
                remove_tree(self._new)
                raise
            os.replace(self.path / FORMAT, self._new / FORMAT)
        return self.put_in_place()

    def put_in_place(self) -> Path:
        """The second half of `replace`; does what is still to be done."""
        new, former = self._new, self._new / _FORMER
        with file_errors(self.path):
            for name in _REPLACED:
                if (new / name).exists():
                    if (self.path / name).exists():
                        os.replace(self.path / name, former / name)
                    os.replace(new / name, self.path / name)
            for directory in (former, new, self.path):
                if directory.exists():
                    sync_directory(directory)
            if former.exists():
                os.replace(former, self._aside(1 + self._recoveries()))
                sync_directory(self.path)
            os.replace(new / FORMAT, self.path / FORMAT)
            sync_directory(self.path)
            remove_tree(new)
        return self._aside(self._recoveries())

    def _aside(self, number: int) -> Path:
        return self.path / f"{ASIDE}-{number}"

    def _recoveries(self) -> int:
        """Those before, by what they have kept."""
        number = 0
        while self._aside(number + 1).exists():
            number += 1
        return number

    def close(self) -> None:
        """Let the next process have it, which may be its owner's: reading alone makes files too."""
        try:
            with file_errors(self.path):
                hand_over(self.path, owner_of(self.path))
        finally:
            os.close(self._lock)
