"""`python -m orchestrix_raft.simulation [--seeds N] [--seed S] [--mix NAME]`: many seeds, or one's story."""

import argparse
import os
import sys

from orchestrix_raft.simulation.checks import Violation
from orchestrix_raft.simulation.coverage import table
from orchestrix_raft.simulation.crew import Crew
from orchestrix_raft.simulation.mixes import MIXES
from orchestrix_raft.simulation.report import Report
from orchestrix_raft.simulation.run import NOTHING, Run
from orchestrix_raft.simulation.seeds import ALL, mix_of

INTERRUPTED = 130
"""Exit code, as a shell gives it."""


def main() -> int:
    """0: no promise was broken."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds (default 100)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--jobs", type=int, default=_cores(), help="processes (default: one for each core)")
    parser.add_argument("--seed", type=int, help="one seed, with its story")
    parser.add_argument(
        "--mix", choices=[*MIXES, ALL], default=ALL, help="which faults (default: all in turn)"
    )
    parser.add_argument(
        "--coverage", action="store_true", help="also: which faults met which states, a dot for never"
    )
    options = parser.parse_args()
    if options.jobs < 1 or options.seeds < 1:
        parser.error("--jobs and --seeds are at least 1")
    if options.seed is not None:
        return _story(options.seed, mix_of(options.seed, options.mix))
    asked = [
        (seed, mix_of(seed, options.mix)) for seed in range(options.start, options.start + options.seeds)
    ]
    report, crew = Report(len(asked)), Crew(options.jobs)
    try:
        for outcome in crew.outcomes(asked):
            if outcome is not None:
                report.take(outcome)
            report.progress(crew.done)
    except KeyboardInterrupt:
        print(f"interrupted after {report.all.totals.seeds} seeds")
        report.close()
        return INTERRUPTED
    failures = report.close()
    if options.coverage:
        print(table(report.met))
    return 1 if failures else 0


def _cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _story(seed: int, mix: str) -> int:
    run = Run(seed, mix, story=True)
    totals, broken = NOTHING, ""
    try:
        totals = run.go()
    except Violation as violation:
        broken = f"VIOLATION {violation}"
    finally:  # also when a node or the simulator failed: what led to it is what is wanted
        print("\n".join(run.world.story or []))
    if broken:
        print(broken)
        return 1
    for name, value in totals._asdict().items():
        print(f"{name:>12} {value:,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
