"""A net below ownership: sessions that the state attaches to this node and that no stream here belongs to.

Whoever ends a stream detaches its session.  If that was ever missed, the session would keep its jobs for
ever; so now and then the owner compares what it owns with what it serves.
"""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.machine.state import State

LOOK_S: Final = 30.0


class JobOwnershipCleanup:
    """Of one node."""

    def __init__(self, node_id: str, holds: Callable[[bytes], bool], detach: Callable[[bytes], None]) -> None:
        self._node_id = node_id
        self._holds = holds
        self._detach = detach
        self._look_at = 0.0
        self._suspects: frozenset[bytes] = frozenset()

    def step(self, state: State, now: float) -> None:
        """Detach what had no stream at the last look and has none now: a detachment may be under way."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        unserved = [one.session_id for one in state.sessions_of(self._node_id) if not self._holds(one.session_id)]
        for session_id in unserved:
            if session_id in self._suspects:
                self._detach(session_id)
        self._suspects = frozenset(unserved)
