"""The clocks of a simulated machine: no two of them agree."""

from orchestrix_raft.simulation.world import START_WALL_MS, World


class NodeClock:
    """A machine's two clocks: they start anywhere, run a little fast or slow, and the wall clock jumps."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        rng = world.stream(f"clocks of {name}")
        self._rate = rng.uniform(0.9998, 1.0002)
        self._start = rng.uniform(0.0, 1e6)
        self.wall_offset_ms = rng.randint(-300, 300)
        self.wall_drift = 0.0  # seconds that the wall clock gains in a second

    def monotonic(self) -> float:
        """Seconds since this machine's arbitrary beginning."""
        return self._start + self._world.now * self._rate

    def wall_ms(self) -> int:
        """What this machine believes the time to be."""
        passed_ms = int(self._world.now * 1000 * (1 + self.wall_drift))
        return START_WALL_MS + self._world.wall_shift_ms + passed_ms + self.wall_offset_ms

    def set_right(self) -> None:
        """Somebody has set the wall clock, and it keeps the time."""
        self.wall_offset_ms, self.wall_drift = 0, 0.0

    def until(self, monotonic: float) -> float:
        """World seconds from now to a reading of this clock."""
        return max(0.0, (monotonic - self.monotonic()) / self._rate)
