"""How long are no jobs assigned when the leader is killed (SIGKILL) under load?"""

import statistics

from bench.measure import Figure, Size
from orchestrix_raft.testing import Ledger, LocalCluster
from orchestrix_raft.testing.crashes import job_number, kill_leaders
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE

PER_S = 200.0
TARGET_MS = (2_000.0, 4_000.0)


def measure(size: Size) -> list[Figure]:
    """On three nodes with two workers: from the kill to the next job that starts at a worker."""
    with LocalCluster(nodes=3) as cluster:
        ledger = Ledger(cluster.data_dir / "ledger")
        for _ in range(2):
            cluster.worker(
                "orchestrix_raft.testing.handlers:worker", environment={LEDGER_VARIABLE: str(ledger.path)}
            )
        crashes = kill_leaders(cluster, ledger, kills=size.kills, per_s=PER_S, make=job_number)
    found = crashes.failovers_s
    note = f"{len(found)} kills at {PER_S:g} jobs/s; seconds: {', '.join(f'{s:.2f}' for s in found)}"
    return [
        Figure("fail-over, median", statistics.median(found) * 1e3, "ms", TARGET_MS[0], note),
        Figure("fail-over, worst", max(found) * 1e3, "ms", TARGET_MS[1], note),
    ]
