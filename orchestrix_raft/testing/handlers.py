"""A worker for load and failure tests: `orchestrix-raft worker orchestrix_raft.testing.handlers:worker`.

With the environment variable `LEDGER` set to a path, every handler writes its start and end there.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Final

from orchestrix_raft.testing.ledger import Ledger
from orchestrix_raft.worker.context import JobContext
from orchestrix_raft.worker.worker import Worker

LEDGER_VARIABLE: Final = "LEDGER"
LOOK_S: Final = 0.02

worker = Worker(os.environ.get("ORCHESTRIX_SERVERS", "127.0.0.1:7400"), queues=["default"], concurrency=50)


def _start(ctx: JobContext) -> None:
    if path := os.environ.get(LEDGER_VARIABLE):
        Ledger(path).start(ctx)


def _end(ctx: JobContext) -> None:
    if path := os.environ.get(LEDGER_VARIABLE):
        Ledger(path).end(ctx)


@worker.job("noop")
async def noop(ctx: JobContext, **_: Any) -> None:
    """Nothing but its two lines in the ledger."""
    _start(ctx)
    _end(ctx)


@worker.job("sleep")
async def sleep(ctx: JobContext, seconds: float) -> float:
    """Takes its time on the event loop."""
    _start(ctx)
    await asyncio.sleep(seconds)
    _end(ctx)
    return seconds


@worker.job("hold")
def hold(ctx: JobContext, path: str) -> int:
    """Goes on, in a thread, until the file `path` exists; its attempt."""
    _start(ctx)
    while not Path(path).exists():
        ctx.raise_if_cancelled()
        time.sleep(LOOK_S)
    _end(ctx)
    return ctx.attempt


@worker.job("talk")
def talk(ctx: JobContext, path: str) -> int:
    """Logs `line 1`, `line 2`, ..., in a thread, as long as the file `path` exists; how many it were."""
    _start(ctx)
    count = 0
    while Path(path).exists():
        ctx.raise_if_cancelled()
        count += 1
        ctx.log(f"line {count}")
        time.sleep(LOOK_S)
    _end(ctx)
    return count


@worker.job("fail")
async def fail(ctx: JobContext, message: str = "asked to fail") -> None:
    """Raises RuntimeError."""
    _start(ctx)
    raise RuntimeError(message)


@worker.job("flaky")
async def flaky(ctx: JobContext, failures: int) -> int:
    """Raises RuntimeError in its first `failures` attempts; the attempt in which it did not."""
    _start(ctx)
    if ctx.attempt <= failures:
        raise RuntimeError(f"attempt {ctx.attempt} of those that fail")
    _end(ctx)
    return ctx.attempt
