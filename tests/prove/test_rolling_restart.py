"""Three nodes restarted in turn while 200 jobs of 20 s run on four workers: they do not notice."""

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import Ledger, LocalCluster, eventually
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.restarts import restarted_or_counted, rolling_restart

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
JOBS = 200
SECONDS = 20.0
GAP_S = 1.0


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_two_hundred_jobs_outlive_the_restart_of_every_node(
    cluster: LocalCluster, kill: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(cluster.data_dir / "ledger")
    for _ in range(4):
        cluster.worker(
            "orchestrix_raft.testing.handlers:worker",
            *("--concurrency", "60"),
            environment={LEDGER_VARIABLE: str(ledger.path)},
        )
    with Client(cluster.servers) as client:
        long = client.enqueue_many([("sleep", {"seconds": SECONDS})] * JOBS)
        eventually(lambda: ledger.count("start") == JOBS, "all of them run")
        load, restarts = rolling_restart(cluster, ledger, kill=kill)
        still = sum(client.get(job_id).state == "running" for job_id in long)
        counted = restarted_or_counted(client, [*long, *load.acknowledged])
    with capsys.disabled():
        gaps = ", ".join(f"{restart.gap_s:.2f}" for restart in restarts)
        took = ", ".join(f"{restart.took_s:.2f}" for restart in restarts)
        print(
            f"\n{'SIGKILL' if kill else 'SIGTERM'} to each of three nodes: {JOBS} jobs of {SECONDS:g} s and"
            f" {len(load.acknowledged)} short ones completed, {len(counted)} with more than attempt 1, a"
            f" failure or a loss; {still} of the long ones ran on after the last restart;"
            f" {len(load.refused)} enqueues refused; longest pauses between starts {gaps} s;"
            f" nodes ended in {took} s"
        )
    assert not counted
    assert not load.refused
    if not kill:
        for restart in restarts:
            assert restart.gap_s < GAP_S, restart
            assert "0 orphaned" in restart.said
    cluster.await_same_digest()
