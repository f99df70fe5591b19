"""Reads the files of a history: one, several, or all of a directory."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrix_raft.history.records import BadLine, Line, read_line


class Unreadable(Exception):
    """A file is not there, or a line of it is none of a history: one line that names file and line."""


def read_history(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Line]:
    """The lines of all files, file by file; of a directory those of every file in it, by name.

    A last line without its newline was being written when its process ended: it is left out.  Raises
    Unreadable.
    """
    for given in paths:
        for path in _files(Path(given)):
            yield from _lines(path)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        found = sorted(one for one in path.iterdir() if one.is_file())
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    if not found:
        raise Unreadable(f"{path}: there is no file in it")
    return found


def _lines(path: Path) -> Iterator[Line]:
    try:
        with path.open("rb") as file:
            for number, data in enumerate(file, 1):
                if not data.endswith(b"\n"):
                    return
                where = f"{path.name}:{number}"
                try:
                    yield Line(where, read_line(data))
                except BadLine as error:
                    raise Unreadable(f"{path}:{number}: {error}") from error
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
