"""The time a leader writes into entries: both clocks, read together."""

from collections.abc import Iterable

from orchestrix_raft.coordinator.clocks import ElapsedClock, WallClock
from orchestrix_raft.coordinator.settings import Clocks
from orchestrix_raft.machine.state import State


class Stamper:
    """One node's right to say what time it is; used while it leads."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._elapsed = ElapsedClock()
        self._wall = WallClock()

    def start(self, state: State, voters: Iterable[str], now: float) -> None:
        """This node leads from now on, with `state` applied."""
        self._elapsed.start(state.elapsed_ms, now)
        self._wall.start(state.wall_ms, voters, now)

    def ready(self, now: float) -> bool:
        """The clocks are known well enough to stamp entries."""
        return self._wall.ready(now)

    def elapsed_ms(self, now: float) -> int:
        """For an entry made now."""
        return self._elapsed.read(now)

    def wall_ms(self, now: float) -> int:
        """For an entry made now."""
        return self._wall.read(self._clocks.wall_ms(), now)

    def followed(self, state: State, now: float) -> None:
        """An entry of the present leader was applied here just now."""
        self._wall.followed(state.wall_ms, now)

    def heard(self, node_id: str, its_wall_ms: int, now: float) -> None:
        """Another node told its wall clock."""
        self._wall.heard(node_id, its_wall_ms - self._clocks.wall_ms(), now)

    def due(self, state: State, now: float) -> bool:
        """Something in `state` waits for a time that has come."""
        return self.due_in_s(state, now) <= 0.0

    def due_in_s(self, state: State, now: float) -> float:
        """Seconds until something in `state` falls due; inf: nothing waits."""
        elapsed_due, wall_due = state.next_due()
        wait = float("inf")
        if elapsed_due is not None:
            wait = (elapsed_due - self.elapsed_ms(now)) / 1000
        if wall_due is not None:
            wait = min(wait, (wall_due - self.wall_ms(now)) / 1000)
        return wait

    def skewed(self, now: float) -> list[tuple[str, int]]:
        """(node, offset in ms) of clocks that are far off the median; "" is this machine."""
        return self._wall.skewed(now)
