"""Whether workers and cluster are still there: silent streams, heartbeats, loss of contact with a leader.

Heartbeats are answered only by a node in contact with a majority-backed leader, so that a worker on the
minority side fences itself in time.  For the hub.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.session import HeartbeatAck

Drop = Callable[[Stream, str, str], None]
"""Ends a stream with a reason and words for people."""


class HubLimits(NamedTuple):
    """Intervals of the worker protocol, in seconds."""

    heartbeat_s: float = 10.0
    silent_s: float = 30.0  # a stream without heartbeats is taken for dead
    fence_s: float = 25.0  # told to workers
    observe_s: float = 0.5  # starts and progress are committed at most this often
    contact_s: float = 1.5  # heartbeats are answered while the leader's majority was confirmed this recently
    minority_s: float = 5.0  # without such contact for this long the sessions are closed
    stall_s: float = 2.0  # between two looks at the clock: this process stood still, not the workers
    settle_s: float = 1.0  # after that: what is read may have been sent long ago


class Pulse:
    """Of the streams of one node.  `streams` is the hub's own table, looked at and never changed; `servers`:
    API addresses of all nodes."""

    def __init__(
        self,
        bounds: HubLimits,
        streams: Mapping[bytes, Stream],
        drop: Drop,
        servers: Callable[[], tuple[str, ...]],
    ) -> None:
        self._bounds = bounds
        self._streams = streams
        self._drop = drop
        self._servers = servers
        self._beating: dict[Stream, int] = {}  # the newest heartbeat that is to be answered
        self._contact_lost_at: float | None = None
        self._trusted_from = 0.0  # contact seen before counts for nothing
        self.now = 0.0  # of the newest look at the clock

    def look(self, now: float) -> None:
        """At the clock; first of all that is done in time."""
        if now - self.now > self._bounds.stall_s:
            self._stood_still(now)
        self.now = now

    def _stood_still(self, now: float) -> None:
        """What the workers said meanwhile is still to be read; and so is what a leader said, which may be
        none any more."""
        self._trusted_from = now + self._bounds.settle_s
        self._contact_lost_at = None
        for stream in self._streams.values():
            stream.heard_at = now

    def beat(self, stream: Stream, number: int) -> None:
        """A heartbeat came; answered by `answer`, which knows whether we may.  An answer to the newest is
        one to all before it."""
        self._beating[stream] = number

    @property
    def beating(self) -> bool:
        """A heartbeat is to be answered."""
        return bool(self._beating)

    def answer(self, contact_s: float) -> None:
        """Only in contact with a majority-backed leader; without it for too long, give the sessions up."""
        contact = contact_s <= self._bounds.contact_s and self.now - contact_s >= self._trusted_from
        beating = self._beating
        if beating:
            self._beating = {}
        if contact:
            self._contact_lost_at = None
            servers = self._servers() if beating else ()
            for stream, number in beating.items():
                stream.send(HeartbeatAck(number, () if stream.told == servers else servers))
                stream.told = servers
        elif self._contact_lost_at is None:
            self._contact_lost_at = self.now
        elif self.now - self._contact_lost_at > self._bounds.minority_s:
            for stream in [stream for stream in self._streams.values() if stream.epoch]:
                self._drop(stream, "NO_LEADER", "this node has no contact with the cluster: use another one")

    def drop_silent(self) -> None:
        """Streams on which nothing has arrived for too long."""
        heard_from = self.now - self._bounds.silent_s
        for stream in [stream for stream in self._streams.values() if stream.heard_at < heard_from]:
            self._drop(stream, "SILENT", "no heartbeat arrived in time")
