"""The evidence behind rebalancing: how long loads have differed, and who has only just been told to move.

A difference must last before anything moves, a step moves a few sessions, and none moves twice within a
minute.  So loads that go up and down do not send workers to and fro.
"""

from typing import NamedTuple

from orchestrix_raft.duties.rebalance import loads_of, moves_to_even_out, uneven
from orchestrix_raft.machine.commands import MoveSessions
from orchestrix_raft.machine.state import State


class RebalanceLimits(NamedTuple):
    """Seconds, and sessions."""

    look_s: float = 5.0  # between two looks
    lasts_s: float = 15.0  # seen uneven at every look for so long, before anything moves
    rest_s: float = 60.0  # a session that was told to move is left alone for so long
    at_once: int = 10  # sessions that one look moves


class Rebalancer:
    """Of one node; asked while it leads."""

    def __init__(self, bounds: RebalanceLimits) -> None:
        self._bounds = bounds
        self._look_at = 0.0
        self._uneven_since: float | None = None
        self._told: dict[bytes, float] = {}  # session id -> when it was told to move

    def lead(self, now: float) -> None:
        """This node leads from now on and has seen nothing yet."""
        self._look_at = now + self._bounds.look_s
        self._uneven_since = None
        self._told.clear()

    def due(self, state: State, now: float) -> list[MoveSessions]:
        """What to propose now, at most one command."""
        if now < self._look_at:
            return []
        self._look_at = now + self._bounds.look_s
        if not uneven(loads_of(state)):
            self._uneven_since = None
            return []
        if self._uneven_since is None:
            self._uneven_since = now
        if now - self._uneven_since < self._bounds.lasts_s:
            return []
        oldest = now - self._bounds.rest_s
        self._told = {session_id: at for session_id, at in self._told.items() if at > oldest}
        moves = moves_to_even_out(state, self._told.keys(), self._bounds.at_once)
        self._told.update((move.session_id, now) for move in moves)
        return [MoveSessions(moves)] if moves else []
