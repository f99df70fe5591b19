"""One scripted schedule for each rule of changing members.

With the rule taken out (tests/simulation/raft/ablations.py) the schedule fails.
"""

import pytest

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.messages import (
    AppendAnswer,
    AppendEntries,
    PreVote,
    PreVoteAnswer,
    SnapshotChunk,
    TimeoutNow,
    VoteAnswer,
    VoteRequest,
)
from orchestrix_raft.consensus.port import Role, SafetyFault
from tests.simulation.raft.scripted import STUBBORN, Scripted, cluster_of


def names(cluster: Scripted, node_id: str) -> str:
    """The configuration in force at a node, as `n1:V n2:S`."""
    configuration = cluster[node_id].configuration
    assert configuration is not None
    return " ".join(f"{i}:{member.standing}" for i, member in configuration.members.items())


# -- the configuration follows from the log ------------------------------------------------------
def test_a_configuration_is_in_force_as_soon_as_it_is_in_the_log() -> None:
    cluster = cluster_of(3, spare=1)
    cluster.change("n1", "add", "n4")
    assert names(cluster, "n1") == "n1:V n2:V n3:V n4:S"
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    assert names(cluster, "n2") == "n1:V n2:V n3:V n4:S"
    assert cluster["n2"].commit_index == 2


def test_an_uncommitted_configuration_is_in_force_again_after_a_restart() -> None:
    cluster = cluster_of(3, spare=1)
    cluster.change("n1", "add", "n4")
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")
    cluster.restart("n2")
    assert names(cluster, "n2") == "n1:V n2:V n3:V n4:S"


def test_a_truncated_configuration_is_in_force_no_more() -> None:
    cluster = cluster_of(3, spare=1)
    answers = cluster.change("n1", "add", "n4")
    cluster.tick("n1")
    cluster.drop_all()
    cluster.isolate("n1")
    cluster.elect("n3", ["n2"])
    cluster.settle(["n2", "n3"])
    cluster.rejoin("n1")
    cluster.settle()
    cluster.run(0.3)
    assert names(cluster, "n1") == "n1:V n2:V n3:V"
    assert [ok for ok, _why in answers] == [None]


def late_learner() -> Scripted:
    """n4 joins a cluster whose log no longer reaches back to its beginning."""
    cluster = cluster_of(3, spare=2)
    cluster.isolate("n4")
    cluster.change("n1", "learner", "n5")
    for number in range(30):
        cluster.propose("n1", b"%d" % number)
    cluster.settle()
    for i in ("n1", "n2", "n3"):
        cluster.nodes[i].checkpoint()
    cluster.rejoin("n4")
    return cluster


def test_a_snapshot_brings_its_configuration() -> None:
    cluster = late_learner()
    seen = False
    cluster.change("n1", "learner", "n4")
    for _ in range(60):
        cluster.tick("n1", 0.02)
        messages = cluster.waiting("n1", "n4")
        seen = seen or any(isinstance(m, SnapshotChunk) for m in messages)
        cluster.links["n1", "n4"].clear()
        cluster.put("n1", "n4", [m for m in messages if not getattr(m, "entries", None)])  # no entries
        cluster.deliver("n1", "n4")
        cluster.tick_quietly("n4")
        cluster.deliver("n4", "n1")
        for other in ("n2", "n3"):
            cluster.deliver("n1", other)
            cluster.tick_quietly(other)
            cluster.deliver(other, "n1")
    assert seen
    assert names(cluster, "n4") == "n1:V n2:V n3:V n5:L"


def test_a_checkpoint_holds_the_configuration_of_its_own_index() -> None:
    cluster = cluster_of(3, spare=1)
    applied = cluster["n1"].applied_index
    cluster.change("n1", "add", "n4")
    index, data = cluster["n1"].configuration_at(applied)
    assert index == 0
    assert "n4" not in Configuration.decode(data).members


