"""Job logs on real processes: nothing that a dead owner kept is lost, and every node tells the same."""

import threading
from pathlib import Path

import pytest

from orchestrix_raft import Client, LogLine
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"


def messages(client: Client, job_id: str) -> list[str]:
    return [line.message for line in client.logs(job_id)]


@pytest.mark.timeout(90)
def test_lines_survive_the_kill_of_their_owner_and_go_on(cluster: LocalCluster, tmp_path: Path) -> None:
    owner = cluster.leader()
    cluster.worker(WORKER, servers=cluster.addresses[owner])
    talk = tmp_path / "talk"
    talk.touch()
    with Client(cluster.servers) as client:
        job_id = client.enqueue("talk", {"path": str(talk)})
        followed: list[LogLine] = []
        following = threading.Thread(target=lambda: followed.extend(client.logs(job_id, follow=True)))
        following.start()
        eventually(lambda: len(messages(client, job_id)) >= 20, "twenty lines are told")
        before = messages(client, job_id)
        cluster.kill(owner)
        assert messages(client, job_id)[: len(before)] == before, "another node kept them, too"
        moved = eventually(
            lambda: client.get(job_id).owner != cluster.node_id(owner), "another node owns the job"
        )
        assert moved
        eventually(lambda: len(messages(client, job_id)) >= len(before) + 20, "the log goes on")
        talk.unlink()
        assert client.wait(job_id, timeout=20.0).attempt == 1
        following.join(20.0)
        told = client.logs(job_id)
    assert [line.message for line in told] == [f"line {n}" for n in range(1, len(told) + 1)]
    assert [line.number for line in told] == list(range(1, len(told) + 1)), "each once, none missing"
    assert followed == told
    for node in cluster.running_nodes():
        with Client(cluster.addresses[int(node.name[1:]) - 1]) as client:
            assert client.logs(job_id) == told, node.name
