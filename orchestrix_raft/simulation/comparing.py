"""Contents at marks: what every node reads from its disk is what a machine that never stopped has stored."""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.machine.commands import MarkContents
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.world import World, some
from orchestrix_raft.storage.views import Contents, CopiedView, contents_of

OFTEN_S: Final = 4.0  # between two marks, on average


class Comparing:
    """Marks the log now and then, and looks at what nodes find."""

    def __init__(self, world: World, stored: MemoryStore, violation: Callable[[str], None]) -> None:
        """`stored`: of the machine that never stops."""
        self._world = world
        self._rng = world.stream("marks")
        self._stored = stored
        self._violation = violation
        self._expected: dict[int, Contents] = {}
        self.compared = 0

    def repeat(self, nodes: list[SimNode], until: float) -> None:
        """Mark the log from now on, through any node that is up."""

        def act() -> None:
            rng = self._world.step("mark")
            node = None if rng is None else rng.choice(nodes)
            core = None if node is None else node.core
            if node is not None and core is not None:
                self._world.steps.describe("mark the log, so that contents are compared there")
                node.act(lambda: core.submit(MarkContents(), None))
                node.poke()
            self.repeat(nodes, until)

        if self._world.now < until:
            self._world.after(some(self._rng, 1 / OFTEN_S), act)

    def marked(self, index: int) -> None:
        """The machine that never stops has applied a mark."""
        self._expected[index] = contents_of(CopiedView(self._stored.tables, None))

    def found(self, name: str, index: int, contents: Contents) -> None:
        """A node has read its checkpoint at a mark."""
        self.compared += 1
        if contents != self._expected[index]:
            self._violation(f"{name} holds {contents} at {index}, it should be {self._expected[index]}")
