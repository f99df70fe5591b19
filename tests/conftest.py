"""Settings every test shares.

Tests marked `own_network` run in a child of pytest that has a network namespace of its own: the machine's
network is not touched, and nothing of theirs is left when the child ends.
"""

import os
import subprocess
import sys

import pytest
from hypothesis import settings

from orchestrix_raft.testing import network

settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Outside: hand the test over to a child, and tell its verdict.  Inside: let it run, as all others."""
    if pyfuncitem.get_closest_marker("own_network") is None or network.ENTERED in os.environ:
        return None
    why = network.why_impossible()
    if why:
        pytest.skip(why)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--color=no",
        "-p",
        "no:cacheprovider",
        "-s",
        pyfuncitem.nodeid,
    ]
    done = subprocess.run(
        network.entered(command),
        cwd=pyfuncitem.config.rootpath,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
    print(done.stdout)
    return True
