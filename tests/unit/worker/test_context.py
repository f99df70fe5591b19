"""What a handler learns of the schedule whose run it is."""

from datetime import UTC, datetime

import pytest

from orchestrix_raft.domain.job import Firing
from orchestrix_raft.domain.session import Assignment, Assignments
from orchestrix_raft.wire.workers import read_coordinator_message, write_coordinator_message
from orchestrix_raft.worker.child import ENCODER, FROM_PARENT, Run
from orchestrix_raft.worker.context import LEVELS, JobContext, Line


class Nowhere:
    """A sink for lines that nobody reads."""

    def line(self, job: Assignment, line: Line) -> None: ...
    def progress(self, job: Assignment, percent: int, message: str) -> None: ...


def context(firing: Firing | None) -> JobContext:
    job = Assignment(bytes(16), 1, "t", "q", b"{}", 1, 3, "", 0, firing)
    (received,) = _over_the_wire(job).jobs
    run = FROM_PARENT.decode(ENCODER.encode(Run("m", "f", (), received)))
    assert isinstance(run, Run)
    assert run.job == received, "a handler in a process is told the same"
    return JobContext(received, Nowhere(), lambda: 0)


def _over_the_wire(job: Assignment) -> Assignments:
    message = read_coordinator_message(write_coordinator_message(Assignments((job,))))
    assert isinstance(message, Assignments)
    return message


def test_a_run_of_a_schedule_knows_its_slot() -> None:
    ctx = context(Firing("nightly", 7, 1_000, 2_500, 3))
    assert (ctx.schedule_id, ctx.missed_count) == ("nightly", 3)
    assert ctx.scheduled_for == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert ctx.fired_at == datetime(1970, 1, 1, 0, 0, 2, 500_000, tzinfo=UTC)


def test_a_job_of_a_client_has_no_slot() -> None:
    ctx = context(None)
    assert (ctx.schedule_id, ctx.scheduled_for, ctx.fired_at, ctx.missed_count) == ("", None, None, 0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_line_has_one_of_the_documented_levels(level: str) -> None:
    context(None).log("fine", level)


@pytest.mark.parametrize("level", ["INFO", "fatal", "", "\udcff"])
def test_any_other_level_is_refused_in_one_line(level: str) -> None:
    with pytest.raises(ValueError, match=r"^level is .*: it must be one of debug, info, warning, error$"):
        context(None).log("odd", level)