# -- one change at a time ------------------------------------------------------------------------
def test_a_new_leader_changes_nothing_before_its_own_entry_is_committed() -> None:
    """The bug found in 2015: two leaders, each with an uncommitted change of its own."""
    cluster = cluster_of(4, spare=1)
    cluster.change("n1", "learner", "n5")
    cluster.settle()
    cluster.run(0.3)
    cluster.drop_all()
    cluster.isolate("n1")
    cluster.elect("n2", ["n3", "n4"])
    cluster.drop_all()
    [(ok, why)] = cluster.change("n2", "remove", "n1")
    assert ok is False
    assert "own term" in why


def test_one_change_at_a_time() -> None:
    cluster = cluster_of(3, spare=2)
    first = cluster.change("n1", "add", "n4")
    [(ok, why)] = cluster.change("n1", "remove", "n2")
    assert first == []
    assert ok is False
    assert "not committed yet" in why
    cluster.settle()
    assert first == [(True, "")]


def test_a_change_touches_exactly_one_voter() -> None:
    cluster = cluster_of(5)
    cluster.change("n1", "remove", "n5")
    assert names(cluster, "n1") == "n1:V n2:V n3:V n4:V"


def test_a_removal_that_would_cost_the_quorum_is_refused() -> None:
    cluster = cluster_of(3)
    cluster.isolate("n3")
    for seconds in (0.0, 1.2):
        cluster.run(seconds, ["n1", "n2"])
        [(ok, why)] = cluster.change("n1", "remove", "n2")
        assert ok is False
        assert "no quorum" in why
    dead = cluster.change("n1", "remove", "n3")
    cluster.settle(["n1", "n2"])
    assert dead == [(True, "")]


def test_a_change_on_a_lost_leader_ends_unknown() -> None:
    cluster = cluster_of(3)
    answers = cluster.change("n1", "remove", "n3")
    cluster.isolate("n1")
    cluster.run(2.0, ["n1"])
    assert [ok for ok, _why in answers] == [None]
    cluster["n1"].close()
    assert len(answers) == 1, "told once"


def test_a_name_that_cannot_stand_in_the_log_is_refused() -> None:
    """Else the entry could not be written, and the leader would stop."""
    cluster = cluster_of(1)
    answers: list[tuple[bool | None, str]] = []
    for name, disk in (("n 2", "disk"), ("n2", "disk\n"), ("n" * 256, "disk")):
        cluster["n1"].change_membership("add", name, disk, lambda ok, why: answers.append((ok, why)))
    assert [ok for ok, _why in answers] == [False] * 3
    assert all("no name" in why for _ok, why in answers)
    cluster.propose("n1", b"a")
    cluster.settle()
    assert cluster.data("n1") == [b"a"]


# -- learners ------------------------------------------------------------------------------------
def test_a_new_member_is_a_learner_until_it_has_caught_up() -> None:
    cluster = cluster_of(3, spare=1)
    cluster.isolate("n4")
    for number in range(100):
        cluster.propose("n1", b"%d" % number)
    cluster.settle(["n1", "n2", "n3"])
    cluster.change("n1", "add", "n4")
    cluster.run(1.0, ["n1", "n2", "n3"])
    assert names(cluster, "n1") == "n1:V n2:V n3:V n4:S"
    cluster.rejoin("n4")
    cluster.run(1.0)
    assert names(cluster, "n1") == "n1:V n2:V n3:V n4:V"
    assert cluster.data("n4") == cluster.data("n1")


def test_a_permanent_learner_gets_everything_and_is_never_promoted() -> None:
    cluster = cluster_of(1, spare=1)
    cluster.change("n1", "learner", "n2")
    cluster.propose("n1", b"a")
    cluster.run(2.0)
    assert names(cluster, "n1") == "n1:V n2:L"
    assert cluster.data("n2") == [b"a"]
    promoted = cluster.change("n1", "promote", "n2")
    cluster.run(1.0)
    assert [ok for ok, _why in promoted] == [True]
    assert names(cluster, "n2") == "n1:V n2:V"


