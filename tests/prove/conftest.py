"""Long proofs run only when they are asked for by path: `make prove-A`, or `pytest tests/prove`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft.testing import LocalCluster

_asked_for = any("prove" in argument for argument in sys.argv)
collect_ignore_glob = [] if _asked_for else ["test_*.py"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes for one proof."""
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster") as cluster:
        yield cluster
