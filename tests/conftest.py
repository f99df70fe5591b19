"""Settings every test shares.

Tests marked `own_network` run in a child of pytest that has a network namespace of its own: the machine's
network is not touched, and nothing of theirs is left when the child ends.
"""

import os
import sys

import pytest
from hypothesis import Phase, settings

from orchestrix_raft.testing import network
from tests.own_network import CHILD_SLACK_S, child_limit_s, handed_over

settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile(
    "unshrunk", derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate]
)
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
        "-m",
        "",
        pyfuncitem.nodeid,
    ]
    print(handed_over(network.entered(command), pyfuncitem.config.rootpath, child_limit_s(pyfuncitem)))
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Outside, pytest-timeout would end a test of a child together with the child's own time-out, and what
    was printed would be lost: it comes last."""
    if network.ENTERED in os.environ:
        return
    for item in items:
        if item.get_closest_marker("own_network") is not None:
            item.add_marker(pytest.mark.timeout(child_limit_s(item) + CHILD_SLACK_S), append=False)
