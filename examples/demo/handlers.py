"""The demo's worker: three job types, one for each way in which a handler can run.

Every handler writes its start and its end into the ledger of effects, see `orchestrix_raft.testing.ledger`.
"""

import asyncio
import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Final

from orchestrix_raft import JobContext, Worker
from orchestrix_raft.testing import Ledger

LEDGER_VARIABLE: Final = "DEMO_LEDGER"
TYPES: Final = ("checksum", "words", "lines")

worker = Worker(os.environ.get("ORCHESTRIX_SERVERS", "127.0.0.1:7400"), queues=["files"], concurrency=8)

_WORD = re.compile(r"[A-Za-z]{2,}")


def _ledger() -> Ledger:
    return Ledger(os.environ[LEDGER_VARIABLE])


@worker.job("checksum")
def checksum(ctx: JobContext, path: str) -> str:
    """In a thread: hashing large blocks lets other threads run."""
    _ledger().start(ctx)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    _ledger().end(ctx)
    return digest


@worker.job("words", process=True)
def words(ctx: JobContext, path: str) -> dict[str, object]:
    """In a process of its own: counting is Python all the way and would hold up everything else."""
    _ledger().start(ctx)
    counts = Counter(_WORD.findall(Path(path).read_text(encoding="utf-8", errors="replace").lower()))
    _ledger().end(ctx)
    return {"words": counts.total(), "distinct": len(counts), "top": counts.most_common(20)}


@worker.job("lines")
async def lines(ctx: JobContext, path: str) -> int:
    """On the event loop: waits for the disk, computes nothing to speak of."""
    _ledger().start(ctx)
    count = (await asyncio.to_thread(Path(path).read_bytes)).count(b"\n")
    _ledger().end(ctx)
    return count
