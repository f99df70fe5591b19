"""Restarts and snapshots: log and checkpoint always join, and a bad snapshot changes nothing."""

import logging

import msgspec
import pytest

from orchestrix_raft.consensus.messages import (
    AppendAnswer,
    AppendEntries,
    SnapshotAnswer,
    SnapshotChunk,
    VoteRequest,
)
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.storage.memory import DiskGone, MemoryDisk
from orchestrix_raft.storage.port import DiskFull, SnapshotRef, SnapshotWriter, StorageError
from tests.simulation.raft.scripted import TEST_OPTIONS, Scripted, behind, cluster_of, commands


def test_a_restart_keeps_what_was_acknowledged_behind_the_checkpoint() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 10))
    cluster.settle()
    cluster.nodes["n2"].checkpoint()
    cluster.propose("n1", *commands(10, 5))
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")  # acknowledged, though not known to be committed
    held = cluster.log("n2")
    cluster.restart("n2")
    assert cluster.log("n2") == held
    assert cluster["n2"].applied_index == 12


def test_a_restart_applies_nothing_twice() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 10))
    cluster.settle()
    cluster.nodes["n2"].checkpoint()
    cluster.propose("n1", *commands(10, 5))
    cluster.settle()
    cluster.restart("n2")
    cluster.run(0.3)
    assert cluster.data("n2") == commands(0, 15)


def test_a_log_without_its_checkpoint_stops_the_node() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 20))
    cluster.settle()
    node = cluster.nodes["n2"]
    node.checkpoint()
    cluster.tick("n2")
    node.disk._position = None
    node.crash()
    with pytest.raises(SafetyFault, match="no checkpoint"):
        node.start()


def test_a_checkpoint_without_its_journal_stops_the_node() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 20))
    cluster.settle()
    node = cluster.nodes["n2"]
    node.checkpoint()
    position, tables = node.disk._position, node.disk._tables
    node.crash()
    node.disk = MemoryDisk(node.disk_id)
    node.disk._position, node.disk._tables = position, tables
    with pytest.raises(SafetyFault, match="votes"):
        node.start()


def test_a_peer_that_needs_compacted_entries_gets_the_snapshot() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    cluster.run(0.5)
    assert cluster.data("n3") == cluster.data("n1") == commands(0, 30)
    assert cluster["n3"].first_index >= cluster["n1"].first_index
    cluster.propose("n1", b"after")
    cluster.settle()
    assert cluster.data("n3")[-1] == b"after"


def damaged_once(cluster: Scripted) -> None:
    """Pass one snapshot on from n1 to n3 with its first chunk changed."""
    done = False
    for _ in range(60):
        cluster.tick("n1", 0.02)
        messages = cluster.waiting("n1", "n3")
        cluster.links["n1", "n3"].clear()
        for message in messages:
            if isinstance(message, SnapshotChunk) and message.offset == 0 and not done:
                message = SnapshotChunk(message.term, message.round, message.ref, 0, bytes(len(message.data)))
            done = done or (isinstance(message, SnapshotChunk) and message.last)
            cluster["n3"].receive("n1", message)
        cluster.tick_quietly("n3")
        if done:
            return
        cluster.deliver("n3", "n1")
    raise AssertionError("no snapshot was sent to its end")


def test_a_damaged_snapshot_is_refused_and_asked_for_again() -> None:
    cluster = behind()
    before = cluster.log("n3")
    cluster.rejoin("n3")
    damaged_once(cluster)
    answers = [m for m in cluster.waiting("n3", "n1") if isinstance(m, SnapshotAnswer)]
    assert answers[-1].failed
    assert (cluster.log("n3"), cluster.data("n3")) == (before, [])
    cluster.run(2.0)
    assert cluster.data("n3") == commands(0, 30)
    assert cluster["n3"].refusals


