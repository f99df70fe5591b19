"""Job ids: UUIDv7 (RFC 9562), made by the client so that enqueueing twice is one job.

Ids of one process grow strictly, also within a millisecond and when the clock steps back, so jobs
enqueued in order sort in order.
"""

import os
import threading
import time
from collections.abc import Callable

_COUNTER_BITS = 74  # what a UUIDv7 leaves beside time, version and variant
_LOW_BITS = 62
_LOW_MASK = (1 << _LOW_BITS) - 1


class JobIds:
    """Makes ids; safe to share between threads."""

    def __init__(
        self,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._ms = -1
        self._counter = 0

    def next(self) -> bytes:
        """A new id: 16 bytes, greater than every one before it."""
        with self._lock:
            now_ms = self._now_ms()
            if now_ms > self._ms:
                self._ms = now_ms
                self._counter = self._draw()
            else:
                self._counter += 1
                if self._counter >> _COUNTER_BITS:
                    self._ms += 1
                    self._counter = self._draw()
            ms, counter = self._ms, self._counter
        high = (ms << 16) | 0x7000 | (counter >> _LOW_BITS)
        return ((high << 64) | (0b10 << _LOW_BITS) | (counter & _LOW_MASK)).to_bytes(16, "big")

    def reset(self) -> None:
        """Forget what came before: a forked process must not go on where its parent does."""
        self._lock = threading.Lock()
        self._ms = -1

    def _draw(self) -> int:
        """A random start with its top bit clear, so that counting up within a millisecond has room."""
        return int.from_bytes(self._random_bytes(10), "big") >> (80 - _COUNTER_BITS + 1)


IDS = JobIds()
"""One sequence for all clients of the process."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=IDS.reset)
