"""What does one job cost the state machine alone, without consensus, disk and gRPC?  See `machine`."""

import gc

from bench.machine import backlog, idle_workers
from bench.measure import Figure, Size


def measure(size: Size) -> list[Figure]:
    """Microseconds per job, median of rounds."""
    rounds = max(20, size.jobs // 200)
    gc.freeze()  # what other measurements left in this process is not part of this one
    assigned, completed = idle_workers(rounds)
    waiting, turned = backlog(rounds)
    return [
        Figure("apply: enqueue into a backlog", waiting, "us"),
        Figure("apply: enqueue and assign", assigned, "us"),
        Figure("apply: complete", completed, "us"),
        Figure("apply: complete and assign the next", turned, "us"),
    ]
