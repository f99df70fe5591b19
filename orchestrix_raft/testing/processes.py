"""One child process: started with its output in a file, ended for certain, and nothing else touched.

A child leads a process group of its own.  So Ctrl-C in the terminal does not reach it before its owner
has decided what to do, and ending it by force ends its own children too.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

STOP_S: Final = 65.0  # a node hands over for at most 60 s


class Process:
    """A running child.  name: for messages.  log: what it says on stdout and stderr is appended there."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**_neutral_environment(), **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._child.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def text(self) -> str:
        """What this process (not earlier ones with the same log) has said."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def tail(self, lines: int = 15) -> str:
        """Its last lines, each after its name."""
        last = self.text().splitlines()[-lines:]
        state = "running" if self.running else f"exit code {self.exit_code}"
        return "\n".join([f"--- {self.name} ({state}), {self.log}", *last])

    def send(self, signum: int) -> None:
        """One signal to the process itself; nothing if it is over."""
        if self.running:
            self._child.send_signal(signum)

    def suspend(self) -> None:
        """SIGSTOP: it stands still and does not know."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to it and its children, and wait until it is gone."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def stop(self, timeout_s: float = STOP_S) -> int:
        """SIGTERM, wait for the end, SIGKILL if it does not come; the exit code."""
        self.resume()
        self.send(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int:
        """The exit code; a process that takes longer is killed (then it is -9)."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
        self.kill()
        code = self._child.returncode
        assert code is not None
        return code


def _neutral_environment() -> dict[str, str]:
    """Ours without ORCHESTRIX_*: what somebody has set for real nodes must not reach those under test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRIX_")}


def stop_all(processes: Sequence[Process], timeout_s: float = STOP_S) -> None:
    """SIGTERM to all at once, then wait for each; none is left, also when this is interrupted."""
    until = time.monotonic() + timeout_s
    try:
        for process in processes:
            process.resume()
            process.send(signal.SIGTERM)
        for process in processes:
            process.wait(max(0.0, until - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
