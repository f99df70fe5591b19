"""The one door through which the pure machine sees what is no longer in memory.

Finished jobs, attempts and large payloads live on disk.  What the port answers depends on the log
alone: first the writes not yet checkpointed, then the checkpoint.  So two replicas at the same index get
the same answer, whatever their checkpoints.
"""

from collections.abc import Iterator
from typing import Final, Protocol

LIVE_JOBS: Final = "jobs"  # job id -> Job
FINISHED: Final = "finished"  # job id -> Job; b"": the job is gone, its id is not free yet
FINISHED_BY_TIME: Final = "finished_by_time"  # state (1 byte) + finished_ms (8, big endian) + job id
# -> ordinal of the newest attempt (big endian, no leading zeros).  State 0: a job that is gone, by the time
# when its id is free -> b""
ATTEMPTS: Final = "attempts"  # job id + attempt (4, big endian) -> Attempt
PAYLOADS: Final = "payloads"  # job id -> args of a live job
SESSIONS: Final = "sessions"  # session id -> Session
SCHEDULES: Final = "schedules"  # schedule id (UTF-8) -> Schedule
QUEUES: Final = "queues"  # queue (UTF-8) -> Queue, of those that are paused or limited
KEY_WINDOWS: Final = "key_windows"  # pair_key(queue, key) -> KeyWindow
UNIQUE_WINDOWS: Final = "unique_windows"  # pair_key(type, unique key) -> UniqueWindow
NODES: Final = "nodes"  # node id (UTF-8) -> Node
REQUESTS: Final = "requests"  # request id -> remembered result
AUDIT: Final = "audit"  # number (8, big endian) -> AuditRecord
SINGLES: Final = "singles"  # CORE_KEY -> counters and clocks; AUDIT_KEY -> AuditTrail;
# LEVEL_KEY -> machine level, if ever raised
CORE_KEY: Final = b"core"
AUDIT_KEY: Final = b"audit"
LEVEL_KEY: Final = b"level"


class History(Protocol):
    """Read-only; same index, same answer."""

    def get(self, table: str, key: bytes) -> bytes | None: ...
    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` pairs with key >= start, in key order (reverse: key <= start, downwards)."""
        ...


Row = tuple[bytes, bytes | None]
"""A key and its value; None: the key was deleted."""


def overlaid(newer: Iterator[Row], older: Iterator[Row], *, reverse: bool = False) -> Iterator[Row]:
    """Two walks in key order as one; where both have a key the newer one wins."""
    top, below = next(newer, None), next(older, None)
    while top is not None and below is not None:
        if top[0] == below[0]:
            yield top
            top, below = next(newer, None), next(older, None)
        elif (top[0] < below[0]) is not reverse:
            yield top
            top = next(newer, None)
        else:
            yield below
            below = next(older, None)
    if top is not None:
        yield top
    elif below is not None:
        yield below
    yield from newer
    yield from older
