"""Elections that disturb nobody, and reads that never miss what was acknowledged."""

from dataclasses import replace

from orchestrix_raft.consensus.messages import (
    PreVote,
    PreVoteAnswer,
    TimeoutNow,
    VoteAnswer,
    VoteRequest,
)
from orchestrix_raft.consensus.port import Refused, Role
from tests.simulation.raft.scripted import STUBBORN, Scripted, cluster_of, commands


# -- elections -----------------------------------------------------------------------------------
def test_a_returning_node_does_not_raise_the_term() -> None:
    cluster = cluster_of(3)
    term = cluster["n1"].term
    cluster.isolate("n3")
    cluster.run(3, step=0.05)
    cluster.rejoin("n3")
    cluster.run(1)
    assert {cluster[i].term for i in cluster.nodes} == {term}


def test_a_living_leader_is_protected_from_vote_requests() -> None:
    cluster = cluster_of(3)
    cluster.run(0.3)
    term = cluster["n2"].term
    for voter in ("n1", "n2"):
        cluster[voter].receive("n3", VoteRequest(term + 5, 99, 99, 0, False))
        cluster[voter].receive("n3", PreVote(term + 5, 7, 99, 99, 0))
        cluster.tick(voter)
    assert cluster["n1"].role is Role.LEADER
    assert cluster["n2"].term == term
    assert PreVoteAnswer(term, 7, False, False) in cluster.waiting("n2", "n3")


def test_a_stale_leader_is_told_and_steps_down() -> None:
    cluster = cluster_of(3, options=STUBBORN)
    cluster.isolate("n1")
    cluster.elect("n2", ["n3"])
    cluster.settle(["n2", "n3"])
    cluster.connect("n1", "n3")
    cluster.now += 0.2
    cluster.tick("n1")
    assert cluster.leads("n1")
    cluster.deliver("n1", "n3")
    cluster.tick_quietly("n3")
    cluster.deliver("n3", "n1")
    assert not cluster.leads("n1")
    assert cluster["n1"].term == cluster["n2"].term


def test_a_leader_without_a_majority_steps_down() -> None:
    cluster = cluster_of(3)
    cluster.isolate("n1")
    cluster.run(1.4, ["n1"])
    assert cluster.leads("n1")
    cluster.run(0.3, ["n1"])
    assert not cluster.leads("n1")
    assert cluster["n1"].leader_id is None
    assert isinstance(cluster["n1"].propose(b"a"), Refused)


def test_a_leader_that_nobody_ever_answered_steps_down() -> None:
    cluster = Scripted(3)
    cluster.elect("n1", ["n2"])
    cluster.isolate("n1")
    cluster.run(1.4, ["n1"])
    assert cluster.leads("n1")
    cluster.run(0.3, ["n1"])
    assert not cluster.leads("n1")


def test_nodes_that_start_at_the_same_moment_elect_a_leader() -> None:
    cluster = Scripted(3)
    cluster.run(10)
    assert any(cluster.leads(i) for i in cluster.nodes)


def test_an_answer_to_an_earlier_question_does_not_count() -> None:
    cluster = Scripted(3)
    cluster.tick("n1", 3.0)
    (earlier,) = cluster.waiting("n1", "n2")
    cluster.drop_all()
    cluster.tick("n1", 3.0)
    (later,) = cluster.waiting("n1", "n2")
    assert isinstance(earlier, PreVote)
    assert isinstance(later, PreVote)
    for asked, role in ((earlier, Role.FOLLOWER), (later, Role.CANDIDATE)):
        cluster["n1"].receive("n2", PreVoteAnswer(0, asked.nonce, True, False))
        cluster.tick("n1")
        assert cluster["n1"].role is role


def a_candidate() -> Scripted:
    """n1 asks for votes, and nobody has answered."""
    cluster = Scripted(3)
    cluster.tick("n1", 3.0)
    cluster.deliver("n1", "n2")
    cluster.tick_quietly("n2")
    cluster.deliver("n2", "n1")
    cluster.tick("n1")
    assert cluster["n1"].role is Role.CANDIDATE
    cluster.drop_all()
    return cluster


def test_a_vote_of_another_disk_does_not_count() -> None:
    cluster = a_candidate()
    engine = cluster["n1"]
    engine.disconnected("n2")
    engine.connected("n2", "another disk")
    engine.receive("n2", VoteAnswer(engine.term))
    assert not cluster.leads("n1")
    engine.receive("n3", VoteAnswer(engine.term))
    assert cluster.leads("n1")


