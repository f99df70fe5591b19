"""How late the event loop is: everything a node does shares one loop, so its lag is everyone's latency."""

import asyncio
import logging
from typing import Final

from orchestrix_raft.telemetry.metrics import Registry

INTERVAL_S: Final = 0.25
LATE_S: Final = 0.5  # the shortest election timeout: beyond it, others begin to doubt a leader

log = logging.getLogger(__name__)


class LoopLag:
    """Wakes at a fixed interval and records how much later than planned that was.

    `loop_lag_ms` is the newest value, `loop_lag_max_ms` the largest since the start,
    `loop_lag_late` how often it exceeded `late_s`; each such time is also a warning in the log.
    """

    def __init__(self, registry: Registry, *, interval_s: float = INTERVAL_S, late_s: float = LATE_S) -> None:
        self._now = registry.gauge("loop_lag_ms")
        self._max = registry.gauge("loop_lag_max_ms")
        self._late = registry.counter("loop_lag_late")
        self._interval_s = interval_s
        self._late_s = late_s
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval_s
        self._timer = loop.call_at(due, self._wake, loop, due)

    def stop(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def record(self, lag_s: float) -> None:
        """One observation; negative ones (the loop's clock is coarse) count as none."""
        lag_ms = max(0, round(lag_s * 1_000))
        self._now.set(lag_ms)
        self._max.raise_to(lag_ms)
        if lag_s > self._late_s:
            self._late.add()
            log.warning(
                "the event loop stood still: long work on it, or the machine is overloaded",
                extra={"lag_ms": lag_ms},
            )

    def _wake(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.record(loop.time() - due)
        self.start()
