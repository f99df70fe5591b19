"""Backup, restore, recovery and verification of real clusters, through the command line."""

import json
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrix_raft import Client, Job
from orchestrix_raft.client.model import TERMINAL
from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.ledger import Ledger
from orchestrix_raft.testing.load import Load
from orchestrix_raft.testing.processes import Process

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
HANDLERS = "orchestrix_raft.testing.handlers:worker"
GENERATION = 1 << 40
COMMAND_S = 60.0


def run(*arguments: str, servers: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrix_raft", "cluster", *arguments]
    if servers:
        command += ["--servers", servers]
    return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)


def document(*arguments: str, servers: str = "") -> Any:
    """What a command says with --json."""
    done = run(*arguments, "--json", servers=servers)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The refusal of a command."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def continued(directory: Path, address: str) -> LocalCluster:
    """A cluster of one from the data directory n1 in `directory`, at an address that its callers know."""
    cluster = LocalCluster(nodes=1, data_dir=directory)
    cluster.addresses = [address]
    return cluster


def all_of(client: Client, ids: list[str]) -> list[Job]:
    return [client.get(job_id) for job_id in ids]


def test_all_that_was_acknowledged_before_a_backup_is_in_the_cluster_that_is_restored_from_it(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    cluster.worker(HANDLERS)
    with Client(cluster.servers) as client, Load(cluster.servers, 200.0, job_number) as load:
        eventually(lambda: len(load.acknowledged) > 200, "jobs are acknowledged")
        client.schedules.every("often", 3600.0, "noop")
        client.queues.pause("quiet")
        waiting = client.enqueue("noop", {"n": "x" * 100_000}, queue="quiet", delay=3600.0)
        before = [*load.acknowledged, waiting]
        done = run("backup", str(file), servers=cluster.addresses[2])
        assert done.returncode == 0, done.stderr
        made = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > made + 50, "the cluster goes on")
        digest = done.stdout.rstrip().rpartition(" ")[2]
        outlives = Client(cluster.servers)
        outlives.enqueue("noop")  # it remembers an index that the backup does not have
    assert not load.in_doubt + load.refused
    assert done.stdout.count("\n") == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "cluster"]
    cluster.kill_everything()
    for number in range(3):
        shutil.rmtree(cluster.node_dir(number))

    new = continued(tmp_path / "new", cluster.addresses[0])
    restored = run("restore", str(file), "--data-dir", str(new.node_dir(0)), "--node-id", "n1")
    assert restored.returncode == 0, restored.stderr
    assert f"digest {digest}" in restored.stdout.splitlines()[0]
    assert f"next: orchestrix-raft node --data-dir {new.node_dir(0)}" in restored.stdout.splitlines()[-1]
    with new, outlives as client:
        jobs = all_of(client, before)
        assert len(jobs) == len(before) > 200
        assert jobs[-1].args == {"n": "x" * 100_000}
        assert [schedule.id for schedule in client.schedules.list()] == ["often"]
        assert client.queues.get("quiet").paused
        new.worker(HANDLERS)
        after = client.enqueue("noop")
        assert client.wait(after, timeout=30.0).fencing_token > GENERATION
        eventually(
            lambda: all(job.state in TERMINAL for job in all_of(client, before[:-1])), "all is done", 60.0
        )
        assert not client.status().problems
        new.add_node()
        new.await_healthy()
        found = client.verify()
        assert found.agree
        assert [node.node_id for node in found.nodes] == ["n1", "n2"]
        new.kill_everything()


