"""Members that come and go under load, as real processes, and what is said to those who cannot."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft import AsyncClient, Client, OrchestrixError
from orchestrix_raft.cli.node import REMOVED
from orchestrix_raft.client.model import NodeStatus
from orchestrix_raft.testing import Ledger, LocalCluster, audit, eventually
from orchestrix_raft.testing.accounts import Accounts
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load
from orchestrix_raft.testing.processes import Process

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"
END_S = 30.0  # for a removed node to hand over and end


@pytest.fixture
def one(tmp_path: Path) -> Iterator[LocalCluster]:
    """A cluster of one node that keeps little of its log, so that newcomers need a snapshot now and then."""
    options = {"--log-tail-entries": "200", "--checkpoint-interval": "500ms"}
    with LocalCluster(nodes=1, data_dir=tmp_path / "cluster", options=options) as cluster:
        yield cluster
        cluster.kill_everything()


def books(cluster: LocalCluster, load: Load, ledger: Ledger) -> Accounts:
    async def ask() -> Accounts:
        async with AsyncClient(cluster.servers) as client:
            return await audit(client, load.acknowledged, ledger, 30.0, load.in_doubt)

    return asyncio.run(ask())


def grow(cluster: LocalCluster) -> int:
    number = cluster.add_node()
    cluster.await_voter(number)
    return number


def remove(cluster: LocalCluster, number: int) -> None:
    with Client(cluster.addresses[cluster.leader()]) as client:
        client.cluster.remove(cluster.node_id(number))


def members(cluster: LocalCluster) -> set[str]:
    answer = cluster.status(cluster.leader())
    assert answer is not None
    return {node.node_id for node in answer.nodes}


def start_empty(cluster: LocalCluster, number: int) -> Process:
    """A node with the id and at the address of that one, which has lost its disk, and wants to be added."""
    command = [
        *(sys.executable, "-m", "orchestrix_raft", "node", "--node-id", cluster.node_id(number)),
        *("--data-dir", str(cluster.data_dir / "empty"), "--listen", cluster.addresses[number]),
        *("--join", cluster.addresses[cluster.leader()]),
    ]
    process = Process("empty", command, cluster.data_dir / "empty.log")
    cluster.workers.append(process)  # so that it is ended whatever happens
    return process


def last_line(process: Process) -> str:
    text = process.text()
    assert "Traceback" not in text
    return text.splitlines()[-1]


@pytest.mark.timeout(300)
def test_a_cluster_grows_loses_two_nodes_replaces_them_and_shrinks_under_load(one: LocalCluster) -> None:
    cluster = one
    ledger = Ledger(cluster.data_dir / "ledger")
    environment = {LEDGER_VARIABLE: str(ledger.path)}
    with Load(cluster.servers, per_s=50.0, make=job_number) as growing:
        eventually(lambda: len(growing.acknowledged) > 50, "jobs are acknowledged")
        for _ in range(4):
            grow(cluster)
    for _ in range(2):
        cluster.worker(WORKER, environment=environment)
    with Load(cluster.servers, per_s=50.0, make=job_number) as load:
        first = cluster.leader()
        dead = [number for number in range(5) if number != first][:2]
        cluster.kill_nodes(dead)
        for number in dead:
            remove(cluster, number)
        assert members(cluster) == {cluster.node_id(n) for n in range(5) if n not in dead}
        for _ in range(2):
            grow(cluster)
        leader = cluster.leader()
        leaving = [leader, next(n for n in range(5) if n not in dead and n != leader)]
        for number in leaving:
            remove(cluster, number)
            assert cluster.node(number).wait(END_S) == REMOVED
            assert f"node {cluster.node_id(number)} was removed from cluster" in cluster.node(number).text()
        rest = {n for n in range(7) if n not in dead and n not in leaving}
        assert members(cluster) == {cluster.node_id(n) for n in rest}
        so_far = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > so_far + 50, "jobs are acknowledged as before")
    load.acknowledged.extend(growing.acknowledged)
    load.in_doubt.extend(growing.in_doubt)
    assert not growing.refused
    accounts = books(cluster, load, ledger)
    assert accounts.clean, accounts
    assert not load.refused
    assert not accounts.reexecuted, "the workers lived: what they ran must go on"
    cluster.await_healthy()
    cluster.await_same_digest()


@pytest.mark.timeout(180)
def test_who_cannot_be_a_member_is_told_why_in_one_line(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    away, other = (number for number in range(3) if number != leader)
    with Client(cluster.addresses[leader]) as client:

        def refused(change: str, what: str) -> str:
            with pytest.raises(OrchestrixError) as error:
                getattr(client.cluster, change)(what)
            assert "\n" not in str(error.value)
            return str(error.value)

        cluster.kill(away)
        assert "the cluster would stop" in refused("remove", cluster.node_id(other))

        emptied = start_empty(cluster, away)
        eventually(lambda: "this id belongs to a member with another disk" in emptied.text(), "it hears why")
        answer = cluster.status(away)
        assert answer is not None
        assert "this id belongs to a member with another disk" in answer.problems[0]
        assert emptied.text().count("this id belongs") == 1
        emptied.kill()

        client.cluster.remove(cluster.node_id(away))
        assert "is not a member; the members are" in refused("remove", cluster.node_id(away))
        told = f"node {cluster.node_id(away)} was removed from cluster"
        removed = cluster.start_node(away)
        assert removed.wait(END_S) == REMOVED, "whether it learns of it from the log, or from the others"
        assert told in removed.text()
        again = cluster.start_node(away)
        assert again.wait(END_S) == REMOVED
        assert told in last_line(again)

        with LocalCluster(nodes=1, data_dir=cluster.data_dir / "another") as another:
            assert "two clusters never merge" in refused("add", another.addresses[0])
            another.kill_everything()
            assert "there is no node to add at" in refused("add", another.addresses[0])
        assert client.cluster.add(cluster.addresses[other]).already
        assert members(cluster) == {cluster.node_id(leader), cluster.node_id(other)}
        client.cluster.remove(cluster.node_id(other))
        assert "is the last voter" in refused("remove", cluster.node_id(leader))


@pytest.mark.timeout(120)
def test_a_node_that_moves_is_found_where_it_is_now(one: LocalCluster) -> None:
    number = grow(one)
    one.kill(number)
    before = one.addresses[number]
    one.addresses[number] = LocalCluster(nodes=1, data_dir=one.data_dir / "nobody").addresses[0]
    one.start_node(number)
    one.await_voter(number)
    one.await_healthy()
    known = eventually(lambda: one.status(0), "the first node answers")
    assert known is not None
    assert {node.node_id: node.address for node in known.nodes}[one.node_id(number)] == one.addresses[number]
    assert f"moves from {before} to {one.addresses[number]}" in one.node(number).text()
    one.kill(0)
    one.start_node(0)
    one.await_healthy()


@pytest.mark.timeout(120)
def test_an_id_may_be_used_again_once_it_is_removed(one: LocalCluster) -> None:
    grow(one)
    number = grow(one)
    one.kill(number)
    leader = one.leader()

    def shown() -> NodeStatus:
        answer = one.status(leader)
        assert answer is not None
        return {node.node_id: node for node in answer.nodes}[one.node_id(number)]

    eventually(lambda: shown().health != "alive", "its death is noticed")
    assert (shown().role, shown().votes) == ("follower", True), "down, and a voter still"
    remove(one, number)
    shutil.rmtree(one.node_dir(number))
    one.start_node(number)
    one.await_voter(number)
    one.await_healthy()
    one.await_same_digest()
