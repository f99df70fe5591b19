"""Two nodes in memory for a worker to work for, and what tests ask of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from orchestrix_raft import JobContext, Worker
from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.session import (
    ReportMessage,
)
from orchestrix_raft.machine.commands import Enqueue
from tests.unit.api.fake_node import FakeNode, FakeSession


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """The worker runs; in the end it is told to stop, and must."""
    task = asyncio.create_task(worker.run_async())
    try:
        yield task
        worker.stop()
        async with asyncio.timeout(20):
            await task
    finally:
        task.cancel()


class Pool:
    """Two nodes and their addresses."""

    def __init__(self) -> None:
        self.nodes = [FakeNode("n1"), FakeNode("n2")]
        self.addresses: list[str] = []


def job_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def enqueue(node: FakeNode, count: int = 1, job_type: str = "echo", first: int = 1) -> list[bytes]:
    """Jobs numbered from `first`."""
    ids = [job_id(number) for number in range(first, first + count)]
    await node.submit(Enqueue(tuple(JobSpec(one, job_type, "default", b'{"a":1}') for one in ids)))
    return ids


async def finished(node: FakeNode, ids: list[bytes]) -> list[Any]:
    return [view.job for one in ids if (view := await node.wait_job(one, 10_000)) is not None]


async def reported(session: FakeSession, count: int) -> list[ReportMessage]:
    """Reports, once they carry `count` outcomes."""
    while True:
        found = [message for message in session.received if isinstance(message, ReportMessage)]
        if sum(len(message.outcomes) for message in found) >= count:
            return found
        session.arrived.clear()
        await session.arrived.wait()


def echo_worker(servers: str | list[str], concurrency: int = 10) -> Worker:
    worker = Worker(servers, concurrency=concurrency, labels=["gpu"], name="w")

    @worker.job("echo")
    async def echo(ctx: JobContext, **arguments: Any) -> Any:
        return arguments

    return worker
