"""Runs many seeds: `python -m tests.simulation.raft --seeds N --mix NAME [--off RULE]`."""

import argparse
import logging
import time
from collections import Counter

from tests.simulation.raft.ablations import ABLATIONS, without
from tests.simulation.raft.invariants import Violation
from tests.simulation.raft.mixes import MIXES
from tests.simulation.raft.simulator import Simulation


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.raft", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--mix", choices=[*MIXES, "all"], default="all")
    parser.add_argument("--off", choices=sorted(ABLATIONS), help="take one rule out")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # damaged snapshots are part of the run
    for name in MIXES if arguments.mix == "all" else [arguments.mix]:
        with without(arguments.off):
            _run(name, range(arguments.first, arguments.first + arguments.seeds))


def _run(name: str, seeds: range) -> None:
    began = time.perf_counter()
    stats: Counter[str] = Counter()
    bad: dict[int, Violation] = {}
    for seed in seeds:
        simulation = Simulation(seed, MIXES[name])
        try:
            simulation.run()
        except Violation as violation:
            bad[seed] = violation
        stats += simulation.stats
    seconds = time.perf_counter() - began
    print(f"{name}: {len(seeds)} seeds, {len(bad)} bad, {seconds:.1f} s, {dict(sorted(stats.items()))}")
    for seed, what in list(bad.items())[:5]:
        print(f"  seed {seed}: {what}")


if __name__ == "__main__":
    main()
