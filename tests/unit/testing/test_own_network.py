"""Tests in a child of pytest do not outlive their time, and what they printed is told."""

import sys
from pathlib import Path

import pytest

from tests.own_network import CHILD_SLACK_S, child_limit_s, handed_over

HANGS = "import signal; print('it has begun', flush=True); signal.pause()"


def test_a_child_that_does_not_end_is_ended_and_what_it_printed_is_told(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"ended after 5 s; it printed:\nit has begun"):
        handed_over([sys.executable, "-c", HANGS], tmp_path, 5.0)


def test_of_a_child_that_ends_the_verdict_is_told(tmp_path: Path) -> None:
    assert handed_over([sys.executable, "-c", "print('fine')"], tmp_path, 60.0) == "fine\n"
    with pytest.raises(pytest.fail.Exception, match="it is broken"):
        handed_over([sys.executable, "-c", "raise SystemExit('it is broken')"], tmp_path, 60.0)


@pytest.mark.timeout(77)
def test_the_child_has_its_own_time_out_and_a_little(request: pytest.FixtureRequest) -> None:
    item = request.node
    assert child_limit_s(item) == 77 + CHILD_SLACK_S
    item.add_marker(pytest.mark.timeout(1_000), append=False)
    assert child_limit_s(item) == 77 + CHILD_SLACK_S, "pytest-timeout outside is told to wait for longer"
