"""A worker that tries again and again does not fill its log."""

import pytest

from orchestrix_raft.worker.complaints import REASONS, START_S, Complaints


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", "orchestrix_raft.worker")
    return caplog


def test_a_reason_is_told_at_once_and_then_once_a_minute(told: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(0.0)
    for tenth in range(1_300):
        complaints.say("a", "a is down", 50.0 + tenth / 10)
    assert [record.getMessage() for record in told.records] == [
        "a is down",
        "a is down (and 599 times before, untold)",
        "a is down (and 599 times before, untold)",
    ]


def test_nodes_that_start_together_with_the_worker_are_no_warning(told: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(50.0)
    complaints.say("a", "a is down", 50.0)
    complaints.say("a", "a is down", 50.0 + START_S - 0.1)
    complaints.say("a", "a is down", 50.0 + START_S)
    complaints.say("a", "a is down", 50.0 + START_S + 1)
    assert [(record.levelname, record.getMessage()) for record in told.records] == [
        ("INFO", "a is down"),
        ("WARNING", "a is down (and 1 time before, untold)"),
    ]


def test_a_node_that_is_lost_soon_after_the_start_is_a_warning(told: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(50.0)
    complaints.say("a", "a is down", 50.5)
    complaints.over(51.0)
    complaints.say("a", "a is down", 51.5)
    assert [record.levelname for record in told.records] == ["INFO", "WARNING"]


def test_another_reason_is_told_at_once(told: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(0.0)
    for _ in range(3):
        complaints.say("a", "a is down", 50.0)
        complaints.say("b", "b is down", 50.0)
    assert [record.getMessage() for record in told.records] == ["a is down", "b is down"]


def test_what_comes_after_the_return_is_told_again(told: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(0.0)
    assert complaints.over(49.0) == ""
    complaints.say("a", "a is down", 50.0)
    assert complaints.over(52.5) == " after 2.5 s without a node"
    complaints.say("a", "a is down", 53.0)
    assert [record.getMessage() for record in told.records] == ["a is down", "a is down"]


def test_reasons_that_never_repeat_do_not_gather(told: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(0.0)
    for number in range(2 * REASONS):
        complaints.say(str(number), "?", 50.0 + number)
    assert len(complaints._told) == REASONS
