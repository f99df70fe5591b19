"""Disks that are full, read-only or damaged under one of three nodes: it says so in one line, the others go
on, and nothing that was acknowledged is missing."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.load import Load
from tests.cluster import read_only
from tests.cluster.small_disk import OnSmallDisk, SmallDisk, why_impossible
from tests.cluster.test_backup import run
from tests.cluster.test_disks import LARGE, all_there, ended_with

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
LAST: Final = 2
MARKER: Final = "the-bytes-of-this-job-"


def others(cluster: LocalCluster) -> str:
    return ",".join(cluster.addresses[:LAST])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    why = why_impossible()
    if why:
        pytest.skip(f"no disk of its own for a node: {why}")
    (tmp_path / "n3").mkdir()
    with SmallDisk(tmp_path / "n3", "16m") as disk:
        yield disk


@pytest.fixture
def cluster_on(disk: SmallDisk, tmp_path: Path) -> Iterator[LocalCluster]:
    with OnSmallDisk(tmp_path, disk) as cluster:
        yield cluster
        cluster.kill_everything()


def test_a_node_on_a_full_disk_ends_and_with_room_it_comes_back_with_everything(
    cluster_on: LocalCluster, disk: SmallDisk
) -> None:
    cluster = cluster_on
    with Client(cluster.servers, deadline=10.0) as client:
        ids: list[str] = []
        while cluster.node(LAST).running and len(ids) < 2_000:
            ids.append(client.enqueue("noop", LARGE))
        ended_with(cluster.node(LAST), r"/data\.mdb: no room for the write; free some space on this disk")
        ids += [client.enqueue("noop", LARGE) for _ in range(5)]
    disk.remount("size=1g")
    cluster.start_node(LAST)
    cluster.await_following(LAST)
    cluster.await_same_digest()
    assert len(all_there(cluster, ids)) == len(ids)
    done = run("verify", "--timeout", "20s", servers=cluster.servers)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_node_whose_disk_became_read_only_does_not_start(cluster_on: LocalCluster, disk: SmallDisk) -> None:
    cluster = cluster_on
    cluster.kill(LAST)
    disk.remount("ro")
    ended_with(cluster.start_node(LAST), f"{disk.path}: not writable by this user")
    with Client(others(cluster)) as client:
        job_id = client.enqueue("noop")
    disk.remount("rw")
    cluster.start_node(LAST)
    cluster.await_following(LAST)
    assert all_there(cluster, [job_id])


def flip(file: Path) -> None:
    """One bit in every place where the marked job is."""
    data = bytearray(file.read_bytes())
    place = data.find(MARKER.encode())
    assert place >= 0
    while place >= 0:
        data[place + 3] ^= 1
        place = data.find(MARKER.encode(), place)
    file.write_bytes(data)


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[tuple[LocalCluster, int, str]]:
    """A cluster, a follower of it that is down, and a job that both its journal and its state hold."""
    options = {"--checkpoint-interval": "100ms"}
    with LocalCluster(nodes=3, data_dir=tmp_path, options=options) as cluster:
        with Client(cluster.servers) as client:
            job_id = client.enqueue("noop", {"x": MARKER * 500})
            assert client.verify().agree, "and so it is in every node's checkpoint"
        follower = next(number for number in range(3) if number != cluster.leader())
        cluster.kill(follower)
        yield cluster, follower, job_id
        cluster.kill_everything()


Damage = Callable[[Path], None]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda data: flip(data / "raft" / "data.mdb"),
            r"raft/data\.mdb: entry \d+ .* is damaged",
        ),
        (lambda data: (data / "raft" / "data.mdb").unlink(), "the journal, and with it votes, was lost"),
        (
            lambda data: next((data / "state").glob("state-*/data.mdb")).unlink(),
            r"data\.mdb: missing, although .*CURRENT names it",
        ),
        (lambda data: (data / "state" / "CURRENT").unlink(), "CURRENT: missing, although"),
        (lambda data: (data / "identity").write_bytes(b"{}"), "identity: damaged"),
    ],
    ids=["journal", "no journal", "no state", "no pointer", "identity"],
)
def test_a_damaged_file_is_named_and_the_node_takes_no_part(
    marked: tuple[LocalCluster, int, str], damage: Damage, says: str
) -> None:
    cluster, follower, job_id = marked
    damage(cluster.node_dir(follower))
    ended_with(cluster.start_node(follower), says)
    assert all_there(cluster, [job_id])
    with Client(cluster.servers) as client:
        assert client.enqueue("noop")


def test_data_that_changed_on_a_disk_is_found_by_comparing_contents(
    marked: tuple[LocalCluster, int, str],
) -> None:
    cluster, follower, _ = marked
    flip(next((cluster.node_dir(follower) / "state").glob("state-*/data.mdb")))
    cluster.start_node(follower)
    cluster.await_following(follower)
    done = run("verify", servers=cluster.servers)
    assert done.returncode == 1
    assert f"{cluster.node_id(follower)} holds other data than" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def turning(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes whose disks can be made read-only while they run; checkpoints are frequent."""
    why = read_only.why_impossible()
    if why:
        pytest.skip(f"no disk can be made read-only: {why}")
    options = {"--checkpoint-interval": "500ms"}
    with read_only.ReadOnlyOnSignal(nodes=3, data_dir=tmp_path, options=options) as cluster:
        yield cluster
        cluster.kill_everything()


@pytest.mark.parametrize(
    "leads", [True, pytest.param(False, marks=pytest.mark.long)], ids=["leader", "follower"]
)
def test_a_node_whose_disk_becomes_read_only_while_it_runs_ends_and_comes_back_with_everything(
    turning: LocalCluster, leads: bool
) -> None:
    cluster = turning
    leader = cluster.leader()
    hurt = leader if leads else (leader + 1) % 3
    with Load(cluster.servers, per_s=50.0, make=job_number) as load:
        eventually(lambda: len(load.acknowledged) > 25, "jobs are acknowledged")
        cluster.node(hurt).send(signal.SIGUSR1)
        ended_with(cluster.node(hurt), r"data\.mdb: .*Read-only file system")
        so_far = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > so_far + 25, "the others go on")
        cluster.start_node(hurt)
        cluster.await_following(hurt)
        so_far = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > so_far + 25, "all go on")
    cluster.await_same_digest()
    assert not load.refused
    assert len(all_there(cluster, load.acknowledged)) == len(load.acknowledged)
