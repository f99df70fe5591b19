"""What faults need to know of the world they strike, and how they tell what they do."""

from collections.abc import Callable
from random import Random

from orchestrix_raft.simulation.coverage import Coverage
from orchestrix_raft.simulation.drains import SimDrainer
from orchestrix_raft.simulation.network import Network
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.story import FAULT
from orchestrix_raft.simulation.workers import SimWorker
from orchestrix_raft.simulation.world import World


class Scene:
    """Of one run.  `hindered`: told of every blow, for some promises hold only while nothing happens."""

    def __init__(
        self,
        world: World,
        network: Network,
        nodes: list[SimNode],
        workers: list[SimWorker],
        hindered: Callable[[], None],
        drainer: SimDrainer,
    ) -> None:
        self.world = world
        self.network = network
        self.nodes = nodes
        self.workers = workers
        self.hindered = hindered
        self.drainer = drainer
        self.coverage = Coverage(nodes)
        self.active = True
        self.aimed_at: SimNode | None = None  # whom the blow of this moment has waited for

    def tell(self, line: str) -> None:
        """What the newest step does, for the story and for the list of steps."""
        self.world.steps.describe(line)
        self.world.tell(line, FAULT)

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """A blow that follows, unless the faults are over by then."""

        def act() -> None:
            if self.active:
                self.hindered()
                action()

        self.world.after(delay_s, act)


def down_time(rng: Random) -> float:
    """Seconds until somebody starts a process again."""
    return rng.choice((0.05, 0.5, 2.0, 8.0)) * rng.uniform(0.5, 1.5)


def long_down_time(rng: Random) -> float:
    """The same; now and then so long that much happens meanwhile."""
    return rng.uniform(15.0, 40.0) if rng.random() < 0.2 else down_time(rng)
