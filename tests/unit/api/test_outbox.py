"""What waits for a worker is merged, in an order that keeps its meaning, and bounded."""

import pytest

from orchestrix_raft.api import outbox
from orchestrix_raft.api.outbox import Outbox
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    CoordinatorMessage,
    HeartbeatAck,
    ReportAck,
    Stop,
    StopJob,
)

ID = bytes(16)
STOP = Stop((StopJob(ID, 2, "cancelled"),))


def jobs(*tokens: int, args: bytes = b"") -> Assignments:
    return Assignments(tuple(Assignment(ID, token, "t", "q", args, 1, 0, "", 0) for token in tokens))


def drained(box: Outbox) -> list[CoordinatorMessage]:
    taken = []
    while box:
        taken.append(box.take(0.0))
    return taken


def filled(*messages: CoordinatorMessage) -> Outbox:
    box = Outbox(0.0)
    for message in messages:
        assert box.put(message, 0.0)
    return box


def test_assignments_and_acknowledgements_that_wait_together_are_two_messages() -> None:
    box = filled(jobs(1), ReportAck((7,), ()), jobs(2, 3), ReportAck((8,), (9,)))
    assert drained(box) == [ReportAck((7, 8), (9,)), jobs(1, 2, 3)]


def test_nothing_passes_a_message_of_another_kind() -> None:
    box = filled(jobs(1), jobs(2), STOP, ReportAck((1,), ()), jobs(3), HeartbeatAck(1), HeartbeatAck(2))
    assert drained(box) == [jobs(1, 2), STOP, ReportAck((1,), ()), jobs(3), HeartbeatAck(1), HeartbeatAck(2)]


def test_empty_messages_are_not_sent() -> None:
    assert drained(filled(jobs(), ReportAck((), ()))) == []


def test_a_message_carries_at_most_a_thousand_jobs() -> None:
    sizes = [len(m.jobs) for m in drained(filled(jobs(*range(2_500)))) if isinstance(m, Assignments)]
    assert sizes == [1_000, 1_000, 500]


def test_a_message_is_full_at_a_mebibyte_of_arguments() -> None:
    box = filled(*(jobs(token, args=b"x" * 400_000) for token in range(7)))
    assert [len(m.jobs) for m in drained(box) if isinstance(m, Assignments)] == [3, 3, 1]


def test_a_message_taken_in_the_middle_of_a_run_leaves_the_rest_in_order() -> None:
    box = filled(jobs(*range(1_500)), STOP)
    assert box.take(0.0) == jobs(*range(1_000))
    assert box.put(jobs(9_999), 0.0)
    assert drained(box) == [jobs(*range(1_000, 1_500)), STOP, jobs(9_999)]


@pytest.mark.parametrize("args", [b"", b"x" * 4_000])
def test_a_reader_is_given_up_only_when_too_much_waits_and_nothing_moves(args: bytes) -> None:
    box = Outbox(0.0)
    many = [jobs(*range(n, n + 1_000), args=args) for n in range(0, outbox.WAITING_ITEMS + 1_000, 1_000)]
    assert all(box.put(message, 0.0) for message in many), "all at once is no fault of the reader"
    assert box.put(STOP, outbox.STALL_S)
    box.take(outbox.STALL_S)
    assert box.put(STOP, outbox.STALL_S + 1.0), "it has just taken something"
    assert not box.put(STOP, 2 * outbox.STALL_S + 1.0)


def test_a_slow_reader_with_little_waiting_is_let_be() -> None:
    box = filled(jobs(1))
    assert box.put(STOP, 1_000.0)


def test_a_long_idle_stream_is_not_taken_for_a_stalled_one() -> None:
    box = filled(jobs(1))
    drained(box)
    box.put(jobs(*range(outbox.WAITING_ITEMS)), 1_000.0)
    assert box.put(jobs(1, 2), 1_001.0)