def test_a_vote_of_an_earlier_term_does_not_count() -> None:
    cluster = a_candidate()
    engine = cluster["n1"]
    engine.receive("n2", VoteAnswer(engine.term - 1))
    assert not cluster.leads("n1")
    engine.receive("n2", VoteAnswer(engine.term))
    assert cluster.leads("n1")


def test_contact_with_the_leader_ages() -> None:
    cluster = cluster_of(3)
    assert Scripted(3)["n1"].leader_contact_s() == float("inf")
    cluster.isolate("n1")
    cluster.now += 1.0
    assert all(cluster[i].leader_contact_s() >= 1.0 for i in cluster.nodes)


def test_a_leader_that_hands_over_keeps_its_contact() -> None:
    """Else every planned change of leader would look like a lost cluster to the node that gave way."""
    cluster = cluster_of(3)
    cluster["n1"].transfer("n2")
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")
    cluster.deliver("n2", "n1")
    assert cluster["n1"].role is Role.FOLLOWER
    assert cluster["n1"].leader_contact_s() < 0.5


def test_a_transfer_waits_for_a_caught_up_target() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    assert isinstance(cluster["n1"].transfer("n2"), Refused)
    cluster.settle()
    assert cluster["n1"].transfer("n2") == "n2"
    cluster.settle()
    assert cluster["n2"].role is Role.LEADER


def test_a_request_to_take_over_is_obeyed_only_from_the_leader() -> None:
    cluster = cluster_of(3)
    cluster["n2"].receive("n3", TimeoutNow(cluster["n2"].term))
    cluster.settle()
    assert cluster["n1"].role is Role.LEADER


# -- reads ---------------------------------------------------------------------------------------
def test_a_leader_cut_off_answers_no_read() -> None:
    cluster = cluster_of(3, options=STUBBORN)
    cluster.isolate("n1")
    cluster.elect("n2", ["n3"])
    cluster.propose("n2", b"new")
    cluster.settle(["n2", "n3"])
    answers: list[int | None] = []
    cluster["n1"].read_index(answers.append)
    cluster.settle(["n1"])
    assert answers == []
    cluster.rejoin("n1")
    cluster.settle()
    assert answers == [None]


def test_a_new_leader_answers_no_read_before_its_no_op() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    for _ in range(2):
        cluster.tick("n1")
        cluster.deliver("n1", "n2")
        cluster.tick("n2")
        cluster.deliver("n2", "n1")
        cluster.links["n1", "n2"].clear()  # n2 never hears that `a` is committed
    assert cluster.data("n1") == [b"a"]
    cluster.drop_all()
    cluster.elect("n2", ["n3"])
    cluster.drop_all()
    answers: list[int | None] = []
    cluster["n2"].read_index(answers.append)
    cluster.settle(["n2", "n3"])
    assert answers == [None]


def test_an_answer_to_what_left_before_a_read_does_not_confirm_it() -> None:
    cluster = cluster_of(3)
    cluster.tick("n1", 0.2)
    for follower in ("n2", "n3"):
        cluster.deliver("n1", follower)
        cluster.tick_quietly(follower)
    answers: list[int | None] = []
    cluster["n1"].read_index(answers.append)
    for follower in ("n2", "n3"):
        cluster.deliver(follower, "n1")
    cluster.tick("n1")
    assert answers == []
    cluster.settle()
    assert answers == [cluster["n1"].commit_index]


def test_a_read_waits_until_its_index_is_applied() -> None:
    cluster = Scripted(1, options=replace(STUBBORN, apply_entries=1))
    cluster.start()
    cluster.propose("n1", *commands(0, 5))
    cluster.tick("n1")
    engine, applied = cluster["n1"], []
    engine.read_index(lambda index: applied.append((index, engine.applied_index)))
    cluster.settle()
    for _ in range(5):
        cluster.tick("n1")
    assert applied == [(engine.commit_index, engine.commit_index)]


def test_many_reads_share_one_round() -> None:
    cluster = cluster_of(3)
    answers: list[int | None] = []
    for _ in range(50):
        cluster["n1"].read_index(answers.append)
    cluster.tick("n1")
    assert len(cluster.links["n1", "n2"]) == 1
    cluster.settle()
    assert answers == [cluster["n1"].commit_index] * 50
