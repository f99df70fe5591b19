"""The test kit keeps its word: whatever happens, no process of it is left."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = pytest.mark.cluster

INTERRUPTED = """
import sys
from orchestrix_raft.testing import LocalCluster, eventually
with LocalCluster(nodes=1, data_dir=sys.argv[1]) as cluster:
    worker = cluster.worker("orchestrix_raft.testing.handlers:worker")
    print(cluster.node(0).pid, worker.pid, flush=True)
    eventually(lambda: False, "Ctrl-C", 60.0)
"""


def alive(pid: int) -> bool:
    """Whether that process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nothing_is_left_after_an_exception_and_it_carries_the_logs(tmp_path: Path) -> None:
    def fail() -> None:
        with LocalCluster(nodes=1, data_dir=tmp_path) as cluster:
            pids.append(cluster.node(0).pid)
            raise RuntimeError("the test failed")

    pids: list[int] = []
    with pytest.raises(RuntimeError) as failed:
        fail()
    assert not any(alive(pid) for pid in pids)
    assert "serves at" in "".join(failed.value.__notes__)


def test_nothing_is_left_after_ctrl_c(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        pids = [int(pid) for pid in child.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        child.send_signal(signal.SIGINT)
        child.wait(30)
    eventually(lambda: not any(alive(pid) for pid in pids), "all processes are gone", 10.0)


def test_nodes_end_by_themselves_when_asked(tmp_path: Path) -> None:
    with LocalCluster(nodes=1, data_dir=tmp_path) as cluster:
        worker = cluster.worker("orchestrix_raft.testing.handlers:worker")
    assert (worker.exit_code, cluster.node(0).exit_code) == (0, 0)
