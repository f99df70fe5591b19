"""Every node restarted in turn while jobs run: the jobs go on, nothing is counted against them."""

import time
from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import Ledger, LocalCluster, eventually
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.processes import stop_all
from orchestrix_raft.testing.restarts import restarted_or_counted, rolling_restart
from tests.cluster.test_crashes import overload

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"
GAP_S = 1.0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_running_jobs_outlive_the_restart_of_every_node(
    cluster: LocalCluster, tmp_path: Path, kill: bool
) -> None:
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    for _ in range(3):
        cluster.worker(WORKER, environment={LEDGER_VARIABLE: str(ledger.path)})
    with Client(cluster.servers) as client:
        held = client.enqueue_many([("hold", {"path": str(goes_on)})] * 45)
        eventually(lambda: ledger.count("start") == len(held), "all of them run")
        load, restarts = rolling_restart(cluster, ledger, kill=kill)
        goes_on.touch()
        assert not restarted_or_counted(client, held)
        assert not restarted_or_counted(client, load.acknowledged)
    assert not load.refused
    if not kill:
        for restart in restarts:
            assert restart.gap_s < GAP_S * overload(), restart
            assert "drained: " in restart.said
            assert "0 orphaned" in restart.said
    cluster.await_same_digest()


@pytest.mark.timeout(120)
def test_all_nodes_stopped_at_once_end_and_what_runs_goes_on_when_they_are_back(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """There is nobody to hand over to: nobody waits for it."""
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    for _ in range(2):
        cluster.worker(WORKER, environment={LEDGER_VARIABLE: str(ledger.path)})
    with Client(cluster.servers) as client:
        held = client.enqueue_many([("hold", {"path": str(goes_on)})] * 20)
        eventually(lambda: ledger.count("start") == len(held), "all of them run")
        begin_s = time.monotonic()
        stop_all(cluster.running_nodes())
        assert time.monotonic() - begin_s < 10.0 * overload()
        for number in range(3):
            cluster.start_node(number)
        cluster.await_healthy()
        goes_on.touch()
        assert not restarted_or_counted(client, held)
    cluster.await_same_digest()
