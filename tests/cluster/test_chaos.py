"""A short run of chaos on loopback, and what is left of one that is interrupted; see also `make chaos`."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from orchestrix_raft.testing import eventually
from orchestrix_raft.testing.network import why_impossible

pytestmark = pytest.mark.cluster
ROOT: Final = Path(__file__).resolve().parent.parent.parent
QUICK: Final = (
    *("--seed", "7", "--minutes", "0.15", "--every", "1.2", "--workers", "2", "--scale", "0.5"),
    *("--kinds", "kill-node,one-way,break-connections,move-leader", "--network", "loopback", "--no-record"),
)


def chaos(arguments: Sequence[str], directory: Path) -> "subprocess.Popen[str]":
    """A run whose directory is made in this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def started_in(directory: Path) -> list[int]:
    """Processes that name the directory in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # it has ended
            continue
        if str(directory).encode() in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.timeout(150)
def test_a_short_run_is_clean_and_leaves_nothing(tmp_path: Path) -> None:
    with chaos(QUICK, tmp_path) as run:
        told, _ = run.communicate()
    assert run.returncode == 0, told
    assert told.endswith("\nclean\n"), told
    assert "lost 0, doubled 0" in told
    for kind in ("kill-node", "one-way", "break-connections"):
        assert f" {kind}" in told.rpartition("faults: ")[2], told
    assert list(tmp_path.iterdir()) == []
    assert not started_in(tmp_path)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("network", ["hosts", "loopback"])
def test_three_minutes_of_everything_are_clean(tmp_path: Path, network: str) -> None:
    why = why_impossible() if network == "hosts" else ""
    if why:
        pytest.skip(why)
    with chaos(["--minutes", "3", "--network", network, "--no-record"], tmp_path) as run:
        told, _ = run.communicate()
    assert run.returncode == 0, told
    assert not started_in(tmp_path)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_interrupted_leaves_nothing_either(tmp_path: Path, signum: signal.Signals) -> None:
    with chaos(QUICK, tmp_path) as run:
        try:
            eventually(lambda: len(started_in(tmp_path)) >= 3, "its nodes are started", 40.0)
        finally:
            run.send_signal(signum)
        run.communicate()
    assert run.returncode == (130 if signum == signal.SIGINT else -signum)
    eventually(lambda: not started_in(tmp_path), "its processes are gone", 30.0)
    eventually(lambda: not list(tmp_path.iterdir()), "its directory is gone", 30.0)
