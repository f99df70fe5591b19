"""The one door through which the pure machine sees what is no longer in memory.

Finished jobs, attempts and large payloads live on disk.  What the port answers depends on the log
alone: first the writes not yet checkpointed, then the checkpoint.  So two replicas at the same index get
the same answer, whatever their checkpoints.
"""

from typing import Final, Protocol

LIVE_JOBS: Final = "jobs"  # job id -> Job
FINISHED: Final = "finished"  # job id -> Job
FINISHED_BY_TIME: Final = "finished_by_time"  # state (1 byte) + finished_ms (8, big endian) + job id -> b""
ATTEMPTS: Final = "attempts"  # job id + attempt (4, big endian) -> Attempt
PAYLOADS: Final = "payloads"  # job id -> args of a live job
SESSIONS: Final = "sessions"  # session id -> Session
NODES: Final = "nodes"  # node id (UTF-8) -> Node
REQUESTS: Final = "requests"  # request id -> remembered result
SINGLES: Final = "singles"  # CORE_KEY -> counters and clocks
CORE_KEY: Final = b"core"


class History(Protocol):
    """Read-only; same index, same answer."""

    def get(self, table: str, key: bytes) -> bytes | None: ...
    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` pairs with key >= start, in key order (reverse: key <= start, downwards)."""
        ...
