"""`python -m bench.idle_workers SERVERS COUNT`: so many workers in one process, until it is killed."""

import asyncio
import random
import sys

from orchestrix_raft import JobContext, Worker


async def main(servers: str, count: int) -> None:
    """Each worker prefers another node, as workers started one after the other do."""
    addresses = servers.split(",")
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            random.shuffle(addresses)
            worker = Worker(",".join(addresses), queues=["idle"], concurrency=1, name=f"idle-{number}")
            worker.job("noop")(_noop)
            group.create_task(worker.run_async())


async def _noop(ctx: JobContext) -> None:
    """Never called: nobody enqueues."""


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
