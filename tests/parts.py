"""What `make test` runs, in order, with the time of each part.

A part that passes takes one line; one that fails prints what its tool said, and the others still run.
`python tests/parts.py lint unit` runs only those.  Exit code 0: every part passed.
"""

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Part(NamedTuple):
    """One line of the report: its name and the commands (arguments of this Python) that make it up, one after
    the other or at once."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    at_once: bool = False


def _pytest(*arguments: str) -> tuple[tuple[str, ...], ...]:
    return (("-m", "pytest", "--color=no", *arguments),)


def _shares(folder: str, count: int) -> tuple[tuple[str, ...], ...]:
    """All files with tests there, shared out among so many runs."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob("test_*.py"))
    return tuple(_pytest(*files[first::count])[0] for first in range(count))


_SEEDS = "tests/simulation/test_cluster.py"

PARTS = (
    Part("lint", (("-m", "ruff", "check", "--quiet"), ("-m", "ruff", "format", "--check", "--quiet"))),
    Part("types", (("-m", "mypy", "--no-error-summary"),)),
    Part("generated", (("proto/generate.py", "--check"),)),
    Part(
        "structure",
        _pytest(
            *(
                f"tests/test_{name}.py"
                for name in ("architecture", "determinism", "style", "docs", "promises", "mutants")
            )
        ),
    ),
    Part("unit", _pytest("tests/unit")),
    Part("property", _pytest("tests/property")),
    Part("fuzz", _pytest("tests/fuzz")),
    Part("contract", _pytest("tests/contract")),
    Part("scenarios", _pytest("tests/scenarios")),
    Part("compat", _pytest("tests/compat")),
    Part("simulation", (*_pytest(_SEEDS), *_pytest("tests/simulation", f"--ignore={_SEEDS}")), at_once=True),
    # They wait most of the time, for elections and for processes that start.
    Part("cluster", _shares("tests/cluster", 2), at_once=True),
)

_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - {part.name for part in PARTS})
    if unknown:
        print(
            f"no such part: {', '.join(unknown)}; there are {', '.join(p.name for p in PARTS)}",
            file=sys.stderr,
        )
        return 2
    passed = failed = 0
    broken = []
    for part in PARTS:
        if names and part.name not in names:
            continue
        print(f"{part.name:<12}", end="", flush=True)
        begin = time.monotonic()
        outputs, good = _run(part)
        counts = _counts(outputs)
        passed += counts.get("passed", 0)
        failed += counts.get("failed", 0) + counts.get("error", 0)
        print(
            f"{'ok' if good else 'FAILED':<8}{time.monotonic() - begin:6.1f} s  {_summary(counts)}",
            flush=True,
        )
        if not good:
            broken.append(part.name)
            print("\n".join(output.rstrip() for output in outputs) + "\n", flush=True)
    if broken:
        print(f"failed: {', '.join(broken)}")
    if passed or failed:
        print(f"{passed} passed, {failed} failed")
    return 1 if broken else 0


def _run(part: Part) -> tuple[list[str], bool]:
    """What each of the part's commands printed, and whether every one of them ended with 0."""
    with ThreadPoolExecutor(len(part.commands) if part.at_once else 1) as runners:
        done = list(runners.map(_run_one, part.commands))
    return [one.stdout for one in done], not any(one.returncode for one in done)


def _run_one(command: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _counts(outputs: list[str]) -> Counter[str]:
    """passed, failed, ... of all runs of pytest, each of which says it in its last line."""
    counts: Counter[str] = Counter()
    for output in outputs:
        for number, word in _COUNT.findall(_last_line(output)):
            counts[word.rstrip("s")] += int(number)
    return counts


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else ""


def _summary(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {word}" for word, number in counts.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
