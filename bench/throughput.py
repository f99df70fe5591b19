"""How many jobs a second, end to end: enqueued, replicated, synced, run, and the result acknowledged?"""

import statistics
import time

from bench.measure import ARGUMENTS, CpuTime, Figure, Size, cluster_with_workers, cpu_figure, in_words
from orchestrix_raft import Client
from orchestrix_raft.testing import LocalCluster, eventually

TARGETS = {3: 10_000.0, 1: 20_000.0}
LOOK_S = 0.02


def measure(size: Size) -> list[Figure]:
    """On three nodes, and on one."""
    return [figure for nodes in (3, 1) for figure in _figures(nodes, size)]


def _figures(nodes: int, size: Size) -> list[Figure]:
    with cluster_with_workers(nodes) as cluster, Client(cluster.servers) as client:
        _round(client, min(2_000, size.jobs), 0)
        done = min(2_000, size.jobs)
        rates, spent = [], []
        for _ in range(size.rounds):
            cpu = CpuTime(cluster)
            rates.append(_round(client, size.jobs, done))
            spent.append(cpu.spent())
            done += size.jobs
        _nothing_left(cluster)
    where = "one node" if nodes == 1 else f"{nodes} nodes"
    note = f"{size.jobs:,} no-op jobs a round; rounds: {in_words(rates)}"
    return [
        Figure(f"end to end, {where}", statistics.median(rates), "jobs/s", TARGETS[nodes], note),
        *cpu_figure(f"end to end, {where}", spent, size.jobs),
    ]


def _round(client: Client, jobs: int, before: int) -> float:
    """Jobs a second from the first enqueue until the cluster counts all of them as completed."""
    begin = time.perf_counter()
    client.enqueue_many(("noop", ARGUMENTS) for _ in range(jobs))

    def over() -> bool:
        return client.status().jobs.get("completed", 0) >= before + jobs

    eventually(over, f"{jobs:,} jobs are completed", 300.0, LOOK_S)
    return jobs / (time.perf_counter() - begin)


def _nothing_left(cluster: LocalCluster) -> None:
    """A rate without all jobs completed would be no rate."""
    answer = cluster.status(cluster.leader())
    assert answer is not None
    left = {state: count for state, count in answer.jobs.items() if count and state != "completed"}
    assert not left, left
