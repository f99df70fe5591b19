"""SIGKILL: of the leader under load, of all nodes at once.  Nothing acknowledged is lost or done twice."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrix_raft import AsyncClient, Client
from orchestrix_raft.testing import Accounts, Ledger, LocalCluster, audit, eventually, lookup
from orchestrix_raft.testing.crashes import Crashes, job_number, kill_leaders
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"
FAILOVER_S = 4.0
OWN_LOAD = 2.0  # processes that these tests themselves keep waiting for each core


def overload() -> float:
    """How many times as long everything takes because of what else runs on this machine; 1 if little does."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / OWN_LOAD)


class Lost(NamedTuple):
    """A job whose worker was killed, and a second worker that waits for it."""

    cluster: LocalCluster
    ledger: Ledger
    job_id: str
    goes_on: Path


@pytest.fixture(scope="module", autouse=True)
def _lose_early(request: pytest.FixtureRequest) -> None:
    """A session without its worker expires after 30 s: they pass while the other tests of this module run."""
    if any("lost" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("lost")


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lost]:
    """On a cluster of its own."""
    path = tmp_path_factory.mktemp("lost")
    ledger, goes_on = Ledger(path / "ledger"), path / "go on"
    environment = {LEDGER_VARIABLE: str(ledger.path)}
    with LocalCluster(nodes=3, data_dir=path / "cluster") as cluster:
        first = cluster.worker(WORKER, environment=environment)
        with Client(cluster.servers) as client:
            job_id = client.enqueue("hold", {"path": str(goes_on)})
            eventually(lambda: client.get(job_id).state == "running", "the job runs")
        first.kill()
        cluster.worker(WORKER, environment=environment)
        yield Lost(cluster, ledger, job_id, goes_on)
        cluster.kill_everything()


def books(cluster: LocalCluster, load: Load, ledger: Ledger) -> Accounts:
    async def ask() -> Accounts:
        async with AsyncClient(cluster.servers) as client:
            return await audit(client, load.acknowledged, ledger, 30.0, load.in_doubt)

    return asyncio.run(ask())


def attempts(cluster: LocalCluster, job_ids: list[str]) -> set[int]:
    """The ordinals of the attempts that completed these jobs."""

    async def ask() -> set[int]:
        async with AsyncClient(cluster.servers) as client:
            return {job.attempt for job in (await lookup(client, job_ids)).values()}

    return asyncio.run(ask())


@pytest.mark.timeout(120)
def test_killing_the_leader_twice_under_load_loses_and_repeats_nothing(cluster: LocalCluster) -> None:
    ledger = Ledger(cluster.data_dir / "ledger")
    for _ in range(2):
        cluster.worker(WORKER, environment={LEDGER_VARIABLE: str(ledger.path)})
    crashes: Crashes = kill_leaders(cluster, ledger, kills=2, per_s=200.0, make=job_number)
    accounts = books(cluster, crashes.load, ledger)
    assert accounts.clean, accounts
    assert not crashes.load.refused
    assert not accounts.reexecuted, "the workers lived: what they ran must go on"
    assert attempts(cluster, crashes.load.acknowledged) == {1}
    assert max(crashes.failovers_s) < FAILOVER_S * overload()
    cluster.await_same_digest()


def test_a_running_job_survives_its_owner_and_goes_on_with_attempt_1(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    owner = cluster.leader()
    ledger = Ledger(tmp_path / "ledger")
    environment = {LEDGER_VARIABLE: str(ledger.path)}
    cluster.worker(WORKER, servers=cluster.addresses[owner], environment=environment)
    goes_on = tmp_path / "go on"
    with Client(cluster.servers) as client:
        job_id = client.enqueue("hold", {"path": str(goes_on)})
        eventually(lambda: client.get(job_id).state == "running", "the job runs")
        assert client.get(job_id).owner == cluster.node_id(owner)
        cluster.kill(owner)
        moved = eventually(lambda: client.get(job_id).owner != cluster.node_id(owner), "it has a new owner")
        assert moved
        goes_on.touch()
        job = client.wait(job_id, timeout=20.0)
        assert (job.state, job.result, job.attempt, job.losses) == ("completed", 1, 1, 0)
        assert len(client.history(job_id)) == 1
    assert [line.what for line in ledger.lines()] == ["start", "end"]


@pytest.mark.timeout(120)
def test_killing_all_nodes_at_once_loses_nothing_that_was_acknowledged(cluster: LocalCluster) -> None:
    ledger = Ledger(cluster.data_dir / "ledger")
    cluster.worker(WORKER, environment={LEDGER_VARIABLE: str(ledger.path)})
    with Load(cluster.servers, per_s=200.0, make=job_number) as load:
        eventually(lambda: len(load.acknowledged) > 300, "300 jobs are acknowledged")
        cluster.kill_nodes(range(3))
        known = len(load.acknowledged)
        for number in range(3):
            cluster.start_node(number)
        cluster.await_healthy()
        eventually(lambda: len(load.acknowledged) > known + 300, "enqueueing goes on")
    accounts = books(cluster, load, ledger)
    assert accounts.clean, accounts
    cluster.await_same_digest()


@pytest.mark.timeout(90)
def test_a_killed_worker_costs_its_jobs_one_loss_and_another_worker_runs_them(lost: Lost) -> None:
    lost.goes_on.touch()
    with Client(lost.cluster.servers) as client:
        job = client.wait(lost.job_id, timeout=60.0)
        assert (job.state, job.result, job.attempt, job.losses, job.failures) == ("completed", 2, 2, 1, 0)
        assert [attempt.state for attempt in client.history(lost.job_id)] == ["lost", "completed"]
    assert len(lost.ledger.lines()) == 3
