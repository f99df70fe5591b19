"""100,000 schedules on three nodes: what they cost at rest, and what happens when 10,000 are due at once."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from bench.measure import ARGUMENTS, WORKER, Figure, Size, quantile
from bench.watch import Probe, Starts, anonymous_mib, cpu_percent
from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster

CALLERS: Final = 100
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
IDLE_S: Final = 15.0
QUIET_S: Final = 3.0  # of probing before the second in question
FIRED_TARGET_S: Final = 5.0
COMMIT_TARGET_MS: Final = 100.0
IDLE_TARGET_PERCENT: Final = 5.0

Put = Callable[[int], Coroutine[Any, Any, Any]]


def measure(size: Size) -> list[Figure]:
    """Five times the jobs of the other measurements, a tenth of them due at once."""
    return asyncio.run(_measure(5 * size.jobs, size.jobs // 2))


async def _measure(count: int, due: int) -> list[Figure]:
    with LocalCluster(nodes=3) as cluster:
        starts = Starts(cluster.data_dir)
        for _ in range(2):
            cluster.worker(WORKER, "--concurrency", "200", environment=starts.environment)
        empty = max(await asyncio.to_thread(cpu_percent, cluster, IDLE_S))
        async with AsyncClient(cluster.servers) as client:
            rate = await _put_all(count - due, lambda n: _daily(client, n))
            await _settled(client)
            idle = max(await asyncio.to_thread(cpu_percent, cluster, IDLE_S))
            slot = datetime.fromtimestamp(math.ceil(time.time() + 2 * due / rate + 15), UTC)
            await _put_all(due, lambda n: _at(client, n, slot))
            await _settled(client)
        memory = max(anonymous_mib(cluster))
        slot_s = slot.timestamp()
        if time.time() > slot_s - QUIET_S:
            raise RuntimeError("the machine is too slow today: the schedules came after their time")
        await asyncio.sleep(slot_s - QUIET_S - time.time())
        async with Probe.running(cluster.servers) as probe:
            found = await asyncio.to_thread(starts.wait, due, 60.0)
            end_s = max(one.begun_s for one in found)
    if len(found) != due or {one.due_s for one in found} != {slot_s}:
        raise RuntimeError(f"{len(found)} runs of {due} slots, not all for {slot}")
    fired = [one.fired_s - one.due_s for one in found]
    busy = probe.between(slot_s, end_s)
    name = f"{due:,} of {count:,} schedules due in one second"
    return [
        Figure(
            f"{name}: last one fired", max(fired), "s", FIRED_TARGET_S, f"median {quantile(fired, 0.5):.2f}"
        ),
        Figure(f"{name}: last run started", end_s - slot_s, "s"),
        Figure(
            f"{name}: commit of another job, 99th percentile",
            quantile(busy, 0.99),
            "ms",
            COMMIT_TARGET_MS,
            f"longest {max(busy):.0f} of {len(busy)}; before: {probe.summary(0, slot_s)}",
        ),
        Figure(
            f"idle with {count - due:,} schedules, busiest node",
            idle,
            "% of a core",
            IDLE_TARGET_PERCENT,
            f"with none: {empty:.1f} %",
        ),
        Figure(f"{count:,} schedules: memory of the largest node", memory, "MiB"),
        Figure("schedules created, each with a call of its own", rate, "1/s", None, f"{CALLERS} callers"),
    ]


async def _put_all(count: int, put: Put) -> float:
    """Schedules a second."""
    numbers = iter(range(count))

    async def call() -> None:
        for number in numbers:
            await put(number)

    begin = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return count / (time.perf_counter() - begin)


async def _daily(client: AsyncClient, number: int) -> None:
    """Every day, the next time in some hours."""
    rng = random.Random(number)
    zone = ZONES[number % len(ZONES)]
    first = datetime.now(ZoneInfo(zone)) + timedelta(minutes=rng.randrange(180, 1_200))
    await client.schedules.cron(
        f"daily-{number}", f"{first.minute} {first.hour} * * *", "fired", ARGUMENTS, timezone=zone
    )


async def _at(client: AsyncClient, number: int, slot: datetime) -> None:
    """Once a year; all at the same second."""
    zone = ZONES[number % len(ZONES)]
    local = slot.astimezone(ZoneInfo(zone))
    times = f"{local.second} {local.minute} {local.hour} {local.day} {local.month} *"
    await client.schedules.cron(f"due-{number}", times, "fired", ARGUMENTS, timezone=zone)


async def _settled(client: AsyncClient) -> None:
    """Until nothing is written any more: the leader has found the next time of every schedule."""
    async with asyncio.timeout(60):
        index = -1
        while index != (index := (await client.status()).applied_index):
            await asyncio.sleep(1.0)
