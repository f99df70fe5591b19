"""The machine that a simulated node runs on: what outlives its processes, and how it treats them."""

from collections import deque
from collections.abc import Callable
from random import Random

from orchestrix_raft.consensus.configuration import Configuration
from orchestrix_raft.consensus.port import Role
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.machine.rules import RULES
from orchestrix_raft.simulation.machine_clocks import NodeClock
from orchestrix_raft.simulation.world import World
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import StateStore

SOON_S = (0.0005, 0.003, 0.01)
"""At most, until a process comes to what has arrived: machines differ.  On a slow one more comes together."""


class SimMachine:
    """Its disk, its clocks, its speed, what is wrong with them, and what has become of its processes."""

    def __init__(self, world: World, name: str, disk_id: str, bootstrap: Configuration | None) -> None:
        self.world = world
        self.name = name
        self.clock = NodeClock(world, name)
        self._soon_s = SOON_S[(world.seed // 7 + int(name[1:])) % len(SOON_S)]
        self.disk = MemoryDisk(disk_id=disk_id)
        self.sync_s = 0.0  # how long a durable step takes at most
        self.spoils: Random | None = None  # what it sends of snapshots is damaged
        self.core: Core | None = None
        self.store: StateStore | None = None
        self.starts = 0
        self.paused_until = 0.0
        self.snapshots = 0  # installed by processes that have ended
        self.farewells = 0  # asked for, and still without an answer when the process ended
        self.refusals = 0  # of the disk, each the end of a process
        self.lost = False  # the machine is gone for good
        self.rules = RULES  # of the version that starts here next
        self.ends_too_old = 0
        self.superseded = ""  # why no process starts here any more: the disk is an old copy
        self.removed = False  # the same: the node is no member any more
        self._pauses: list[tuple[float, float]] = []
        self._inbox: deque[Callable[[], None]] = deque()  # what happens to a process that stands still
        self._bootstrap = bootstrap
        self._leaving: Core | None = None
        self._down_s = 0.0  # after it has left in good order

    @property
    def up(self) -> bool:
        """A process runs here."""
        return self.core is not None

    @property
    def leads(self) -> bool:
        """This process believes that it leads."""
        return self.core is not None and self.core.consensus.role is Role.LEADER

    @property
    def leaving(self) -> bool:
        """A process runs here and is about to end in good order."""
        return self.core is not None and self._leaving is self.core

    @property
    def added(self) -> bool:
        """A founder, or somebody has told it that it is a member."""
        return self._bootstrap is not None or self.disk.identity.joined_index > 0

    @property
    def counts(self) -> bool:
        """A process should run here, sooner or later."""
        return self.added and not (self.lost or self.removed or self.disk.identity.removed_index)

    @property
    def runs(self) -> bool:
        """The process does not stand still, and has caught up."""
        return self.paused_until <= self.world.now and not self._inbox

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
