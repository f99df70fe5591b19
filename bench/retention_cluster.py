"""Do a million finished jobs disappear from three nodes without anybody else waiting for it?"""

import asyncio
import time
from typing import Final

from bench.measure import ARGUMENTS, WORKER, Figure, Size, quantile
from bench.watch import Probe
from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster

CHUNK: Final = 20_000
QUIET_S: Final = 5.0
TARGET_MS: Final = 100.0


def measure(size: Size) -> list[Figure]:
    """Fifty times the jobs of the other measurements: a million, or 100,000 with --quick."""
    return asyncio.run(_measure(50 * size.jobs))


async def _measure(count: int) -> list[Figure]:
    with LocalCluster(nodes=3) as cluster:
        for _ in range(2):
            cluster.worker(WORKER, "--concurrency", "200")
        async with AsyncClient(cluster.servers) as client:
            for done in range(0, count, CHUNK):
                await client.enqueue_many(("noop", ARGUMENTS) for _ in range(min(CHUNK, count - done)))
                await _completed(client, min(done + CHUNK, count))
        for worker in cluster.workers:
            worker.stop()
        cluster.options["--keep-finished"] = "1s"
        cluster.kill_nodes(range(len(cluster)))
        for number in range(len(cluster)):
            cluster.start_node(number)
        cluster.await_healthy()
        async with Probe.running(cluster.servers) as probe, AsyncClient(cluster.servers) as client:
            left, begin_s = (await client.status()).jobs.get("completed", 0), time.time()
            await _completed(client, 0)
            end_s = time.time()
            await asyncio.sleep(QUIET_S)
    busy = probe.between(begin_s, end_s)
    name = f"{count:,} finished jobs disappear, commit of another job meanwhile"
    note = f"{len(busy)} of them; afterwards: {probe.summary(end_s, end_s + QUIET_S)}"
    return [
        Figure(f"{name}, longest", max(busy), "ms", TARGET_MS, note),
        Figure(f"{name}, 99th percentile", quantile(busy, 0.99), "ms", None, note),
        Figure(f"the last {left:,} of them", end_s - begin_s, "s", None, "the others went before"),
    ]


async def _completed(client: AsyncClient, count: int) -> None:
    """Until the cluster counts so many completed jobs."""
    async with asyncio.timeout(300):
        while (await client.status()).jobs.get("completed", 0) != count:
            await asyncio.sleep(0.05)
