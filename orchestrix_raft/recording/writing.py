"""Recorders that append to a file: one `write` a line, so that many processes may share it.

Nothing is buffered: what a process wrote is there after it was killed.  A line that cannot be written is an
OSError for whoever is recorded, because a history with a hole would let the checker conclude what is wrong.
"""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestrix_raft.history.recorder import Recorder
from orchestrix_raft.history.records import Record, to_line

VARIABLE: Final = "ORCHESTRIX_HISTORY"
"""Names the file that clients and workers record to when they are not told by their constructor."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Target = str | os.PathLike[str] | Recorder
"""What `history=` may be given."""


def recorder_of(history: Target | None, role: str, name: str = "") -> Recorder | None:
    """The recorder that `history=` asks for, or else the environment; None: nothing is recorded.

    TypeError or ValueError for what is neither a path nor a Recorder; OSError if the file cannot be opened.
    """
    if isinstance(history, Recorder):
        return history
    if history is None:
        history = os.environ.get(VARIABLE) or None
        if history is None:
            return None
    if not isinstance(history, str | os.PathLike):
        raise TypeError(f"history is of type {type(history).__name__}: it must be a path or a Recorder")
    path = os.fspath(history)
    if not isinstance(path, str):
        raise TypeError("history is a path in bytes: it must be text")
    if not path:
        raise ValueError("history is empty: name a file, or leave it out")
    return open_recorder(path, role, name)


def open_recorder(path: str | os.PathLike[str], role: str, name: str = "") -> Recorder:
    """A recorder that appends to `path`, which is made if it is not there.  Its file stays open for as long
    as the recorder lives."""
    process = os.urandom(6).hex()
    return Recorder(_appender(path), time.monotonic_ns, process, machine_clock(), role, name)


def machine_clock() -> str:
    """The name of this machine's monotonic clock: processes that share it can be compared by time.

    Linux counts CLOCK_MONOTONIC from the boot, so that is what names it; elsewhere it is host and process,
    and only times of one process are compared.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"{socket.gethostname()}:{os.getpid()}"


class _File:
    """Closed when nobody records to it any more."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


def _appender(path: str | os.PathLike[str]) -> Callable[[Record], None]:
    file = _File(path)

    def append(record: Record) -> None:
        line = to_line(record)
        written = os.write(file.number, line)
        if written != len(line):
            raise OSError(f"{file.path}: only {written} of {len(line)} bytes of a history could be written")

    return append
