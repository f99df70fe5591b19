"""How long does an idle cluster take: from enqueue to the handler's first line, and for a commit alone?"""

import asyncio
import time

from bench.measure import ARGUMENTS, Figure, Size, cluster_with_workers, times
from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster

START_TARGET_MS = (5.0, 20.0)
WARM_UP = 50


def measure(size: Size) -> list[Figure]:
    """On three nodes; one request at a time."""
    with cluster_with_workers(3) as cluster:
        return asyncio.run(_measure(cluster, size))


async def _measure(cluster: LocalCluster, size: Size) -> list[Figure]:
    leader = cluster.leader()
    follower = (leader + 1) % len(cluster)
    async with AsyncClient(cluster.addresses[leader]) as client:
        starts = await _starts(client, size.samples)
        at_leader = await _commits(client, size.samples)
    async with AsyncClient(cluster.addresses[follower]) as client:
        at_follower = await _commits(client, size.samples)
    return [
        *times("enqueue to start, idle, 3 nodes", starts, *START_TARGET_MS),
        *times("enqueue acknowledged, asked at the leader", at_leader, None, None),
        *times("enqueue acknowledged, asked at a follower", at_follower, None, None),
    ]


async def _starts(client: AsyncClient, samples: int) -> list[float]:
    """Seconds from the call of `enqueue` to the start of the handler."""
    found = []
    for _ in range(WARM_UP + samples):
        begin = time.monotonic()
        job = await client.wait(await client.enqueue("started"), timeout=30.0)
        found.append(job.result - begin)
    return found[WARM_UP:]


async def _commits(client: AsyncClient, samples: int) -> list[float]:
    """Seconds until an enqueue is acknowledged: on the disks of a majority, and applied.  Nobody works on
    that queue, so nothing else is going on."""
    found = []
    for _ in range(WARM_UP + samples):
        begin = time.perf_counter()
        await client.enqueue("noop", ARGUMENTS, queue="parked")
        found.append(time.perf_counter() - begin)
    return found[WARM_UP:]
