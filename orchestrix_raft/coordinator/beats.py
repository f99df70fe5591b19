"""Heartbeats between nodes: evidence of life, clocks and load.  In memory only; what follows from it
(a change of health) is proposed by a duty and committed.

A new leader has heard nobody yet, and one that stood still has read nothing of what they sent: silence
counts from then on only, and somebody not heard since is not called alive either.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from orchestrix_raft.coordinator.messages import BeatSummary, NodeBeat
from orchestrix_raft.duties.health import VerdictAfter


class BeatLimits(NamedTuple):
    """Seconds."""

    interval_s: float = 10.0
    stall_s: float = 2.0  # between two looks at the others: this process stood still, not they
    verdict: VerdictAfter = VerdictAfter()


class Heard(NamedTuple):
    """What is known of a node's load, and when it was heard (monotonic seconds)."""

    applied_index: int
    owned_jobs: int
    sessions: int
    at: float


class Beats:
    """What one node knows of the others: first-hand on the leader, from its summary elsewhere."""

    def __init__(self, node_id: str, bounds: BeatLimits) -> None:
        self._node_id = node_id
        self.bounds = bounds
        self.beat_at = 0.0
        self._heard: dict[str, Heard] = {}
        self._since = 0.0  # silence counts from here at the earliest
        self._looked_at = 0.0
        self._joined: dict[str, float] = {}
        self._lost: dict[str, float] = {}

    def lead(self, now: float) -> None:
        """This node leads from now on."""
        self._since = self._looked_at = now

    def joined(self, node_id: str, now: float) -> None:
        """A process of that node has just begun: its silence starts now."""
        self._joined[node_id] = now

    def lost(self, node_id: str, now: float) -> None:
        """The connection between that node and this one is gone."""
        self._lost[node_id] = now

    def is_alive(self, node_id: str, now: float) -> bool:
        """Whether a node that is not connected with this one was heard lately, and after it was lost from
        here: then only the way from here to there is cut."""
        heard = self._heard.get(node_id)
        since = max(now - 2 * self.bounds.interval_s, self._lost.get(node_id, 0.0))
        return heard is not None and heard.at >= since

    def keep(self, members: Collection[str]) -> None:
        """These are the members: what was heard of others is forgotten."""
        for table in (self._heard, self._joined, self._lost):
            for node_id in [node_id for node_id in table if node_id not in members]:
                del table[node_id]

    def heard(self, node_id: str, beat: NodeBeat, now: float) -> None:
        """A heartbeat arrived."""
        self._heard[node_id] = Heard(beat.applied_index, beat.owned_jobs, beat.sessions, now)

    def summarised(self, summary: BeatSummary, now: float) -> None:
        """The leader's view arrived."""
        for node_id, applied, owned, sessions, age_ms in summary.nodes:
            if node_id != self._node_id:
                self._heard[node_id] = Heard(applied, owned, sessions, now - age_ms / 1000)

    def summary(self, now: float) -> BeatSummary:
        """For the followers."""
        return BeatSummary(
            tuple(
                (node_id, h.applied_index, h.owned_jobs, h.sessions, int((now - h.at) * 1000))
                for node_id, h in sorted(self._heard.items())
            )
        )

    def silence_ms(self, node_ids: Iterable[str], now: float) -> dict[str, int]:
        """For how long each of these nodes has been silent under this leader, who is never; not of those of
        whom nothing can be said yet.  To be asked at every step."""
        if now - self._looked_at > self.bounds.stall_s:
            self._since = now
        self._looked_at = now
        since, suspect_ms = self._since, self.bounds.verdict.suspect_ms
        silence = {}
        for node_id in node_ids:
            if node_id == self._node_id:
                silence[node_id] = 0  # it may have been suspected before it led
                continue
            last = self._last(node_id)
            quiet_ms = int((now - (last if last > since else since)) * 1000)
            if last >= since or quiet_ms >= suspect_ms:
                silence[node_id] = quiet_ms
        return silence

    def _last(self, node_id: str) -> float:
        """When a sign of life of a node was seen here."""
        joined, heard = self._joined.get(node_id, 0.0), self._heard.get(node_id)
        return joined if heard is None or heard.at < joined else heard.at

    def of(self, node_id: str) -> Heard | None:
        """The newest of a node, if any."""
        return self._heard.get(node_id)
