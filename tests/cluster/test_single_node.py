"""A cluster of one: what it took on is there after a restart, at once or much later."""

from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import LocalCluster

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_node_restarted_before_its_first_checkpoint_leads_again_and_has_everything(
    tmp_path: Path, how: str
) -> None:
    options = {"--checkpoint-interval": "1h"}  # so that only the log can know
    with LocalCluster(nodes=1, data_dir=tmp_path / "cluster", options=options) as cluster:
        with Client(cluster.servers) as client:
            job_id = client.enqueue("noop")
        if how == "stopped":
            cluster.node(0).stop()
        else:
            cluster.kill(0)
        cluster.restart(0)
        cluster.await_healthy()
        with Client(cluster.servers) as client:
            assert client.get(job_id).state == "pending"
        assert "formed with 1 node\n" in (cluster.data_dir / "n1.log").read_text()
