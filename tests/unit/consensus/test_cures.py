"""One scripted schedule for each fault of PySyncObj that would lose or change what was acknowledged.

The names say what each guards.  With its rule taken out (tests/simulation/raft/ablations.py) the schedule
fails; snapshots, elections, reads and replication have files of their own beside this one.
"""

import pytest

from orchestrix_raft.consensus.messages import (
    AppendAnswer,
    AppendEntries,
    Message,
    SnapshotChunk,
    VoteAnswer,
    VoteRequest,
)
from orchestrix_raft.consensus.port import Role, SafetyFault
from orchestrix_raft.storage.memory import DiskGone
from orchestrix_raft.storage.port import Entry, StorageError
from tests.simulation.raft.scripted import Scripted, behind, cluster_of, commands


# -- what is committed ---------------------------------------------------------------------------
def test_a_rejected_append_commits_nothing() -> None:
    cluster = cluster_of(3)
    cluster.isolate("n1")
    cluster.propose("n1", *commands(0, 9))  # never leaves n1
    cluster.tick("n1")
    cluster.elect("n2", ["n3"])
    cluster.propose("n2", *commands(100, 5))
    cluster.settle(["n2", "n3"])
    committed = cluster["n2"].commit_index
    cluster.connect("n1", "n2")
    cluster.tick("n2")
    cluster.deliver("n2", "n1")
    cluster.tick("n1")
    assert cluster["n1"].last_index >= committed
    assert cluster["n1"].commit_index == 2
    cluster.settle()
    assert cluster.data("n1") == cluster.data("n2") == commands(100, 5)


def test_a_snapshot_chunk_commits_nothing() -> None:
    cluster = behind()
    cluster.connect("n1", "n3")
    cluster.settle(["n1"], rounds=2)
    chunks = [m for m in cluster.waiting("n1", "n3") if isinstance(m, SnapshotChunk)]
    assert chunks
    before = cluster["n3"].commit_index
    cluster["n3"].receive("n1", chunks[0])
    cluster.tick("n3")
    assert cluster["n3"].commit_index == before


def test_only_what_was_compared_is_acknowledged_and_committed() -> None:
    """Entries of an earlier leader behind the place of comparison may be others than this leader's."""
    cluster = cluster_of(3)
    end, term = cluster["n3"].last_index, cluster["n3"].term
    strange = [Entry(b"\x02a", end + 1, term), Entry(b"\x02b", end + 2, term)]
    cluster["n3"].receive("n1", AppendEntries(term, 9, end, end, term, strange))
    cluster["n3"].receive("n2", AppendEntries(term + 1, 1, end + 2, end, term, []))
    cluster.tick("n3")
    assert cluster["n3"].last_index == end + 2
    assert cluster["n3"].commit_index == end
    assert [m.next_index for m in cluster.waiting("n3", "n2") if isinstance(m, AppendAnswer)] == [end + 1]


def test_an_acknowledgement_does_not_outlive_its_term() -> None:
    """The next leader may have cut from the log what it acknowledges."""
    cluster = cluster_of(3)
    end, term = cluster["n3"].last_index, cluster["n3"].term
    cluster["n3"].receive("n1", AppendEntries(term, 9, end, end, term, [Entry(b"\x02a", end + 1, term)]))
    other = Entry(b"\x02b", end + 1, term + 1)
    cluster["n3"].receive("n2", AppendEntries(term + 1, 1, end, end, term, [other]))
    cluster.tick("n3")
    assert cluster.waiting("n3", "n1") == []
    assert cluster.log("n3")[-1] == (end + 1, term + 1)


def test_entries_that_match_are_not_cut() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    cluster.tick("n1")
    early = cluster.waiting("n1", "n2")
    cluster.propose("n1", b"b", b"c")
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")
    held = cluster.log("n2")
    cluster.put("n1", "n2", early)  # the first message once more, after the later ones
    cluster.deliver("n1", "n2")
    assert cluster.log("n2") == held


