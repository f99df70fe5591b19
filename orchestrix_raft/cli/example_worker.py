"""The worker that `orchestrix-raft dev` starts, and a model for one's own.

Run it by hand with `orchestrix-raft worker orchestrix_raft.cli.example_worker:worker`.
"""

import hashlib
import time
from pathlib import Path

from orchestrix_raft import JobContext, Worker

worker = Worker("127.0.0.1:7400", queues=["default"], concurrency=10)

_BLOCK_BYTES = 1 << 20


@worker.job("echo")
async def echo(ctx: JobContext, **arguments: object) -> dict[str, object]:
    """Gives its arguments back."""
    return arguments


@worker.job("sleep")
def sleep(ctx: JobContext, seconds: float = 1.0) -> str:
    """Takes its time, tells how far it is, and ends early when asked to."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        ctx.raise_if_cancelled()
        ctx.progress(int(100 * (1 - left / seconds)))
        time.sleep(min(left, 0.1))
    return f"slept {seconds} s"


@worker.job("checksum")
def checksum(ctx: JobContext, path: str) -> str:
    """The SHA-256 of a file on the worker's machine."""
    size = Path(path).stat().st_size
    ctx.log(f"{path}: {size} bytes")
    digest = hashlib.sha256()
    done = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            ctx.raise_if_cancelled()
            digest.update(block)
            done += len(block)
            ctx.progress(min(100, 100 * done // max(size, 1)))  # the file may grow meanwhile
    return digest.hexdigest()
