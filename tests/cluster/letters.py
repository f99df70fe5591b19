"""A worker for test_dead_letters: handlers that refuse, fail, and tell their deadline."""

from pathlib import Path

from orchestrix_raft import Discard, JobContext, Worker

worker = Worker(concurrency=10)


@worker.job("refuse")
def refuse(ctx: JobContext, why: str) -> None:
    raise Discard(why)


@worker.job("wrong", no_retry_on=(LookupError,))
def wrong(ctx: JobContext) -> None:
    raise KeyError("no such customer")


@worker.job("fail_unless")
def fail_unless(ctx: JobContext, path: str) -> int:
    """Fails until the file is there; its attempt."""
    if not Path(path).exists():
        raise RuntimeError(f"{path} is missing")
    return ctx.attempt


@worker.job("deadline", process=True)
def deadline(ctx: JobContext) -> str:
    return "" if ctx.deadline is None else ctx.deadline.isoformat()
