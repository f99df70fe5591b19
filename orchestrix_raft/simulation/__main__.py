"""`python -m orchestrix_raft.simulation [--seeds N] [--seed S] [--mix NAME]`: many seeds, or one's story."""

import argparse
import sys
import time
import traceback

from orchestrix_raft.simulation.checks import Violation
from orchestrix_raft.simulation.faults import MIXES
from orchestrix_raft.simulation.run import NOTHING, Run


def main() -> int:
    """0: no promise was broken."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds (default 100)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seed", type=int, help="one seed, with its story")
    parser.add_argument(
        "--mix", choices=[*MIXES, "all"], default="all", help="which faults (default: all in turn)"
    )
    options = parser.parse_args()
    if options.seed is not None:
        return _story(options.seed, options.mix)
    totals, failures, began = NOTHING, 0, time.perf_counter()
    for seed in range(options.start, options.start + options.seeds):
        mix = _mix(seed, options.mix)
        try:
            totals = totals.plus(Run(seed, mix).go())
        except Violation as violation:
            failures += 1
            print(f"VIOLATION mix {mix}: {violation}", flush=True)
        except Exception as error:  # a node or the simulator failed: as bad as a broken promise
            failures += 1
            print(f"FAILURE mix {mix} seed {seed}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
    spent = time.perf_counter() - began
    for name, value in totals._asdict().items():
        print(f"{name:>12} {value:,.0f}")
    print(f"{'violations':>12} {failures}")
    print(f"{spent:.1f} s of real time, {totals.virtual_s / max(spent, 1e-9):,.0f} x")
    return 1 if failures else 0


def _mix(seed: int, name: str) -> str:
    return list(MIXES)[seed % len(MIXES)] if name == "all" else name


def _story(seed: int, mix: str) -> int:
    run = Run(seed, _mix(seed, mix), story=True)
    try:
        totals = run.go()
    except Violation as violation:
        print("\n".join(run.world.story or []))
        print(f"VIOLATION {violation}")
        return 1
    print("\n".join(run.world.story or []))
    print(totals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
