"""The first start over real links: what forming decides, the link has to carry."""

import itertools
from collections.abc import AsyncIterator

import msgspec
import pytest

from orchestrix_raft.coordinator.forming import Formed, Forming, Promise
from orchestrix_raft.coordinator.hello import Accept, Hello, Member, Reject
from tests.unit.coordinator.link_world import Node, World, spin, talk

NAMES = ("n1", "n2", "n3")
PEERS = tuple(f"{name}:7400" for name in NAMES)


class Founder(Node):
    """Does what forming says, with a disk that is written in an instant."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name, cluster_id="")
        self.me = msgspec.structs.replace(self.me, peers=PEERS)
        self.forming = Forming(Member(name, self.me.disk_id, self.me.address), PEERS)
        self.formed: Formed | None = None

    def on_hello(self, hello: Hello) -> Accept | Reject:
        self.forming.saw(hello)
        self.step()
        return super().on_hello(hello)

    def on_gone(self, hello: Hello) -> None:
        self.forming.lost(hello.address)
        super().on_gone(hello)

    def step(self) -> None:
        result = self.forming.result
        if isinstance(result, Promise):
            self.forming.promised(result.founding)
            self.me = msgspec.structs.replace(self.me, promised=result.founding.cluster_id)
            self.link.announce()
            self.step()
        elif isinstance(result, Formed) and self.formed is None:
            self.formed = result
            self.me = msgspec.structs.replace(self.me, cluster_id=result.cluster_id, members=result.members)
            self.link.announce()


@pytest.fixture
async def founders() -> AsyncIterator[list[Founder]]:
    world = World()
    nodes = [Founder(world, name) for name in NAMES]
    yield nodes
    for node in nodes:
        await node.link.close()


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
async def test_three_nodes_become_one_cluster_in_whatever_order_they_start(
    founders: list[Founder], order: tuple[int, ...]
) -> None:
    for number in order:
        node = founders[number]
        await node.start()
        node.link.set_targets(set(PEERS) - {node.me.address})
    # Where both ends of a pair dialled, the one connection of the two that stays may be known to one end a
    # moment before the other: a message is only sure to arrive once every pair has exactly one.
    await spin(lambda: all(len(node.peers()) == len(node.link._connections) == 2 for node in founders))
    results = {(node.formed.cluster_id, node.formed.members) for node in founders if node.formed}
    assert len(results) == 1
    assert all(node.formed and node.formed.founder for node in founders)
    for one, other in itertools.combinations(founders, 2):
        await talk(one, other)


async def test_two_of_three_form_nothing(founders: list[Founder]) -> None:
    for node in founders[:2]:
        await node.start()
        node.link.set_targets(set(PEERS) - {node.me.address})
    for node in founders[:2]:
        await node.until(lambda node=node: "n3:7400" in node.link.problems() and node.link._peers != {})  # type: ignore[misc]
    assert not any(node.formed or node.forming.promised_id for node in founders)
