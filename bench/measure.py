"""What the measurements share: a figure and its target, the cluster they run on, quantiles, CPU time."""

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from orchestrix_raft.testing import LocalCluster, Process

WORKER: Final = "bench.handlers:worker"
ARGUMENTS: Final = {"data": "x" * 89}
"""100 bytes as JSON, with its braces and quotes."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Figure(msgspec.Struct, frozen=True):
    """One number.  target: what it should at least (rates) or at most (times) be; None: no target."""

    name: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.unit.endswith("/s") else self.value <= self.target


class Size(msgspec.Struct, frozen=True):
    """How much is measured."""

    jobs: int = 20_000
    rounds: int = 3
    samples: int = 500
    kills: int = 5


QUICK: Final = Size(jobs=2_000, rounds=1, samples=50, kills=1)


@contextmanager
def cluster_with_workers(nodes: int, workers: int = 2, concurrency: int = 200) -> Iterator[LocalCluster]:
    """A fresh cluster; every node syncs every log entry to disk, as it always does."""
    with LocalCluster(nodes=nodes) as cluster:
        for _ in range(workers):
            cluster.worker(WORKER, "--concurrency", str(concurrency))
        yield cluster


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered)) - 1))]


def in_words(values: Sequence[float], form: str = ",.0f") -> str:
    """All rounds, for the note."""
    return ", ".join(format(value, form) for value in values)


def times(name: str, seconds: Sequence[float], p50_ms: float | None, p99_ms: float | None) -> list[Figure]:
    """Median and 99th percentile of times, in milliseconds."""
    note = f"{len(seconds)} samples, one after the other"
    return [
        Figure(f"{name}, median", statistics.median(seconds) * 1e3, "ms", p50_ms, note),
        Figure(f"{name}, 99th percentile", quantile(seconds, 0.99) * 1e3, "ms", p99_ms, note),
    ]


class CpuTime:
    """CPU seconds of groups of processes since this was made (Linux; elsewhere nothing)."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._groups: dict[str, list[int]] = {
            "nodes": [process.pid for process in cluster.running_nodes()],
            "workers": _pids(cluster.workers),
            "client": [os.getpid()],
        }
        self._before = {name: cpu_s(pids) for name, pids in self._groups.items()}

    def spent(self) -> dict[str, float]:
        """Seconds by group."""
        return {name: cpu_s(pids) - self._before[name] for name, pids in self._groups.items()}


def cpu_figure(what: str, rounds: Sequence[dict[str, float]], jobs: int) -> list[Figure]:
    """CPU time a job costs, all processes together, as the median of rounds; nothing where it is unknown."""
    totals = sorted(rounds, key=lambda spent: sum(spent.values()))
    middle = totals[len(totals) // 2]
    if not sum(middle.values()):
        return []
    shares = ", ".join(f"{name} {seconds / jobs * 1e6:.0f}" for name, seconds in middle.items())
    return [Figure(f"CPU time a job, {what}", sum(middle.values()) / jobs * 1e6, "us", None, shares)]


def _pids(processes: Sequence[Process]) -> list[int]:
    return [process.pid for process in processes]


def cpu_s(pids: Sequence[int]) -> float:
    total = 0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            fields = stat.read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_S
