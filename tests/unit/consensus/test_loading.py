"""While the state of an installed snapshot loads in slices: what a node may do, and what it may not."""

import pytest

from orchestrix_raft.consensus.messages import SnapshotChunk, TimeoutNow
from orchestrix_raft.consensus.port import Role, SafetyFault
from tests.simulation.raft.scripted import Scripted, behind, commands

LONG = 1_000_000


def loading(steps: int = LONG) -> Scripted:
    """n3 has installed a snapshot at 31, of commands 0 to 29, and loads it."""
    cluster = behind()
    cluster.nodes["n3"].machine.restore_steps = steps
    cluster.rejoin("n3")
    for _ in range(60):
        cluster.run(0.02)
        if cluster["n3"]._raft.loading:
            return cluster
    raise AssertionError("no snapshot was installed")


def finish(cluster: Scripted) -> None:
    """The rest of the load in one step."""
    load = cluster["n3"]._loading
    assert load is not None
    for _ in range(LONG):
        if next(load[1], None) is None:
            break


def test_nothing_is_applied_and_the_applied_index_stays_until_the_state_is_loaded() -> None:
    cluster = loading()
    before = 2  # the no-op: then n3 was cut off
    cluster.propose("n1", b"more")
    cluster.run(1.0)
    engine = cluster["n3"]
    assert engine._raft.loading
    assert (engine.applied_index, cluster.data("n3")) == (before, [])
    assert engine.commit_index == cluster["n1"].commit_index > before
    finish(cluster)
    cluster.run(0.5)
    assert cluster.data("n3") == [*commands(0, 30), b"more"]
    assert engine.applied_index == cluster["n1"].applied_index


def test_entries_behind_the_snapshot_are_acknowledged_while_its_state_loads() -> None:
    """They are on disk, and so is what is before them: with n3's copy alone the leader commits."""
    cluster = loading()
    cluster.isolate("n2")
    cluster.propose("n1", b"more")
    cluster.run(0.3)
    assert cluster.data("n1")[-1] == b"more"
    assert cluster["n3"]._raft.loading
    cluster.restart("n3")
    cluster.run(0.3)
    assert cluster.data("n3") == cluster.data("n1"), "and survive a crash in the middle of it"


def test_a_node_that_loads_wants_no_office_but_votes() -> None:
    cluster = loading()
    term = cluster["n3"].term
    cluster.isolate("n1")
    cluster.disconnect("n2", "n3")
    cluster.run(5.0)
    assert (cluster["n3"].term, cluster["n3"].role) == (term, Role.FOLLOWER)
    assert cluster["n3"].leader_id is None, "it does not take the lost leader for one for ever"
    cluster.connect("n2", "n3")
    cluster.run(5.0)
    assert cluster.leads("n2")
    assert cluster["n3"]._raft.loading


def test_the_last_one_to_be_asked_campaigns_once_it_has_loaded() -> None:
    cluster = loading()
    cluster.isolate("n2")
    cluster.propose("n1", b"only n3 has this")
    cluster.run(0.3)
    cluster.isolate("n1")
    cluster.connect("n2", "n3")
    cluster.run(3.0)
    assert not any(cluster.leads(node_id) for node_id in ("n2", "n3"))
    finish(cluster)
    cluster.run(3.0)
    assert cluster.leads("n3")
    assert cluster.data("n2") == cluster.data("n3") == [*commands(0, 30), b"only n3 has this"]


def test_a_request_to_take_over_is_not_obeyed_while_the_state_loads() -> None:
    cluster = loading()
    engine = cluster["n3"]
    engine.receive("n1", TimeoutNow(engine.term))
    cluster.run(2.0)
    assert cluster.leads("n1")
    assert (engine.term, engine.role) == (cluster["n1"].term, Role.FOLLOWER)


def test_another_snapshot_waits_until_the_state_of_the_first_is_loaded() -> None:
    cluster = loading()
    cluster.propose("n1", *commands(30, 20))
    cluster.settle(["n1", "n2"])
    cluster.nodes["n1"].checkpoint()
    store = cluster.nodes["n1"].store
    reader = store.snapshot() or store.snapshot()
    assert reader is not None
    engine = cluster["n3"]
    stored = cluster.nodes["n3"].store.position()
    chunk = SnapshotChunk(cluster["n1"].term, 1, reader.ref, 0, reader.read(0, reader.ref.size))
    assert chunk.last
    assert reader.ref.index > engine.commit_index
    engine.receive("n1", chunk)
    assert cluster.nodes["n3"].store.position() == stored
    finish(cluster)
    cluster.tick("n3")
    engine.receive("n1", chunk)
    assert cluster.nodes["n3"].store.position() != stored


def test_a_state_that_cannot_be_loaded_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = loading(steps=3)

    def damaged() -> None:
        raise ValueError("the tables contradict each other")

    monkeypatch.setattr(cluster.nodes["n3"].machine, "load", damaged)
    with pytest.raises(SafetyFault, match="contradict"):
        cluster.run(1.0)


def test_closing_ends_a_load() -> None:
    cluster = loading()
    load = cluster["n3"]._loading
    assert load is not None
    cluster["n3"].close()
    assert next(load[1], "over") == "over"
