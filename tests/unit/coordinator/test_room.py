"""The bound of what all workers of a node report together, and who is woken when there is room again."""

import sys

import pytest

from orchestrix_raft.coordinator import room
from orchestrix_raft.coordinator.proposer import ProposerLimits
from orchestrix_raft.coordinator.room import ReportRoom, size_of
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.report import Completed, Failed, Outcome, Released
from orchestrix_raft.domain.session import Hello, ReportMessage, WorkerMessage

MIB = 1 << 20


class Nobody:
    """A hub that is told nothing."""

    def received(self, stream: Stream, message: WorkerMessage) -> None:
        raise AssertionError(message)

    def stream_closed(self, stream: Stream) -> None:
        pass


def stream() -> Stream:
    return Stream(Nobody(), Hello(bytes(16), "w", ("q",), 1, (), 0, ()), lambda message: None, 0.0)


def test_callers_have_half_of_the_proposer_whatever_the_workers_do() -> None:
    assert ProposerLimits().pending_bytes // 2 == room.REPORT_BYTES
    assert ProposerLimits().pending_commands // 2 == room.REPORT_COMMANDS


NOW_MS = 1_800_000_000_000
LATE = 1 << 40
"""A token after a long life of the cluster."""


@pytest.mark.parametrize(
    "outcome",
    [
        Completed(bytes(16), LATE, b"", NOW_MS, NOW_MS + 1),
        Completed(bytes(16), LATE, b"x" * 1_000, NOW_MS, NOW_MS + 1),
        Failed(bytes(16), LATE, "", NOW_MS, NOW_MS + 1, 60_000),
        Failed(bytes(16), LATE, "y" * 500 + "\u4e16", NOW_MS, NOW_MS + 1, 60_000),
        Failed(bytes(16), LATE, "y" * 500 + "\U0001f600", NOW_MS, NOW_MS + 1, 60_000),
        Released(bytes(16), LATE),
    ],
)
@pytest.mark.parametrize("count", [1, 100])
def test_a_report_counts_what_it_takes_in_memory(outcome: Outcome, count: int) -> None:
    """As one that is kept, whose parts are its own."""
    fields = [getattr(outcome, name) for name in outcome.__struct_fields__]
    parts = [part for part in fields if not isinstance(part, bool)]
    one = sys.getsizeof(outcome) + sum(sys.getsizeof(part) for part in parts)
    message = ReportMessage((outcome,) * count)
    around = (message, message.outcomes, (message, 1_000), 1_000)
    takes = count * one + sum(sys.getsizeof(part) for part in around)
    assert takes <= size_of(message.outcomes) <= takes + 50 + count * 200


@pytest.mark.parametrize(("size", "count"), [(MIB, 32), (1, room.REPORT_COMMANDS)])
def test_many_workers_fill_the_room_and_all_are_woken_when_some_is_free(size: int, count: int) -> None:
    rooms, streams, woken = ReportRoom(), [stream() for _ in range(8)], list[int]()
    for number in range(count):
        assert rooms.open_to(streams[0])
        rooms.take(streams[number % 8], size)
    for number in (3, 1, 2):
        assert not rooms.open_to(streams[number])
        rooms.wait(streams[number], lambda number=number: woken.append(number))  # type: ignore[misc]
    rooms.give_back(streams[7], size)
    assert woken == [3, 1, 2]
    assert rooms.open_to(streams[3])
    rooms.give_back(streams[6], size)
    assert woken == [3, 1, 2], "once"


def test_one_that_waits_for_its_own_answers_is_not_woken_by_those_of_others() -> None:
    rooms, busy, other, woken = ReportRoom(), stream(), stream(), list[str]()
    rooms.take(busy, room.STREAM_BYTES)
    rooms.take(other, 1)
    rooms.wait(busy, lambda: woken.append("busy"))
    rooms.give_back(other, 1)
    assert woken == []
    rooms.give_back(busy, room.STREAM_BYTES)
    assert woken == ["busy"]


def test_nobody_waits_for_a_stream_that_is_over() -> None:
    rooms, gone = ReportRoom(), stream()
    rooms.take(gone, room.REPORT_BYTES)
    gone.closed()
    assert rooms.open_to(gone)


def large() -> ReportMessage:
    return ReportMessage((Released(bytes(16), 1),))


def test_a_little_of_each_worker_is_read_while_there_is_no_room_and_not_more_of_all() -> None:
    rooms, one, other, woken = ReportRoom(), stream(), stream(), list[str]()
    rooms.keep(one, large(), room.KEPT_BYTES - 1)
    assert rooms.may_read(one)
    rooms.keep(one, large(), room.KEPT_ALL_BYTES)
    assert not rooms.may_read(one)
    assert not rooms.may_read(other), "too much is kept of all together"
    rooms.wait_to_read(one, lambda: woken.append("one"))
    rooms.wait_to_read(other, lambda: woken.append("other"))
    rooms.take_kept(one)
    assert woken == []
    rooms.take_kept(one)
    assert woken == ["one", "other"]
    assert rooms.may_read(other)


def test_one_that_waits_to_be_read_is_woken_when_little_of_it_is_kept() -> None:
    rooms, one, woken = ReportRoom(), stream(), list[str]()
    for _ in range(2):
        rooms.keep(one, large(), room.KEPT_BYTES)
    rooms.wait_to_read(one, lambda: woken.append("one"))
    rooms.take_kept(one)
    assert woken == []
    rooms.take_kept(one)
    assert woken == ["one"]
