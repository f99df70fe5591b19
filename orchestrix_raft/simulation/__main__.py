"""`python -m orchestrix_raft.simulation [--seeds N] [--seed S] [--mix NAME]`: many seeds, or one's story."""

import argparse
import sys
import time
import traceback
from collections import Counter
from typing import NamedTuple

from orchestrix_raft.simulation.checks import Violation
from orchestrix_raft.simulation.coverage import Met, table
from orchestrix_raft.simulation.faults import INJECTED, MIXES
from orchestrix_raft.simulation.run import NOTHING, Run


class Spent(NamedTuple):
    """On the clean runs of a mix.  By the processor: a wall clock also counts whoever else runs here."""

    virtual_s: int
    cpu_s: float

    @property
    def speed(self) -> float:
        """Virtual seconds for each second of the processor."""
        return self.virtual_s / max(self.cpu_s, 1e-9)


def main() -> int:
    """0: no promise was broken."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds (default 100)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seed", type=int, help="one seed, with its story")
    parser.add_argument(
        "--mix", choices=[*MIXES, "all"], default="all", help="which faults (default: all in turn)"
    )
    parser.add_argument(
        "--coverage", action="store_true", help="also: which faults met which states, a dot for never"
    )
    options = parser.parse_args()
    if options.seed is not None:
        return _story(options.seed, options.mix)
    totals, failures, began = NOTHING, 0, time.perf_counter()
    spent: dict[str, Spent] = {}
    met: Met = Counter()
    for seed in range(options.start, options.start + options.seeds):
        mix = _mix(seed, options.mix)
        before = time.process_time()
        try:
            run = Run(seed, mix)
            went = run.go()
            totals = totals.plus(went)
            met.update(run.faults.coverage.met)
            sofar = spent.get(mix, Spent(0, 0.0))
            spent[mix] = Spent(sofar.virtual_s + went.virtual_s, sofar.cpu_s + time.process_time() - before)
        except Violation as violation:
            failures += 1
            print(f"VIOLATION mix {mix}: {violation}", flush=True)
        except Exception as error:  # a node or the simulator failed: as bad as a broken promise
            failures += 1
            print(f"FAILURE mix {mix} seed {seed}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
    for name, value in totals._asdict().items():
        print(f"{name:>12} {value:,.0f}")
    print(f"{'violations':>12} {failures}")
    if options.coverage:
        print(table(met, INJECTED))
    print("  ".join(f"{mix} {each.speed:,.0f} x" for mix, each in spent.items()))
    whole = Spent(totals.virtual_s, sum(each.cpu_s for each in spent.values()))
    took = time.perf_counter() - began
    print(f"{took:.1f} s, {whole.speed:,.0f} virtual seconds for each second of the processor")
    return 1 if failures else 0


def _mix(seed: int, name: str) -> str:
    return list(MIXES)[seed % len(MIXES)] if name == "all" else name


def _story(seed: int, mix: str) -> int:
    run = Run(seed, _mix(seed, mix), story=True)
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
