"""A million delayed jobs on three nodes: the memory they take, what they cost others, and whether they begin
on time."""

import asyncio
import math
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.measure import ARGUMENTS, WORKER, CpuTime, Figure, Size, cpu_figure, in_words, quantile
from bench.watch import Probe, Start, Starts, anonymous_mib, cpu_percent
from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster

ROUNDS: Final = 5
DUE_PER_S: Final = 2_000
STEP_S: Final = 0.05
IDLE_S: Final = 10.0
MEMORY_TARGET_MIB: Final = 1.5e9 / 2**20
SLOWER_TARGET_PERCENT: Final = 20.0
LATENESS_TARGET_S: Final = 1.0


def measure(size: Size) -> list[Figure]:
    """Fifty times the jobs of the other measurements: a million, or 100,000 with --quick."""
    return asyncio.run(_measure(50 * size.jobs, size.jobs // 2, 2 * size.jobs))


async def _measure(count: int, batch: int, due: int) -> list[Figure]:
    """`count` in all, of which `due` are due at the end; rates are measured by `batch`.

    A hundredth of them is left out: at the cluster's limit of unfinished jobs the probe would be refused.
    """
    count -= count // 100
    with LocalCluster(nodes=3) as cluster:
        starts = Starts(cluster.data_dir)
        for _ in range(2):
            cluster.worker(WORKER, "--concurrency", "200", environment=starts.environment)
        async with AsyncClient(cluster.servers) as client:
            await _enqueue(client, batch)
            before, spent_before = await _rounds(cluster, client, batch)
            empty = max(anonymous_mib(cluster))
            delayed = await _enqueue(client, count - due - (2 * ROUNDS + 1) * batch, delayed=True)
            after, spent_after = await _rounds(cluster, client, batch)
            memory = max(anonymous_mib(cluster))
            idle = max(await asyncio.to_thread(cpu_percent, cluster, IDLE_S))
            async with Probe.running(cluster.servers) as probe:
                begin_s = await _enqueue_due(client, due)
                found = await asyncio.to_thread(starts.wait, due, 2 * due / DUE_PER_S + 60)
                end_s = time.time()
        peak = max(anonymous_mib(cluster))
    rate, later = statistics.median(before), statistics.median(after)
    return [
        Figure(
            f"{count:,} jobs wait, nearly all delayed: memory of the largest node",
            memory,
            "MiB",
            MEMORY_TARGET_MIB,
            f"with {(ROUNDS + 1) * batch:,}: {empty:.0f}; at the end: {peak:.0f}",
        ),
        Figure("idle with them, busiest node", idle, "% of a core"),
        Figure("enqueue_many without them", rate, "jobs/s", None, f"rounds: {in_words(before)}"),
        Figure("enqueue_many of delayed jobs", delayed, "jobs/s"),
        Figure("enqueue_many with them", later, "jobs/s", None, f"rounds: {in_words(after)}"),
        *cpu_figure("enqueue_many without them", spent_before, batch),
        *cpu_figure("enqueue_many with them", spent_after, batch),
        Figure("enqueue_many: slower by", (1 - later / rate) * 100, "%", SLOWER_TARGET_PERCENT),
        *_lateness(found, due),
        Figure(
            "commit of another job meanwhile, 99th percentile",
            quantile(probe.between(begin_s, end_s), 0.99),
            "ms",
            None,
            probe.summary(begin_s, end_s),
        ),
    ]


def _lateness(found: list[Start], due: int) -> list[Figure]:
    """From the time a job was due to its handler's first line."""
    if len(found) != due:
        raise RuntimeError(f"{len(found)} starts of {due} jobs")
    late = [one.begun_s - one.due_s for one in found]
    name = f"{due:,} of them due, {DUE_PER_S:,}/s: lateness of the start"
    return [
        Figure(f"{name}, 99th percentile", quantile(late, 0.99), "s", LATENESS_TARGET_S),
        Figure(f"{name}, longest", max(late), "s", None, f"median {quantile(late, 0.5):.3f}"),
    ]


async def _rounds(
    cluster: LocalCluster, client: AsyncClient, batch: int
) -> tuple[list[float], list[dict[str, float]]]:
    """Jobs a second and CPU time spent, by round."""
    rates, spent = [], []
    for _ in range(ROUNDS):
        cpu = CpuTime(cluster)
        rates.append(await _enqueue(client, batch))
        spent.append(cpu.spent())
    return rates, spent


async def _enqueue(client: AsyncClient, jobs: int, *, delayed: bool = False) -> float:
    """Jobs a second."""
    run_at = datetime.now(UTC) + timedelta(days=2) if delayed else None
    begin = time.perf_counter()
    await client.enqueue_many((("noop", ARGUMENTS) for _ in range(jobs)), queue="parked", run_at=run_at)
    return jobs / (time.perf_counter() - begin)


async def _enqueue_due(client: AsyncClient, jobs: int) -> float:
    """Jobs that become due in small groups, all of them enqueued before; when the first ones are (wall)."""
    first_s = math.ceil(time.time() + jobs / 1_000 + 5)
    group = round(DUE_PER_S * STEP_S)
    for number in range(jobs // group):
        at_s = first_s + number * STEP_S
        args = {"at_ms": round(at_s * 1e3), **ARGUMENTS}
        run_at = datetime.fromtimestamp(at_s, UTC)
        await client.enqueue_many((("due", args) for _ in range(group)), run_at=run_at)
    if time.time() > first_s:
        raise RuntimeError("the machine is too slow today: the jobs came after their time")
    return first_s
