"""The demo, on some of its files: its verdict, and that it leaves nothing behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.cluster


def _processes(mark: Path) -> list[str]:
    """All that runs with `mark` in its environment, as whatever the demo starts does."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(mark).encode() in path.read_bytes():
                found.append(path.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it is over, or somebody else's
    return found


@pytest.mark.timeout(120)
def test_the_demo_loses_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--files", "200"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(re.findall(r"^(\S.*?) {2,}(\S+)", done.stdout, re.MULTILINE))
    assert (rows["enqueued"], rows["completed"], rows["executions"]) == ("600", "600", "600")
    assert (rows["lost"], rows["duplicated effects"], rows["unexplained"]) == ("0", "0", "0")
    assert rows["checksums verified"] == "200"
    assert float(rows["fail-over time"]) < 10.0
    assert _processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
