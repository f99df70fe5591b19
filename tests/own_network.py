"""Tests in a child of pytest: how long it may take, and what is told of it.

Three clocks run, a little apart: first that of pytest-timeout in the child, which knows where the test
stands; then the limit kept here, for a child that does not end even so, whose output is told; last that of
pytest-timeout outside.
"""

import subprocess
from pathlib import Path
from typing import Final

import pytest

CHILD_SLACK_S: Final = 30.0
"""To start Python and collect on a busy machine, and to end clusters of processes."""

_LIMITS: Final = pytest.StashKey[float]()


def child_limit_s(item: pytest.Item) -> float:
    """How long the child of a test may take: its time-out and a little."""
    limit_s = item.stash.get(_LIMITS, None)
    if limit_s is None:
        marker = item.get_closest_marker("timeout")
        own_s = marker.args[0] if marker is not None else item.config.getini("timeout")
        limit_s = item.stash[_LIMITS] = float(own_s) + CHILD_SLACK_S
    return limit_s


def handed_over(command: list[str], directory: Path, limit_s: float) -> str:
    """What a command printed; the test fails with it if the command fails or takes longer."""
    with subprocess.Popen(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        try:
            printed, _ = child.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            child.kill()
            printed, _ = child.communicate()
            pytest.fail(
                f"the child of pytest was ended after {limit_s:g} s; it printed:\n{printed}", pytrace=False
            )
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        pytest.fail(printed, pytrace=False)
    return printed
