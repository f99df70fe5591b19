"""`python -m tests.mutants [WORDS]`: every deliberate fault, and what noticed it.

A fault that nothing notices is a check that is missing.  WORDS: only those whose module or fault contains
one of them.  Exit code 0: every mutant was killed.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.catalogue import ROOT, Mutant, load
from tests.mutants.killing import Verdict, Workspace, is_named


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose module or fault contains one of these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    options = parser.parse_args()
    try:
        mutants = [m for m in load() if not options.words or any(word in m.name for word in options.words)]
        for mutant in mutants:
            mutant.applied((ROOT / mutant.module).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if not mutants:
        print("no mutant has these words", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix=".mutants-", dir=ROOT) as folder:
        return _report(mutants, Pool(Path(folder), options.jobs))


class Pool:
    """Some workspaces, and a thread for each."""

    def __init__(self, folder: Path, size: int) -> None:
        self._free: SimpleQueue[Workspace] = SimpleQueue()
        for number in range(size):
            self._free.put(Workspace(folder / str(number)))
        self._threads = ThreadPoolExecutor(size)

    def unsound(self, checks: Iterable[str]) -> set[str]:
        """Those that fail although there is no fault.  Tests without a choice of some run together, and
        one by one only if that fails: starting pytest takes longer than most of them."""
        known = sorted(set(checks))
        named = [check for check in known if is_named(check)]
        if named and self._sound(" ".join(named)):
            known = [check for check in known if not is_named(check)]
        return {
            check
            for check, good in zip(known, self._threads.map(self._sound, known), strict=True)
            if not good
        }

    def verdicts(self, mutants: list[Mutant]) -> Iterable[Verdict]:
        """In their order, each as soon as it and those before it are known."""
        return self._threads.map(self._verdict, mutants)

    def _sound(self, check: str) -> bool:
        workspace = self._free.get()
        try:
            return workspace.sound(check)
        finally:
            self._free.put(workspace)

    def _verdict(self, mutant: Mutant) -> Verdict:
        workspace = self._free.get()
        try:
            return workspace.verdict(mutant)
        finally:
            self._free.put(workspace)


def _report(mutants: list[Mutant], pool: Pool) -> int:
    """Print the table; the exit code."""
    unsound = pool.unsound(check for mutant in mutants for check in mutant.killed_by)
    for check in sorted(unsound):
        print(f"fails without a fault: {check}")
    if unsound:
        return 1
    module, killed = "", 0
    for mutant, verdict in zip(mutants, pool.verdicts(mutants), strict=True):
        if mutant.module != module:
            module = mutant.module
            print(module)
        killed += verdict.word == "killed"
        print(f"  {verdict.word:<9}{verdict.took_s:6.1f} s  {mutant.fault}  [{verdict.by}]", flush=True)
    print(f"{killed} of {len(mutants)} mutants in {len({m.module for m in mutants})} modules were killed")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
