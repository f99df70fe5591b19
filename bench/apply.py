"""What does one job cost the state machine alone, without consensus, disk and gRPC?  See `machine`."""

from bench.machine import backlog, idle_workers
from bench.measure import Figure, Size


def measure(size: Size) -> list[Figure]:
    """Microseconds per job, median of rounds."""
    rounds = max(20, size.jobs // 200)
    assigned, completed = idle_workers(rounds)
    waiting, turned = backlog(rounds)
    return [
        Figure("apply: enqueue into a backlog", waiting, "us"),
        Figure("apply: enqueue and assign", assigned, "us"),
        Figure("apply: complete", completed, "us"),
        Figure("apply: complete and assign the next", turned, "us"),
    ]
