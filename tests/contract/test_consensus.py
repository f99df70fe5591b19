"""What every implementation of the `Consensus` port keeps: the engine, alone and as three, and the twin."""

from collections.abc import Callable

import pytest

from orchestrix_raft.consensus.configuration import Configuration
from orchestrix_raft.consensus.port import Accepted, Consensus, Refused, Role, SafetyFault
from orchestrix_raft.consensus.twin import TwinCluster, TwinNode
from tests.simulation.raft.scripted import Scripted


class World:
    """A cluster at rest whose leader is n1."""

    nodes: dict[str, Consensus]

    def __init__(self) -> None:
        self.applied: dict[str, list[tuple[int, int, bytes]]] = {}
        self.poison: set[str] = set()

    def apply_on(self, node_id: str) -> Callable[[int, int, bytes], None]:
        self.applied[node_id] = []

        def apply(index: int, term: int, data: bytes) -> None:
            if node_id in self.poison:
                raise ValueError("poison")
            self.applied[node_id].append((index, term, data))

        return apply

    @property
    def leader(self) -> Consensus:
        return self.nodes["n1"]

    def settle(self) -> None:
        raise AssertionError

    def elect(self, node_id: str) -> None:
        raise AssertionError

    def lose_leader_with_uncommitted(self, data: bytes) -> Accepted:
        """n1 accepts `data`, nobody else hears of it, and n2 takes over."""
        raise AssertionError

    def data(self, node_id: str) -> list[bytes]:
        return [data for _index, _term, data in self.applied[node_id]]


class EngineWorld(World):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.cluster = Scripted(size, spare=1)
        self.nodes = {f"n{k}": self.cluster[f"n{k}"] for k in range(1, size + 1)}
        for node_id in self.nodes:
            self.cluster.nodes[node_id].machine.on_apply = self.apply_on(node_id)
        self.cluster.start()

    def settle(self) -> None:
        self.cluster.settle()
        self.cluster.run(0.3)

    def elect(self, node_id: str) -> None:
        self.cluster.elect(node_id, [i for i in self.nodes if i != node_id])
        self.settle()

    def lose_leader_with_uncommitted(self, data: bytes) -> Accepted:
        accepted = self.cluster.propose("n1", data)
        self.cluster.isolate("n1")
        self.cluster.elect("n2", ["n3"])
        self.cluster.rejoin("n1")
        self.settle()
        return accepted


class TwinWorld(World):
    def __init__(self, size: int) -> None:
        super().__init__()
        ids = [f"n{k}" for k in range(1, size + 1)]
        self.cluster = TwinCluster(lambda: 0.0, {i: f"disk-{i}" for i in ids})
        self.nodes = {i: TwinNode(self.cluster, i, self.apply_on(i)) for i in ids}
        self.elect("n1")

    def settle(self) -> None:
        for _ in range(2):
            for node in self.nodes.values():
                node.tick()

    def elect(self, node_id: str) -> None:
        self.cluster.elect(node_id)
        self.settle()

    def lose_leader_with_uncommitted(self, data: bytes) -> Accepted:
        accepted = self.leader.propose(data)
        assert isinstance(accepted, Accepted)
        self.cluster.lose_uncommitted()
        self.elect("n2")
        return accepted


ALONE: dict[str, Callable[[], World]] = {"engine": lambda: EngineWorld(1), "twin": lambda: TwinWorld(1)}
THREE: dict[str, Callable[[], World]] = {"engine": lambda: EngineWorld(3), "twin": lambda: TwinWorld(3)}
ALL = {f"{name}-1": make for name, make in ALONE.items()} | {
    f"{name}-3": make for name, make in THREE.items()
}


@pytest.fixture(params=list(ALL.values()), ids=list(ALL))
def world(request: pytest.FixtureRequest) -> World:
    made = request.param()
    assert isinstance(made, World)
    return made


@pytest.fixture(params=list(THREE.values()), ids=list(THREE))
def three(request: pytest.FixtureRequest) -> World:
    made = request.param()
    assert isinstance(made, World)
    return made


def propose(node: Consensus, data: bytes) -> Accepted:
    accepted = node.propose(data)
    assert isinstance(accepted, Accepted)
    return accepted


def test_an_elected_leader_is_ready_once_its_own_no_op_is_applied(world: World) -> None:
    assert world.leader.ready
    assert world.leader.role is Role.LEADER
    assert world.leader.applied_term == world.leader.term
    assert {node.leader_id for node in world.nodes.values()} == {"n1"}


def test_commands_are_applied_everywhere_in_order_once_and_without_type_byte(world: World) -> None:
    accepted = [propose(world.leader, data) for data in (b"a", b"b", b"")]
    world.settle()
    expected = [
        (answer.index, answer.term, data) for answer, data in zip(accepted, (b"a", b"b", b""), strict=True)
    ]
    assert all(applied == expected for applied in world.applied.values())


def test_accepted_names_where_the_command_is_applied(world: World) -> None:
    first = propose(world.leader, b"a")
    second = propose(world.leader, b"b")
    assert second == Accepted(first.index + 1, first.term)
    world.settle()
    assert world.applied["n1"][-1] == (second.index, second.term, b"b")
    assert world.leader.applied_index == world.leader.commit_index == second.index


def test_applied_index_moves_over_no_ops_and_every_node_reaches_it(world: World) -> None:
    before = world.leader.applied_index
    assert before == world.leader.last_index > 1
    assert world.data("n1") == []
    propose(world.leader, b"a")
    world.settle()
    assert {node.applied_index for node in world.nodes.values()} == {before + 1}


