"""A steady stream of single enqueues, and exact books of what was acknowledged.

with Load(cluster.servers, per_s=200.0, make=lambda n: ("noop", {"n": n})) as load:
    ...                          # kill something
load.acknowledged                # complete when the block has ended
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestrix_raft.client.aio import AsyncClient
from orchestrix_raft.testing.background import Background
from orchestrix_raft.wire.errors import OrchestrixError, OutcomeUnknown

STEP_S: Final = 0.02

Make = Callable[[int], tuple[str, Mapping[str, Any]]]


class Load(Background):
    """`per_s` enqueues a second, each of its own, whatever becomes of the earlier ones.

    make: (type, arguments) of job number 0, 1, ...; called in the load's thread.
    """

    def __init__(self, servers: str, per_s: float, make: Make, queue: str = "default") -> None:
        super().__init__("load")
        self._servers = servers
        self._per_s = per_s
        self._make = make
        self._queue = queue
        self.acknowledged: list[str] = []
        self.in_doubt: list[str] = []  # outcome unknown: they may exist
        self.refused: list[str] = []  # certainly not enqueued: what the client was told

    async def _work(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        offered = 0
        now = asyncio.get_running_loop().time
        begin_s = now()
        async with AsyncClient(self._servers) as client:
            while not self._stopping.is_set():
                due = int((now() - begin_s) * self._per_s)
                for number in range(offered, due):
                    task = asyncio.create_task(self._enqueue(client, number))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                offered = max(offered, due)
                await asyncio.sleep(STEP_S)
            await asyncio.gather(*under_way)

    async def _enqueue(self, client: AsyncClient, number: int) -> None:
        job_type, arguments = self._make(number)
        try:
            self.acknowledged.append(await client.enqueue(job_type, arguments, queue=self._queue))
        except OutcomeUnknown as error:
            self.in_doubt.extend(error.job_ids)
        except OrchestrixError as error:
            self.refused.append(str(error))
