"""What a node does with reports that find no room: it keeps a little, answers heartbeats, loses nothing."""

import pytest

from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.report import Completed
from orchestrix_raft.domain.session import (
    Farewell,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    ReportAck,
    ReportMessage,
)
from orchestrix_raft.machine.commands import DetachSession, ResumeSession
from tests.scenarios.driver import key
from tests.unit.coordinator.hub_bench import Bench, report


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_goodbye_goes_behind_reports_that_find_no_room(bench: Bench) -> None:
    worker = bench.worker("w", capacity=20)
    bench.enqueue("a")
    large = ReportMessage((Completed(key("nothing"), 1, b"x" * (1 << 20), 0, 1),))
    for _ in range(8):
        worker.stream.receive(large)
    report(bench, worker, "a")
    worker.stream.receive(Goodbye())
    bench.commit()
    assert bench.driver.job("a").state is JobState.COMPLETED
    assert [type(message) for message in worker.heard[-2:]] == [ReportAck, Farewell]


def test_there_is_no_room_for_the_reports_of_a_worker_with_many_bytes_unanswered(bench: Bench) -> None:
    worker, other = bench.worker("w"), bench.worker("x")
    woken: list[str] = []
    large = ReportMessage((Completed(key("nothing"), 1, b"x" * (1 << 20), 0, 1),))
    for _ in range(8):
        assert bench.hub.reports.room.open_to(worker.stream)
        worker.stream.receive(large)
    assert not bench.hub.reports.room.open_to(worker.stream)
    assert bench.hub.reports.room.open_to(other.stream)
    bench.hub.reports.room.wait(worker.stream, lambda: woken.append("w"))
    bench.refuse()
    assert woken == [], "it is insisted on"
    bench.commit(1)
    assert woken == ["w"]
    worker.stream.receive(large)
    worker.stream.receive(large)
    assert not bench.hub.reports.room.may_read(worker.stream)
    worker.stream.receive(large)
    assert worker.refusal == "TOO_MANY_REPORTS", "the shell must wait"


def test_heartbeats_are_answered_while_reports_find_no_room(bench: Bench) -> None:
    bench.step(2.0)
    worker = bench.worker("w", capacity=20)
    room = bench.hub.reports.room
    large = ReportMessage((Completed(key("nothing"), 1, b"x" * (1 << 20), 0, 1),))
    for _ in range(8):
        worker.stream.receive(large)
    bench.enqueue("a", "b")
    for name in ("a", "b"):
        assert not room.open_to(worker.stream)
        assert room.may_read(worker.stream), "so the shell reads on, and finds the heartbeat"
        report(bench, worker, name)
    assert len(bench.waiting) == 8, "they have no room"
    worker.stream.receive(Heartbeat(7))
    bench.step(0.25)
    assert worker.last(HeartbeatAck) == HeartbeatAck(7)
    bench.commit()
    assert {bench.driver.job(name).state for name in ("a", "b")} == {JobState.COMPLETED}
    assert (worker.stream.kept_bytes, room.held) == (0, (0, 0))


def test_a_report_waits_behind_those_that_were_kept(bench: Bench) -> None:
    """Also when there is room again before those that wait are looked at."""
    worker = bench.worker()
    large = ReportMessage((Completed(key("nothing"), 1, b"x" * (1 << 20), 0, 1),))
    small = ReportMessage((Completed(key("nothing"), 2, b"", 0, 1),))
    for message in (*[large] * 8, small):
        worker.stream.receive(message)
    assert len(worker.stream.kept) == 1
    worker.stream.unanswered_bytes = 0
    assert bench.hub.reports.room.open_to(worker.stream)
    worker.stream.receive(small)
    assert len(worker.stream.kept) == 2


def test_reports_that_were_kept_for_a_worker_who_left_are_forgotten(bench: Bench) -> None:
    worker = bench.worker()
    large = ReportMessage((Completed(key("nothing"), 1, b"x" * (1 << 20), 0, 1),))
    for _ in range(9):
        worker.stream.receive(large)
    assert worker.stream.kept
    worker.stream.closed()
    bench.commit(1)
    assert (len(worker.stream.kept), worker.stream.kept_bytes) == (0, 0)


def test_reports_that_were_kept_count_no_more_once_the_worker_repeats_them(bench: Bench) -> None:
    worker = bench.worker()
    large = ReportMessage((Completed(key("nothing"), 1, b"x" * (1 << 20), 0, 1),))
    for _ in range(9):
        worker.stream.receive(large)
    first, bench.waiting = bench.waiting, []
    bench.elsewhere(DetachSession(key("w"), bench.session()[1]), node="n1")
    again, bench.waiting = bench.waiting, first
    assert [type(command) for command, _ in again] == [ResumeSession]
    bench.commit(8)
    assert (len(worker.stream.kept), worker.stream.unanswered) == (0, 0)


def test_the_room_of_a_worker_that_is_gone_is_free_once_its_reports_are_answered(bench: Bench) -> None:
    worker = bench.worker()
    large = ReportMessage((Completed(key("nothing"), 1, b"x" * (1 << 20), 0, 1),))
    for _ in range(8):
        worker.stream.receive(large)
    worker.stream.closed()
    assert bench.hub.reports.room.held == (8, worker.stream.unanswered_bytes)
    bench.refuse()
    assert bench.hub.reports.room.held == (0, 0)
