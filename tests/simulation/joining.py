"""A node that asks by itself to be added, as `--join` does: it stays with one member until it is listed, and
goes to the next when that one dies.  What the members make of it is the product's own `Recruits`."""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.consensus.membership_rules import ADD
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.hello import PROTOCOL, Accept, Hello, Member
from orchestrix_raft.coordinator.port import Outcome
from orchestrix_raft.coordinator.recruits import Recruits
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.world import World

_LOOK_S: Final = 0.1
_NONCE: Final = bytes(16)


class Joining:
    """Of one empty node; `begin` once."""

    def __init__(self, world: World, nodes: list[SimNode], newcomer: SimNode) -> None:
        self.refusals: list[str] = []
        self._world, self._nodes, self._newcomer = world, nodes, newcomer
        self._with: Core | None = None

    def begin(self) -> None:
        """Until somebody has told it that it is a member."""
        if self._newcomer.added:
            return
        members = [node for node in self._nodes if node.core is not None and node is not self._newcomer]
        if members and self._with not in [node.core for node in members]:
            self._connect(members[-1])
        self._world.after(_LOOK_S, self.begin)

    def _connect(self, node: SimNode) -> None:
        core = self._with = node.core
        assert core is not None

        def mine() -> Hello:
            configuration = core.consensus.settled.configuration
            found = configuration.members.items() if configuration else ()
            listed = tuple(Member(name, member.disk_id, "") for name, member in found)
            return Hello(PROTOCOL, node.name, "disk", "host:1", _NONCE, members=listed)

        def add(hello: Hello, done: Callable[[Outcome], None]) -> None:
            node.act(lambda: core.members.ask(ADD, hello.node_id, hello.disk_id, core.now, done))
            node.poke()

        name, disk_id = self._newcomer.name, self._newcomer.disk.identity.disk_id
        hello = Hello(PROTOCOL, name, disk_id, "host:2", _NONCE, joining=True)
        assert isinstance(Recruits(mine, add, self, self._world.after).judge(hello), Accept)

    # ---- what `Recruits` needs of a link -------------------------------------------------------------

    def put_off(self, node_id: str, reason: str) -> None:
        """It is told why it has to wait."""
        self.refusals.append(reason)

    async def meet(self, address: str) -> Hello | str:
        """Nobody is looked for by address here."""
        return f"nobody at {address}"