def test_learners_and_strangers_never_count() -> None:
    cluster = cluster_of(3, spare=2)
    for learner in ("n4", "n5"):
        cluster.change("n1", "learner", learner)
        cluster.settle()
    cluster.run(0.3)
    cluster.isolate("n2")
    cluster.isolate("n3")
    accepted = cluster.propose("n1", b"a")
    cluster.settle(["n1", "n4", "n5"])
    assert cluster["n4"].last_index == accepted.index
    assert cluster["n1"].commit_index < accepted.index
    assert cluster["n1"].voters == {"n1", "n2", "n3"}
    assert cluster["n1"].members == {"n1", "n2", "n3", "n4", "n5"}


def test_a_learner_never_campaigns() -> None:
    cluster = cluster_of(2, spare=1)
    cluster.change("n1", "learner", "n3")
    cluster.run(0.5)
    cluster.crash("n1")
    term = cluster["n3"].term
    for _ in range(50):
        cluster.tick("n3", 0.1)
    assert (cluster["n3"].role, cluster["n3"].term) == (Role.FOLLOWER, term)
    assert not cluster.links["n3", "n2"]


def test_a_node_that_knows_no_members_never_campaigns() -> None:
    cluster = Scripted(1, spare=1)
    cluster.isolate("n2")
    cluster.run(5.0, ["n2"], step=0.1)
    assert (cluster["n2"].role, cluster["n2"].term, cluster["n2"].last_index) == (Role.FOLLOWER, 0, 1)


def test_a_node_that_does_not_know_of_its_promotion_votes() -> None:
    """Its vote is needed by a candidate that does know; who counts is the candidate's business."""
    cluster = cluster_of(2, spare=1)
    cluster.change("n1", "learner", "n3")
    cluster.settle()
    cluster.run(0.3)
    engine = cluster["n3"]
    cluster.isolate("n1")
    cluster.now += 5
    assert names(cluster, "n3") == "n1:V n2:V n3:L"
    engine.receive("n2", VoteRequest(engine.term + 1, 99, 99, 50, False))
    cluster.tick_quietly("n3")
    assert VoteAnswer(engine.term) in cluster.waiting("n3", "n2")


# -- removal -------------------------------------------------------------------------------------
def test_a_leader_that_removed_itself_does_not_count_itself() -> None:
    cluster = cluster_of(3)
    cluster.change("n1", "remove", "n1")
    index = cluster["n1"].last_index
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")
    cluster.deliver("n2", "n1")
    cluster.tick("n1")
    assert cluster["n1"].commit_index < index  # of the two that remain one has it
    cluster.deliver("n1", "n3")
    cluster.tick("n3")
    cluster.deliver("n3", "n1")
    cluster.tick("n1")
    assert cluster["n1"].commit_index == index


def test_a_leader_that_removed_itself_hands_over_and_steps_down() -> None:
    cluster = cluster_of(3)
    answers = cluster.change("n1", "remove", "n1")
    cluster.settle()
    assert answers == [(True, "")]
    assert cluster["n1"].role is Role.FOLLOWER
    assert sum(cluster[i].role is Role.LEADER for i in ("n2", "n3")) == 1  # without any time-out
    term = cluster["n1"].term
    cluster.run(5.0, step=0.05)
    assert cluster["n1"].term == term


def test_a_leader_that_removed_itself_hands_over_to_one_that_has_the_whole_log() -> None:
    cluster = cluster_of(3)
    cluster.change("n1", "remove", "n1")
    cluster.tick("n1")
    for follower in ("n2", "n3"):
        cluster.deliver("n1", follower)
        cluster.tick_quietly(follower)
    cluster.propose("n1", b"a")
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick_quietly("n2")
    for follower in ("n2", "n3"):
        cluster.deliver(follower, "n1")
    cluster.tick("n1")
    assert cluster["n1"].role is Role.FOLLOWER
    asked = [i for i in ("n2", "n3") if any(isinstance(m, TimeoutNow) for m in cluster.waiting("n1", i))]
    assert asked == ["n2"]


def test_a_node_whose_removal_only_it_holds_can_still_be_elected() -> None:
    """Dissertation figure 4.6: else neither n1 nor n2 could ever win again."""
    cluster = cluster_of(2)
    cluster.change("n1", "remove", "n1")
    cluster.tick("n1")
    cluster.drop_all()
    cluster.restart("n1")
    cluster.run(6.0, step=0.05)
    assert cluster["n2"].role is Role.LEADER
    assert names(cluster, "n2") == "n2:V"
    assert cluster["n2"].ready