def test_an_older_snapshot_is_ignored() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    old: list[SnapshotChunk] = []
    for _ in range(40):
        cluster.tick("n1", 0.02)
        old += [m for m in cluster.waiting("n1", "n3") if isinstance(m, SnapshotChunk)]
        cluster.deliver("n1", "n3")
        cluster.tick_quietly("n3")
        cluster.deliver("n3", "n1")
    cluster.propose("n1", *commands(30, 10))
    cluster.settle()
    cluster.nodes["n3"].checkpoint()
    log, data = cluster.log("n3"), cluster.data("n3")
    assert old
    assert data == commands(0, 40)
    assert log[0][0] > old[0].ref.index
    for chunk in old:
        cluster["n3"].receive("n1", chunk)
        assert (cluster.log("n3"), cluster.data("n3")) == (log, data)
    cluster.tick("n3")
    answer = [m for m in cluster.waiting("n3", "n1") if isinstance(m, AppendAnswer)][-1]
    assert (answer.matched, answer.next_index) == (True, cluster["n3"].commit_index + 1)


def test_a_snapshot_keeps_the_log_behind_it_that_was_acknowledged() -> None:
    """n3 holds everything but does not know that it is committed when the snapshot comes."""
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 20))
    cluster.settle(["n1", "n2"])
    cluster.nodes["n1"].checkpoint()
    store = cluster.nodes["n1"].store
    reader = store.snapshot() or store.snapshot()
    assert reader is not None
    cluster.propose("n1", *commands(20, 5))
    cluster.tick("n1")
    engine = cluster["n3"]
    for message in cluster.waiting("n1", "n3"):
        assert isinstance(message, AppendEntries)
        engine.receive("n1", msgspec.structs.replace(message, commit_index=2))
    cluster.tick("n3")
    assert (engine.applied_index, engine.last_index) == (2, 27)
    engine.receive("n1", SnapshotChunk(cluster["n1"].term, 1, reader.ref, 0, reader.read(0, reader.ref.size)))
    cluster.tick("n3")
    assert (engine.applied_index, engine.first_index, engine.last_index) == (22, 22, 27)
    assert cluster.data("n3") == commands(0, 20)


def test_an_installed_snapshot_whose_log_was_not_reset_is_completed_at_the_start() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    node = cluster.nodes["n3"]
    chunks: dict[int, SnapshotChunk] = {}
    for _ in range(40):
        cluster.tick("n1", 0.02)
        chunks |= {m.offset: m for m in cluster.waiting("n1", "n3") if isinstance(m, SnapshotChunk)}
        last = next((m for m in chunks.values() if m.last), None)
        if last is not None:
            break
        cluster.deliver("n1", "n3")
        cluster.tick_quietly("n3")
        cluster.deliver("n3", "n1")
    assert last is not None
    node.disk.fuse, node.disk.torn = 1, True  # the store's step succeeds, the journal's does not
    with pytest.raises(DiskGone):
        cluster.deliver("n1", "n3")
    node.crash()
    engine = node.start()
    assert engine.applied_index == engine.first_index == engine.last_index == last.ref.index
    assert cluster.data("n3") == commands(0, 30)


def test_while_the_snapshot_is_being_made_the_leader_sends_plain_heartbeats() -> None:
    cluster = behind()
    cluster.nodes["n1"].store.snapshot = lambda: None  # type: ignore[method-assign]
    cluster.rejoin("n3")
    cluster.drop_all()
    sent = 0
    for _ in range(200):
        cluster.tick("n1", 0.005)
        sent += len(cluster.links["n1", "n3"])
        cluster.deliver("n1", "n3")
        cluster.tick_quietly("n3")
        cluster.deliver("n3", "n1")
    assert 5 <= sent <= 15  # one second of heartbeats
    assert cluster["n3"].leader_id == "n1"


def test_a_snapshot_starts_again_on_a_new_connection() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    for _ in range(10):
        cluster.tick("n1", 0.02)
        cluster.deliver("n1", "n3", count=1, only=AppendEntries)
        cluster.deliver("n1", "n3", count=3)
        cluster.tick_quietly("n3")
        cluster.deliver("n3", "n1")
        if cluster["n1"].progress()[1].snapshot_sent:
            break
    assert cluster["n1"].progress()[1].snapshot_sent > 0
    cluster.disconnect("n1", "n3")
    cluster.rejoin("n3")
    assert cluster["n1"].progress()[1].snapshot_sent == 0
    cluster.run(0.5)
    assert cluster.data("n3") == commands(0, 30)


