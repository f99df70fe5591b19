"""What became of one seed, as a value that one process can tell another, and a process that tries seeds.

`python -m orchestrix_raft.simulation.seeds` reads a seed and a mix a line and answers with an `Outcome` a
line (JSON), until its input ends.  Whoever started it lives on when a seed kills it.
"""

import logging
import signal
import sys
import time
import traceback

import msgspec

from orchestrix_raft.simulation.checks import broken_promise
from orchestrix_raft.simulation.mixes import MIXES
from orchestrix_raft.simulation.run import NOTHING, Run, Totals

ALL = "all"

# what nodes log under faults is no news; the story tells what matters
logging.getLogger("orchestrix_raft").addHandler(logging.NullHandler())


class Outcome(msgspec.Struct, frozen=True):
    """`failure`: one line, "" if all is well; then `totals` count what the seed went through."""

    seed: int
    mix: str
    cpu_s: float = 0.0
    totals: Totals = NOTHING
    # (fault, state, how often)
    met: tuple[tuple[str, str, int], ...] = ()
    failure: str = ""
    # where it was raised, if it is no broken promise but an error
    trace: str = ""


def mix_of(seed: int, name: str) -> str:
    """The mix itself, or for `ALL` each in turn."""
    return list(MIXES)[seed % len(MIXES)] if name == ALL else name


def try_seed(seed: int, mix: str) -> Outcome:
    """Run it; a broken promise or an error is an outcome too."""
    before = time.process_time()
    try:
        run = Run(seed, mix)
        totals = run.go()
    except Exception as error:
        # a node or the simulator failed: as bad as a broken promise
        violation = broken_promise(error)
        if violation is not None:
            return Outcome(seed, mix, failure=f"VIOLATION {violation}")
        return Outcome(
            seed, mix, failure=f"FAILURE {type(error).__name__}: {error}", trace=traceback.format_exc()
        )
    met = tuple((fault, state, count) for (fault, state), count in run.faults.coverage.met.items())
    return Outcome(seed, mix, time.process_time() - before, totals, met)


def _serve() -> None:
    # an interrupt is for the parent, which ends its children
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    encode, out = msgspec.json.encode, sys.stdout.buffer
    for line in sys.stdin:
        seed, mix = line.split()
        out.write(encode(try_seed(int(seed), mix)) + b"\n")
        out.flush()


if __name__ == "__main__":
    _serve()
