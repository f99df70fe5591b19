"""Whoever was given the address of one node knows the others a moment later, and outlives that node."""

from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import Ledger, LocalCluster, eventually
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"


@pytest.mark.parametrize(
    "leads", [True, pytest.param(False, marks=pytest.mark.long)], ids=["leader", "follower"]
)
def test_a_worker_and_a_client_given_one_address_outlive_the_node_there(
    cluster: LocalCluster, tmp_path: Path, leads: bool
) -> None:
    leader = cluster.leader()
    given = leader if leads else (leader + 1) % 3
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    worker = cluster.worker(
        WORKER, servers=cluster.addresses[given], environment={LEDGER_VARIABLE: str(ledger.path)}
    )
    with Client(cluster.addresses[given]) as client:
        held = client.enqueue_many([("hold", {"path": str(goes_on)})] * 5)
        eventually(lambda: ledger.count("start") == len(held), "all of them run")
        known = client._client._caller.servers
        eventually(lambda: len(known) == 3, "the client has asked who else is a member")
        cluster.kill(given)
        later = [client.enqueue("noop") for _ in range(5)]
        assert [client.wait(job_id, timeout=30.0).state for job_id in later] == ["completed"] * 5
        goes_on.touch()
        found = [client.wait(job_id, timeout=30.0) for job_id in held]
    assert [(job.state, job.attempt, job.losses) for job in found] == [("completed", 1, 0)] * 5
    assert worker.running
    assert ledger.count("start") == ledger.count("end") == len(held) + len(later)
