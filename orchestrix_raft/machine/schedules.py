"""Schedules as their owners steer them: created, changed, paused, resumed, deleted.  `firing` has the rest.

A schedule's place in time is (version, next slot).  Whatever an owner does raises the version and leaves
the next slot to be computed by the leader, which alone has calendars and zones; so a plan made for the
schedule as it was is refused.
"""

from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.schedule import (
    NO_SLOT,
    PAUSED,
    UNPLANNED,
    Cursor,
    IntervalSchedule,
    OneShotSchedule,
    Schedule,
    ScheduleSpec,
    Slot,
    fault_in_schedule,
)
from orchestrix_raft.machine.commands import DeleteSchedule, PauseSchedule, PutSchedule, ResumeSchedule
from orchestrix_raft.machine.events import (
    ScheduleAdvanced,
    ScheduleDeleted,
    SchedulePaused,
    SchedulePut,
    ScheduleResumed,
    SlotBuffered,
    SlotFired,
    SlotSkipped,
)
from orchestrix_raft.machine.history import SCHEDULES
from orchestrix_raft.machine.state import State

NOT_FOUND: Final = Rejected(Code.NOT_FOUND, "SCHEDULE_NOT_FOUND", "there is no schedule of this id")
CHANGED: Final = Rejected(
    Code.ABORTED, "SCHEDULE_CHANGED", "the schedule was changed since it was looked at: look again"
)
_EXISTS: Final = Rejected(Code.ALREADY_EXISTS, "SCHEDULE_EXISTS", "there is a schedule of this id already")

KEPT: Final = "kept"
RESET: Final = "reset"

# ---- decide


def decide_put(state: State, command: PutSchedule) -> SchedulePut | Rejected | None:
    """A schedule, new or changed; None: it is just like that already."""
    spec = command.spec
    fault = fault_in_schedule(spec)
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_SCHEDULE", fault)
    known = state.schedules.get(spec.schedule_id)
    if command.version >= 0 and command.version != (0 if known is None else known.version):
        return NOT_FOUND if known is None else CHANGED if command.version else _EXISTS
    seq = state.counter + 1
    if known is not None:
        if spec == known.spec and command.cursor is not Cursor.RESET:
            return None
        reset = is_reset(known, spec, command.cursor)
        anchor_ms = _anchor_ms(spec, spec.start_ms or state.wall_ms if reset else known.anchor_ms)
        after_ms = _beginning_ms(state, spec) if reset else known.after_ms
        return SchedulePut(spec, known.incarnation, known.version + 1, anchor_ms, after_ms, seq)
    if len(state.schedules) >= limits.SCHEDULES:
        message = f"the cluster has {limits.SCHEDULES} schedules already: delete some that have finished"
        return Rejected(Code.RESOURCE_EXHAUSTED, "SCHEDULES_LIMIT", message)
    anchor_ms = _anchor_ms(spec, spec.start_ms or state.wall_ms)
    return SchedulePut(spec, seq, 1, anchor_ms, _beginning_ms(state, spec), seq + 1)


def is_reset(known: Schedule, spec: ScheduleSpec, cursor: Cursor) -> bool:
    """Whether a change makes a schedule begin anew, rather than go on after its last decided slot."""
    if cursor is not Cursor.AUTO:
        return cursor is Cursor.RESET
    old = known.spec
    if (spec.timing, spec.start_ms) != (old.timing, old.start_ms):
        return True
    return known.next_slot_ms == NO_SLOT and not isinstance(spec.timing, OneShotSchedule)


def _beginning_ms(state: State, spec: ScheduleSpec) -> int:
    """Slots count from now on; but a one-shot whose time has passed is late, not over."""
    if isinstance(spec.timing, OneShotSchedule):
        return min(spec.timing.run_at_ms - 1, state.wall_ms)
    return state.wall_ms


def _anchor_ms(spec: ScheduleSpec, otherwise_ms: int) -> int:
    asked = spec.timing.anchor_ms if isinstance(spec.timing, IntervalSchedule) else 0
    return asked or otherwise_ms


def decide_pause(state: State, command: PauseSchedule) -> tuple[SlotSkipped | SchedulePaused, ...] | Rejected:
    """By its owner, or by the leader that cannot evaluate it."""
    schedule = state.schedules.get(command.schedule_id)
    if schedule is None:
        return NOT_FOUND
    if command.version >= 0 and command.version != schedule.version:
        return CHANGED
    return () if schedule.paused else pause(schedule, command.reason[: limits.MESSAGE_CHARS])


def pause(schedule: Schedule, reason: str) -> tuple[SlotSkipped | SchedulePaused, ...]:
    """What waits in the buffer is skipped, then nothing fires."""
    schedule_id = schedule.spec.schedule_id
    skipped = [skip_buffered(schedule_id, slot, PAUSED) for slot in schedule.buffered]
    return (*skipped, SchedulePaused(schedule_id, schedule.version + 1, reason))


def skip_buffered(schedule_id: str, slot: Slot, why: str) -> SlotSkipped:
    """The oldest slot in the buffer gets no run."""
    return SlotSkipped(schedule_id, Slot(slot.slot_ms, slot.missed, why, slot.trigger), buffered=True)


