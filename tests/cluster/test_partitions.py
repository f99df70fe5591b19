"""Partitions between real processes on hosts of their own: packets vanish, and nobody is told."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from orchestrix_raft import AsyncClient, Client, OrchestrixError, OutcomeUnknown
from orchestrix_raft.testing import Accounts, Ledger, audit, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load
from orchestrix_raft.testing.network import Network, NetworkCluster

pytestmark = [pytest.mark.cluster, pytest.mark.own_network, pytest.mark.timeout(180)]
WORKER: Final = "orchestrix_raft.testing.handlers:worker"
NODES: Final = 3
QUIET_S: Final = 3.0
QUICK: Final = {
    **{"--worker-heartbeat": "2s", "--worker-fence": "6s", "--worker-silent": "8s"},
    **{"--node-heartbeat": "2s", "--node-suspect": "4s", "--node-dead": "6s", "--minority-close": "3s"},
}
"""The defaults divided by about four."""


@contextmanager
def cluster_on_hosts(path: Path, workers: int = 0) -> Iterator[NetworkCluster]:
    with (
        Network(NODES + workers) as network,
        NetworkCluster(network, NODES, path / "cluster", QUICK) as cluster,
    ):
        yield cluster
        cluster.kill_everything()


def books(cluster: NetworkCluster, load: Load, ledger: Ledger, in_doubt: list[str]) -> Accounts:
    """What the cluster and the handlers say about the jobs of `load`."""

    async def ask() -> Accounts:
        async with AsyncClient(cluster.servers) as client:
            return await audit(client, load.acknowledged, ledger, 60.0, in_doubt)

    return asyncio.run(ask())


def leader_among(cluster: NetworkCluster, numbers: list[int]) -> int | None:
    """The number of the node among them that says that it leads, and has a majority."""
    for number in numbers:
        answer = cluster.status(number, 0.5)
        if answer is not None and answer.leader == cluster.node_id(number) and not answer.stale:
            return number
    return None


@pytest.mark.long
def test_a_leader_cut_off_with_half_of_the_workers_accepts_nothing_and_loses_nothing(tmp_path: Path) -> None:
    with cluster_on_hosts(tmp_path, workers=4) as cluster:
        ledger = Ledger(cluster.data_dir / "ledger")
        for host in range(NODES, NODES + 4):
            cluster.worker_on(host, WORKER, {LEDGER_VARIABLE: str(ledger.path)})
        old = cluster.leader()
        minority = [old, NODES, NODES + 1]
        majority = [host for host in range(NODES + 4) if host not in minority]
        others = [number for number in range(NODES) if number != old]
        with Load(cluster.servers, per_s=100.0, make=job_number) as load:
            eventually(lambda: ledger.count("start") > 200, "jobs start")
            cluster.network.cut(minority, majority)
            eventually(lambda: leader_among(cluster, others) is not None, "the majority has a leader")
            begun = ledger.count("start")
            eventually(lambda: ledger.count("start") > begun + 300, "jobs start in the majority", 40.0)
            with Client(cluster.addresses[old], deadline=8.0) as client, pytest.raises(OrchestrixError) as no:
                client.enqueue("noop", {"cut": "off"})
            eventually(lambda: fenced(cluster) == 2, "the workers of the minority fence themselves", 40.0)
            cluster.network.join(minority, majority)
            cluster.await_healthy()
            begun = ledger.count("start")
            eventually(lambda: ledger.count("start") > begun + 300, "jobs start after the healing", 40.0)
        unknown = no.value.job_ids if isinstance(no.value, OutcomeUnknown) else []
        accounts = books(cluster, load, ledger, [*load.in_doubt, *unknown])
        assert not accounts.lost, accounts
        assert not accounts.unexplained, accounts
        assert not accounts.never_ended, accounts
        assert accounts.completed == accounts.enqueued, accounts
        cluster.await_same_digest()


def fenced(cluster: NetworkCluster) -> int:
    """How many workers have said that they gave up what they ran."""
    return sum(
        "the session is lost: no heartbeat was answered" in worker.text() for worker in cluster.workers
    )


@pytest.mark.parametrize(
    "deaf",
    [False, pytest.param(True, marks=pytest.mark.long)],
    ids=["leader_not_heard", "leader_deaf"],
)
def test_a_wire_that_works_in_one_direction_only_does_not_stop_the_cluster(
    tmp_path: Path, deaf: bool
) -> None:
    with cluster_on_hosts(tmp_path) as cluster, Client(cluster.servers, deadline=20.0) as client:
        old = cluster.leader()
        others = [number for number in range(NODES) if number != old]
        pairs = [(other, old) if deaf else (old, other) for other in others]
        for source, target in pairs:
            cluster.network.silence(source, target)
        eventually(lambda: leader_among(cluster, others) is not None, "another node leads")
        settled = quiet_term(cluster, others)
        assert client.get(client.enqueue("noop")).state == "pending"
        assert quiet_term(cluster, others) == settled, "elections go on and on"
        for source, target in pairs:
            cluster.network.restore(source, target)
        cluster.await_healthy()
        cluster.await_same_digest()


@pytest.mark.long
def test_a_flapping_wire_causes_no_endless_elections(tmp_path: Path) -> None:
    with cluster_on_hosts(tmp_path) as cluster:
        leader = cluster.leader()
        flapping = (leader + 1) % NODES
        before = term(cluster, leader)
        with Load(cluster.servers, per_s=50.0, make=lambda number: ("noop", {"n": number})) as load:
            for _ in range(8):
                cluster.network.cut([leader], [flapping])
                await_enqueued(load, 50)
                cluster.network.join([leader], [flapping])
                await_enqueued(load, 50)
        cluster.await_healthy()
        after = term(cluster, cluster.leader())
        assert after - before <= 2, "one wire of three between nodes that all have a majority"
        assert not load.refused
        cluster.await_same_digest()


def await_enqueued(load: Load, more: int) -> None:
    """Wait for so many further acknowledgements: the time a fault lasts, measured in work."""
    before = len(load.acknowledged)
    eventually(lambda: len(load.acknowledged) >= before + more, f"{more} jobs are acknowledged")


def term(cluster: NetworkCluster, number: int) -> int:
    answer = cluster.status(number)
    assert answer is not None
    return answer.term


def quiet_term(cluster: NetworkCluster, numbers: list[int]) -> int:
    """The term of those nodes when it has not changed for three election times."""
    seen: dict[int, float] = {}

    def quiet() -> list[int]:
        now = max(term(cluster, number) for number in numbers)
        since_s = seen.setdefault(now, time.monotonic())
        return [now] if time.monotonic() - since_s > QUIET_S else []

    return eventually(quiet, "no election for a while", 30.0)[0]
