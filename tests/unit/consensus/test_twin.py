"""The twin's script: what the layers above can play with it."""

import pytest

from orchestrix_raft.consensus.port import Accepted, Role
from orchestrix_raft.consensus.twin import TwinCluster, TwinNode


class Pair:
    def __init__(self) -> None:
        self.cluster = TwinCluster(lambda: 0.0, {"n1": "d1", "n2": "d2"})
        self.data: dict[str, list[bytes]] = {"n1": [], "n2": []}
        self.nodes = {
            i: TwinNode(self.cluster, i, lambda _index, _term, data, i=i: self.data[i].append(data))  # type: ignore[misc]
            for i in self.data
        }
        self.cluster.elect("n1")
        self.tick()

    def tick(self) -> None:
        for node in self.nodes.values():
            node.tick()


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_held_commits_wait_until_they_are_let_go(pair: Pair) -> None:
    pair.cluster.hold_commits = True
    accepted = pair.nodes["n1"].propose(b"a")
    assert isinstance(accepted, Accepted)
    pair.tick()
    assert pair.data == {"n1": [], "n2": []}
    pair.cluster.hold_commits = False
    pair.tick()
    assert pair.data == {"n1": [b"a"], "n2": [b"a"]}


def test_without_a_leader_nothing_is_taken_and_waiting_reads_end(pair: Pair) -> None:
    answers: list[int | None] = []
    pair.nodes["n1"].read_index(answers.append)
    pair.cluster.depose()
    assert answers == [None]
    assert pair.nodes["n1"].role is Role.FOLLOWER
    assert pair.nodes["n2"].leader_id is None
    assert pair.nodes["n2"].leader_contact_s() == float("inf")


def test_a_change_of_leader_keeps_or_loses_what_was_uncommitted_as_scripted(pair: Pair) -> None:
    pair.cluster.hold_commits = True
    pair.nodes["n1"].propose(b"lost")
    pair.cluster.lose_uncommitted()
    pair.nodes["n1"].propose(b"kept")
    pair.cluster.elect("n2")
    pair.cluster.hold_commits = False
    pair.tick()
    pair.tick()
    assert pair.data == {"n1": [b"kept"], "n2": [b"kept"]}


def test_a_new_member_becomes_a_voter(pair: Pair) -> None:
    answers: list[bool | None] = []
    pair.nodes["n1"].change_membership("add", "n3", "d3", lambda ok, _why: answers.append(ok))
    pair.tick()
    assert answers == [True]
    assert pair.nodes["n2"].voters == {"n1", "n2", "n3"}
