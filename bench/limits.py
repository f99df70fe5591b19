"""What the next runnable job costs behind many that a limit blocks: microseconds per assignment.

A worker with a free slot, N ready jobs in front whose keys are at their limit (one key for all, or one
each), and again and again one job that may run: enqueue, assign, complete, in the state machine alone.
Usage: python bench/limits.py [ROUNDS]
"""

import gc
import sys
import time

from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.queue import QueueChange, RateLimitOptions
from orchestrix_raft.domain.report import Completed
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import (
    AttachSession,
    Command,
    ConfigureQueue,
    Enqueue,
    NodeStarted,
    Report,
)
from orchestrix_raft.machine.events import JobAssigned
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.port import Applied

WORKER = bytes(16)
BATCH = 1_000
DAY_MS = 86_400_000


class Bench:
    """A machine with one worker and a limited queue."""

    def __init__(self) -> None:
        self.machine = Machine(store := MemoryStore(), store)
        self.index = 0
        self.made = 0
        self.apply(NodeStarted("n1", bytes(16), "", "0"))
        self.apply(AttachSession(WORKER, "n1", "w", ("default",), 10_000, ()))

    def apply(self, *commands: Command) -> Applied:
        """One entry."""
        self.index += 1
        data = codec.encode_entry(codec.make_entry(self.index, self.index, (codec.unnumbered(*commands),)))
        return self.machine.apply(self.index, 1, codec.decode_entry(data))

    def spec(self, key: str, priority: int = 0) -> JobSpec:
        """A new job."""
        self.made += 1
        return JobSpec(self.made.to_bytes(16, "big"), "t", "default", b"{}", priority=priority, key=key)

    def block(self, count: int, keys: int) -> None:
        """Jobs in front, of keys that have used what they are allowed."""
        change = QueueChange(key_rate=RateLimitOptions(1, DAY_MS))
        self.apply(ConfigureQueue(b"", "default", change))
        for round_of in ("used up", "blocked"):
            total = keys if round_of == "used up" else count
            for first in range(0, total, BATCH):
                numbers = range(first, min(total, first + BATCH))
                applied = self.apply(Enqueue(tuple(self.spec(f"k{n % keys}", 9) for n in numbers)))
                self.complete(applied)

    def complete(self, applied: Applied) -> int:
        """Reports everything that was just assigned; how much that was."""
        assigned = [event for event in applied.events if isinstance(event, JobAssigned)]
        if assigned:
            outcomes = tuple(Completed(event.job_id, event.token, b"1", 1, 2) for event in assigned)
            self.complete(self.apply(Report(WORKER, outcomes)))
        return len(assigned)

    def turn(self) -> None:
        """One job that may run comes, runs and ends."""
        if self.complete(self.apply(Enqueue((self.spec("", -1),)))) != 1:
            raise RuntimeError("the job behind the blocked ones was not assigned")


def measure(count: int, keys: int, rounds: int) -> float:
    """Microseconds a turn, median."""
    bench = Bench()
    if count:
        bench.block(count, keys)
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        bench.turn()
        samples.append(time.perf_counter() - start)
    return sorted(samples)[len(samples) // 2] * 1e6


def main() -> None:
    """Prints one line per backlog."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    gc.freeze()
    print("one job behind blocked ones, two entries a turn (enqueue, complete); us, median")
    for count, keys in ((0, 0), (1_000, 1), (100_000, 1), (1_000, 1_000), (100_000, 100_000)):
        spent = measure(count, keys, rounds)
        print(f"{count:>8,} blocked jobs of {keys:>8,} keys   {spent:8.1f}")


if __name__ == "__main__":
    main()
