"""What operators mistake for something else, on real processes: refused in one line that says what it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrix_raft.testing import LocalCluster
from orchestrix_raft.testing.cluster import HOST, free_ports
from orchestrix_raft.testing.processes import Process

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


def command(cluster: LocalCluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "orchestrix_raft", "cluster", *arguments, "--servers", cluster.servers]
    return subprocess.run(line, capture_output=True, text=True, timeout=60.0, check=False)


def last_words(cluster: LocalCluster, command: list[str], tmp_path: Path) -> str:
    """The last line of a node that ends by itself, with exit code 1."""
    misled = Process("misled", command, tmp_path / "misled.log")
    cluster.workers.append(misled)  # so that it is ended whatever happens
    assert misled.wait(30.0) == 1
    return misled.text().splitlines()[-1]


def test_leadership_is_not_handed_to_a_node_that_would_give_it_back(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    drained, other = (cluster.node_id(number) for number in range(3) if number != leader)
    assert command(cluster, "drain", drained).returncode == 0
    refused = command(cluster, "transfer", drained)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"node {drained} is draining and would give leadership away at once" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert cluster.leader() == leader
    assert command(cluster, "transfer").stdout == f"leadership goes to {other}\n"
    assert command(cluster, "undrain", drained).returncode == 0


def test_an_empty_node_under_the_id_of_a_living_member_is_told_to_take_another(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    number = (cluster.leader() + 1) % 3
    plain = cluster.node_command(number)
    place = plain.index("--peers")
    plain[place : place + 2] = ["--join", cluster.addresses[(number + 1) % 3]]
    plain[plain.index("--data-dir") + 1] = str(tmp_path / "empty")
    plain[plain.index("--listen") + 1] = f"{HOST}:{free_ports(1)[0]}"
    last = last_words(cluster, plain, tmp_path)
    assert f"two processes run as node {cluster.node_id(number)}, at " in last
    assert "the member stays; stop the other one and start it with another --node-id" in last
    assert cluster.node(number).running
    cluster.await_healthy()


def test_a_member_of_one_cluster_does_not_join_another(cluster: LocalCluster, tmp_path: Path) -> None:
    number = (cluster.leader() + 1) % 3
    cluster.kill(number)
    with LocalCluster(nodes=1, data_dir=tmp_path / "another") as another:
        plain = cluster.node_command(number)
        place = plain.index("--peers")
        plain[place : place + 2] = ["--join", another.addresses[0]]
        last = last_words(cluster, plain, tmp_path)
        assert f"belongs to node {cluster.node_id(number)} of cluster " in last
        assert "to join that one use an empty directory; to go on in its own leave out --join" in last
        another.kill_everything()
    cluster.restart(number)
    cluster.await_healthy()
