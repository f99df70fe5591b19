"""How much CPU time the longest step of the state machine takes while it comes to hold very many jobs.

N jobs come for which there is no worker, 500 an entry; then half as many come, run and end beside them.
What grows with the jobs shows in single steps, which no median tells: a container that is copied as a whole,
the garbage collector.  Checkpoints are not part of it: nothing is kept behind the machine.
Usage: python -m bench.growth [N]
"""

import gc
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.report import Completed
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import AttachSession, Command, Enqueue, NodeStarted, Report
from orchestrix_raft.machine.events import JobAssigned
from orchestrix_raft.machine.port import Applied

WORKER = bytes(16)
BATCH = 500
ARGS = b'"' + b"x" * 98 + b'"'


class Nothing:
    """Both ports of the machine, over a disk that forgets."""

    def put(self, table: str, key: bytes, value: bytes | None) -> None:
        """Gone."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """Nothing is known."""

    def scan(self, table: str, start: bytes, limit: int, **_: Any) -> list[tuple[bytes, bytes]]:
        """Likewise."""
        return []


class Bench:
    """A machine, and the time of each step."""

    def __init__(self) -> None:
        self.machine = Machine(nothing := Nothing(), nothing)
        self.index = 0
        self.steps_s: list[float] = []
        self.collections_s: list[float] = []  # of the garbage collector; they are part of steps, too
        self._since_s = 0.0
        gc.collect()
        gc.freeze()  # as a node does before it serves
        gc.callbacks.append(self._collected)
        self.apply(NodeStarted("n1", bytes(16), "", "0"))
        self.apply(AttachSession(WORKER, "n1", "w", ("default",), BATCH, ()))

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._since_s = time.thread_time()
        else:
            self.collections_s.append(time.thread_time() - self._since_s)

    def apply(self, command: Command) -> Applied:
        """One entry, decoded as a node does it."""
        self.index += 1
        data = codec.encode_entry(codec.make_entry(self.index, self.index, (codec.unnumbered(command),)))
        begin_s = time.thread_time()
        applied = self.machine.apply(self.index, 1, codec.decode_entry(data))
        self.steps_s.append(time.thread_time() - begin_s)
        return applied

    def enqueue(self, queue: str) -> Applied:
        """One batch of new jobs."""
        return self.apply(Enqueue(tuple(JobSpec(job_id, "noop", queue, ARGS) for job_id in _ids(BATCH))))

    def told(self, what: str) -> None:
        """Print what was longest since the last time."""
        collections = sorted([0.0, *self.collections_s])
        print(
            f"{what}: longest step {max(self.steps_s) * 1e3:.1f} ms, of {len(self.steps_s)},"
            f" longest collection of garbage {collections[-1] * 1e3:.1f} ms"
        )
        self.steps_s.clear()
        self.collections_s.clear()


def _ids(count: int) -> Iterator[bytes]:
    """As clients make them: time, then chance."""
    for _ in range(count):
        yield (time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10)


def main() -> None:
    """Prints two lines."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 950_000
    bench = Bench()
    for _ in range(0, count, BATCH):
        bench.enqueue("parked")
    bench.told(f"{count:,} jobs come")
    for _ in range(0, count // 2, BATCH):
        applied = bench.enqueue("default")
        assigned = [event for event in applied.events if isinstance(event, JobAssigned)]
        bench.apply(Report(WORKER, tuple(Completed(e.job_id, e.token, b"1", 1, 2) for e in assigned)))
    bench.told(f"{count // 2:,} come, run and end beside them")


if __name__ == "__main__":
    main()
