"""What one job costs the replicated state machine: microseconds per enqueue, assignment and completion.

Everything a node does on its loop for an entry is in it: decoding, deciding, evolving, digest, and the
encoding of the write set; consensus, disk and gRPC are not.  Usage: python bench/machine.py [ROUNDS]
"""

import gc
import sys
import time

from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.report import Completed
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import AttachSession, Batch, Command, Enqueue, NodeStarted, Report
from orchestrix_raft.machine.events import JobAssigned
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.port import Applied

BATCH = 200
WORKERS = 4
ARGS = b'"' + b"x" * 98 + b'"'


class Bench:
    """A machine with one node and idle workers, and a stopwatch around each entry."""

    def __init__(self, capacity: int) -> None:
        self.machine = Machine(store := MemoryStore(), store)
        self.index = 0
        self.sequence = 0
        self.made = 0
        self.apply(NodeStarted("n1", bytes(16), "127.0.0.1:7400", "0"), numbered=False)
        for number in range(WORKERS if capacity else 0):
            session_id = number.to_bytes(16, "big")
            self.apply(AttachSession(session_id, "n1", f"w{number}", ("default",), capacity, ()))

    def apply(self, command: Command, *, numbered: bool = True) -> tuple[Applied, float]:
        """Applies one command as an entry; the answer carries the seconds it took."""
        self.index += 1
        batch = codec.unnumbered(command)
        if numbered:
            self.sequence += 1
            batch = Batch("n1", 1, self.sequence, (command,))
        data = codec.encode_entry(codec.make_entry(self.index, self.index, (batch,)))
        start = time.perf_counter()
        applied = self.machine.apply(self.index, 1, codec.decode_entry(data))
        return applied, time.perf_counter() - start

    def enqueue(self) -> tuple[Applied, float]:
        """One batch of new jobs."""
        first = self.made
        self.made += BATCH
        ids = (n.to_bytes(16, "big") for n in range(first, self.made))
        specs = tuple(JobSpec(job_id, "checksum", "default", ARGS) for job_id in ids)
        return self.apply(Enqueue(specs))

    def complete(self, assigned: list[JobAssigned]) -> tuple[list[JobAssigned], float]:
        """Reports all, one command per session; answers what was assigned by that."""
        by_session: dict[bytes, list[JobAssigned]] = {}
        for event in assigned:
            by_session.setdefault(event.session_id, []).append(event)
        following: list[JobAssigned] = []
        total = 0.0
        for session_id, events in by_session.items():
            outcomes = tuple(Completed(e.job_id, e.token, b'"ok"', 1, 2) for e in events)
            applied, seconds = self.apply(Report(session_id, outcomes))
            following += assignments(applied)
            total += seconds
        return following, total


def assignments(applied: Applied) -> list[JobAssigned]:
    """Who got what."""
    return [event for event in applied.events if isinstance(event, JobAssigned)]


def idle_workers(rounds: int) -> tuple[float, float]:
    """(enqueue with assignment, complete without a following assignment), us per job, median."""
    bench = Bench(BATCH)
    enqueues: list[float] = []
    completions: list[float] = []
    for _ in range(rounds):
        applied, seconds = bench.enqueue()
        enqueues.append(seconds)
        completions.append(bench.complete(assignments(applied))[1])
    return per_job(enqueues), per_job(completions)


def backlog(rounds: int) -> tuple[float, float]:
    """(enqueue without assignment, complete with the next assignment), us per job, median."""
    bench = Bench(0)
    enqueues = [bench.enqueue()[1] for _ in range(rounds + 1)]
    assigned: list[JobAssigned] = []
    for number in range(WORKERS):
        session_id = number.to_bytes(16, "big")
        attach = AttachSession(session_id, "n1", f"w{number}", ("default",), BATCH // WORKERS, ())
        assigned += assignments(bench.apply(attach)[0])
    completions: list[float] = []
    for _ in range(rounds):
        assigned, seconds = bench.complete(assigned)
        completions.append(seconds)
    return per_job(enqueues), per_job(completions)


def per_job(seconds: list[float]) -> float:
    """Microseconds per job of the median round."""
    return sorted(seconds)[len(seconds) // 2] / BATCH * 1e6


def main() -> None:
    """Prints one line per question."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    gc.freeze()
    assigned, completed = idle_workers(rounds)
    waiting, turned = backlog(rounds)
    print(f"batches of {BATCH}, {len(ARGS)} bytes of arguments, {WORKERS} workers; us per job, median")
    print(f"enqueue into a backlog          {waiting:6.2f}")
    print(f"enqueue and assign              {assigned:6.2f}")
    print(f"complete                        {completed:6.2f}")
    print(f"complete and assign the next    {turned:6.2f}")


if __name__ == "__main__":
    main()
