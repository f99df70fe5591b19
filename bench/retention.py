"""Do a million finished jobs disappear without a pause?  Time of each step of retention, on a real store.

A machine over the node's own layers and LMDB, without consensus and gRPC: first jobs are enqueued, run and
completed, then all of them are over time and go, FORGET_AT_ONCE a step, as the leader's duty proposes them.
Checkpoints are written as often as on a node; a node writes them in another thread, so they are not part of
a step, but what they leave to be read is.  Usage: python -m bench.retention [JOBS]
"""

import gc
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import ARGS, BATCH, assignments
from bench.measure import Figure, Size, quantile
from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.report import Completed
from orchestrix_raft.duties.retention import SLACK_MS, Keep, overdue_records
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import AttachSession, Batch, Command, Enqueue, NodeStarted, Report
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.storage.port import Position
from orchestrix_raft.storage.state import LmdbStateStore

CHECKPOINT_BYTES = 32 << 20  # as on a node
PAUSE_MS = 10  # between two steps of a leader
STEP_TARGET_MS = 20.0
"""A step holds up everything else on the loop: it may be no longer than this."""


class Bench:
    """One machine on one store."""

    def __init__(self, folder: Path) -> None:
        self.store = LmdbStateStore(folder / "state")
        self.history = LayeredHistory(self.store)
        self.machine = Machine(self.history, self.history)
        self.index = 0
        self.sequence = 0
        self.wall_ms = 1_700_000_000_000
        self.apply(NodeStarted("n1", bytes(16), "127.0.0.1:7400", "0"), numbered=False)
        self.apply(AttachSession(bytes(16), "n1", "w", ("default",), BATCH, ()))

    def apply(self, command: Command, *, numbered: bool = True) -> tuple[Applied, float]:
        """Applies one command as an entry; the answer carries the seconds it took."""
        self.index += 1
        batch = codec.unnumbered(command)
        if numbered:
            self.sequence += 1
            batch = Batch("n1", 1, self.sequence, (command,))
        data = codec.encode_entry(codec.make_entry(self.index, self.wall_ms, (batch,)))
        start = time.perf_counter()
        applied = self.machine.apply(self.index, 1, codec.decode_entry(data))
        seconds = time.perf_counter() - start
        self.checkpoint(CHECKPOINT_BYTES)
        return applied, seconds

    def checkpoint(self, at_bytes: int) -> None:
        """To disk, when so much has changed."""
        if self.history.pending_bytes >= at_bytes:
            self.store.write([self.history.freeze()], Position(self.index, 1, 0, b"", b""))
            self.history.settled()

    def run_jobs(self, count: int) -> None:
        """So many jobs from enqueueing to completion."""
        for first in range(0, count, BATCH):
            self.wall_ms += 2
            ids = (n.to_bytes(16, "big") for n in range(first, min(first + BATCH, count)))
            applied, _ = self.apply(Enqueue(tuple(JobSpec(i, "checksum", "default", ARGS) for i in ids)))
            outcomes = tuple(Completed(e.job_id, e.token, b'"ok"', 1, 2) for e in assignments(applied))
            self.apply(Report(bytes(16), outcomes))

    def forget_all(self) -> list[float]:
        """Milliseconds of each step until nothing is overdue."""
        steps = []
        keep = Keep()
        self.wall_ms += keep.finished_ms + SLACK_MS + 1
        while commands := overdue_records(self.machine.state, self.wall_ms, keep, limits.FORGET_AT_ONCE):
            for command in commands:
                steps.append(self.apply(command, numbered=False)[1] * 1e3)
            self.wall_ms += PAUSE_MS
        return steps


def steps_of(jobs: int) -> list[float]:
    """Milliseconds of each step of forgetting so many jobs."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.run_jobs(jobs)
        gc.freeze()
        steps = bench.forget_all()
        if sum(bench.machine.state.counts):
            raise RuntimeError(f"not all is forgotten: {bench.machine.state.counts}")
        bench.store.close()
    return steps


def measure(size: Size) -> list[Figure]:
    """Fifty times the jobs of the other measurements: a million, or 100,000 with --quick."""
    jobs = 50 * size.jobs
    steps = steps_of(jobs)
    at_once = limits.FORGET_AT_ONCE
    note = f"{len(steps)} steps"
    return [
        Figure(f"retention: {at_once} of {jobs} finished jobs forgotten, median", quantile(steps, 0.5), "ms"),
        Figure("retention: 99th percentile", quantile(steps, 0.99), "ms"),
        Figure("retention: longest step", max(steps), "ms", STEP_TARGET_MS, note),
        Figure("retention: all of them, work alone", sum(steps) / 1e3, "s"),
    ]


def main() -> None:
    """Prints one line per figure."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    steps = steps_of(jobs)
    print(f"{jobs} finished jobs, forgotten in {len(steps)} steps of {limits.FORGET_AT_ONCE}; ms per step")
    for name, share in (("median", 0.5), ("99th percentile", 0.99), ("longest", 1.0)):
        print(f"{name:<16}{quantile(steps, share):8.2f}")
    print(f"{'all, seconds':<16}{sum(steps) / 1e3:8.2f}")


if __name__ == "__main__":
    main()
