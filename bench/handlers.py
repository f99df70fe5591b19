"""The worker that is measured: handlers that do nothing."""

import os
import time
from typing import Any

from bench.watch import STARTS_VARIABLE
from orchestrix_raft import JobContext, Worker

worker = Worker(os.environ.get("ORCHESTRIX_SERVERS", "127.0.0.1:7400"), queues=["default"], concurrency=200)


@worker.job("noop")
async def noop(ctx: JobContext, **_: Any) -> None:
    """Nothing."""


@worker.job("started")
async def started(ctx: JobContext) -> float:
    """When it began, on the monotonic clock that all processes of a machine share."""
    return time.monotonic()


@worker.job("due")
async def due(ctx: JobContext, at_ms: int, **_: Any) -> None:
    """Notes how late it is."""
    _note(at_ms, at_ms)


@worker.job("fired")
async def fired(ctx: JobContext, **_: Any) -> None:
    """Notes how late its schedule and it are."""
    assert ctx.scheduled_for is not None
    assert ctx.fired_at is not None
    _note(round(ctx.scheduled_for.timestamp() * 1e3), round(ctx.fired_at.timestamp() * 1e3))


def _note(due_ms: int, fired_ms: int) -> None:
    """One line in one write: workers share the file."""
    global _starts
    if _starts < 0:
        _starts = os.open(os.environ[STARTS_VARIABLE], os.O_WRONLY | os.O_APPEND)
    os.write(_starts, f"{due_ms} {fired_ms} {time.time_ns() // 1_000_000}\n".encode())


_starts = -1
