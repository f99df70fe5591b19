"""Runs the checks that a mutant names, on a copy of the sources that has its fault.

A copy is made of hard links, so it costs nothing; the faulty module is a file of its own in it, and the
sources stay as they are.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.mutants.catalogue import ROOT, SIMULATE, Mutant

FOLDERS: Final = ("orchestrix_raft", "tests", "proto", "docs", "examples", "deploy")
FILES: Final = ("pyproject.toml", "README.md")
AT_MOST_S: Final = 600.0
"""A check that takes longer has noticed that something hangs."""

FAILED: Final = 1
"""Exit code of pytest when tests failed, and of the simulator when a promise was broken."""


class Verdict(NamedTuple):
    """What became of a mutant."""

    word: str
    """killed, survived, or broken: the check could not be run, or fails without the fault too."""
    by: str
    """The check that killed it, or what is broken."""
    took_s: float


class Workspace:
    """A copy of the sources, for one mutant after the other."""

    def __init__(self, path: Path) -> None:
        """`path` must not exist; on the file system of the sources."""
        self.path = path
        self._written = 0
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, path / folder, copy_function=os.link, ignore=_leave_out)
        for file in FILES:
            os.link(ROOT / file, path / file)

    def verdict(self, mutant: Mutant) -> Verdict:
        """Run its checks until one fails."""
        begin = time.monotonic()
        module = self.path / mutant.module
        sound = module.read_text(encoding="utf-8")
        faulty = mutant.applied(sound)
        try:
            self._rewrite(module, faulty)
            word, by = self._killed(mutant)
        finally:
            self._rewrite(module, sound)
        return Verdict(word, by, time.monotonic() - begin)

    def sound(self, check: str) -> bool:
        """The check passes without a fault."""
        return self._run(check) == 0

    def _rewrite(self, path: Path, text: str) -> None:
        """As a new file, since the one that is there may be a link to the sources.  Each has a time of its
        own: that is how Python tells that compiled code is of another text."""
        path.unlink()
        path.write_text(text, encoding="utf-8")
        self._written += 1
        os.utime(path, (self._written, self._written))

    def _killed(self, mutant: Mutant) -> tuple[str, str]:
        for check in mutant.killed_by:
            code = self._run(check)
            if code in (FAILED, None):
                return "killed", check
            if code:
                return "broken", f"exit code {code} of: {check}"
        return "survived", ", ".join(mutant.killed_by)

    def _run(self, check: str) -> int | None:
        """The exit code; None: it hung, and was ended."""
        # A failing example of a property need not be made small: that would take longer than finding it.
        variables = dict(os.environ, PYTHONPATH=str(self.path), HYPOTHESIS_PROFILE="unshrunk")
        child = subprocess.Popen(
            command(check),
            cwd=self.path,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            return child.wait(AT_MOST_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(child)


def is_named(check: str) -> bool:
    """Tests by their names, all of them: no choice by words, no seeds."""
    return " " not in check


def command(check: str) -> list[str]:
    """What to run for it."""
    if check.startswith(SIMULATE):
        mix, _, seeds = check.removeprefix(SIMULATE).partition(" ")
        first, _, last = seeds.partition("-")
        count = int(last) - int(first) + 1
        module = "orchestrix_raft.simulation"
        return [sys.executable, "-m", module, "--mix", mix, "--start", first, "--seeds", str(count)]
    return [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *shlex.split(check)]


def _leave_out(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def _end(child: subprocess.Popen[bytes]) -> None:
    """It, and what it started in its process group."""
    try:
        os.killpg(child.pid, 9)
    except ProcessLookupError:
        return
    child.wait()
