"""A node that was away comes back equal to the others: by the log when it can, by a snapshot when it must."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = pytest.mark.cluster
TAIL = 50


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes that keep only the last TAIL entries behind a checkpoint, and checkpoint often."""
    options = {"--log-tail-entries": str(TAIL), "--checkpoint-interval": "300ms"}
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster", options=options) as cluster:
        yield cluster
        cluster.kill_everything()


def rejoin(cluster: LocalCluster, entries: int) -> str:
    """Kill a follower, write so many entries, start it again: what it said on its way back."""
    leader = cluster.leader()
    away = (leader + 1) % len(cluster)
    cluster.kill(away)
    with Client(cluster.addresses[leader]) as client:
        for _ in range(entries):
            client.enqueue("noop", {"x": "x" * 100})
        if entries > TAIL:
            # Only what is behind a checkpoint is dropped: let the leader make one.
            checkpoints = cluster.node_dir(leader) / "state"
            written = checkpoint_time(checkpoints)
            client.enqueue("noop")
            eventually(lambda: checkpoint_time(checkpoints) > written, "the leader has made a checkpoint")
    cluster.restart(away)
    cluster.await_healthy()
    cluster.await_same_digest()
    return cluster.node(away).text()


def checkpoint_time(store: Path) -> float:
    """When anything in the state store was written last."""
    return max(path.stat().st_mtime for path in store.rglob("*") if path.is_file())


def test_a_short_absence_is_made_good_from_the_log(forgetful: LocalCluster) -> None:
    assert "installed snapshot" not in rejoin(forgetful, TAIL // 2)


def test_a_long_absence_is_made_good_by_a_snapshot(forgetful: LocalCluster) -> None:
    assert "installed snapshot" in rejoin(forgetful, 10 * TAIL)