def test_a_removed_member_learns_of_its_removal() -> None:
    cluster = cluster_of(3)
    cluster.change("n1", "remove", "n3")
    cluster.settle()
    cluster.run(0.3)
    assert names(cluster, "n3") == "n1:V n2:V"
    assert cluster["n3"].commit_index == cluster["n1"].commit_index
    cluster.run(2.0, step=0.05)
    assert [peer.node_id for peer in cluster["n1"].progress()] == ["n2"]


def test_a_removed_node_is_told_and_falls_silent() -> None:
    cluster = cluster_of(3)
    cluster.isolate("n3")
    cluster.change("n1", "remove", "n3")
    cluster.settle(["n1", "n2"])
    cluster.run(6.0, step=0.1)  # nobody sends it the log any more
    cluster.rejoin("n3")
    answers: list[PreVoteAnswer] = []
    for _ in range(40):
        cluster.tick("n3", 0.1)
        for other in ("n1", "n2"):
            cluster.deliver("n3", other)
            cluster.tick(other)
            answers += [m for m in cluster.waiting(other, "n3") if isinstance(m, PreVoteAnswer)]
            cluster.deliver(other, "n3")
        cluster.settle(["n1", "n2"])
    assert answers
    assert all(answer.gone for answer in answers)
    assert len(answers) <= 2  # it asked once


def test_a_removed_node_is_silent_only_until_it_is_a_member_again() -> None:
    cluster = cluster_of(3)
    cluster.change("n1", "remove", "n3")
    cluster.run(6.0, step=0.1)
    cluster.change("n1", "add", "n3")
    cluster.run(2.0)
    assert names(cluster, "n1") == "n1:V n2:V n3:V"
    cluster["n1"].transfer("n3")
    cluster.settle()
    assert cluster["n3"].role is Role.LEADER


def test_higher_terms_count_only_from_members() -> None:
    cluster = cluster_of(3, spare=1)
    term = cluster["n1"].term
    cluster["n1"].receive("n4", AppendAnswer(term + 5, 1, False, 0))
    assert cluster["n1"].term == term
    cluster["n1"].receive("n2", AppendAnswer(term + 5, 1, False, 0))
    assert cluster["n1"].term == term + 5


# -- one id, one disk ----------------------------------------------------------------------------
def wiped() -> Scripted:
    """n3 has acknowledged a command, lost its disk, and came back under its old id."""
    cluster = Scripted(3, options=STUBBORN)
    cluster.start()
    cluster.isolate("n2")
    cluster.propose("n1", b"a")
    cluster.settle(["n1", "n3"])
    assert cluster.data("n1") == [b"a"]
    cluster.crash("n3")
    cluster.nodes["n3"].wipe()
    cluster.nodes["n3"].start()
    return cluster


def test_a_wiped_disk_neither_votes_nor_acknowledges() -> None:
    cluster = wiped()
    cluster.connect("n1", "n3")
    before = cluster["n1"].commit_index
    accepted = cluster.propose("n1", b"b")
    cluster.now += 5
    cluster.settle(["n1", "n3"])
    cluster["n1"].receive("n3", AppendAnswer(cluster["n1"].term, 9, True, accepted.index + 1))
    cluster.tick("n1")
    assert cluster["n1"].commit_index == before
    assert any("another disk" in reason for reason in cluster["n1"].refusals)
    cluster.isolate("n1")
    cluster.connect("n2", "n3")
    cluster.run(5.0, ["n2", "n3"], step=0.05)  # together they would be a majority without `a`
    assert cluster["n2"].role is not Role.LEADER
    assert cluster["n3"].role is not Role.LEADER


