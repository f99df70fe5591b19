"""Slots become runs: what a plan of the leader, a trigger by hand or the end of a run leads to.

A plan says which slots are due and what the misfire policy makes of them; it is checked here as far as
integers go, and refused unless it was made for the place in time at which the schedule still stands.  The
overlap policy is applied here, where it is known which runs are active: their jobs are not over.
"""

from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import Firing
from orchestrix_raft.domain.schedule import (
    BUFFER_FULL,
    JOB_EXISTS,
    NO_SLOT,
    OVERLAP,
    PLANNED_SKIPS,
    REFUSED,
    SUPERSEDED,
    UNPLANNED,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    Schedule,
    Slot,
    run_id,
)
from orchestrix_raft.machine import jobs
from orchestrix_raft.machine.commands import FireSchedule
from orchestrix_raft.machine.events import (
    JobEnqueued,
    ScheduleAdvanced,
    SchedulePaused,
    SlotBuffered,
    SlotFired,
    SlotSkipped,
)
from orchestrix_raft.machine.schedules import pause, skip_buffered
from orchestrix_raft.machine.state import State

STALE: Final = Rejected(Code.FAILED_PRECONDITION, "PLAN_STALE", "the schedule has left that place in time")

Decision = tuple[JobEnqueued | SlotFired | SlotSkipped | SlotBuffered, ...]


# ---- plans


def decide_plan(state: State, command: FireSchedule) -> Schedule | Rejected:
    """The schedule, if the plan was made for where it stands and says nothing impossible."""
    schedule = state.schedules.get(command.schedule_id)
    if (
        schedule is None
        or schedule.incarnation != command.incarnation
        or schedule.version != command.version
        or schedule.next_slot_ms != command.seen_ms
        or not schedule.due_seq
    ):
        return STALE
    fault = fault_in_plan(schedule, command, state.wall_ms)
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "PLAN_INVALID", fault)
    return schedule


def fault_in_plan(schedule: Schedule, command: FireSchedule, wall_ms: int) -> str:
    """One line saying what is wrong with a plan, or "".  `wall_ms` is now."""
    spec, slots = schedule.spec, command.slots
    if not slots and command.seen_ms != UNPLANNED:
        return "a plan without a slot"
    low_ms = schedule.after_ms + 1 if command.seen_ms == UNPLANNED else command.seen_ms
    low_ms = max(low_ms, spec.start_ms)
    high_ms = min(wall_ms, spec.end_ms) if spec.end_ms else wall_ms
    for slot in slots:
        if not low_ms <= slot.slot_ms <= high_ms or slot.missed < 0 or slot.trigger:
            return f"slot {slot.slot_ms} is out of order, or not due"
        if slot.skipped and slot.skipped not in PLANNED_SKIPS:
            return f"a plan cannot skip for {slot.skipped!r}"
        low_ms = slot.slot_ms + 1
    following_ms = command.next_slot_ms
    if following_ms == NO_SLOT:
        if command.due_ms:
            return "no slot, but a time when it is due"
    elif following_ms < low_ms or (spec.end_ms and following_ms > spec.end_ms):
        return f"next slot {following_ms} is out of order"
    elif not 0 <= command.due_ms - following_ms <= spec.jitter_ms:
        return f"next slot {following_ms} is due at {command.due_ms}"
    return _fault_in_misfires(schedule, slots, wall_ms) or _fault_in_grid(schedule, command)


def _fault_in_misfires(schedule: Schedule, slots: tuple[Slot, ...], wall_ms: int) -> str:
    spec = schedule.spec
    fired = [slot for slot in slots if not slot.skipped]
    runs_max, late_max_ms = 1, limits.MISFIRE_WINDOW_MS
    if spec.misfire is Misfire.ALL:
        runs_max = limits.MISFIRES_MADE_UP
    elif spec.misfire is Misfire.SKIP:
        late_max_ms = limits.MISFIRE_GRACE_MS
    if len(fired) > runs_max:
        return f"{len(fired)} runs at once, {runs_max} are allowed"
    for slot in fired:
        if slot.slot_ms + spec.jitter_ms + late_max_ms < wall_ms:
            return f"slot {slot.slot_ms} passed too long ago to be fired"
        if slot.missed and spec.misfire is not Misfire.LATEST:
            return f"slot {slot.slot_ms} stands for others, which this policy does not allow"
    return ""


def _fault_in_grid(schedule: Schedule, command: FireSchedule) -> str:
    """What can be known of the times without a calendar."""
    timing = schedule.spec.timing
    times = [slot.slot_ms for slot in command.slots]
    if command.next_slot_ms != NO_SLOT:
        times.append(command.next_slot_ms)
    if isinstance(timing, OneShotSchedule) and any(at_ms != timing.run_at_ms for at_ms in times):
        return "not the time of this one-shot"
    if isinstance(timing, IntervalSchedule) and any(
        (at_ms - schedule.anchor_ms) % timing.period_ms for at_ms in times
    ):
        return "not a time of this interval"
    return ""


