"""What a node or worker of a chaos run is started with: the program's own entry point, and two things before.

The process ends with the one that started it, however that one ends.  And a node reads its wall clock
through an offset that stands in a file, so that its clock can be stepped and the machine's stays as it is:

    python -m tests.chaos.child CLOCK node --data-dir ...

CLOCK: the file, eight bytes, little-endian, milliseconds; `-` for none.
"""

import ctypes
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest import mock

from orchestrix_raft.cli.app import main
from orchestrix_raft.coordinator import assembly
from orchestrix_raft.coordinator.settings import Clocks

PR_SET_PDEATHSIG: Final = 1
OFFSET: Final = struct.Struct("<q")
NO_CLOCK: Final = "-"


def die_with_parent() -> None:
    """SIGKILL as soon as the process that started this one is gone."""
    parent = os.getppid()
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError("the process cannot be tied to the one that started it")
    if os.getppid() != parent:
        raise SystemExit(f"{sys.argv[0]}: the process that started this one is gone")


def set_clock(path: Path, offset_ms: int) -> None:
    """How far the wall clock of the node with this file is ahead of the machine's, from now on."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(OFFSET.pack(offset_ms))


def shifted(path: Path) -> Callable[[], int]:
    """A wall clock in milliseconds, as far ahead as the file says at each reading."""
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), OFFSET.size, access=mmap.ACCESS_READ)
    return lambda: int(time.time_ns() // 1_000_000 + OFFSET.unpack(memory[: OFFSET.size])[0])


def run(clock: str, arguments: list[str]) -> None:
    """Run one command of the program."""
    die_with_parent()
    if clock == NO_CLOCK:
        main(arguments)
    wall_ms = shifted(Path(clock))

    def clocks(monotonic: Callable[[], float], _: Any) -> Clocks:
        return Clocks(monotonic, wall_ms)

    with mock.patch.object(assembly, "Clocks", clocks):
        main(arguments)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