def test_a_fresh_disk_never_votes() -> None:
    cluster = wiped()
    cluster.connect("n2", "n3")
    engine = cluster["n3"]
    engine.receive("n2", PreVote(9, 1, 99, 99, 0))
    engine.receive("n2", VoteRequest(9, 99, 99, 0, False))
    cluster.tick("n3")
    assert [m for m in cluster.waiting("n3", "n2") if isinstance(m, VoteAnswer)] == []
    assert [m.granted for m in cluster.waiting("n3", "n2") if isinstance(m, PreVoteAnswer)] == [False]


def test_a_wiped_disk_is_not_taken_in_under_its_old_id() -> None:
    cluster = wiped()
    cluster.connect("n1", "n2")
    cluster.connect("n1", "n3")
    cluster.settle()
    [(ok, why)] = cluster.change("n1", "add", "n3")
    assert ok is False
    assert "another disk" in why


def test_a_starting_list_that_names_another_disk_stops_the_node() -> None:
    cluster = wiped()
    node = cluster.nodes["n3"]
    node.crash()
    node.bootstrap = cluster.start_list
    with pytest.raises(SafetyFault, match="new id"):
        node.start()


def test_a_member_added_again_on_another_disk_starts_from_nothing() -> None:
    """Its predecessor's progress is still known to the leader; it must not be credited with it."""
    cluster = cluster_of(3)
    cluster.propose("n1", b"a", b"b")
    cluster.settle()
    cluster.change("n1", "remove", "n3")
    cluster.settle(["n1", "n2"])
    cluster.crash("n3")
    cluster.nodes["n3"].wipe()
    cluster.nodes["n3"].start()
    cluster.connect("n1", "n3")
    cluster.change("n1", "add", "n3")
    assert {peer.node_id: peer.match_index for peer in cluster["n1"].progress()}["n3"] == 0
    cluster.connect("n2", "n3")
    cluster.run(2.0)
    assert names(cluster, "n1") == "n1:V n2:V n3:V"
    assert cluster.data("n3") == [b"a", b"b"]


# -- forging -------------------------------------------------------------------------------------
def test_a_command_cannot_be_a_configuration() -> None:
    cluster = cluster_of(3)
    evil = Configuration({"n2": Member(Standing.VOTER, "disk-n2")}).encode()
    cluster.propose("n1", evil)
    cluster.settle()
    assert names(cluster, "n3") == "n1:V n2:V n3:V"
    assert cluster.data("n3") == [evil]


def test_configurations_form_a_chain_that_can_be_checked() -> None:
    cluster = cluster_of(1, spare=2)
    cluster.change("n1", "learner", "n2")
    cluster.settle()
    cluster.change("n1", "learner", "n3")
    cluster.settle()
    found = cluster["n3"]._log.history()
    links = [placed.configuration.previous_index for placed in found if placed.configuration]
    assert links == [0, *[placed.index for placed in found if placed.configuration][:-1]]


def test_a_single_node_grows_to_five_and_shrinks_to_one() -> None:
    cluster = Scripted(1, spare=4)
    cluster.run(2.0)
    for node_id in ("n2", "n3", "n4", "n5"):
        cluster.change("n1", "add", node_id)
        cluster.propose("n1", node_id.encode())
        cluster.run(1.0)
    assert cluster["n1"].voters == {"n1", "n2", "n3", "n4", "n5"}
    for node_id in ("n1", "n2", "n3", "n4"):
        [leader] = [i for i in cluster.nodes if cluster[i].ready]
        cluster.change(leader, "remove", node_id)
        cluster.run(1.5)
    assert cluster["n5"].ready
    assert cluster["n5"].voters == {"n5"}
    cluster.propose("n5", b"alone")
    cluster.settle()
    assert cluster.data("n5") == [b"n2", b"n3", b"n4", b"n5", b"alone"]


def test_a_message_of_the_old_connection_does_not_reach_a_new_disk() -> None:
    cluster = cluster_of(3)
    cluster.disconnect("n1", "n3")
    cluster["n1"].receive("n3", AppendAnswer(cluster["n1"].term, 1, True, 99))
    assert cluster["n1"].dropped == {"not connected": 1}
    assert not [m for m in cluster.waiting("n1", "n3") if isinstance(m, AppendEntries)]
