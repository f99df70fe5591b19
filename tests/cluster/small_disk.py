"""A file system of a few megabytes in memory, for one node: mounted in a namespace of its own, so that it
needs no rights, and is gone with the process that holds it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrix_raft.testing import LocalCluster

_ENTER = ("unshare", "--user", "--map-root-user", "--mount")


def why_impossible() -> str:
    """Why this machine cannot do it, in one line; empty if it can."""
    try:
        done = subprocess.run([*_ENTER, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return f"{error.filename} is not installed"
    return done.stderr.strip()


class SmallDisk:
    """Mounted at `path`, which exists, for the programs that `inside` starts."""

    def __init__(self, path: Path, size: str) -> None:
        self.path = path
        script = 'mount -t tmpfs -o "size=$2" none "$1" && echo ready && exec cat'
        self._holder = subprocess.Popen(
            [*_ENTER, "sh", "-c", script, "sh", str(path), size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.communicate()

    def inside(self, command: Sequence[str]) -> list[str]:
        """`command` where the disk is."""
        enter = ("nsenter", "--target", str(self._holder.pid), "--user", "--mount", "--preserve-credentials")
        here = ("sh", "-c", 'cd "$0" && exec "$@"', str(Path.cwd()))  # entering leads elsewhere
        return [*enter, *here, *command]

    def remount(self, options: str) -> None:
        """With another size, or read-only."""
        command = ["mount", "-o", f"remount,{options}", str(self.path)]
        subprocess.run(self.inside(command), check=True, capture_output=True)

    def fill(self, room_bytes: int) -> None:
        """Make it so small that no more than this is free."""
        command = self.inside(["stat", "--file-system", "--format", "%b %f %S", str(self.path)])
        blocks, free, size = map(int, subprocess.run(command, check=True, capture_output=True).stdout.split())
        self.remount(f"size={(blocks - free) * size + room_bytes}")

    def copy_to(self, path: Path) -> None:
        """All that is on it, to a directory that outlives it; to be called when nothing is being written."""
        subprocess.run(self.inside(["cp", "-r", str(self.path), str(path)]), check=True, capture_output=True)


class OnSmallDisk(LocalCluster):
    """Three nodes, the last of them on the disk."""

    def __init__(self, data_dir: Path, disk: SmallDisk) -> None:
        super().__init__(nodes=3, data_dir=data_dir)
        self._disk = disk

    def node_command(self, number: int) -> list[str]:
        command = super().node_command(number)
        return self._disk.inside(command) if self.node_dir(number) == self._disk.path else command
