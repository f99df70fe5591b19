"""A node whose disk the system makes read-only while it runs, as file systems do after an error.

No rights and no disk are needed for that: at SIGUSR1 the process takes the right to change files away from
itself (seccomp, all threads at once), and from then on the system answers every write to a file, open ones
too, and every change of a directory as it does on a read-only file system: EROFS.  Sockets and output that
goes to an open file by `write` are as before.

    python -m tests.cluster.read_only node --node-id n1 ...
"""

import ctypes
import errno
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final

from orchestrix_raft.testing import LocalCluster

_NO_NEW_PRIVILEGES: Final = 38  # prctl
_FILTER: Final = 1  # seccomp: SECCOMP_SET_MODE_FILTER
_ALL_THREADS: Final = 1  # SECCOMP_FILTER_FLAG_TSYNC
_ALLOW: Final = 0x7FFF_0000
_ANSWER: Final = 0x0005_0000 | errno.EROFS
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT: Final = 0
_THIRD_ARGUMENT_AT: Final = 32
_CHANGING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_CHANGES: Final = {
    "x86_64": {
        "seccomp": 317,
        "openat": 257,
        "pwrite64": 18,
        "pwritev": 296,
        "pwritev2": 328,
        "msync": 26,
        "fsync": 74,
        "fdatasync": 75,
        "ftruncate": 77,
        "rename": 82,
        "renameat": 264,
        "renameat2": 316,
        "mkdir": 83,
        "mkdirat": 258,
        "unlink": 87,
        "unlinkat": 263,
    },
    "aarch64": {
        "seccomp": 277,
        "openat": 56,
        "pwrite64": 68,
        "pwritev": 70,
        "pwritev2": 287,
        "msync": 227,
        "fsync": 82,
        "fdatasync": 83,
        "ftruncate": 46,
        "renameat": 38,
        "renameat2": 276,
        "mkdirat": 34,
        "unlinkat": 35,
    },
}
"""Numbers of the system calls, by machine; `seccomp` itself is made, the others are refused."""


class ReadOnlyOnSignal(LocalCluster):
    """Nodes whose disk becomes read-only at SIGUSR1; one that is started again finds it writable."""

    def node_command(self, number: int) -> list[str]:
        _, _, _, *arguments = super().node_command(number)
        return [sys.executable, "-m", "tests.cluster.read_only", *arguments]


def why_impossible() -> str:
    """Why this machine cannot do it, in one line; empty if it can."""
    if not sys.platform.startswith("linux") or platform.machine() not in _CHANGES:
        return f"no list of system calls for {sys.platform} on {platform.machine()}"
    code = "from tests.cluster.read_only import make_read_only; make_read_only()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def make_read_only() -> None:
    """From now on, for the whole process.  OSError if the system does not let it."""
    calls = dict(_CHANGES[platform.machine()])
    seccomp = calls.pop("seccomp")
    code = b"".join(_program(calls))
    libc = ctypes.CDLL(None, use_errno=True)
    held = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(held)))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(seccomp, _FILTER, _ALL_THREADS, program):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _program(calls: dict[str, int]) -> Iterator[bytes]:
    """Instructions of 8 bytes: operation, jump if true, jump if false, operand."""
    refused = [number for name, number in calls.items() if name != "openat"]

    def line(operation: int, operand: int, true: int = 0, false: int = 0) -> bytes:
        return struct.pack("@HBBI", operation, true, false, operand)

    yield line(_LOAD, _NUMBER_AT)
    yield line(_EQUAL, calls["openat"], 0, 2)
    yield line(_LOAD, _THIRD_ARGUMENT_AT)
    yield line(_ANY_BIT, _CHANGING, len(refused) + 1, len(refused))
    for place, number in enumerate(refused):
        yield line(_EQUAL, number, len(refused) - place, 0)
    yield line(_RETURN, _ALLOW)
    yield line(_RETURN, _ANSWER)


def _on_signal(signum: int, frame: FrameType | None) -> None:
    make_read_only()


if __name__ == "__main__":
    from orchestrix_raft.cli.app import main

    signal.signal(signal.SIGUSR1, _on_signal)
    main()
