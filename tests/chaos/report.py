"""What is said at the end of a run, and its row in the list of all runs."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from tests.chaos.pauses import Pauses
from tests.chaos.settling import Settled

ROOT: Final = Path(__file__).resolve().parent.parent.parent
RUNS: Final = ROOT / "docs" / "explanation" / "chaos-runs.md"
SHOWN: Final = 150  # characters of a problem, in the list
CHANGED: Final = " and changes"
"""Behind the commit of a run whose tree was not that of a commit."""


class Result(msgspec.Struct, kw_only=True):
    """Of one run."""

    commit: str
    seed: int
    minutes: float
    network: str
    faults: dict[str, int] = {}
    missed: int = 0  # faults that found nobody to befall
    calls: int = 0
    settled: Settled = msgspec.field(default_factory=Settled)
    pauses: Pauses = Pauses(0.0, 0.0, 0.0)
    problems: list[str] = []
    interrupted: bool = False

    @property
    def clean(self) -> bool:
        """Nothing was found that must not be."""
        return not self.problems and not self.interrupted

    @property
    def verdict(self) -> str:
        """One word, or what was found first."""
        if self.problems:
            return f"FAILED: {self.problems[0].splitlines()[0][:SHOWN]}"
        return "interrupted" if self.interrupted else "clean"


def commit() -> str:
    """Of the tree that is run."""
    head = _git("rev-parse", "--short", "HEAD")
    changed = [line for line in _git("status", "--porcelain").splitlines() if not line.endswith(RUNS.name)]
    return (head or "no commit") + (CHANGED if changed else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30.0
        )
    except FileNotFoundError:
        return ""
    return done.stdout.rstrip("\n")


def text(result: Result) -> str:
    """For the terminal."""
    told = result.settled
    lines = [
        f"seed {result.seed}, {result.minutes:g} minutes on {result.network}, commit {result.commit}",
        f"faults: {sum(result.faults.values())} ({_counts(result.faults)}); {result.missed} found nobody",
        f"calls: {result.calls}; acknowledged {told.acknowledged}, certainly not enqueued {told.refused}, "
        f"in doubt {told.in_doubt} ({told.in_doubt_exist} of them exist)",
        f"lost {told.lost}, doubled {told.doubled}; executions {told.executions}, {told.again} of them again "
        f"and with a cause; cancelled {told.cancelled}; slots {told.slots}; events {told.events}",
        f"longest time without a start {result.pauses.longest_s:.1f} s; in the {result.pauses.well_s:.0f} s "
        f"in which a majority and a worker were well: {result.pauses.unexplained_s:.1f} s",
        *(f"PROBLEM: {problem}" for problem in result.problems),
        "FAILED" if result.problems else result.verdict,
    ]
    return "\n".join(lines)


def _counts(faults: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(faults.items()))


def row(result: Result) -> str:
    """For the list of runs."""
    told = result.settled
    verdict = result.verdict.replace("|", "\\|")
    cells = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        result.commit,
        str(result.seed),
        f"{result.minutes:g}, {result.network}",
        f"{sum(result.faults.values())} of {len(result.faults)} kinds",
        f"{told.acknowledged:,}",
        str(told.lost),
        str(told.doubled),
        f"{told.in_doubt}",
        f"{result.pauses.longest_s:.1f} s, {result.pauses.unexplained_s:.1f} s",
        verdict,
    ]
    return f"| {' | '.join(cells)} |\n"


def record(result: Result, path: Path = RUNS) -> None:
    """Append it: the table is the end of the page."""
    with path.open("a", encoding="utf-8") as file:
        file.write(row(result))
