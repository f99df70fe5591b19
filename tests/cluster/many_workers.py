"""`python -m tests.cluster.many_workers SERVERS COUNT`: so many workers in one process, each with a session
of its own, for tests in which it matters who is attached where."""

import asyncio
import sys

from orchestrix_raft import Worker
from orchestrix_raft.testing.handlers import hold, noop

SLOTS = 2


async def main(servers: str, count: int) -> None:
    """Until it is ended."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            worker = Worker(servers, queues=["default"], concurrency=SLOTS, name=f"many-{number}")
            worker.job("hold")(hold)
            worker.job("noop")(noop)
            group.create_task(worker.run_async())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
