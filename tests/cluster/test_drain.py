"""Drains by command, on real processes: of a node while jobs run, of a worker, and those that are refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import Ledger, LocalCluster, eventually
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.restarts import restarted_or_counted

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"


def command(cluster: LocalCluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "orchestrix_raft", *arguments, "--servers", cluster.servers]
    return subprocess.run(line, capture_output=True, text=True, timeout=60.0, check=False)


@pytest.mark.timeout(120)
def test_a_drained_leader_gives_everything_away_and_goes_on_serving(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    leader = cluster.leader()
    name = cluster.node_id(leader)
    for _ in range(4):
        cluster.worker(
            WORKER, servers=cluster.addresses[leader], environment={LEDGER_VARIABLE: str(ledger.path)}
        )
    with Client(cluster.addresses[leader]) as client:
        held = client.enqueue_many([("hold", {"path": str(goes_on)})] * 20)
        eventually(lambda: ledger.count("start") == len(held), "all of them run")
        done = command(cluster, "cluster", "drain", name)
        *steps, end = done.stdout.splitlines()
        assert end == "4 workers handed over, 4 acknowledged with 20 jobs, 0 orphaned", done
        assert steps[-1] == f"node {name}: 0 workers left, 4 handed over, 4 acknowledged, 0 orphaned"
        assert cluster.leader() != leader
        status = client.status()
        assert status.answered_by == name
        owned = {node.node_id: (node.sessions, node.owned_jobs) for node in status.nodes}
        assert owned[name] == (0, 0)
        assert sorted(sessions for sessions, _ in owned.values()) == [0, 2, 2]
        assert client.wait(client.enqueue("noop"), 20.0).state == "completed", "through the drained node"
        assert {client.get(job_id).owner for job_id in held} == set(owned) - {name}
        assert "draining" in command(cluster, "status").stdout
        assert command(cluster, "cluster", "undrain", name).returncode == 0
        assert "draining" not in command(cluster, "status").stdout
        goes_on.touch()
        assert not restarted_or_counted(client, held)


@pytest.mark.timeout(90)
def test_a_drained_worker_finishes_and_ends_and_others_go_on(cluster: LocalCluster, tmp_path: Path) -> None:
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    environment = {LEDGER_VARIABLE: str(ledger.path)}
    first = cluster.worker(WORKER, environment=environment)
    with Client(cluster.servers) as client:
        (shown,) = client.status().workers
        running = client.enqueue("hold", {"path": str(goes_on)})
        eventually(lambda: ledger.count("start") == 1, "it runs")
        done = command(cluster, "workers", "drain", shown.id[:8])
        assert done.stdout == f"worker {shown.name} drains: it runs 1 job\n", done
        later = client.enqueue("noop")
        assert [worker.draining for worker in client.status().workers] == [True]
        goes_on.touch()
        assert first.wait(40.0) == 0
        job = client.get(running)
        assert (job.state, job.attempt) == ("completed", 1)
        assert client.get(later).state == "pending", "nobody was given it"
        cluster.worker(WORKER, environment=environment)
        assert client.wait(later, 20.0).attempt == 1


@pytest.mark.timeout(90)
def test_a_drain_of_a_node_that_does_not_answer_says_so_whoever_is_asked(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    asked, killed = (number for number in range(3) if number != leader)
    name = cluster.node_id(killed)

    def heard() -> bool:
        """The leader has told the others of its heartbeat: they are not to repeat that."""
        shown = cluster.status(asked)
        return shown is not None and any(n.node_id == name and n.last_heartbeat for n in shown.nodes)

    eventually(heard, f"node {asked} hears of {name}", 30.0)
    cluster.kill(killed)
    for number in (asked, leader):
        line = [sys.executable, "-m", "orchestrix_raft", "cluster", "drain", name]
        line += ["--servers", cluster.addresses[number]]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60.0, check=False)
        first = done.stdout.splitlines()[0]
        assert first.startswith(f"node {name}: 0 workers left"), done
        assert first.endswith("; the node does not answer"), done


@pytest.mark.timeout(60)
def test_a_drain_that_nobody_could_take_over_from_is_refused(tmp_path: Path) -> None:
    with LocalCluster(nodes=1, data_dir=tmp_path / "cluster") as cluster:
        done = command(cluster, "cluster", "drain", "n1")
        assert (done.returncode, done.stdout) == (1, "")
        assert "n1 is the whole cluster: there is nobody to hand over to" in done.stderr
        assert "there is no node 'n9': there are n1" in command(cluster, "cluster", "drain", "n9").stderr
        assert "no worker nobody" in command(cluster, "workers", "drain", "nobody").stderr
