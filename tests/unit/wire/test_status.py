"""Errors on the wire, addresses, and the order in which servers are tried."""

import pytest

from orchestrix_raft.wire import errors, status
from orchestrix_raft.wire.servers import Backoff, Servers
from orchestrix_raft.wire.transport import parse_servers


def test_a_reason_travels_in_the_details() -> None:
    assert status.reason_of(status.details(5, "JOB_NOT_FOUND", "no job")) == "JOB_NOT_FOUND"


@pytest.mark.parametrize(
    "trailers", [None, (), (("x", b"y"),), ((status.TRAILER, b"\xff\xff"),), ((status.TRAILER, b""),)]
)
def test_details_that_are_not_ours_have_no_reason(trailers: tuple[tuple[str, bytes], ...] | None) -> None:
    assert status.reason_of(trailers) == ""


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (3, "X", errors.InvalidArgument),
        (4, "", errors.DeadlineExceeded),
        (5, "X", errors.JobNotFound),
        (6, "X", errors.AlreadyExists),
        (7, "X", errors.PermissionDenied),
        (8, "X", errors.QuotaExceeded),
        (14, "X", errors.Unavailable),
        (16, "X", errors.PermissionDenied),
        (2, "OUTCOME_UNKNOWN", errors.OutcomeUnknown),
        (2, "", errors.OrchestrixError),
        (13, "INTERNAL", errors.OrchestrixError),
    ],
)
def test_codes_become_exceptions(code: int, reason: str, kind: type[Exception]) -> None:
    error = errors.error_for(code, reason, "text")
    assert type(error) is kind
    assert (str(error), error.reason) == ("text", reason)


def test_servers_are_parsed_in_order_without_repeats() -> None:
    assert parse_servers(" a:1, b:2,a:1,[::1]:3 ") == ("a:1", "b:2", "[::1]:3")
    assert parse_servers(["a:1"]) == ("a:1",)


@pytest.mark.parametrize("text", ["", ",", "a", "a:", ":1", "a:b", "a:0", "a:65536", "a:1;b:2"])
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_servers(text)


def test_a_failed_server_is_left_once_however_many_say_so() -> None:
    servers = Servers(["a", "b", "c"])
    servers.failed("a")
    servers.failed("a")
    assert servers.current == "b"


def test_members_are_learned_behind_those_given() -> None:
    servers = Servers(["a"])
    servers.learn(["b", "", "a", "b"])
    assert len(servers) == 2
    servers.failed("a")
    assert servers.current == "b"
    servers.failed("b")
    assert servers.current == "a"


def test_a_preferred_server_is_asked_next() -> None:
    servers = Servers(["a", "b"])
    servers.prefer(["c", "b"])
    assert servers.current == "c"


def test_untried_servers_are_tried_at_once_and_then_ever_later() -> None:
    backoff = Backoff(Servers(["a", "b", "c"]), draw=lambda: 1.0)
    delays = [backoff.next_s() for _ in range(20)]
    assert max(delays[:2]) < 0.02
    assert delays[2:5] == [0.05, 0.1, 0.2]
    assert max(delays) == 1.0
