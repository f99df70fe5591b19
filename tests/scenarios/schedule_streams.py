"""The part of the random streams that is about schedules: most plans are honest, some are stale or wrong."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.domain.schedule import (
    CronSchedule,
    Cursor,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    ScheduleSpec,
    Slot,
    Timing,
)
from orchestrix_raft.machine.commands import (
    CancelJobs,
    Command,
    DeleteSchedule,
    FireSchedule,
    PauseSchedule,
    PutSchedule,
    ResumeSchedule,
    RetryJobs,
    TriggerSchedule,
)
from orchestrix_raft.machine.state import State
from tests.scenarios.scheduling import plans, template

PERIODS_MS = (100, 1_000, 5_000, 60_000)
IDS = ("s0", "s1", "s2", "s3")


def small_schedule_limits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "SCHEDULES", 3)
    patch.setattr(limits, "BUFFERED_SLOTS", 2)
    patch.setattr(limits, "MISFIRES_MADE_UP", 3)
    patch.setattr(limits, "MISFIRE_WINDOW_MS", 20_000)
    patch.setattr(limits, "MISFIRE_GRACE_MS", 2_000)


def _timing(state: State, a: int, b: int) -> Timing:
    match a % 8:
        case 0:
            return CronSchedule(("* * * * * *", "* * * * *", "*/5 * * * * *")[b % 3], "UTC")
        case 1:
            return OneShotSchedule(max(1, state.wall_ms + (b % 5 - 2) * 1_000))
        case _:
            return IntervalSchedule(PERIODS_MS[b % 4], b % 3 * 10)


def _put(state: State, a: int, b: int, c: int) -> Command:
    spec = ScheduleSpec(
        IDS[a % 4],
        _timing(state, a // 4, b),
        template(
            queue="abc"[b % 3],
            retry=RetryPolicy(max_retries=c % 2, delay_ms=500),
            retry_for_ms=(0, 600, 5_000)[a % 3],
            expires_ms=5_000 if c % 5 == 0 else 0,
        ),
        Misfire(c % 3 + 1),
        Overlap(b % 5 + 1),
        50 if c % 4 == 0 else 0,
        c % 3,
        state.wall_ms + 3_000 if c % 11 == 0 else 0,
        state.wall_ms + 20_000 if c % 7 == 0 else 0,
        b % 4 * 3,
    )
    if c % 13 == 0:
        spec = replace(spec, template=replace(spec.template, unique_key="k"))
    version = (-1, -1, -1, 0, 2)[c % 5]
    return PutSchedule(_request(a, c), spec, Cursor(c // 4 % 3 + 1), version)


def _request(a: int, c: int) -> bytes:
    return bytes([a % 6, 1]) * (c % 3)


def _steer(state: State, a: int, b: int, c: int) -> Command:
    schedule_id, request = IDS[a % 4], _request(b, c)
    match b % 7:
        case 0:
            return PauseSchedule(request, schedule_id, "why", c % 4 - 1)
        case 1 | 2:
            return ResumeSchedule(request, schedule_id)
        case 3 if c % 4 == 0:
            return DeleteSchedule(request, schedule_id)
        case _:
            return TriggerSchedule(request, schedule_id)


def _steer_run(state: State, a: int, b: int, c: int) -> Command:
    runs = tuple(s.last_job_id for _, s in sorted(state.schedules.items()) if s.last_job_id)
    return RetryJobs(b"", runs) if a % 2 else CancelJobs(b"", runs, "why")


def _fire(state: State, a: int, b: int, c: int) -> FireSchedule:
    """The plan for something that is due; each schedule has its turn."""
    found = plans(state, state.wall_ms)
    if not found:
        return FireSchedule(IDS[a % 4], c, b % 3, c, (Slot(c * 100),), c * 100 + 100, c * 100 + 100)
    return found[a % len(found)]


def _spoil(state: State, a: int, b: int, c: int) -> Command:
    """A plan that is stale, or wrong, or neither after all."""
    plan = _fire(state, a, b, c)
    first = plan.slots[0] if plan.slots else Slot(state.wall_ms)
    match b % 11:
        case 0:
            return replace(plan, version=plan.version - c % 2, incarnation=plan.incarnation - (c + 1) % 2)
        case 1:
            return replace(plan, seen_ms=plan.seen_ms + 1)
        case 2:
            return replace(plan, slots=(*plan.slots, replace(first, slot_ms=state.wall_ms + 1)))
        case 3:
            return replace(plan, slots=(first, first))
        case 4:
            return replace(plan, slots=(replace(first, skipped="whim"),))
        case 5:
            return replace(plan, next_slot_ms=first.slot_ms)
        case 6:
            return replace(plan, due_ms=plan.due_ms + 1_000)
        case 7:
            return replace(plan, slots=())
        case 8:
            return replace(plan, slots=tuple(replace(first, slot_ms=first.slot_ms + n) for n in range(5)))
        case 9:
            return replace(plan, slots=(replace(first, trigger=1),))
        case _:
            return plan


HONEST: tuple[Callable[[State, int, int, int], Command], ...] = (
    *[_put] * 3,
    *[_steer] * 2,
    _steer_run,
    *[_fire] * 5,
)
SCHEDULE_COMMANDS = (*HONEST, *[_spoil] * 2)
