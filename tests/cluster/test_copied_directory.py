"""A copied data directory: the copy never takes part beside its original, and a mere restart always does."""

import shutil
from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.cli.node import HOPELESS
from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.load import Load
from orchestrix_raft.testing.processes import Process

pytestmark = pytest.mark.cluster
COPY_S = 30.0  # for the copy to start and to end


def start_copy(cluster: LocalCluster, original: int, place: int, data_dir: Path) -> Process:
    """A process from a copy of the directory of `original`, at the address of node `place`."""
    command = cluster.node_command(original)
    command[command.index("--data-dir") + 1] = str(data_dir)
    command[command.index("--listen") + 1] = cluster.addresses[place]
    process = Process("copy", command, cluster.data_dir / "copy.log")
    cluster.workers.append(process)  # so that it is ended whatever happens
    return process


def last_line(process: Process) -> str:
    """What it said at its end; no traceback anywhere."""
    text = process.text()
    assert "Traceback" not in text
    return text.splitlines()[-1]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("of_leader", [True, False], ids=["of the leader", "of a follower"])
def test_a_copy_beside_its_original_ends_and_disturbs_nobody(cluster: LocalCluster, of_leader: bool) -> None:
    leader = cluster.leader()
    followers = [number for number in range(3) if number != leader]
    original, away = (leader, followers[0]) if of_leader else (followers[1], followers[0])
    living = ",".join(cluster.addresses[number] for number in range(3) if number != away)
    before = cluster.status(leader)
    cluster.kill(away)
    copied = cluster.data_dir / "copy"
    shutil.copytree(cluster.node_dir(original), copied)
    with Load(living, per_s=100.0, make=job_number) as load:
        eventually(lambda: len(load.acknowledged) > 50, "jobs are acknowledged")
        copy = start_copy(cluster, original, away, copied)
        assert copy.wait(COPY_S) == HOPELESS
        line = last_line(copy)
        assert str(copied) in line
        assert f"two processes run as node {cluster.node_id(original)}" in line
        so_far = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > so_far + 50, "jobs are acknowledged as before")
    assert not load.in_doubt + load.refused
    after = cluster.status(leader)
    assert before is not None
    assert after is not None
    assert (after.leader, after.term) == (before.leader, before.term)
    assert all(cluster.node(number).running for number in range(3) if number != away)

    cluster.restart(away)
    cluster.await_healthy()
    cluster.await_same_digest()
    with Client(cluster.addresses[away]) as client:
        assert [client.get(job_id).state for job_id in load.acknowledged] == ["pending"] * len(
            load.acknowledged
        )


@pytest.mark.timeout(120)
def test_an_old_copy_that_is_started_in_the_place_of_its_original_ends(cluster: LocalCluster) -> None:
    """A backup: the original has run again since it was made, and both are not running at the same time."""
    away = (cluster.leader() + 1) % 3
    cluster.kill(away)
    backup = cluster.data_dir / "backup"
    shutil.copytree(cluster.node_dir(away), backup)
    cluster.restart(away)
    cluster.await_healthy()
    cluster.await_same_digest()
    cluster.kill(away)
    copy = start_copy(cluster, away, away, backup)
    assert copy.wait(COPY_S) == HOPELESS
    assert f"node {cluster.node_id(away)} has started from another data directory" in last_line(copy)
    cluster.restart(away)
    cluster.await_healthy()
    cluster.await_same_digest()


@pytest.mark.timeout(120)
def test_a_node_that_is_killed_and_started_at_once_is_let_in_every_time(cluster: LocalCluster) -> None:
    number = (cluster.leader() + 1) % 3
    for _ in range(10):
        cluster.kill(number)
        cluster.start_node(number)
        cluster.await_following(number)
    for _ in range(10):  # faster than it can take part
        cluster.kill(number)
        cluster.start_node(number)
    cluster.await_following(number)
    cluster.await_healthy()
    cluster.await_same_digest()
    assert all(cluster.node(one).running for one in range(3))
