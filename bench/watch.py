"""What the measurements under way look at: how other work fares, what nodes take, when handlers began."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from bench.measure import ARGUMENTS, cpu_s, quantile
from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster, eventually

STARTS_VARIABLE: Final = "BENCH_STARTS"
"""Names the file that the handlers `due` and `fired` write to, for `Starts`."""
PROBE_S: Final = 0.010
MIB: Final = 1 << 20


class Probe:
    """Other work: a job every 10 ms, whatever became of those before, each enqueued for itself."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []  # (wall seconds of the call, seconds it took)

    def between(self, begin_s: float, end_s: float) -> list[float]:
        """Milliseconds of the calls begun in that time (wall)."""
        return [took * 1e3 for at, took in self.samples if begin_s <= at <= end_s]

    def summary(self, begin_s: float, end_s: float) -> str:
        """For a note."""
        found = self.between(begin_s, end_s)
        return f"median {quantile(found, 0.5):.1f}, p99 {quantile(found, 0.99):.1f}, of {len(found)}"

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, servers: str) -> AsyncIterator["Probe"]:
        """Probes as long as the block lasts.  Nobody works on its queue."""
        probe = cls()
        async with AsyncClient(servers) as client:
            task = asyncio.create_task(probe._run(client))
            try:
                yield probe
            finally:
                task.cancel()
                with contextlib.suppress(
                    asyncio.CancelledError
                ):  # any other end of it is the measurement's, too
                    await task

    async def _run(self, client: AsyncClient) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._one(client))
                await asyncio.sleep(PROBE_S)

    async def _one(self, client: AsyncClient) -> None:
        at, begin = time.time(), time.perf_counter()
        await client.enqueue("noop", ARGUMENTS, queue="probe")
        self.samples.append((at, time.perf_counter() - begin))


class Start(NamedTuple):
    """When a job was due, fired by its schedule (else the same), and begun by a handler; wall seconds."""

    due_s: float
    fired_s: float
    begun_s: float


class Starts:
    """What the handlers wrote."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "starts"
        self.path.touch()

    @property
    def environment(self) -> dict[str, str]:
        """For the workers."""
        return {STARTS_VARIABLE: str(self.path)}

    def read(self) -> list[Start]:
        """All so far."""
        return [Start(*(int(n) / 1e3 for n in line.split())) for line in self.path.read_text().splitlines()]

    def wait(self, count: int, timeout_s: float) -> list[Start]:
        """Until there are so many."""

        def there() -> bool:
            return len(self.path.read_bytes().splitlines()) >= count

        eventually(there, f"{count:,} starts", timeout_s, 0.1)
        return self.read()


def anonymous_mib(cluster: LocalCluster) -> list[float]:
    """MiB of memory that are a node's own, by node: mapped files do not count (Linux; elsewhere 0)."""
    return [_anonymous_kib(Path(f"/proc/{node.pid}/status")) / 1024 for node in cluster.running_nodes()]


def _anonymous_kib(status: Path) -> int:
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


def cpu_percent(cluster: LocalCluster, seconds: float) -> list[float]:
    """Share of a core that each node takes while nothing is asked of it, by node."""
    pids = [process.pid for process in cluster.running_nodes()]
    before = [cpu_s([pid]) for pid in pids]
    begin = time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - begin
    return [(cpu_s([pid]) - spent) / took * 100 for pid, spent in zip(pids, before, strict=True)]
