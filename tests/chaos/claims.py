"""What is broken at the moment, and by how many faults at once.

Faults overlap.  What two of them hold down is up again when both are healed, so each claim is counted.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from itertools import combinations
from typing import Final

STARTING_S: Final = 8.0  # a process that was started this long ago should work

DOWN, PAUSED, DRAINED, FULL, CLOCK = "down", "paused", "drained", "full", "clock"
HELD, LOST, WEATHER = "held", "lost", "weather"
CUT: Final = (HELD, LOST)
LOSSY: Final = "lossy"


class Claims:
    """Each is (what, whom): `("down", "n1")`, `("held", ("n1", "n2"))`."""

    def __init__(self) -> None:
        self._holders: defaultdict[tuple[str, Hashable], set[int]] = defaultdict(set)

    def take(self, holder: int, what: str, whom: Hashable) -> bool:
        """True if nobody else holds it."""
        holders = self._holders[what, whom]
        holders.add(holder)
        return len(holders) == 1

    def give_back(self, holder: int, what: str, whom: Hashable) -> bool:
        """True if nobody holds it any more, and `holder` did."""
        holders = self._holders[what, whom]
        held = holder in holders
        holders.discard(holder)
        return held and not holders

    def held(self, what: str, whom: Hashable) -> bool:
        """Whether anybody holds it."""
        return bool(self._holders.get((what, whom)))

    def of(self, holder: int) -> list[tuple[str, Hashable]]:
        """All that one fault holds."""
        return [claim for claim, holders in self._holders.items() if holder in holders]

    # ---- what can work ---------------------------------------------------------------------------------

    def connected(self, one: str, other: str) -> bool:
        """Whether the two reach each other, both ways, without losses."""
        pairs = ((one, other), (other, one))
        return not any(self.held(what, pair) for what in (*CUT, LOSSY) for pair in pairs)

    def majorities(self, nodes: list[str]) -> Iterator[tuple[str, ...]]:
        """Of `nodes`, which are all there are: those that are well and reach each other."""
        well = [n for n in nodes if not any(self.held(what, n) for what in (DOWN, PAUSED, FULL))]
        for size in range(len(nodes) // 2 + 1, len(nodes) + 1):
            for group in combinations(well, size):
                if all(self.connected(*pair) for pair in combinations(group, 2)):
                    yield group

    def can_work(self, nodes: list[str], workers: list[str], up: set[str]) -> bool:
        """Whether jobs must be started: a majority is well, and a worker reaches a node of it that takes any.

        up: processes that run, and have had time to start."""
        present = [worker for worker in workers if worker in up and not self._away(worker)]
        return any(
            self.connected(worker, node)
            for group in self.majorities(nodes)
            if set(group) <= up
            for node in group
            if not self.held(DRAINED, node)
            for worker in present
        )

    def _away(self, worker: str) -> bool:
        return self.held(DOWN, worker) or self.held(PAUSED, worker)
