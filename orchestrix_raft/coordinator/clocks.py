"""The two clocks that a leader stamps entries with.

*Elapsed time* is the leader's monotonic clock, added up across leaders: it never jumps, so job timeouts,
deadlines and back-off use it.  *Wall time* follows the median of the nodes' wall clocks, at half to
double speed: a machine whose clock is wrong, or is set while it leads, cannot make replicated time jump,
stand still or run back.  Only after a restart of the whole cluster, when nobody knows how long it was
down, the median decides at once.

Pure, given readings; used by the core.
"""

from collections.abc import Iterable
from statistics import median_low
from typing import Final

SLOWEST, FASTEST = 0.5, 2.0  # of wall time, relative to the monotonic clock
FORGET_S: Final = 60.0  # an offset not heard again for so long no longer counts
COLD_S: Final = 2.0  # then the clocks that are known decide, be they fewer than wanted
SKEW_MS: Final = 5_000  # a clock further from the median is reported


class ElapsedClock:
    """Milliseconds since the cluster first had a leader, not counting the time without one."""

    def __init__(self) -> None:
        self._base_ms = 0
        self._since = 0.0

    def start(self, elapsed_ms: int, now: float) -> None:
        """This node leads from now on; the newest applied entry was stamped `elapsed_ms`."""
        self._base_ms = elapsed_ms
        self._since = now

    def read(self, now: float) -> int:
        """The stamp for an entry made now."""
        return self._base_ms + max(0, int((now - self._since) * 1000))


class WallClock:
    """Replicated wall time in milliseconds since 1970, as this node would stamp it.

    now: this machine's monotonic clock in seconds.  wall_ms: its wall clock at the same moment.
    """

    def __init__(self) -> None:
        self._offsets: dict[str, tuple[int, float]] = {}  # node -> its clock minus ours, when heard
        self._middle: tuple[int, float] = (0, -1.0)  # median of the offsets, and until when it is that
        self._stamp: tuple[int, float] | None = None  # newest stamp of a living leader, when seen here
        self._time = 0.0
        self._at = 0.0
        self._cold = False  # nobody knows how long the cluster was down: waits for `_wanted` other clocks
        self._wanted = 0
        self._since = 0.0

    def followed(self, stamp_ms: int, now: float) -> None:
        """An entry of the present leader was applied here just now."""
        self._stamp = (stamp_ms, now)

    def heard(self, node_id: str, offset_ms: int, now: float) -> None:
        """Another node's wall clock is `offset_ms` ahead of this machine's."""
        self._offsets[node_id] = (offset_ms, now)
        self._middle = (0, -1.0)

    def start(self, newest_ms: int, voters: Iterable[str], now: float) -> None:
        """This node leads from now on; the newest applied entry was stamped `newest_ms`."""
        self._at = self._since = now
        self._time = float(newest_ms)
        self._cold = self._stamp is None
        if self._stamp is not None:
            stamp_ms, seen = self._stamp
            self._time = float(max(newest_ms, stamp_ms + int((now - seen) * 1000)))
        self._wanted = len(list(voters)) // 2

    def ready(self, now: float) -> bool:
        """False while a cluster that was down as a whole still waits, not for long, for its clocks."""
        return not self._cold or len(self._fresh(now)) >= self._wanted or now - self._since > COLD_S

    def read(self, wall_ms: int, now: float) -> int:
        """The stamp for an entry made now; never less than the one before."""
        if now <= self._at and not self._cold:
            return int(self._time)  # no time has passed since it was read last
        if self._cold and self.ready(now):
            self._cold = False
            self._time = max(self._time, float(self._target(wall_ms, now)))
        passed = max(0.0, now - self._at) * 1000
        gap = self._target(wall_ms, now) - self._time
        self._time += min(max(gap, SLOWEST * passed), FASTEST * passed)
        self._at = max(self._at, now)
        return int(self._time)

    def skewed(self, now: float) -> list[tuple[str, int]]:
        """(node, milliseconds from the median) of clocks that are far off; "" is this machine."""
        known = {"": 0, **self._fresh(now)}
        middle = median_low(known.values())
        return [(node, offset - middle) for node, offset in known.items() if abs(offset - middle) > SKEW_MS]

    def _target(self, wall_ms: int, now: float) -> int:
        middle_ms, until = self._middle
        if now > until:
            fresh = [one for one in self._offsets.values() if now - one[1] <= FORGET_S]
            middle_ms = median_low([0, *(offset_ms for offset_ms, _ in fresh)])
            until = min([at for _, at in fresh], default=now) + FORGET_S
            self._middle = (middle_ms, until)
        return wall_ms + middle_ms

    def _fresh(self, now: float) -> dict[str, int]:
        return {node: offset for node, (offset, at) in self._offsets.items() if now - at <= FORGET_S}
