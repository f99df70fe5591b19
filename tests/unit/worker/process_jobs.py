"""Handlers that run in processes of their own: they must be importable by name."""

import os
import signal
import threading
from typing import Any

from orchestrix_raft import JobContext, Retry


def add(ctx: JobContext, a: int, b: int) -> dict[str, Any]:
    """Says that it works in another process."""
    ctx.log(f"adding {a} and {b}")
    ctx.progress(50, "half")
    return {"sum": a + b, "pid": os.getpid(), "id": ctx.job_id}


def refuse(ctx: JobContext) -> None:
    """Raises what it is told not to retry on."""
    raise LookupError("nothing there")


def again(ctx: JobContext) -> None:
    """Asks for another try."""
    raise Retry(delay=1.5)


def stop_when_asked(ctx: JobContext) -> None:
    """Ends when it is asked to."""
    ctx.log("waiting")
    while not ctx.cancelled:
        threading.Event().wait(0.005)
    ctx.raise_if_cancelled()


def hang(ctx: JobContext) -> None:
    """Ends only when it is killed."""
    ctx.log("hanging")
    threading.Event().wait()


def die(ctx: JobContext) -> None:
    """Takes its process with it."""
    os.kill(os.getpid(), signal.SIGKILL)
