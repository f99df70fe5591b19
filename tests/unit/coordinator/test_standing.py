"""A node's place among the members: what it says of them, whom it turns away, and its own removal."""

import asyncio
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from orchestrix_raft.consensus.configuration import Configuration, Placed, Standing
from orchestrix_raft.consensus.configuration import Member as Listed
from orchestrix_raft.coordinator import standing as module
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.hello import PROTOCOL, Accept, Hello, Member, Reject
from orchestrix_raft.coordinator.recruits import Recruits
from orchestrix_raft.storage.disk import Member as Founder
from orchestrix_raft.storage.memory import MemoryDisk

CLUSTER = "c" * 32
MEMBERS = Accept(member=True)


class Node:
    """n1, on a disk of its own, with a core that is nothing but its configuration."""

    def __init__(self, joined_index: int = 0) -> None:
        self.disk = MemoryDisk("d1")
        self.disk.set_node_id("n1")
        if joined_index:
            self.disk.set_joined(CLUSTER, joined_index, {})
        else:
            self.disk.set_bootstrap([Founder("n1", "d1", "h1:7400")])
            self.disk.set_cluster_id(CLUSTER)
        self.announced = 0
        self.core = SimpleNamespace(consensus=SimpleNamespace(settled=Placed(0, None)), removed_index=0)
        self.standing = module.Standing(self.disk, lambda: {"n1": "h1:7400"}, self._announce)

    def _announce(self) -> None:
        self.announced += 1

    def serve(self) -> None:
        self.standing.serve(
            cast(Core, self.core), cast(Recruits, SimpleNamespace(judge=lambda hello: "asked"))
        )

    def settle(self, index: int, *names: str) -> None:
        """A configuration is committed and applied."""
        members = {name: Listed(Standing.VOTER, f"d{name[1:]}") for name in names}
        self.core.consensus.settled = Placed(index, Configuration(members))
        if "n1" not in names:
            self.core.removed_index = index
        self.standing.follow()

    def hello(self) -> Hello:
        members, index = self.standing.members()
        return Hello(
            PROTOCOL,
            "n1",
            "d1",
            "h1:7400",
            nonce=b"1" * 16,
            cluster_id=CLUSTER,
            members=members,
            members_index=index,
        )

    def judge(self, theirs: Hello) -> Accept | Reject:
        return self.standing.judge(self.hello(), theirs, Accept(member=bool(theirs.cluster_id)))


def other(name: str, members_index: int = 0, cluster_id: str = CLUSTER, joining: bool = False) -> Hello:
    return Hello(
        PROTOCOL,
        name,
        f"d{name[1:]}",
        f"{name}:7400",
        nonce=name.encode().ljust(16, b"-"),
        cluster_id=cluster_id,
        members_index=members_index,
        joining=joining,
    )


async def test_a_hello_lists_the_applied_configuration_with_the_addresses_that_are_known() -> None:
    node = Node()
    assert node.standing.members() == ((Member("n1", "d1", "h1:7400"),), 0)
    node.serve()
    node.settle(7, "n1", "n2")
    assert node.standing.members() == ((Member("n1", "d1", "h1:7400"), Member("n2", "d2", "")), 7)
    assert node.announced == 1
    node.standing.follow()
    assert node.announced == 1, "nothing has changed"


async def test_a_node_that_was_added_says_nothing_of_configurations_from_before() -> None:
    node = Node(joined_index=9)
    node.serve()
    assert node.standing.members() == ((), 9)
    node.core.consensus.settled = Placed(5, Configuration({"n2": Listed(Standing.VOTER, "d2")}))
    node.standing.follow()
    assert node.standing.members() == ((), 9)
    assert node.judge(other("n3", members_index=3)) == MEMBERS, "it may have been added since"
    node.settle(9, "n1", "n2")
    assert node.judge(other("n3", members_index=3)) != MEMBERS


async def test_a_removed_node_is_turned_away_for_good_once_it_had_time_to_hear_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    node = Node()
    node.serve()
    node.settle(5, "n1", "n2", "n3")
    node.settle(7, "n1", "n2")
    announced = node.announced
    assert node.judge(other("n3", 5)) == MEMBERS
    async with asyncio.timeout(10):
        while node.announced == announced:
            await asyncio.sleep(0)
    verdict = node.judge(other("n3", 5))
    assert isinstance(verdict, Reject)
    assert verdict.final
    assert verdict.reason.startswith(f"node n3 was removed from cluster {CLUSTER}: ")
    assert node.judge(other("n2", 5)) == MEMBERS
    node.standing.close()


async def test_a_node_that_learns_of_its_own_removal_remembers_it_and_says_one_line() -> None:
    node = Node()
    node.serve()
    node.settle(5, "n1", "n2")
    assert not node.standing.removed.done()
    node.settle(8, "n2")
    assert node.standing.removed.result().startswith("node n1 was removed from cluster ")
    assert node.disk.identity.removed_index == 8
    node.standing.close()


async def test_a_node_that_wants_to_be_added_is_the_business_of_the_recruits() -> None:
    node = Node()
    newcomer = other("n4", cluster_id="", joining=True)
    assert node.judge(newcomer) == Accept(member=False), "not while this node does not serve"
    node.serve()
    assert cast(str, node.judge(newcomer)) == "asked"
    assert node.judge(msgspec.structs.replace(newcomer, joining=False)) == Accept(member=False)