@pytest.mark.long
def test_a_worker_that_outlives_its_cluster_is_fenced_and_what_it_ran_is_run_again(
    tmp_path: Path,
) -> None:
    file, gate = tmp_path / "backup", tmp_path / "gate"
    ledger = Ledger(tmp_path / "ledger")
    with LocalCluster(nodes=1, data_dir=tmp_path / "old") as old:
        worker = old.worker(HANDLERS, environment={LEDGER_VARIABLE: str(ledger.path)})
        with Client(old.servers) as client:
            job_id = client.enqueue("hold", {"path": str(gate)})
            eventually(lambda: ledger.count("start") == 1, "the handler runs")
            eventually(lambda: client.get(job_id).state == "running", "and the cluster knows")
            client.backup(file)
        old.kill(0)
        new = continued(tmp_path / "new", old.addresses[0])
        assert (
            run("restore", str(file), "--data-dir", str(new.node_dir(0)), "--node-id", "n1").returncode == 0
        )
        with new, Client(new.servers) as client:
            eventually(lambda: ledger.count("start") == 2, "it is run again", 60.0)
            gate.touch()
            job = client.wait(job_id, timeout=30.0)
            first, second = (line.token for line in ledger.lines() if line.what == "start")
            assert (job.state, job.attempt, job.losses, job.result) == ("completed", 2, 1, 2)
            assert first < GENERATION < second == job.fencing_token
            assert worker.running
            assert ledger.count("end") == 1, "the handler under the old token was told to stop"
            new.kill_everything()
        old.kill_everything()


def test_one_of_three_directories_is_enough_to_go_on(cluster: LocalCluster, tmp_path: Path) -> None:
    survivor = cluster.leader()
    directory = cluster.node_dir(survivor)
    with Client(cluster.servers) as client:
        ids = [client.enqueue("noop", {"n": n}) for n in range(20)]
        cluster.node(1 - min(survivor, 1)).send(signal.SIGSTOP)  # a majority is enough for what follows
        ids += [client.enqueue("noop", {"n": n}) for n in range(20, 40)]
        assert "in use by a running node" in one_line(
            run("recover", "--force-new-cluster", "--data-dir", str(directory))
        )
    cluster.kill_everything()
    report = run("recover", "--data-dir", str(directory))
    assert report.returncode == 0
    assert "nothing was changed" in report.stdout.splitlines()[-1]
    assert report.stdout.count("no answer (cannot connect") == 2
    done = run("recover", "--force-new-cluster", "--data-dir", str(directory))
    assert done.returncode == 0, done.stderr
    assert "lost: whatever" in done.stdout
    aside = directory / "before-recovery-1"
    assert sorted(path.name for path in aside.iterdir()) == ["identity", "raft", "state"]

    recovered = LocalCluster(nodes=1, data_dir=cluster.data_dir)
    command = cluster.node_command(survivor)
    node = Process("recovered", command[: command.index("--peers")], tmp_path / "recovered.log")
    cluster.workers.append(node)  # so that it is ended whatever happens
    recovered.addresses = [cluster.addresses[survivor]]
    with Client(recovered.servers) as client:
        assert len(all_of(client, ids)) == 40
    other = next(number for number in range(3) if number != survivor)
    stranger = cluster.start_node(other)
    eventually(
        lambda: "two clusters never merge" in stranger.text() or not stranger.running,
        "a node of the former cluster is not let in",
        30.0,
    )
    assert "two clusters never merge" in stranger.text()
    with Client(recovered.servers) as client:
        assert [member.node_id for member in client.status().nodes] == [cluster.node_id(survivor)]
        assert client.enqueue("noop")


def test_a_node_of_a_cluster_that_works_is_not_recovered(cluster: LocalCluster) -> None:
    away = (cluster.leader() + 1) % 3
    cluster.kill(away)
    refused = one_line(run("recover", "--force-new-cluster", "--data-dir", str(cluster.node_dir(away))))
    assert "nothing was changed: the cluster works: node " in refused
    cluster.restart(away)
    cluster.await_healthy()
    cluster.await_same_digest()


def test_verification_finds_what_the_nodes_hold_and_who_does_not_answer(cluster: LocalCluster) -> None:
    with Load(cluster.servers, 100.0, job_number) as load:
        eventually(lambda: len(load.acknowledged) > 100, "jobs are acknowledged")
        found = document("verify", servers=cluster.servers)
        assert found["agree"]
        assert [node["node_id"] for node in found["nodes"]] == ["n1", "n2", "n3"]
        assert len({(node["digest"], node["rows"]) for node in found["nodes"]}) == 1
        assert found["nodes"][0]["rows"] > 100
    silent = (cluster.leader() + 1) % 3
    cluster.node(silent).suspend()
    done = run("verify", "--timeout", "8s", servers=cluster.addresses[cluster.leader()])
    cluster.node(silent).resume()
    assert done.returncode == 1
    assert f"but no answer from {cluster.node_id(silent)}" in done.stderr
    assert "it does not answer" in done.stdout
