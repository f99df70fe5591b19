"""How many single `await client.enqueue(...)` a second, when 200 coroutines call it at once?"""

import asyncio
import statistics
import time

from bench.measure import ARGUMENTS, CpuTime, Figure, Size, cluster_with_workers, cpu_figure, in_words
from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster

CALLERS = 200
TARGET_PER_S = 5_000.0


def measure(size: Size) -> list[Figure]:
    """On three nodes; nobody works on the queue, so that only enqueueing is measured."""
    with cluster_with_workers(3, workers=0) as cluster:
        rates, spent = asyncio.run(_rates(cluster, size))
    note = f"{CALLERS} callers, {size.jobs:,} jobs a round; rounds: {in_words(rates)}"
    return [
        Figure("single enqueues, 3 nodes", statistics.median(rates), "jobs/s", TARGET_PER_S, note),
        *cpu_figure("single enqueues, 3 nodes", spent, size.jobs),
    ]


async def _rates(cluster: LocalCluster, size: Size) -> tuple[list[float], list[dict[str, float]]]:
    rates, spent = [], []
    async with AsyncClient(cluster.servers) as client:
        await asyncio.gather(*(_call(client, 5) for _ in range(CALLERS)))
        for _ in range(size.rounds):
            cpu = CpuTime(cluster)
            begin = time.perf_counter()
            await asyncio.gather(*(_call(client, size.jobs // CALLERS) for _ in range(CALLERS)))
            rates.append(size.jobs // CALLERS * CALLERS / (time.perf_counter() - begin))
            spent.append(cpu.spent())
    return rates, spent


async def _call(client: AsyncClient, times: int) -> None:
    for _ in range(times):
        await client.enqueue("noop", ARGUMENTS, queue="parked")
