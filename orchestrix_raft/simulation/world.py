"""Virtual time and chance: one event queue, one clock, and a generator for each who draws."""

import random
from collections.abc import Callable
from heapq import heappop, heappush

from orchestrix_raft.simulation.steps import WHOLE, Cut, Steps, stream
from orchestrix_raft.simulation.story import OTHER, Story

START_WALL_MS = 1_790_000_000_000  # where wall clocks stand when a simulated world begins


class World:
    """Runs callbacks in the order of their times; ties run in the order in which they were asked for."""

    def __init__(self, seed: int, cut: Cut = WHOLE) -> None:
        self.seed = seed
        self.steps = Steps(seed, cut)
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0  # how many events were, so far
        self.wall_shift_ms = 0  # what wall clocks show beyond `now`: time that passed while nothing ran
        self.story: Story | None = None  # for a reader, when wanted

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Run `action` in `delay` virtual seconds."""
        self.at(self.now + delay if delay > 0.0 else self.now, action)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Run `action` at a virtual moment that has not passed."""
        self._asked = asked = self._asked + 1
        heappush(self._queue, (moment, asked, action))

    def run_until(self, end: float) -> None:
        """Let virtual time pass."""
        queue, pop = self._queue, heappop
        while queue and queue[0][0] <= end:
            self.now, _, action = pop(queue)
            action()
        self.now = max(self.now, end)

    @property
    def events(self) -> int:
        """How many have run."""
        return self._asked - len(self._queue)

    def tell(self, line: str, mark: str = OTHER) -> None:
        """One line of the story; its first word says whose."""
        if self.story is not None:
            self.story.tell(self.now, mark, line)

    def stream(self, name: str) -> random.Random:
        """Chance for whoever has this name: what others draw does not change it."""
        return stream(self.seed, name)

    def step(self, family: str) -> random.Random | None:
        """The chance of the next step of a family; None if it is left out of this run."""
        return self.steps.next(family, self.now)


def some(rng: random.Random, rate: float) -> float:
    """A waiting time with this mean rate per second, at most ten times the mean."""
    return min(rng.expovariate(rate), 10 / rate)