def test_a_read_waits_for_everything_committed_before_it(world: World) -> None:
    answers: list[int | None] = []
    accepted = propose(world.leader, b"a")
    world.settle()
    world.leader.read_index(answers.append)
    world.settle()
    assert answers == [accepted.index]


def test_a_checkpoint_lets_the_log_be_dropped_but_not_what_is_not_in_it(world: World) -> None:
    for number in range(20):
        propose(world.leader, b"%d" % number)
    world.settle()
    world.leader.checkpointed(world.leader.applied_index)
    assert 1 < world.leader.first_index <= world.leader.applied_index
    with pytest.raises(SafetyFault):
        world.leader.checkpointed(world.leader.applied_index + 1)


def test_the_configuration_of_an_applied_index_can_be_read_back(world: World) -> None:
    index, data = world.leader.configuration_at(world.leader.applied_index)
    assert index == 0
    assert frozenset(Configuration.decode(data).voters) == world.leader.voters == frozenset(world.nodes)


def test_a_command_that_cannot_be_applied_stops_the_node_for_good_and_names_its_index(world: World) -> None:
    world.poison.add("n1")
    accepted = propose(world.leader, b"bad")
    with pytest.raises(SafetyFault, match=str(accepted.index)):
        world.settle()
    with pytest.raises(SafetyFault, match=str(accepted.index)):
        world.leader.tick()
    with pytest.raises(SafetyFault, match=str(accepted.index)):
        world.leader.propose(b"more")


def test_adding_a_member_commits_and_names_it(world: World) -> None:
    answers: list[tuple[bool | None, str]] = []
    world.leader.change_membership("add", "n9", "disk-n9", lambda ok, why: answers.append((ok, why)))
    world.settle()
    assert answers == [(True, "")]
    assert "n9" in world.leader.members


def test_a_configuration_is_in_force_at_once_and_settled_when_it_is_applied(world: World) -> None:
    before = world.leader.settled
    assert before == world.leader.in_force
    world.leader.change_membership("add", "n9", "disk-n9", lambda ok, why: None)
    added = world.leader.in_force
    assert added.index == world.leader.last_index > before.index
    assert added.configuration is not None
    assert added.configuration.lists("n9", "disk-n9")
    assert world.leader.settled == before
    world.settle()
    assert world.leader.settled.index >= added.index
    assert world.leader.settled == world.leader.in_force


def test_a_nonsense_change_is_refused_with_a_reason(world: World) -> None:
    answers: list[tuple[bool | None, str]] = []
    world.leader.change_membership("remove", "n9", None, lambda ok, why: answers.append((ok, why)))
    world.leader.change_membership("add", "n8", None, lambda ok, why: answers.append((ok, why)))
    world.leader.change_membership("paint", "n1", None, lambda ok, why: answers.append((ok, why)))
    assert [ok for ok, _why in answers] == [False] * 3
    assert all(why for _ok, why in answers)


def test_a_closed_node_answers_nothing_any_more(world: World) -> None:
    answers: list[int | None] = []
    world.leader.read_index(answers.append)
    world.leader.close()
    assert answers == [None]
    with pytest.raises(SafetyFault):
        world.leader.tick()


def test_only_the_leader_takes_proposals_reads_transfers_and_changes(three: World) -> None:
    follower = three.nodes["n2"]
    reads: list[int | None] = []
    changes: list[bool | None] = []
    follower.read_index(reads.append)
    follower.change_membership("remove", "n3", None, lambda ok, _why: changes.append(ok))
    assert isinstance(follower.propose(b"a"), Refused)
    assert isinstance(follower.transfer(), Refused)
    assert (reads, changes) == ([None], [False])
    assert not follower.ready
    assert follower.progress() == []


def test_a_transfer_to_a_caught_up_voter_moves_the_leadership(three: World) -> None:
    propose(three.leader, b"a")
    three.settle()
    assert three.leader.transfer("n3") == "n3"
    three.settle()
    assert {node.leader_id for node in three.nodes.values()} == {"n3"}
    assert isinstance(three.leader.transfer(), Refused)
    assert isinstance(three.nodes["n3"].transfer("n9"), Refused)


def test_the_leader_reports_the_progress_of_the_others(three: World) -> None:
    propose(three.leader, b"a")
    three.settle()
    progress = three.leader.progress()
    assert [peer.node_id for peer in progress] == ["n2", "n3"]
    assert {peer.match_index for peer in progress} == {three.leader.last_index}
    assert all(peer.connected for peer in progress)
    assert three.leader.leader_contact_s() < 1.5


def test_a_new_leader_applies_in_its_own_term_and_old_reads_end_unanswered(three: World) -> None:
    propose(three.leader, b"kept")
    three.settle()
    answers: list[int | None] = []
    three.leader.read_index(answers.append)
    three.elect("n2")
    assert answers == [None]
    propose(three.nodes["n2"], b"later")
    three.settle()
    assert three.data("n1") == three.data("n2") == [b"kept", b"later"]


def test_what_only_the_lost_leader_held_is_applied_nowhere(three: World) -> None:
    lost = three.lose_leader_with_uncommitted(b"lost")
    propose(three.nodes["n2"], b"after")
    three.settle()
    assert all(b"lost" not in three.data(node_id) for node_id in three.nodes)
    assert all(three.data(node_id) == [b"after"] for node_id in three.nodes)
    assert (lost.index, lost.term) not in [(index, term) for index, term, _data in three.applied["n2"]]