def decide_resume(state: State, command: ResumeSchedule) -> tuple[ScheduleResumed, ...] | Rejected:
    """Slots that passed while it was paused are not missed: they were not to be."""
    schedule = state.schedules.get(command.schedule_id)
    if schedule is None:
        return NOT_FOUND
    if not schedule.paused:
        return ()
    after_ms = max(schedule.after_ms, state.wall_ms)
    return (ScheduleResumed(command.schedule_id, schedule.version + 1, after_ms, state.counter + 1),)


def decide_delete(state: State, command: DeleteSchedule) -> tuple[ScheduleDeleted] | Rejected:
    """For good."""
    schedule = state.schedules.get(command.schedule_id)
    if schedule is None:
        return NOT_FOUND
    return (ScheduleDeleted(command.schedule_id, schedule.incarnation),)


# ---- evolve


def evolve_put(state: State, event: SchedulePut) -> None:
    """It is there, or another one than before; its next slot is to be computed."""
    spec = event.spec
    schedule_id = spec.schedule_id
    schedule = state.schedules.get(schedule_id)
    if schedule is None:
        schedule = Schedule(
            spec,
            event.incarnation,
            event.version,
            state.wall_ms,
            state.wall_ms,
            event.anchor_ms,
            event.after_ms,
        )
        state.schedules[schedule_id] = schedule
    schedule.spec = spec
    schedule.version = event.version
    schedule.changed_ms = state.wall_ms
    schedule.anchor_ms = event.anchor_ms
    schedule.after_ms = event.after_ms
    _plan_anew(state, schedule, event.seq)


def _plan_anew(state: State, schedule: Schedule, seq: int) -> None:
    state.counter = seq
    schedule.next_slot_ms = UNPLANNED
    state.book.wait(schedule, state.schedules, 0, 0 if schedule.paused else seq)
    _touch(state, schedule)


def evolve_paused(state: State, event: SchedulePaused) -> None:
    """Nothing of it is due."""
    schedule = state.schedules[event.schedule_id]
    schedule.paused = True
    schedule.reason = event.reason
    schedule.version = event.version
    schedule.changed_ms = state.wall_ms
    state.book.wait(schedule, state.schedules, 0, 0)
    _touch(state, schedule)


def evolve_resumed(state: State, event: ScheduleResumed) -> None:
    """Failures are forgotten: the owner has seen to them."""
    schedule = state.schedules[event.schedule_id]
    schedule.paused = False
    schedule.reason = ""
    schedule.failures = 0
    schedule.version = event.version
    schedule.changed_ms = state.wall_ms
    schedule.after_ms = event.after_ms
    _plan_anew(state, schedule, event.seq)


def evolve_deleted(state: State, event: ScheduleDeleted) -> None:
    """Its runs are plain jobs from now on."""
    schedule_id = event.schedule_id
    schedule = state.schedules.pop(schedule_id)
    state.book.wait(schedule, state.schedules, 0, 0)
    state.book.runs.pop(schedule_id, None)
    state.book.ended.pop(schedule_id, None)
    state.touch(SCHEDULES, schedule_id.encode(), None)


def evolve_fired(state: State, event: SlotFired) -> None:
    """The slot has its run."""
    schedule = state.schedules[event.schedule_id]
    slot = event.slot
    if event.buffered:
        schedule.buffered = schedule.buffered[1:]
    if slot.trigger:
        schedule.triggers = max(schedule.triggers, slot.trigger)
    else:
        schedule.fired += 1
    schedule.last_slot_ms = slot.slot_ms
    schedule.last_fired_ms = state.wall_ms
    schedule.last_job_id = event.job_id
    state.book.begin_run(event.schedule_id, event.job_id)
    _touch(state, schedule)


def evolve_skipped(state: State, event: SlotSkipped) -> None:
    """It has none."""
    schedule = state.schedules[event.schedule_id]
    slot = event.slot
    if event.buffered:
        schedule.buffered = schedule.buffered[1:]
    schedule.skipped += 1 + slot.missed
    schedule.last_skip_ms = slot.slot_ms
    schedule.last_skip = slot.skipped
    _touch(state, schedule)


def evolve_buffered(state: State, event: SlotBuffered) -> None:
    """It will have one."""
    schedule = state.schedules[event.schedule_id]
    schedule.buffered = (*schedule.buffered, event.slot)
    schedule.triggers = max(schedule.triggers, event.slot.trigger)
    _touch(state, schedule)


def evolve_advanced(state: State, event: ScheduleAdvanced) -> None:
    """Its place in time has moved."""
    schedule = state.schedules[event.schedule_id]
    schedule.after_ms = event.after_ms
    schedule.next_slot_ms = event.next_slot_ms
    state.counter = event.seq
    seq = 0 if schedule.paused or event.next_slot_ms == NO_SLOT else event.seq
    state.book.wait(schedule, state.schedules, event.due_ms if seq else 0, seq)
    _touch(state, schedule)


def _touch(state: State, schedule: Schedule) -> None:
    state.touch(SCHEDULES, schedule.spec.schedule_id.encode(), schedule)
