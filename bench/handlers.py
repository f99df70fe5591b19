"""The worker that is measured: handlers that do nothing."""

import os
import time
from typing import Any

from orchestrix_raft import JobContext, Worker

worker = Worker(os.environ.get("ORCHESTRIX_SERVERS", "127.0.0.1:7400"), queues=["default"], concurrency=200)


@worker.job("noop")
async def noop(ctx: JobContext, **_: Any) -> None:
    """Nothing."""


@worker.job("started")
async def started(ctx: JobContext) -> float:
    """When it began, on the monotonic clock that all processes of a machine share."""
    return time.monotonic()
