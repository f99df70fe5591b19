"""The audit trail of real nodes: who joined and who was removed, what was refused, who made this cluster."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrix_raft import AuditEntry, Client, OrchestrixError
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
WORKER = "orchestrix_raft.testing.handlers:worker"


def command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrix_raft", "cluster", *arguments],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=True,
    )
    return done.stdout


def trail(client: Client, count: int) -> list[AuditEntry]:
    """Once there are so many records."""
    eventually(lambda: len(client.audit()) >= count, f"{count} records", 20.0)
    return client.audit()


def test_members_backups_and_refusals_are_in_the_trail_of_every_node(tmp_path: Path) -> None:
    with LocalCluster(nodes=1, data_dir=tmp_path / "cluster") as cluster:
        number = cluster.add_node()
        cluster.await_voter(number)
        joined, address = cluster.node_id(number), cluster.addresses[number]
        with Client(cluster.addresses[0]) as client:
            client.verify()
            client.backup(tmp_path / "backup")
            with pytest.raises(OrchestrixError):
                client.cluster.drain("nobody")
            client.cluster.remove(joined)
            told = trail(client, 6)
            assert client.audit(limit=2, latest=True) == told[-2:]
        join, *_ = told
        assert (join.actor, join.action) == (f"node {joined} at {address}", "join")
        assert [(one.action, one.outcome.partition(":")[0]) for one in told] == [
            ("join", "done"),
            ("verify", "done"),
            ("backup", "done"),
            ("drain_node", "refused"),
            ("remove_member", "asked"),
            ("remove_member", "done"),
        ]
    place = "--data-dir", str(tmp_path / "again" / "n1"), "--node-id", "n1"
    command("restore", str(tmp_path / "backup"), *place)
    with LocalCluster(nodes=1, data_dir=tmp_path / "again") as cluster, Client(cluster.servers) as client:
        *_, restored = trail(client, 3)
        assert restored.action == "restore"
        assert restored.target.startswith(f"{tmp_path / 'backup'}, as of index ")


def test_jobs_are_found_by_who_answers_for_them_and_who_runs_them() -> None:
    with LocalCluster(nodes=2) as cluster, Client(cluster.servers) as client:
        for _ in range(2):
            cluster.worker(WORKER)
        ids = client.enqueue_many([("sleep", {"seconds": 60})] * 12)
        eventually(lambda: client.status().jobs["running"] == 12, "all run", 30.0)
        status = client.status()
        by_node = {node.node_id: client.list_jobs(owner=node.node_id) for node in status.nodes}
        by_worker = {worker.name: client.list_jobs(worker=worker.id) for worker in status.workers}
        for found in (by_node, by_worker):
            assert sorted(job.id for jobs in found.values() for job in jobs) == sorted(ids)
        assert {node.node_id: node.owned_jobs for node in status.nodes} == {
            node_id: len(jobs) for node_id, jobs in by_node.items()
        }
        assert all(job.owner == node_id for node_id, jobs in by_node.items() for job in jobs)
        assert all(job.worker == name for name, jobs in by_worker.items() for job in jobs)
        cluster.kill_everything()
