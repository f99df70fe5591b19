"""Schedules as values: what is refused, and the ids of runs."""

import uuid

import pytest
from msgspec.structs import replace

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobSpec, UniqueRule
from orchestrix_raft.domain.schedule import (
    CronSchedule,
    IntervalSchedule,
    OneShotSchedule,
    ScheduleSpec,
    fault_in_schedule,
    run_id,
)

JOB = JobSpec(b"", "t", "q", b"{}")
GOOD = ScheduleSpec("s", IntervalSchedule(1_000), JOB)
SLOT_MS = 1_790_000_000_000


def test_a_run_id_is_a_uuid_of_version_8_that_sorts_by_slot() -> None:
    ids = [uuid.UUID(bytes=run_id("s", 7, SLOT_MS + n)) for n in range(100)]
    assert all(one.version == 8 and one.variant == uuid.RFC_4122 for one in ids)
    assert ids == sorted(ids)
    assert ids[0].bytes[:6] == SLOT_MS.to_bytes(6, "big")


def test_every_part_of_a_run_decides_its_id() -> None:
    runs = [("s", 7, SLOT_MS, 0), ("t", 7, SLOT_MS, 0), ("s", 8, SLOT_MS, 0), ("s", 7, SLOT_MS, 1)]
    assert len({run_id(*run) for run in runs}) == len(runs)
    assert run_id("s", 7, SLOT_MS) == run_id("s", 7, SLOT_MS, 0)


def test_a_good_schedule_has_no_fault() -> None:
    assert fault_in_schedule(GOOD) == ""
    assert fault_in_schedule(replace(GOOD, timing=CronSchedule("* * * * *", "UTC"))) == ""
    assert fault_in_schedule(replace(GOOD, timing=OneShotSchedule(1), jitter_ms=limits.JITTER_MS)) == ""
    assert fault_in_schedule(replace(GOOD, start_ms=5, end_ms=5)) == ""


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(GOOD, schedule_id=""), "1 to 200 characters"),
        (replace(GOOD, timing=IntervalSchedule(99)), "99 ms is too short (at least 100 ms)"),
        (replace(GOOD, timing=IntervalSchedule(-1_000)), "too short"),
        (replace(GOOD, timing=IntervalSchedule(limits.DURATION_MS + 1)), "too long"),
        (replace(GOOD, timing=IntervalSchedule(1_000, -1)), "anchor"),
        (replace(GOOD, timing=CronSchedule("", "UTC")), "cron expression"),
        (replace(GOOD, timing=CronSchedule("* " * 200, "UTC")), "cron expression"),
        (replace(GOOD, timing=CronSchedule("* * * * *", "")), "time zone"),
        (replace(GOOD, timing=OneShotSchedule(0)), "run_at"),
        (replace(GOOD, jitter_ms=1_000), "jitter of 1000 ms must be less than the interval"),
        (replace(GOOD, jitter_ms=-1), "jitter"),
        (replace(GOOD, pause_on_failure=-1), "pause_on_failure"),
        (replace(GOOD, max_runs=-1), "max_runs"),
        (replace(GOOD, start_ms=6, end_ms=5), "end is before start"),
        (replace(GOOD, start_ms=limits.WALL_MS_MAX), "start"),
        (replace(GOOD, template=replace(JOB, job_id=bytes(16))), "id from the slot"),
        (replace(GOOD, template=replace(JOB, delay_ms=1)), "delay and run_at"),
        (replace(GOOD, template=replace(JOB, run_at_ms=1)), "delay and run_at"),
        (replace(GOOD, template=replace(JOB, unique_key="k")), "overlap says"),
        (replace(GOOD, template=replace(JOB, unique=UniqueRule())), "overlap says"),
        (replace(GOOD, template=replace(JOB, args=b"x" * (limits.SCHEDULE_ARGS_BYTES + 1))), "a reference"),
        (replace(GOOD, template=replace(JOB, type="")), "job type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_in_one_line(spec: ScheduleSpec, words: str) -> None:
    fault = fault_in_schedule(spec)
    assert words in fault
    assert "\n" not in fault
