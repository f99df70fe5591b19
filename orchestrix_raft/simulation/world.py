"""Virtual time and chance: one event queue, one clock, one generator."""

import heapq
import random
from collections.abc import Callable

START_WALL_MS = 1_790_000_000_000  # where wall clocks stand when a simulated world begins


class World:
    """Runs callbacks in the order of their times; ties run in the order in which they were asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.events = 0
        self.wall_shift_ms = 0  # what wall clocks show beyond `now`: time that passed while nothing ran
        self.story: list[str] | None = None  # lines for a reader, when wanted

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Run `action` in `delay` virtual seconds."""
        self.at(self.now + delay if delay > 0.0 else self.now, action)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Run `action` at a virtual moment that has not passed."""
        self._count += 1
        heapq.heappush(self._queue, (moment, self._count, action))

    def run_until(self, end: float) -> None:
        """Let virtual time pass."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= end:
            self.now, _, action = pop(queue)
            self.events += 1
            action()
        self.now = max(self.now, end)

    def tell(self, line: str) -> None:
        """One line of the story."""
        if self.story is not None:
            self.story.append(f"{self.now:9.3f}  {line}")

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def some(self, rate: float) -> float:
        """A waiting time with this mean rate per second, at most ten times the mean."""
        return min(self.rng.expovariate(rate), 10 / rate)
