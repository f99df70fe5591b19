"""The evaluator of a schedule, whatever its kind."""

from typing import assert_never

from orchestrix_raft.domain.schedule import (
    CronSchedule,
    IntervalSchedule,
    OneShotSchedule,
    ScheduleSpec,
)
from orchestrix_raft.timetable.evaluator import (
    IntervalEvaluator,
    OneShotEvaluator,
    ScheduleEvaluator,
    cron_evaluator,
)


def evaluator_of(spec: ScheduleSpec, anchor_ms: int) -> ScheduleEvaluator:
    """When `spec` is due, its start and end aside; `anchor_ms` is where an interval counts from.

    Raises CronError or ZoneError, both ValueErrors of one line.
    """
    timing = spec.timing
    match timing:
        case CronSchedule(expression, timezone, gap, overlap):
            return cron_evaluator(expression, timezone, gap, overlap, seed=spec.schedule_id)
        case IntervalSchedule():
            return IntervalEvaluator(anchor_ms, timing.period_ms)
        case OneShotSchedule():
            return OneShotEvaluator(timing.run_at_ms)
        case _:
            assert_never(timing)