def test_a_chunk_of_another_snapshot_does_not_continue_the_first() -> None:
    cluster = cluster_of(3)
    engine = cluster["n3"]
    ref = SnapshotRef(50, engine.term, 256, bytes(32), 0, b"")
    for offset, one in ((0, ref), (64, ref._replace(index=60))):
        engine.receive("n1", SnapshotChunk(engine.term, 9, one, offset, bytes(64)))
        cluster.tick("n3")
    answers = [m for m in cluster.waiting("n3", "n1") if isinstance(m, SnapshotAnswer)]
    assert [(answer.received, answer.failed) for answer in answers] == [(64, False), (0, True)]


def test_the_term_of_a_snapshot_is_on_disk_before_the_snapshot_is_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a power loss in between leaves a checkpoint of a term that the journal has never heard of."""
    cluster = behind()
    engine, journal, store = cluster["n3"], cluster.nodes["n3"].journal, cluster.nodes["n3"].store
    steps: list[str] = []

    def noting(owner: object, name: str) -> None:
        sound = getattr(owner, name)

        def noted(*args: object) -> object:
            steps.append(name)
            return sound(*args)

        monkeypatch.setattr(owner, name, noted)

    def receive(ref: SnapshotRef) -> SnapshotWriter:
        writer = begin(ref)
        noting(writer, "commit")
        return writer

    begin = store.receive
    monkeypatch.setattr(store, "receive", receive)
    noting(journal, "flush")
    noting(engine, "receive")
    cluster.rejoin("n3")
    cluster.run(1.0)
    assert cluster.data("n3") == commands(0, 30)
    assert steps[steps.index("commit") - 1] == "flush"


def test_an_answer_to_an_earlier_snapshot_says_nothing_about_the_present_one() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    cluster.tick("n1")
    cluster.tick("n3")
    cluster.deliver("n3", "n1")
    engine = cluster["n1"]
    cluster.tick("n1", 0.02)
    index = engine._sender.pinned_index()
    assert index is not None
    for answered, received in ((index - 1, 0), (index, 64)):
        engine.receive("n3", SnapshotAnswer(engine.term, 1, answered, 64, False))
        assert engine.progress()[1].snapshot_sent == received


def test_chunks_under_way_are_bounded_and_sent_again_when_they_were_lost() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    sent = 0
    while not sent:
        cluster.tick("n1", 0.02)
        sent = sum(len(m.data) for m in cluster.waiting("n1", "n3") if isinstance(m, SnapshotChunk))
        if not sent:
            cluster.deliver("n1", "n3")
            cluster.tick_quietly("n3")
            cluster.deliver("n3", "n1")
    assert sent <= TEST_OPTIONS.chunk_bytes * TEST_OPTIONS.chunk_window
    cluster.drop_all()
    cluster.run(TEST_OPTIONS.snapshot_stall_s - 0.5, step=0.1)
    assert cluster.data("n3") == []
    cluster.run(1.0, step=0.1)
    assert cluster.data("n3") == commands(0, 30)


def test_a_slow_transfer_that_goes_on_does_not_start_again() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    begun = False
    while not begun:
        cluster.tick("n1", 0.02)
        begun = any(isinstance(m, SnapshotChunk) for m in cluster.waiting("n1", "n3"))
        if not begun:
            cluster.deliver("n1", "n3")
            cluster.tick_quietly("n3")
            cluster.deliver("n3", "n1")
    for _ in range(5):
        chunk = next(m for m in cluster.waiting("n1", "n3") if isinstance(m, SnapshotChunk))
        while cluster.waiting("n1", "n3")[0] != chunk:
            cluster.deliver("n1", "n3", count=1)
        cluster.deliver("n1", "n3", count=1)
        cluster.tick_quietly("n3")
        cluster.deliver("n3", "n1")
        cluster.tick("n1", 1.4)
        assert not [m for m in cluster.waiting("n1", "n3") if isinstance(m, SnapshotChunk) and not m.offset]


def test_a_leader_that_is_one_no_more_lets_go_of_the_snapshots_that_it_sent() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    cluster.tick("n1", 0.02)
    assert cluster["n1"]._sender.pinned_index() is not None
    cluster["n1"].receive("n2", VoteRequest(cluster["n1"].term + 1, 99, 99, 0, True))
    assert not cluster.leads("n1")
    assert cluster["n1"]._sender.pinned_index() is None


def test_the_log_is_kept_from_the_moment_a_snapshot_is_wanted() -> None:
    cluster = behind()
    wanted = cluster["n1"].applied_index
    cluster.nodes["n1"].store.snapshot = lambda: None  # type: ignore[method-assign]
    cluster.rejoin("n3")
    cluster.run(0.3)
    cluster.propose("n1", *commands(30, 20))
    cluster.settle()
    cluster.nodes["n1"].checkpoint()
    assert cluster["n1"].first_index <= wanted
    cluster.disconnect("n1", "n3")
    cluster.nodes["n1"].checkpoint()
    assert cluster["n1"].first_index > wanted


def test_the_log_behind_a_snapshot_under_way_is_kept_within_a_bound() -> None:
    cluster = behind()
    cluster.rejoin("n3")
    for _ in range(2):
        cluster.tick("n1", 0.02)
    pinned = cluster["n1"]._sender.pinned_index()
    assert pinned is not None
    cluster.propose("n1", *commands(30, 20))
    cluster.settle(["n1", "n2"])
    cluster.nodes["n1"].checkpoint()
    assert cluster["n1"].first_index <= pinned
    cluster["n1"]._options = Options(tail_entries=4, pin_bytes=1)
    cluster.nodes["n1"].checkpoint()
    assert cluster["n1"].first_index > pinned


# -- disks that refuse -------------------------------------------------------------------------------


def refusing(*_: object) -> bytes:
    raise DiskFull("no room on this disk; free some space")


def test_a_leader_without_room_for_a_copy_leads_on_and_says_why_a_peer_lags(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = behind()
    monkeypatch.setattr(cluster.nodes["n1"].store, "snapshot", refusing)
    with caplog.at_level(logging.WARNING):
        cluster.rejoin("n3")
        cluster.run(12.0)
    assert cluster.leads("n1")
    assert len(caplog.records) == 1, "once for the whole time"
    (problem,) = cluster["n1"].problems()
    assert "n3" in problem
    assert "no room on this disk" in problem
    assert cluster["n1"].refusals == {"no snapshot could be made or read": 3}, "again every five seconds"
    cluster.propose("n1", b"more")
    cluster.settle()
    assert cluster.data("n2")[-1] == b"more"
    monkeypatch.undo()
    cluster.run(6.0)
    assert cluster.data("n3") == cluster.data("n1")
    assert cluster["n1"].problems() == []


def test_while_no_copy_can_be_made_the_log_is_not_kept_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = behind()
    monkeypatch.setattr(cluster.nodes["n1"].store, "snapshot", lambda: None)
    cluster.rejoin("n3")
    cluster.tick("n1", 0.02)
    assert cluster["n1"]._sender.pinned_index() is not None
    monkeypatch.setattr(cluster.nodes["n1"].store, "snapshot", refusing)
    cluster.tick("n1", 0.02)
    assert cluster["n1"]._sender.pinned_index() is None


def test_a_copy_that_cannot_be_read_on_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = behind()
    store = cluster.nodes["n1"].store
    assert store.snapshot() is None
    made = store.snapshot()
    assert made is not None
    reader = made

    class Unreadable:
        ref = reader.ref
        closed = False

        def read(self, offset: int, limit: int) -> bytes:
            if offset:
                raise StorageError("input/output error")
            return reader.read(offset, limit)

        def close(self) -> None:
            self.closed = True
            raise StorageError("input/output error")

    unreadable = Unreadable()
    monkeypatch.setattr(store, "snapshot", lambda: unreadable)
    cluster.rejoin("n3")
    cluster.run(1.0)
    assert unreadable.closed
    assert cluster.leads("n1")
    assert "input/output error" in cluster["n1"].problems()[0]
    monkeypatch.undo()
    cluster.run(6.0)
    assert cluster.data("n3") == commands(0, 30)
    assert cluster["n1"].problems() == []


def test_a_follower_without_room_for_a_snapshot_says_so_until_it_has_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = behind()
    monkeypatch.setattr(cluster.nodes["n3"].store, "receive", refusing)
    with caplog.at_level(logging.WARNING):
        cluster.rejoin("n3")
        cluster.run(3.0)
    assert len(caplog.records) == 1
    assert "no room" in cluster["n3"].problems()[0]
    monkeypatch.undo()
    cluster.run(3.0)
    assert cluster.data("n3") == commands(0, 30)
    assert cluster["n3"].problems() == []
