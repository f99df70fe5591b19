"""Which starts of its node a process counts as its own, and which end it."""

import msgspec
import pytest

from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.coordinator.origin import Origin
from orchestrix_raft.coordinator.port import Outcome, Unknown
from orchestrix_raft.coordinator.proposer import Proposer, ProposerLimits
from orchestrix_raft.coordinator.settings import Identity
from orchestrix_raft.coordinator.starts import (
    STARTS_MAX,
    Superseded,
    begun,
    committed,
    first_boot_id,
    next_boot_id,
    superseded,
)
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.node import Node as Known
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import Enqueue
from orchestrix_raft.machine.events import NodeHealthSet, NodeJoined, NodeRemoved
from orchestrix_raft.machine.port import Applied, Gap, Resolved
from orchestrix_raft.machine.state import State
from orchestrix_raft.storage.disk import Starts
from orchestrix_raft.storage.memory import MemoryDisk

MINE, EARLIER, FOREIGN = b"m" * 12, b"e" * 12, b"f" * 12


def state(*, last_start: tuple[int, bytes] | None = None) -> State:
    """As of a checkpoint, perhaps with a start of the node."""
    store = LayeredHistory(MemoryDisk("d").open_state_store())
    found = Machine(store, store).state
    if last_start is not None:
        index, nonce = last_start
        boot_id = first_boot_id(nonce)
        found.nodes["n1"] = Known("n1", "n1:7400", "1", index, boot_id, Health.ALIVE, 0, 0)
    return found


def origin(known: Starts, checkpoint: State | None = None) -> Origin:
    identity = Identity("n1", "n1:7400", "1", first_boot_id(MINE), known)
    return Origin(identity, Proposer("n1", ProposerLimits()), checkpoint or state())


def joined(index: int, boot_id: bytes, node_id: str = "n1") -> NodeJoined:
    return NodeJoined(node_id, boot_id, "n1:7400", "1", index)


def test_a_process_knows_its_own_start_from_the_beginning() -> None:
    assert origin(Starts(4, (EARLIER,))).identity.starts == Starts(4, (EARLIER, MINE))


def test_its_committed_start_is_what_the_directory_should_remember() -> None:
    one = origin(Starts())
    one.joined(joined(7, first_boot_id(MINE)), 0.0)
    assert one.identity.starts == Starts(7, (MINE,))
    assert one.incarnation == 7


class TestAnswers:
    """Of an incarnation of n1 that was announced at index 7 and has sent one command."""

    def setup_method(self) -> None:
        self.proposer = Proposer("n1", ProposerLimits())
        self.origin = Origin(
            Identity("n1", "n1:7400", "1", first_boot_id(MINE), Starts()), self.proposer, state()
        )
        self.origin.joined(joined(7, first_boot_id(MINE)), 0.0)
        self.outcomes: list[Outcome] = []
        self.proposer.submit(Enqueue(()), 0.0, self.outcomes.append)
        assert self.proposer.take_for_entry()

    def test_only_its_own_count(self) -> None:
        for node_id, incarnation, count in (("n1", 5, 0), ("n2", 7, 0), ("n1", 7, 1)):
            resolved = [Resolved(node_id, incarnation, 1, None)]
            self.origin.applied(9, Applied([], resolved, [], []), 7, 0.0)
            assert len(self.outcomes) == count

    def test_a_gap_is_filled_at_once(self) -> None:
        for node_id, again in (("n2", False), ("n1", True)):
            self.origin.applied(9, Applied([], [], [Gap(node_id, 7, 1)], []), 7, 0.0)
            assert self.proposer.pending is again

    def test_only_the_verdict_on_itself_makes_it_begin_again(self) -> None:
        for incarnation, again in ((5, False), (7, True)):
            self.origin.health_set(NodeHealthSet("n1", incarnation, Health.DEAD))
            assert self.origin.unannounced is again
        boot_id = self.origin.announcement().boot_id
        assert boot_id != first_boot_id(MINE), "an old announcement is none of the new incarnation"
        assert boot_id == next_boot_id(first_boot_id(MINE))

    def test_a_member_no_more_does_not_announce_itself_again(self) -> None:
        self.origin.removed(NodeRemoved("n1", 7))
        assert self.origin.incarnation == 0
        assert not self.origin.unannounced

    def test_what_was_sent_under_an_incarnation_that_a_snapshot_has_not_seen_is_unknown(self) -> None:
        found = state(last_start=(6, MINE))
        found.nodes["n1"] = msgspec.structs.replace(found.nodes["n1"], health=Health.DEAD)
        self.origin.restored(found, 0.0)
        assert [type(outcome) for outcome in self.outcomes] == [Unknown]
        assert self.proposer.backlog == 0
        assert self.origin.unannounced


def test_a_later_start_from_another_directory_ends_it() -> None:
    one = origin(Starts(4, (EARLIER,)))
    with pytest.raises(Superseded, match=r"^node n1 has started from another data directory[^\n]*$"):
        one.joined(joined(9, first_boot_id(FOREIGN)), 0.0)


@pytest.mark.parametrize(
    "known",
    [Starts(0, (EARLIER,)), Starts(12, (EARLIER,))],
    ids=["none of its own is committed", "one of its own is committed later"],
)
def test_a_start_from_another_directory_proves_nothing_before_one_of_its_own(known: Starts) -> None:
    one = origin(known)
    one.joined(joined(9, first_boot_id(FOREIGN)), 0.0)
    assert one.unannounced


def test_starts_of_other_nodes_are_none_of_its_business() -> None:
    one = origin(Starts(4, (EARLIER,)))
    one.joined(joined(9, first_boot_id(FOREIGN), "n2"), 0.0)
    assert one.unannounced


def test_the_end_of_a_node_that_was_announced_in_the_same_entry_is_not_its_own() -> None:
    one = origin(Starts())
    one.joined(joined(7, first_boot_id(MINE)), 0.0)
    one.health_set(NodeHealthSet("n2", 7, Health.DEAD))
    assert (one.incarnation, one.unannounced) == (7, False)
    one.health_set(NodeHealthSet("n1", 7, Health.DEAD))
    assert one.unannounced


def test_the_next_incarnation_of_a_process_is_the_same_start() -> None:
    known = committed(begun(Starts(), MINE), 5, first_boot_id(MINE))
    again = next_boot_id(first_boot_id(MINE))
    assert again != first_boot_id(MINE)
    assert not superseded(known, 9, again)
    assert committed(known, 9, again) == Starts(9, (MINE,))


def test_starts_that_never_reach_a_leader_are_bounded() -> None:
    known = Starts(3, (MINE,))
    for number in range(3 * STARTS_MAX):
        known = begun(known, b"%12d" % number)
    assert len(known.nonces) == STARTS_MAX
    assert known.nonces[-1] == b"%12d" % (3 * STARTS_MAX - 1)


def test_a_checkpoint_with_a_later_start_from_another_directory_ends_it_before_it_begins() -> None:
    with pytest.raises(Superseded):
        origin(Starts(4, (EARLIER,)), state(last_start=(9, FOREIGN)))


def test_a_checkpoint_with_its_directory_s_last_start_lets_it_begin() -> None:
    one = origin(Starts(4, (EARLIER,)), state(last_start=(6, EARLIER)))
    assert one.identity.starts == Starts(6, (EARLIER, MINE))


def test_a_snapshot_with_a_later_start_from_another_directory_ends_it() -> None:
    one = origin(Starts(4, (EARLIER,)))
    with pytest.raises(Superseded):
        one.restored(state(last_start=(9, FOREIGN)), 0.0)
