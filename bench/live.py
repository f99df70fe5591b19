"""A million unfinished jobs on three nodes: memory, what a checkpoint costs others, how long a restart takes,
and what a copy for a node that was away for too long, a backup and a comparison of contents cost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from bench.measure import ARGUMENTS, WORKER, Figure, Size
from bench.watch import Probe, anonymous_mib
from bench.watched_node import INTERVAL_S, WatchedCluster
from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster, eventually

MEMORY_TARGET_MIB: Final = 1.5e9 / 2**20
RESTART_TARGET_S: Final = 20.0
COMMIT_TARGET_MS: Final = 100.0
STOP_TARGET_MS: Final = 20.0
_STOP: Final = "longest stop of a node's loop"
CHURN_PER_S: Final = 1_000
CHURN_S: Final = 20.0
STEP_S: Final = 0.1
TAIL_ENTRIES: Final = 3_000
"""The log kept behind a checkpoint: more than passes during a restart, and soon gone."""
CHUNK: Final = 20_000


def measure(size: Size) -> list[Figure]:
    """Fifty times the jobs of the other measurements: a million, or 100,000 with --quick."""
    return asyncio.run(_measure(50 * size.jobs))


async def _measure(count: int) -> list[Figure]:
    """Five hundredths are left out: at the cluster's limit of unfinished jobs others would be refused."""
    count -= count // 20
    with WatchedCluster(nodes=3, options={"--log-tail-entries": str(TAIL_ENTRIES)}) as cluster:
        for _ in range(2):
            cluster.worker(WORKER, "--concurrency", "200")
        async with AsyncClient(cluster.servers) as client:
            for _ in range(0, count, CHUNK):
                await client.enqueue_many((("noop", ARGUMENTS) for _ in range(CHUNK)), queue="parked")
            memory = max(anonymous_mib(cluster))
            async with Probe.running(cluster.servers) as probe:
                churn = await _churn(client)
                stops = _stops(cluster, churn)
                away = (cluster.leader() + 1) % len(cluster)
                restart_s = await asyncio.to_thread(_restart, cluster, away)
                copy = await _copy(cluster, client, away)
                backup = await _under_load(client, client.backup(cluster.data_dir / "backup"))
                verified = await _under_load(client, client.verify(timeout=600.0))
    name = f"{count:,} jobs wait"
    return [
        Figure(f"{name}: memory of the largest node", memory, "MiB", MEMORY_TARGET_MIB),
        *_commits(f"{name}: commit of another job while {CHURN_PER_S:,}/s run", probe, churn),
        *[msgspec.structs.replace(figure, name=f"{name}: {figure.name}") for figure in stops],
        Figure(f"{name}: restart of a node", restart_s, "s", RESTART_TARGET_S, "until it has caught up"),
        *_commits(f"{name}: commit of another job while a node gets a copy", probe, copy),
        Figure(
            f"{name}: a node gets a copy",
            copy[1] - copy[0],
            "s",
            None,
            "from its start until it has caught up",
        ),
        *_commits(
            f"{name}: commit of another job while {CHURN_PER_S:,}/s run and a backup is made", probe, backup
        ),
        Figure(f"{name}: a backup", backup[1] - backup[0], "s", None, "to a file on the same machine"),
        *_commits(
            f"{name}: commit of another job while {CHURN_PER_S:,}/s run and contents are compared",
            probe,
            verified,
        ),
        Figure(f"{name}: comparing what three nodes hold", verified[1] - verified[0], "s"),
    ]


def _stops(cluster: WatchedCluster, span: tuple[float, float]) -> list[Figure]:
    """The longest stops of a node's loop, of any node, while checkpoints are made and while none is."""
    watched = cluster.watched()

    def longest(checkpoints: bool, with_syncs: bool = True) -> float:
        return max(node.longest_ms(*span, checkpoints=checkpoints, with_syncs=with_syncs) for node in watched)

    count = sum(begin >= span[0] and end <= span[1] for node in watched for begin, end in node.checkpoints)
    note = f"{count} checkpoints, looked at every {INTERVAL_S * 1e3:.0f} ms"
    return [
        Figure(f"{_STOP} while it makes a checkpoint", longest(True), "ms", STOP_TARGET_MS, note),
        Figure(f"{_STOP}, likewise, without the journal's sync", longest(True, False), "ms", None, note),
        Figure(f"{_STOP} at other times", longest(False), "ms", None, note),
        Figure(
            "most CPU time that a node's loop took at a stretch",
            max(node.most_computed_ms(*span) for node in watched),
            "ms",
            STOP_TARGET_MS,
            "whatever else the machine does",
        ),
    ]


async def _under_load(client: AsyncClient, work: Awaitable[object]) -> tuple[float, float]:
    """(begin, end), wall seconds, of something that is awaited while jobs come and go."""
    over = asyncio.Event()
    load = asyncio.create_task(_come_and_go(client, over.is_set))
    begin_s = time.time()
    try:
        await work
        return begin_s, time.time()
    finally:
        over.set()
        await load


def _commits(name: str, probe: Probe, span: tuple[float, float]) -> list[Figure]:
    found = sorted(probe.between(*span))
    note = probe.summary(*span)
    p99 = found[max(0, round(0.99 * len(found)) - 1)]
    return [
        Figure(f"{name}, 99th percentile", p99, "ms", COMMIT_TARGET_MS, note),
        Figure(f"{name}, longest", found[-1], "ms", None, note),
    ]


async def _churn(client: AsyncClient) -> tuple[float, float]:
    """Jobs come and go, so that every checkpoint has something to write: (begin, end), wall seconds."""
    begin_s = time.time()
    await _come_and_go(client, lambda: time.time() >= begin_s + CHURN_S)
    return begin_s, time.time()


async def _come_and_go(client: AsyncClient, over: Callable[[], bool]) -> None:
    while not over():
        await client.enqueue_many(("noop", ARGUMENTS) for _ in range(round(CHURN_PER_S * STEP_S)))
        await asyncio.sleep(STEP_S)


def _restart(cluster: LocalCluster, number: int) -> float:
    """Seconds from the start of a killed node until it follows."""
    cluster.kill(number)
    begin = time.perf_counter()
    cluster.start_node(number)
    _caught_up(cluster, number)
    if "snapshot" in cluster.node(number).text():
        raise RuntimeError("the node needed a copy")
    return time.perf_counter() - begin


async def _copy(cluster: LocalCluster, client: AsyncClient, number: int) -> tuple[float, float]:
    """The node is away until the log it lacks is gone, and comes back: (begin, end), wall seconds."""
    cluster.kill(number)
    leader = cluster.leader()
    answer = cluster.status(leader)
    assert answer is not None
    past = answer.applied_index + 2 * TAIL_ENTRIES

    def gone() -> bool:
        now = cluster.status(leader)
        return now is not None and now.applied_index > past

    await asyncio.to_thread(eventually, gone, "the log has moved on", 300.0, 0.1)
    begin_s = time.time()
    cluster.start_node(number)
    await asyncio.to_thread(_caught_up, cluster, number)
    end_s = time.time()
    if "snapshot" not in cluster.node(number).text():
        raise RuntimeError("the node caught up without a copy")
    return begin_s, end_s


def _caught_up(cluster: LocalCluster, number: int) -> None:
    """Until it follows and lacks less than a second's entries."""

    def there() -> bool:
        own, leading = cluster.status(number), cluster.status(cluster.leader())
        if own is None or leading is None or not own.leader or own.stale:
            return False
        return own.applied_index + 200 >= leading.applied_index

    eventually(there, "the node has caught up", 300.0, 0.1)
