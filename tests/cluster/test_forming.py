"""The first start, seen by somebody who has started some of the nodes; and a restart by directory alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.processes import Process

pytestmark = pytest.mark.cluster


def status(servers: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrix_raft", "status", "--servers", servers],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_status_says_for_which_nodes_the_started_one_waits(tmp_path: Path) -> None:
    cluster = LocalCluster(nodes=3, data_dir=tmp_path)
    try:
        cluster.start_node(0)
        eventually(lambda: cluster.status(0) is not None, "the node answers")
        shown = status(cluster.addresses[0])
        assert shown.returncode == 0, shown
        others = ",".join(sorted(cluster.addresses[1:]))
        assert f"this node has no cluster yet: waits for {others}: not reached yet" in " ".join(
            (shown.stdout + shown.stderr).split()
        )
        cluster.start_node(1)
        cluster.start_node(2)
        cluster.await_healthy()
        assert "no cluster yet" not in status(cluster.servers).stdout
    finally:
        cluster.kill_everything()


def test_a_node_restarted_with_its_directory_alone_comes_back_where_it_was(cluster: LocalCluster) -> None:
    away = (cluster.leader() + 1) % 3
    cluster.kill(away)
    command = cluster.node_command(away)
    for option in ("--listen", "--peers", "--node-id"):
        place = command.index(option)
        del command[place : place + 2]
    again = Process("again", command, cluster.data_dir / "again.log")
    cluster.workers.append(again)  # so that it is ended whatever happens

    def follows() -> bool:
        answer = cluster.status(away)
        return answer is not None and bool(answer.leader) and not answer.stale

    eventually(follows, "the node is back at its address")
    assert "moves from" not in again.text()
    assert again.running
