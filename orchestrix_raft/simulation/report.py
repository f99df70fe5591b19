"""What many seeds went through: totals, a row for each mix, failures, and how far a long run is.

What is printed to the standard output depends on the seeds alone, but for the lines on speed.  Progress goes
to the standard error: one line that changes on a terminal, else a line every half minute.
"""

import sys
import time
from collections import Counter
from typing import Final, NamedTuple

from orchestrix_raft.simulation.coverage import Met
from orchestrix_raft.simulation.run import NOTHING, Totals
from orchestrix_raft.simulation.seeds import Outcome

_TELL_S: Final = 30.0
_DRAW_S: Final = 0.5
_EVENTFUL: Final = {"virtual_s": 60, "jobs": 200, "faults": 5}
"""What a seed must have gone through to count as eventful; those of mix `calm` never do."""
_COLUMNS: Final = ("seeds", "virtual_s", "jobs", "executions", "elections", "faults", "restarts", "snapshots")


class Spent(NamedTuple):
    """On the clean runs of a mix.  By the processor: a wall clock also counts whoever else runs here."""

    totals: Totals = NOTHING
    cpu_s: float = 0.0
    failures: int = 0
    eventful: int = 0

    def plus(self, outcome: Outcome) -> "Spent":
        """With one more seed."""
        counts = outcome.totals._asdict()
        return Spent(
            self.totals.plus(outcome.totals),
            self.cpu_s + outcome.cpu_s,
            self.failures + bool(outcome.failure),
            self.eventful + all(counts[name] >= least for name, least in _EVENTFUL.items()),
        )

    @property
    def speed(self) -> float:
        """Virtual seconds for each second of the processor."""
        return self.totals.virtual_s / max(self.cpu_s, 1e-9)


class Report:
    """Takes outcomes in the order of the seeds."""

    def __init__(self, seeds: int) -> None:
        self.all = Spent()
        self.met: Met = Counter()
        self._seeds = seeds
        self._mixes: dict[str, Spent] = {}
        self._failed: list[Outcome] = []
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._told = self._began

    def take(self, outcome: Outcome) -> None:
        """Count it; a failure is printed at once."""
        self.all = self.all.plus(outcome)
        self._mixes[outcome.mix] = self._mixes.get(outcome.mix, Spent()).plus(outcome)
        for fault, state, count in outcome.met:
            self.met[fault, state] += count
        if outcome.failure:
            self._failed.append(outcome)
            self._wipe()
            print(f"seed {outcome.seed} mix {outcome.mix}: {outcome.failure}", flush=True)
            if outcome.trace:
                print(outcome.trace, flush=True)

    def progress(self, done: int) -> None:
        """`done`: seeds tried so far, also those whose turn to be told has not come."""
        now = time.monotonic()
        if now - self._told < (_DRAW_S if self._terminal else _TELL_S):
            return
        self._told = now
        took = now - self._began
        left_s = took / done * (self._seeds - done) if done else 0.0
        line = (
            f"{done:,} of {self._seeds:,} seeds after {_span(took)}, {len(self._failed)} failed,"
            f" {self.all.speed:,.0f} x, {_span(left_s)} to go"
        )
        print(
            f"\r\x1b[K{line}" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr
        )
        sys.stderr.flush()

    def _wipe(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def close(self) -> int:
        """Print the totals; how many seeds failed."""
        self._wipe()
        for name, value in self.all.totals._asdict().items():
            print(f"{name:>12} {value:,.0f}")
        print(f"{'eventful':>12} {self.all.eventful:,}")
        print(f"{'failures':>12} {len(self._failed)}")
        print()
        print(self._by_mix())
        for outcome in self._failed:
            print(f"replay: python -m orchestrix_raft.simulation --seed {outcome.seed} --mix {outcome.mix}")
        took = time.monotonic() - self._began
        print(f"{took:.1f} s, {self.all.speed:,.0f} virtual seconds for each second of the processor")
        return len(self._failed)

    def _by_mix(self) -> str:
        rows = [["mix", *_COLUMNS, "failures", "speed"]]
        for mix, spent in sorted(self._mixes.items()):
            counts = spent.totals._asdict()
            cells = [f"{counts[column]:,}" for column in _COLUMNS]
            rows.append([mix, *cells, str(spent.failures), f"{spent.speed:,.0f} x"])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            row[0].ljust(widths[0])
            + "".join(f"  {c.rjust(w)}" for c, w in zip(row[1:], widths[1:], strict=True))
            for row in rows
        )


def _span(seconds: float) -> str:
    """1:02:03"""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