def test_an_acknowledgement_never_takes_the_next_index_back() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")  # its answer to `a` is under way
    cluster.propose("n1", b"b", b"c")
    cluster.tick("n1")
    cluster.deliver("n2", "n1")
    cluster.tick("n1")
    sent = [m for m in cluster.waiting("n1", "n2") if isinstance(m, AppendEntries)]
    indexes = [entry.index for message in sent for entry in message.entries]
    assert indexes == sorted(set(indexes))


def test_a_stale_acknowledgement_of_an_old_term_commits_nothing() -> None:
    cluster = cluster_of(5)
    cluster.propose("n1", *commands(0, 15))
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")
    stale = cluster.waiting("n2", "n1")
    assert any(isinstance(m, AppendAnswer) and m.matched for m in stale)
    cluster.drop_all()
    cluster.elect("n3", ["n4", "n5"])
    for _ in range(3):  # n1 and n2 lose their tail to the leader of term 2
        cluster.tick("n3", 0.11)
        for other in ("n1", "n2"):
            cluster.deliver("n3", other)
            cluster.tick_quietly(other)
            cluster.deliver(other, "n3")
    cluster.drop_all()
    cluster.elect("n1", ["n4", "n5"])
    cluster.drop_all()
    cluster.propose("n1", *commands(100, 10))
    for _ in range(3):
        cluster.tick("n1", 0.11)
        cluster.deliver("n1", "n4")
        cluster.tick_quietly("n4")
        cluster.deliver("n4", "n1")
    cluster.links["n1", "n2"].clear()
    before = cluster["n1"].commit_index
    cluster.put("n2", "n1", stale)
    cluster.deliver("n2", "n1")
    cluster.tick("n1")
    assert cluster["n1"].commit_index == before


def test_a_leader_commits_old_entries_only_behind_one_of_its_own() -> None:
    """Figure 8 of the Raft paper: an entry of an old term on a majority may still be overwritten."""
    cluster = cluster_of(3)
    old = cluster.propose("n1", b"old")
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")
    cluster.drop_all()
    cluster.isolate("n1")
    cluster.elect("n2", ["n3"])
    cluster.drop_all()
    engine = cluster["n2"]
    engine.receive("n3", AppendAnswer(engine.term, 1, True, old.index + 1))  # n3 has `old`, not the no-op
    cluster.tick("n2")
    assert engine.commit_index < old.index


def test_every_rejection_of_a_burst_names_the_same_index() -> None:
    cluster = cluster_of(3)
    engine, term = cluster["n2"], cluster["n1"].term
    answers = []
    for prev_index, prev_term in ((50, term), (9, term), (2, 0), (30, term)):
        engine.receive("n1", AppendEntries(term, 1, 0, prev_index, prev_term, []))
        cluster.tick("n2")
        answers += [m for m in cluster.waiting("n2", "n1") if isinstance(m, AppendAnswer)]
        cluster.links["n2", "n1"].clear()
    assert {(answer.matched, answer.next_index) for answer in answers} == {(False, engine.commit_index + 1)}
    assert len(answers) == 4


def test_a_leader_that_rewrites_committed_entries_stops_the_node() -> None:
    cluster = cluster_of(3)
    engine = cluster["n2"]
    with pytest.raises(SafetyFault, match="committed entry 2"):
        engine.receive("n3", AppendEntries(9, 1, 0, 1, 0, [Entry(b"\x01", 2, 9)]))


def test_two_leaders_of_one_term_stop_the_node() -> None:
    cluster = cluster_of(3)
    with pytest.raises(SafetyFault, match="two leaders"):
        cluster["n1"].receive("n2", AppendEntries(cluster["n1"].term, 1, 0, 1, 0, []))


# -- durability ----------------------------------------------------------------------------------
def test_nothing_is_acknowledged_before_it_is_durable() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.nodes["n2"].disk.fuse = 0
    with pytest.raises(DiskGone):
        cluster["n2"].tick()
    assert cluster["n2"].outbox == []


def test_a_vote_leaves_only_once_it_is_durable() -> None:
    cluster = cluster_of(3)
    cluster.isolate("n1")
    cluster.now += 5
    engine = cluster["n2"]
    engine.receive("n3", VoteRequest(engine.term + 1, 99, 99, 0, False))
    cluster.nodes["n2"].disk.fuse = 0
    with pytest.raises(DiskGone):
        engine.tick()
    assert engine.outbox == []


