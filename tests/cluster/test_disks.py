"""Disks that fill up or vanish under a running node: it says so, ends, and takes back no acknowledgement."""

import re
import resource
import shutil
from pathlib import Path
from typing import Final

import pytest

from orchestrix_raft import Client, Job, OrchestrixError
from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.processes import Process

pytestmark = pytest.mark.cluster
END_S: Final = 15.0  # far more than a node takes to notice and to end
LARGE: Final = {"x": "x" * 50_000}


def ended_with(node: Process, says: str, code: int = 1) -> None:
    """The exit code, the reason as the last line, and nothing for programmers before it."""
    assert node.wait(END_S) == code, node.tail()
    assert re.search(says, node.text().splitlines()[-1]), node.tail()
    assert not [line for line in node.text().splitlines() if "the node stops: " in line and "error=" in line]


def fill_up(cluster: LocalCluster, node: Process, file: Path) -> list[str]:
    """Let no file of the node grow beyond a bit more than this one has now, which is to the system what a
    full disk is, and enqueue until it is felt; the acknowledged ids."""
    room = file.stat().st_size + 1_000_000
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (room, room))
    acknowledged: list[str] = []
    with Client(cluster.servers, deadline=1.0) as client:
        while len(acknowledged) < 1_000:
            try:
                acknowledged.append(client.enqueue("noop", LARGE))
            except OrchestrixError:
                break
    return acknowledged


def all_there(cluster: LocalCluster, ids: list[str]) -> list[Job]:
    with Client(cluster.servers, deadline=10.0) as client:
        return [client.get(job_id) for job_id in ids]


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ({"--checkpoint-bytes": "1000000000", "--checkpoint-interval": "1h"}, r"raft/data\.mdb"),
        ({"--checkpoint-bytes": "100000", "--log-tail-bytes": "100000"}, r"(raft|state/state-0)/data\.mdb"),
    ],
    ids=["journal", "either"],
)
def test_a_full_disk_ends_the_node_and_once_there_is_room_nothing_acknowledged_is_missing(
    tmp_path: Path, options: dict[str, str], file: str
) -> None:
    with LocalCluster(nodes=1, data_dir=tmp_path, options=options) as cluster:
        ids = fill_up(cluster, cluster.node(0), cluster.node_dir(0) / "raft" / "data.mdb")
        assert ids
        ended_with(cluster.node(0), rf"{file}: no room for the write; free some space on this disk")
        cluster.start_node(0)
        cluster.await_following(0)
        assert len(all_there(cluster, ids)) == len(ids)
        cluster.kill_everything()


def test_a_data_directory_removed_under_a_node_ends_it_and_the_others_go_on(cluster: LocalCluster) -> None:
    lost = cluster.leader()
    with Client(cluster.servers) as client:
        before = client.enqueue("noop")
        shutil.rmtree(cluster.node_dir(lost))
        ended_with(cluster.node(lost), "LOCK: was removed while the node was using it")
        assert all_there(cluster, [before, client.enqueue("noop")])


def test_a_node_that_lost_its_data_is_not_taken_back_under_its_id(cluster: LocalCluster) -> None:
    lost = cluster.leader()
    shutil.rmtree(cluster.node_dir(lost))
    cluster.node(lost).wait(END_S)
    eventually(lambda: cluster.find_leader() is not None, "another node leads")
    ended_with(cluster.start_node(lost), "is a member of cluster .* but on another disk")


def test_a_data_directory_removed_before_the_cluster_is_formed_ends_the_node(tmp_path: Path) -> None:
    cluster = LocalCluster(nodes=3, data_dir=tmp_path)
    node = cluster.start_node(0)
    try:
        eventually(lambda: "first start: waits for" in node.text(), "it waits for the others")
        shutil.rmtree(cluster.node_dir(0))
        ended_with(node, "LOCK: was removed while the node was using it")
    finally:
        cluster.kill_everything()
