"""A net below ownership: sessions that the state attaches to this node and that no stream here belongs to.

Whoever ends a stream detaches its session.  If that was ever missed, the session would keep its jobs for
ever; so now and then the owner compares what it owns with what it serves.
"""

from typing import Final

from orchestrix_raft.coordinator.stream_table import StreamTable

LOOK_S: Final = 30.0


class JobOwnershipCleanup:
    """Of the node that has `table`."""

    def __init__(self, table: StreamTable) -> None:
        self._table = table
        self._look_at = 0.0
        self._suspects: frozenset[bytes] = frozenset()

    def step(self, now: float) -> None:
        """Detach what had no stream at the last look and has none now: a detachment may be under way."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        table = self._table
        owned = [session.session_id for session in table.state.sessions_of(table.node_id)]
        unserved = [session_id for session_id in owned if session_id not in table.streams]
        for session_id in unserved:
            if session_id in self._suspects:
                table.detach_if_mine(session_id)
        self._suspects = frozenset(unserved)
