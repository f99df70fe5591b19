"""Two thousand workers with nothing to do: what their heartbeats cost the nodes."""

import sys
from typing import Final

from bench.measure import Figure, Size
from bench.watch import anonymous_mib, cpu_percent
from orchestrix_raft.testing import LocalCluster, Process, eventually

PROCESSES: Final = 4
IDLE_S: Final = 30.0
TARGET_PERCENT: Final = 15.0


def measure(size: Size) -> list[Figure]:
    """A tenth of the jobs of the other measurements: 2,000 workers, or 200 with --quick."""
    count = size.jobs // 10
    with LocalCluster(nodes=3) as cluster:
        without = max(cpu_percent(cluster, IDLE_S / 3))
        empty = max(anonymous_mib(cluster))
        command = [sys.executable, "-m", "bench.idle_workers", cluster.servers, str(count // PROCESSES)]
        cluster.workers += [
            Process(f"w{number}", command, cluster.data_dir / f"w{number}.log") for number in range(PROCESSES)
        ]
        eventually(lambda: _attached(cluster) == count, f"{count:,} workers are attached", 120.0, 0.5)
        busiest = max(cpu_percent(cluster, IDLE_S))
        memory = max(anonymous_mib(cluster))
        if _attached(cluster) != count:
            raise RuntimeError("workers were lost meanwhile")
        cluster.kill_everything()
    return [
        Figure(
            f"{count:,} idle workers, busiest node",
            busiest,
            "% of a core",
            TARGET_PERCENT,
            f"with none: {without:.1f} %",
        ),
        Figure(
            f"{count:,} idle workers, memory of the largest node",
            memory,
            "MiB",
            None,
            f"with none: {empty:.0f}",
        ),
    ]


def _attached(cluster: LocalCluster) -> int:
    answer = cluster.status(cluster.leader(), 5.0)
    return sum(bool(worker.node_id) for worker in answer.workers) if answer else 0