def test_a_vote_survives_a_power_loss() -> None:
    cluster = cluster_of(3)
    cluster.isolate("n1")
    cluster.now += 5
    term = cluster["n2"].term + 1
    cluster["n2"].receive("n3", VoteRequest(term, 99, 99, 0, False))
    cluster.tick("n2")
    assert VoteAnswer(term) in cluster.waiting("n2", "n3")
    engine = cluster.restart("n2")
    engine.receive("n1", VoteRequest(term, 99, 99, 0, False))
    engine.tick()
    assert not any(isinstance(message, VoteAnswer) for _peer, message in engine.outbox)


def test_a_single_node_applies_only_what_is_durable() -> None:
    cluster = Scripted(1)
    cluster.run(2)
    cluster.propose("n1", b"a")
    cluster.nodes["n1"].disk.fuse = 0
    with pytest.raises(DiskGone):
        cluster["n1"].tick()
    assert cluster.data("n1") == []


def test_a_new_single_leader_sends_nothing_of_its_term_before_that_is_durable() -> None:
    cluster = Scripted(1, spare=1)
    cluster.run(2)
    cluster.change("n1", "learner", "n2")
    cluster.settle()
    cluster.restart("n1")
    early: list[Message] = []
    cluster["n1"].before_flush = lambda: early.extend(message for _peer, message in cluster["n1"].outbox)
    cluster.run(2)
    assert cluster["n1"].role is Role.LEADER
    assert not [m for m in early if isinstance(m, AppendEntries) and m.entries[0].data == b"\x01"]


def test_entries_may_leave_while_the_leader_still_writes_them() -> None:
    cluster = cluster_of(3)
    early: list[AppendEntries] = []
    engine, journal = cluster["n1"], cluster.nodes["n1"].journal

    def note() -> None:
        assert journal.durable_index < journal.last_index
        early.extend(m for _peer, m in engine.outbox if isinstance(m, AppendEntries))

    engine.before_flush = note
    cluster.propose("n1", b"a")
    cluster.tick("n1")
    assert [len(message.entries) for message in early] == [1, 1]


def test_a_disk_that_refuses_stops_the_node_and_says_so() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    cluster.nodes["n1"].disk.full = True
    with pytest.raises(SafetyFault, match="full") as caught:
        cluster["n1"].tick()
    assert isinstance(caught.value.__cause__, StorageError)
    with pytest.raises(SafetyFault, match="full"):
        cluster["n1"].propose(b"b")
    assert cluster["n1"].commit_index == 2


# -- applying and calling back -------------------------------------------------------------------
def test_a_command_that_cannot_be_applied_stops_the_node() -> None:
    cluster = cluster_of(3)

    def poison(index: int, term: int, data: bytes) -> None:
        raise ValueError(data)

    cluster.nodes["n1"].machine.on_apply = poison
    accepted = cluster.propose("n1", b"bad")
    with pytest.raises(SafetyFault, match=f"entry {accepted.index}"):
        cluster.settle()
    with pytest.raises(SafetyFault, match=f"entry {accepted.index}"):
        cluster["n1"].tick()


def test_an_entry_of_an_unknown_kind_stops_the_node() -> None:
    cluster = cluster_of(1)
    journal = cluster.nodes["n1"].journal
    journal.append(Entry(b"\x7fnew", journal.last_index + 1, cluster["n1"].term))
    with pytest.raises(SafetyFault, match="kind"):
        cluster.settle()


def test_a_callback_that_raises_neither_stops_the_node_nor_is_called_twice() -> None:
    cluster = cluster_of(3)
    calls: list[object] = []

    def broken(*answer: object) -> None:
        calls.append(answer)
        raise RuntimeError("the client's own bug")

    cluster["n1"].read_index(broken)
    cluster["n1"].change_membership("remove", "n3", None, broken)
    cluster.propose("n1", b"a")
    cluster.settle()
    cluster.run(0.3)
    assert len(calls) == 2
    assert cluster.data("n1") == [b"a"]
