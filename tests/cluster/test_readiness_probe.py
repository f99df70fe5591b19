"""The readiness probe for Kubernetes with TLS: ready is a node that is in contact with a leader."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrix_raft.cli.status import ANSWER_S
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = pytest.mark.cluster

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "run-under-kubernetes.md"
PLACE = "$POD_NAME.orchestrix-nodes:7400"


def probe() -> dict[str, Any]:
    (written,) = re.findall(r"```yaml\n(readinessProbe:.*?)```", GUIDE.read_text(), re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(written)["readinessProbe"]
    return found


def is_ready(address: str, folder: Path) -> bool:
    """What the kubelet concludes.  Names of pods mean nothing here, so the address follows the pod's name."""
    program = folder / "orchestrix-raft"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrix_raft "$@"\n')
    program.chmod(0o755)
    assert any(PLACE in word for word in probe()["exec"]["command"])
    command = [word.replace(PLACE, "$POD_NAME") for word in probe()["exec"]["command"]]
    variables = {**os.environ, "POD_NAME": address, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(command, env=variables, timeout=60.0, check=False).returncode == 0


def test_the_probe_waits_longer_than_the_command() -> None:
    assert probe()["timeoutSeconds"] >= 2 * ANSWER_S


def test_only_a_node_in_contact_with_a_leader_is_ready(tmp_path: Path) -> None:
    cluster = LocalCluster(nodes=3, data_dir=tmp_path / "cluster")
    try:
        assert not is_ready(cluster.addresses[0], tmp_path), "it does not run"
        cluster.start_node(0)
        eventually(lambda: cluster.status(0) is not None, "the node answers")
        assert not is_ready(cluster.addresses[0], tmp_path), "it has no cluster"
        cluster.start_node(1)
        cluster.start_node(2)
        cluster.await_healthy()
        assert all(is_ready(address, tmp_path) for address in cluster.addresses)
        cluster.kill_nodes((1, 2))
        eventually(
            lambda: not is_ready(cluster.addresses[0], tmp_path), "it has lost the leader, or leads nobody"
        )
    finally:
        cluster.kill_everything()
