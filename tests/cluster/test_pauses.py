"""SIGSTOP: nodes that stand still and do not know it.  No majority, no acknowledgement; no two leaders."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft import AsyncClient, Client, OrchestrixError
from orchestrix_raft.testing import Accounts, Ledger, LocalCluster, audit, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes; whatever stands still at the end is killed like the rest."""
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster") as cluster:
        yield cluster
        cluster.kill_everything()


def test_without_a_majority_nothing_is_acknowledged(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    others = [number for number in range(3) if number != leader]
    with Client(cluster.addresses[leader], deadline=4.0) as client:
        before = client.enqueue("noop")
        for number in others:
            cluster.node(number).suspend()
        with pytest.raises(OrchestrixError):
            client.enqueue("noop", {"alone": True})
        answer = cluster.status(leader)
        assert answer is not None, "reads go on"
        assert answer.problems
        for number in others:
            cluster.node(number).resume()
        cluster.await_healthy()
        assert eventually(lambda: client.get(before).state == "pending", "the job from before is there")
        after = client.enqueue("noop")
        assert client.get(after).state == "pending"
    cluster.await_same_digest()


@pytest.mark.timeout(90)
def test_a_leader_that_stood_still_steps_down_and_nothing_is_lost_or_repeated(cluster: LocalCluster) -> None:
    ledger = Ledger(cluster.data_dir / "ledger")
    cluster.worker(WORKER, environment={LEDGER_VARIABLE: str(ledger.path)})
    with Load(cluster.servers, per_s=100.0, make=job_number) as load:
        eventually(lambda: ledger.count("start") > 100, "jobs start")
        paused = cluster.leader()
        term = cluster.status(paused)
        cluster.node(paused).suspend()
        successor = eventually(lambda: leader_besides(cluster, paused), "another node leads")
        begun = ledger.count("start")
        eventually(lambda: ledger.count("start") > begun + 100, "jobs start again", 40.0)
        cluster.node(paused).resume()
        cluster.await_healthy()
        answer = cluster.status(paused)
        assert answer is not None
        assert term is not None
        assert answer.term > term.term
        assert successor - 1 != paused

    async def books() -> Accounts:
        async with AsyncClient(cluster.servers) as client:
            return await audit(client, load.acknowledged, ledger, 30.0, load.in_doubt)

    accounts = asyncio.run(books())
    assert accounts.clean, accounts
    cluster.await_same_digest()


def leader_besides(cluster: LocalCluster, paused: int) -> int:
    """1 + the number of another node that says that it leads; 0: none yet."""
    for number in range(3):
        answer = None if number == paused else cluster.status(number, 0.5)
        if answer is not None and answer.leader == cluster.node_id(number):
            return number + 1
    return 0
