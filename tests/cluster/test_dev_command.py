"""`dev` with real processes: it serves, and Ctrl-C ends everything it started, in order."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PROGRAM = (sys.executable, "-m", "orchestrix_raft")


def _free_port() -> int:
    """A port that is free, with the one of the peer link above it."""
    while True:
        with socket.socket() as api, socket.socket() as peer:
            api.bind(("127.0.0.1", 0))
            port = int(api.getsockname()[1])
            try:
                peer.bind(("127.0.0.1", port + 1_000))
            except (OSError, OverflowError):
                continue
            return port


@pytest.fixture
def dev() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The running command, once it has said what to type next, and the node's address."""
    address = f"127.0.0.1:{_free_port()}"
    process = subprocess.Popen(
        [*PROGRAM, "dev", "--listen", address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Ctrl-C here ends both" in line:
            break
    yield process, address
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


def _children(process: "subprocess.Popen[str]") -> list[int]:
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    return [int(pid) for pid in listing.stdout.split()]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_runs_and_ctrl_c_leaves_nothing_behind(dev: tuple["subprocess.Popen[str]", str]) -> None:
    process, address = dev
    children = _children(process)
    assert len(children) == 2
    enqueue = [*PROGRAM, "enqueue", "echo", "--args", '{"a": 1}', "--wait", "--servers", address]
    done = subprocess.run(enqueue, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"a": 1}\n', "")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.endswith("stopped\n")
    assert not [pid for pid in children if _runs(pid)]


@pytest.mark.parametrize("offset", [0, 1_000], ids=["API", "peer link"])
def test_a_taken_port_is_one_line(offset: int) -> None:
    port = _free_port()
    with socket.create_server(("127.0.0.1", port + offset)):
        command = [*PROGRAM, "dev", "--listen", f"127.0.0.1:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"orchestrix-raft: port {port + offset} of 127.0.0.1 is in use")
    assert done.stderr.count("\n") == 1


def test_a_node_that_cannot_start_has_the_only_word(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    command = [*PROGRAM, "dev", "--listen", f"127.0.0.1:{_free_port()}", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout) == (1, "")
    assert "neither empty nor a data directory" in done.stderr
    assert done.stderr.count("\n") == 1
