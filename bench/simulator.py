"""How fast the simulator is: virtual seconds for each second of the processor, clusters of three nodes.

Two seeds of every mix whose clusters do not grow by themselves, one after the other in this process, with all
checks.  Usage: python -m bench.simulator
"""

import logging
import time
from typing import Final

from orchestrix_raft.simulation.mixes import GROWING, MIXES, REPLACING
from orchestrix_raft.simulation.run import Run
from orchestrix_raft.simulation.steps import Cut

NODES: Final = 3


def measure() -> tuple[int, float]:
    """Virtual seconds, and seconds of the processor."""
    virtual_s, began_s = 0, time.process_time()
    mixes = [mix for mix in MIXES if mix not in (*GROWING, *REPLACING)]
    for mix in mixes:
        for seed in (0, 1):
            virtual_s += Run(seed, mix, cut=Cut(nodes=NODES)).go().virtual_s
    return virtual_s, time.process_time() - began_s


if __name__ == "__main__":
    # what nodes log under faults is no news
    logging.getLogger("orchestrix_raft").addHandler(logging.NullHandler())
    simulated_s, spent_s = measure()
    print(
        f"{simulated_s:,} virtual seconds in {spent_s:.1f} s of the processor: {simulated_s / spent_s:.0f} x"
    )
