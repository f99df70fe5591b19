"""Disks that are not what they were: a copy or an old backup under the id and the disk id of a member.

What a leader knows of a peer holds for what the peer shows on this connection, and for nothing before it.
"""

import copy

from orchestrix_raft.consensus.messages import AppendAnswer, AppendEntries
from orchestrix_raft.storage.memory import MemoryDisk
from tests.simulation.raft.scripted import STUBBORN, Scripted, cluster_of, commands


def back_up(cluster: Scripted, node_id: str) -> MemoryDisk:
    """What the disk would give after a power loss now."""
    cluster.nodes[node_id].journal.flush()
    return copy.deepcopy(cluster.nodes[node_id].disk)


def restore(cluster: Scripted, node_id: str, disk: MemoryDisk) -> None:
    """The node stops and starts again from that disk."""
    cluster.crash(node_id)
    disk.crash()
    cluster.nodes[node_id].disk = disk
    cluster.restart(node_id)


def forgotten(cluster: Scripted, leader: str = "n1") -> list[str]:
    return [line for line in cluster[leader].problems() if "has forgotten" in line]


def test_what_another_process_of_a_node_holds_is_not_counted_before_it_shows_it() -> None:
    """The copy acknowledged an entry that the original never got: it is not committed by the original's
    return."""
    cluster = Scripted(3, options=STUBBORN)
    cluster.start()
    cluster.isolate("n3")
    original = back_up(cluster, "n2")
    cluster.propose("n1", *commands(0, 5))
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    cluster.tick("n2")
    [answer] = [m for m in cluster.waiting("n2", "n1") if isinstance(m, AppendAnswer)]
    assert answer.last_index == cluster["n1"].last_index
    before = cluster["n1"].commit_index
    cluster["n1"].receive("n2", answer)  # noted, but the tick that would commit does not come in time
    restore(cluster, "n2", original)
    cluster.tick("n1")
    assert cluster["n1"].commit_index == before
    cluster.settle(["n1", "n2"])
    assert cluster["n1"].commit_index == before
    assert forgotten(cluster)


def test_a_peer_that_shows_less_than_it_acknowledged_is_reported_and_does_not_count() -> None:
    cluster = cluster_of(3)
    backup = back_up(cluster, "n2")
    cluster.propose("n1", *commands(0, 5))
    cluster.settle()
    restore(cluster, "n2", backup)
    cluster.run(0.5)
    assert forgotten(cluster) == [
        "the disk of node n2 has forgotten entries that it acknowledged, so nothing it says counts: stop it "
        "and bring back its data directory as it was when it last ran"
    ]
    assert cluster.data("n2") == [], "it gets heartbeats, and nothing to build on"
    assert cluster.leads("n1"), "the other follower is enough"
    before = cluster["n1"].commit_index
    cluster.isolate("n3")
    cluster.propose("n1", b"not with that copy alone")
    cluster.run(0.5)
    assert cluster["n1"].commit_index == before
    cluster.run(3.0)
    assert not cluster.leads("n1")
    assert not cluster.leads("n2")


def test_the_right_directory_brought_back_counts_again() -> None:
    cluster = cluster_of(3)
    backup = back_up(cluster, "n2")
    cluster.propose("n1", *commands(0, 5))
    cluster.settle()
    right = back_up(cluster, "n2")
    restore(cluster, "n2", backup)
    cluster.run(0.5)
    assert forgotten(cluster)
    restore(cluster, "n2", right)
    cluster.run(0.5)
    assert not forgotten(cluster)
    cluster.isolate("n3")
    cluster.propose("n1", b"with n2")
    cluster.run(0.3)
    assert cluster.data("n2") == [*commands(0, 5), b"with n2"]


def test_a_vote_of_a_peer_that_has_forgotten_does_not_count() -> None:
    cluster = cluster_of(3)
    backup = back_up(cluster, "n2")
    cluster.propose("n1", *commands(0, 5))
    cluster.settle()
    restore(cluster, "n2", backup)
    cluster.run(0.3)
    assert forgotten(cluster)
    cluster.isolate("n3")
    cluster.run(10.0, ["n1", "n2"])
    assert not cluster.leads("n1")
    assert not cluster.leads("n2")
    assert cluster["n1"].refusals["n2 has forgotten entries that it acknowledged"]


def test_entries_that_a_later_leader_has_rewritten_were_not_forgotten() -> None:
    """n2 acknowledged to n1 what never was committed; n3 leads and rewrites it; then n1 leads again."""
    cluster = Scripted(5, options=STUBBORN)
    cluster.start()
    for other in ("n3", "n4", "n5"):
        cluster.disconnect("n1", other)
    cluster.propose("n1", *commands(0, 9))
    cluster.settle(["n1", "n2"])
    assert cluster["n1"]._peers.by_id["n2"].acknowledged_index == cluster["n1"].last_index
    cluster.disconnect("n1", "n2")
    cluster.disconnect("n2", "n3")
    cluster.disconnect("n2", "n4")
    cluster.elect("n3", ["n4", "n5"])
    cluster.settle(["n3", "n4", "n5"])
    for other in ("n1", "n2"):
        cluster.rejoin(other)
    cluster.run(1.0)
    assert cluster.leads("n3")
    assert cluster["n2"].last_index < 9
    assert cluster["n3"].transfer("n1") == "n1"
    cluster.run(1.0)
    assert cluster.leads("n1")
    assert not forgotten(cluster)


def test_after_a_reconnection_sending_goes_on_from_what_was_acknowledged() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 5))
    cluster.settle()
    last = cluster["n1"].last_index
    cluster.connect("n1", "n2")
    cluster.tick("n1")
    [probe] = [m for m in cluster.waiting("n1", "n2") if isinstance(m, AppendEntries)]
    assert (probe.prev_index, probe.entries) == (last, [])
    assert cluster["n1"].progress()[0].match_index == 0
    cluster.settle()
    assert cluster["n1"].progress()[0].match_index == last
