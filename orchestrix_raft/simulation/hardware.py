"""The machine under a simulated node process: its disk, its clocks, and what is wrong with them."""

from random import Random

from orchestrix_raft.simulation.machine_clocks import NodeClock
from orchestrix_raft.simulation.world import World
from orchestrix_raft.storage.memory import MemoryDisk


class SimMachine:
    """One machine; processes on it come and go."""

    def __init__(self, world: World, name: str, disk_id: str) -> None:
        self.world = world
        self.name = name
        self.clock = NodeClock(world, name)
        self.disk = MemoryDisk(disk_id=disk_id)
        self.paused_until = 0.0
        self.sync_s = 0.0  # how long a durable step takes at most
        self.spoils: Random | None = None  # what it sends of snapshots is damaged
        self.lost = False  # for good
        self._pauses: list[tuple[float, float]] = []

    def stand_still(self, duration: float) -> None:
        """Its process does nothing: SIGSTOP, and SIGCONT later."""
        self.paused_until = max(self.paused_until, self.world.now + duration)
        self._pauses.append((self.world.now, duration))

    def stood_still_since(self, start: float) -> float:
        """For how long, since a moment, this machine's processes did nothing."""
        return sum(duration for at, duration in self._pauses if at + duration >= start)

    def repair(self) -> None:
        """Everything about the machine is as it should be; what is lost stays lost."""
        self.paused_until = self.sync_s = 0.0
        self.spoils = None
        self.disk.fuse = None
        self.disk.full = self.disk.fail_next_flush = False
        self.clock.set_right()
