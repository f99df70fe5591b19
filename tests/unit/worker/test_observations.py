"""Starts, progress and lines gather, the newest progress wins, lines are bounded."""

import msgspec

from orchestrix_raft.domain.report import ProgressMark, StartedMark
from orchestrix_raft.domain.session import Assignment, HandlerLine
from orchestrix_raft.worker import observations
from orchestrix_raft.worker.context import Line
from orchestrix_raft.worker.observations import Observations

ID = bytes(16)
JOB = Assignment(ID, 1, "t", "q", b"", 1, 0, "", 0)


class Gathered(Observations):
    """Counts how often it would wake the loop."""

    def __init__(self) -> None:
        self.wakes = 0
        super().__init__(self._count)

    def _count(self) -> None:
        self.wakes += 1


def test_what_gathers_wakes_once_and_travels_together() -> None:
    seen = Gathered()
    seen.started(JOB, 5)
    seen.line(JOB, Line(6, "info", "a"))
    seen.progress(JOB, 10, "")
    seen.progress(JOB, 20, "x")
    assert seen.wakes == 1
    message = seen.take()
    assert message is not None
    assert message.started == (StartedMark(ID, 1, 5),)
    assert message.progress == (ProgressMark(ID, 1, 20, "x"),)
    assert message.lines == (HandlerLine(ID, 1, 6, "info", "a", 1),)
    assert seen.take() is None
    seen.line(JOB, Line(7, "info", "b"))
    assert seen.wakes == 2


def test_a_short_job_is_never_observed() -> None:
    seen = Gathered()
    seen.started(JOB, 5)
    seen.progress(JOB, 10, "")
    seen.ended(JOB.token)
    assert seen.take() is None


def test_lines_outlive_their_job() -> None:
    seen = Gathered()
    seen.line(JOB, Line(6, "info", "a"))
    seen.ended(JOB.token)
    assert seen.lines_wait
    assert seen.take() is not None


def test_lines_are_cut_into_messages() -> None:
    seen = Gathered()
    for number in range(2_500):
        seen.line(JOB, Line(number, "info", str(number)))
    taken = list(iter(seen.take, None))
    assert [len(message.lines) for message in taken] == [1_000, 1_000, 500]


def test_the_oldest_lines_are_dropped_and_that_is_said() -> None:
    seen = Gathered()
    for number in range(observations.LINES + 3):
        seen.line(JOB, Line(number, "info", str(number)))
    message = seen.take()
    assert message is not None
    first, second = message.lines[:2]
    assert (first.message, first.number) == ("3 lines of this worker were dropped up to this one", 3)
    assert (second.message, second.number) == ("3", 4)


def test_lines_are_counted_by_attempt() -> None:
    seen = Gathered()
    other = msgspec.structs.replace(JOB, token=2)
    for job in (JOB, JOB, other, JOB):
        seen.line(job, Line(6, "info", "a"))
    assert [(line.token, line.number) for line in _lines(seen)] == [(1, 1), (1, 2), (2, 1), (1, 3)]


def test_what_a_broken_stream_may_have_swallowed_is_shipped_again_under_its_number() -> None:
    seen = Gathered()
    ended = msgspec.structs.replace(JOB, token=2)
    for job in (JOB, ended, JOB):
        seen.line(job, Line(6, "info", "a"))
    assert len(_lines(seen)) == 3
    seen.line(JOB, Line(7, "info", "new"))
    seen.again({JOB.token})
    again = _lines(seen)
    assert [(line.token, line.number) for line in again] == [(1, 1), (1, 2), (1, 3)]
    assert again[-1].message == "new"
    seen.again(set())
    assert seen.take() is None


def test_what_is_remembered_is_bounded() -> None:
    seen = Gathered()
    for _ in range(10):
        seen.line(JOB, Line(6, "info", "x" * (observations.REMEMBERED_CHARS // 64)))
    while seen.take() is not None:
        pass
    for _ in range(64):
        seen.line(JOB, Line(6, "info", "x" * (observations.REMEMBERED_CHARS // 64)))
        while seen.take() is not None:
            pass
    seen.again({JOB.token})
    numbers = []
    while (message := seen.take()) is not None:
        numbers += [line.number for line in message.lines]
    assert numbers == list(range(numbers[0], 75))
    assert 40 < len(numbers) < 70


def _lines(seen: Observations) -> tuple[HandlerLine, ...]:
    message = seen.take()
    assert message is not None
    return message.lines
