"""`python -m orchestrix_raft.simulation`: many seeds; with `--seed`, one and its story; with `--shrink`, the
shortest trace of one that fails.
"""

import argparse
import os
import sys

from orchestrix_raft.simulation.coverage import table
from orchestrix_raft.simulation.crew import Crew
from orchestrix_raft.simulation.mixes import MIXES
from orchestrix_raft.simulation.report import Report
from orchestrix_raft.simulation.seeds import ALL, mix_of
from orchestrix_raft.simulation.shrinking import RUNS_MAX
from orchestrix_raft.simulation.steps import BadCut, Cut, read_cut
from orchestrix_raft.simulation.telling import tell_shortest, tell_story

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
        "--coverage", action="store_true", help="also: which faults met which states; a dot for never"
    )
    parser.add_argument("--shrink", action="store_true", help="of --seed: the shortest trace that fails")
    parser.add_argument("--runs", type=int, default=RUNS_MAX, help="at most, to shrink (default %(default)s)")
    parser.add_argument("--cut", default="", help="of --seed: what is left of it, as --shrink prints it")
    options = parser.parse_args()
    if options.jobs < 1 or options.seeds < 1:
        parser.error("--jobs and --seeds are at least 1")
    if options.seed is None and (options.shrink or options.cut):
        parser.error("--shrink and --cut need --seed")
    try:
        cut = read_cut(options.cut)
    except BadCut as error:
        parser.error(str(error))
    if options.seed is not None:
        return _one(options.seed, mix_of(options.seed, options.mix), cut, options.runs, options.shrink)
    last = options.start + options.seeds
    asked = [(seed, mix_of(seed, options.mix)) for seed in range(options.start, last)]
    return _many(asked, options.jobs, options.coverage)


def _one(seed: int, mix: str, cut: Cut, runs: int, shrink: bool) -> int:
    return tell_shortest(seed, mix, cut, runs) if shrink else tell_story(seed, mix, cut)


def _many(asked: list[tuple[int, str]], jobs: int, coverage: bool) -> int:
    report, crew, interrupted = Report(len(asked)), Crew(jobs), False
    try:
        for outcome in crew.outcomes(asked):
            if outcome is not None:
                report.take(outcome)
            report.progress(crew.done)
    except KeyboardInterrupt:
        print(f"interrupted after {crew.done} of {len(asked)} seeds")
        interrupted = True
    failures = report.close()
    if coverage:
        print(table(report.met))
    return INTERRUPTED if interrupted else 1 if failures else 0


def _cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