def is_spent(schedule: Schedule) -> bool:
    """All the runs it may have are fired or wait in the buffer."""
    bound = schedule.spec.max_runs
    return 0 < bound <= schedule.fired + sum(1 for slot in schedule.buffered if not slot.trigger)


def decide_advance(state: State, schedule: Schedule, command: FireSchedule) -> ScheduleAdvanced:
    """All slots of the plan are decided."""
    after_ms = command.slots[-1].slot_ms if command.slots else schedule.after_ms
    schedule_id = schedule.spec.schedule_id
    if is_spent(schedule):
        return ScheduleAdvanced(schedule_id, after_ms, NO_SLOT, 0, state.counter + 1)
    return ScheduleAdvanced(schedule_id, after_ms, command.next_slot_ms, command.due_ms, state.counter + 1)


def decide_hold(
    state: State, schedule: Schedule, done: int, command: FireSchedule
) -> tuple[ScheduleAdvanced, ...]:
    """There is no room for a run: the schedule stays where it is, or goes on as far as `done` slots of the
    plan, to one that is due already."""
    if not done:
        return ()
    after_ms, slot_ms = command.slots[done - 1].slot_ms, command.slots[done].slot_ms
    return (ScheduleAdvanced(schedule.spec.schedule_id, after_ms, slot_ms, slot_ms, state.counter + 1),)


# ---- one slot


def runs_to_cancel(state: State, schedule: Schedule) -> list[bytes]:
    """The active runs that a new slot puts an end to."""
    if schedule.spec.overlap is not Overlap.CANCEL_RUNNING:
        return []
    return state.book.active(schedule.spec.schedule_id)


def decide_slot(state: State, schedule: Schedule, slot: Slot) -> Decision | None:
    """What becomes of a slot whose time has come, by the overlap policy; None: no room for its run."""
    schedule_id = schedule.spec.schedule_id
    if slot.skipped:
        return (SlotSkipped(schedule_id, slot),)
    if schedule_id not in state.book.runs or schedule.spec.overlap is Overlap.ALLOW:
        return decide_run(state, schedule, slot, False)
    if schedule.paused:  # by hand, then: nothing may wait in the buffer of a paused schedule
        return (_skip(schedule_id, slot, OVERLAP),)
    match schedule.spec.overlap:
        case Overlap.BUFFER_ONE if not schedule.buffered:
            return (SlotBuffered(schedule_id, slot),)
        case Overlap.BUFFER_ALL if len(schedule.buffered) < limits.BUFFERED_SLOTS:
            return (SlotBuffered(schedule_id, slot),)
        case Overlap.CANCEL_RUNNING:
            superseded = [skip_buffered(schedule_id, older, SUPERSEDED) for older in schedule.buffered]
            return (*superseded, SlotBuffered(schedule_id, slot))
        case Overlap.SKIP:
            return (_skip(schedule_id, slot, OVERLAP),)
        case _:
            return (_skip(schedule_id, slot, BUFFER_FULL),)


def _skip(schedule_id: str, slot: Slot, why: str) -> SlotSkipped:
    return SlotSkipped(schedule_id, Slot(slot.slot_ms, slot.missed, why, slot.trigger))


def decide_run(state: State, schedule: Schedule, slot: Slot, buffered: bool) -> Decision | None:
    """The job of a slot; None: the cluster has as many unfinished jobs as it may have."""
    if len(state.jobs) >= limits.LIVE_JOBS:
        return None
    spec, incarnation = schedule.spec, schedule.incarnation
    schedule_id = spec.schedule_id
    job_id = run_id(schedule_id, incarnation, slot.slot_ms, slot.trigger)
    firing = Firing(schedule_id, incarnation, slot.slot_ms, state.wall_ms, slot.missed)
    job = msgspec.structs.replace(spec.template, job_id=job_id, firing=firing)
    enqueued = jobs.decide_enqueue(state, job)
    if isinstance(enqueued, JobEnqueued):
        return (enqueued, SlotFired(schedule_id, slot, job_id, buffered))
    why = REFUSED if isinstance(enqueued, Rejected) else JOB_EXISTS
    if buffered:
        return (skip_buffered(schedule_id, slot, why),)
    return (_skip(schedule_id, slot, why),)


# ---- the end of a run


def decide_after_run(
    state: State, schedule: Schedule, tripped: bool
) -> Decision | tuple[SlotSkipped | SchedulePaused, ...]:
    """A run has ended: pause after too many failures, or let the oldest slot in the buffer go."""
    if tripped and not schedule.paused:
        bound = schedule.spec.pause_on_failure
        runs = "a run" if bound == 1 else f"{bound} runs in a row"
        return pause(schedule, f"{runs} ended dead")
    if schedule.buffered and not schedule.paused and schedule.spec.schedule_id not in state.book.runs:
        return decide_run(state, schedule, schedule.buffered[0], True) or ()
    return ()
