"""Commands about schedules, step by step: what is decided next sees what has just happened.

Deciding is a generator that yields events and gets each one evolved before it goes on; so a fault in
deciding (a bug) is told from one in evolving, which stops the node.  The former refuses a command of a user;
it pauses the schedule of a plan, which would otherwise be made again for ever.
"""

from collections.abc import Callable, Generator
from types import MappingProxyType
from typing import Any, Final, TypeVar

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.schedule import Schedule, Slot
from orchestrix_raft.machine import firing, jobs, requests, schedules
from orchestrix_raft.machine.commands import (
    DeleteSchedule,
    FireSchedule,
    PauseSchedule,
    PutSchedule,
    ResumeSchedule,
    ScheduleResult,
    TriggerSchedule,
)
from orchestrix_raft.machine.events import Event, SlotFired, SlotSkipped
from orchestrix_raft.machine.evolve import EVOLVE
from orchestrix_raft.machine.items import LOCAL, Trace, asked_before
from orchestrix_raft.machine.port import Result
from orchestrix_raft.machine.state import State

Outcome = TypeVar("Outcome")
Steps = Generator[Event, None, Outcome]
Answer = ScheduleResult | Rejected

_FULL: Final = Rejected(
    Code.RESOURCE_EXHAUSTED,
    "LIVE_JOBS_LIMIT",
    "as many jobs are unfinished as are allowed; try again when workers have caught up",
)


def _walk(state: State, trace: Trace, steps: Steps[Outcome]) -> Outcome | Rejected:
    """Evolve what is decided, step by step; an exception of deciding ends it with a refusal."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        except LOCAL:
            raise
        except Exception as fault:  # a bug becomes a refusal, the same on every node
            return trace.refusal(fault)
        EVOLVE[type(event)](state, event)
        trace.events.append(event)


# ---- commands of users


def _asked(decide: Callable[[State, Any], Steps[Answer]]) -> Callable[[State, Any, Trace], Result]:
    """A command with a request id: its answer is recalled, or found and remembered."""

    def apply(state: State, command: Any, trace: Trace) -> Result:
        known = asked_before(state, command.request_id, ScheduleResult)
        if known is not None:
            return known
        result = _walk(state, trace, decide(state, command))
        if isinstance(result, ScheduleResult):
            requests.remember(state, command.request_id, result)
        return result

    return apply


def _put(state: State, command: PutSchedule) -> Steps[Answer]:
    known = state.schedules.get(command.spec.schedule_id)
    event = schedules.decide_put(state, command)
    if isinstance(event, Rejected):
        return event
    if known is None:
        if event is not None:
            yield event
        return ScheduleResult("created", 1)
    if event is None:
        return ScheduleResult("unchanged", known.version, schedules.KEPT)
    reset = schedules.is_reset(known, command.spec, command.cursor)
    yield event
    return ScheduleResult("updated", event.version, schedules.RESET if reset else schedules.KEPT)


def _pause(state: State, command: PauseSchedule) -> Steps[Answer]:
    verdict = schedules.decide_pause(state, command)
    if isinstance(verdict, Rejected):
        return verdict
    yield from verdict
    word = "paused" if verdict else "already_paused"
    return ScheduleResult(word, state.schedules[command.schedule_id].version)


def _resume(state: State, command: ResumeSchedule) -> Steps[Answer]:
    verdict = schedules.decide_resume(state, command)
    if isinstance(verdict, Rejected):
        return verdict
    yield from verdict
    word = "resumed" if verdict else "not_paused"
    return ScheduleResult(word, state.schedules[command.schedule_id].version)


def _delete(state: State, command: DeleteSchedule) -> Steps[Answer]:
    verdict = schedules.decide_delete(state, command)
    if isinstance(verdict, Rejected):
        return verdict
    version = state.schedules[command.schedule_id].version
    yield from verdict
    return ScheduleResult("deleted", version)


def _trigger(state: State, command: TriggerSchedule) -> Steps[Answer]:
    schedule = state.schedules.get(command.schedule_id)
    if schedule is None:
        return schedules.NOT_FOUND
    if len(state.jobs) >= limits.LIVE_JOBS:
        return _FULL
    yield from _cancel_runs(state, schedule)
    decision = firing.decide_slot(state, schedule, Slot(state.wall_ms, trigger=schedule.triggers + 1))
    if decision is None:
        return _FULL
    yield from decision
    last = decision[-1]
    if isinstance(last, SlotFired):
        return ScheduleResult("fired", schedule.version, job_id=last.job_id)
    if isinstance(last, SlotSkipped):
        return ScheduleResult(f"skipped_{last.slot.skipped}", schedule.version)
    return ScheduleResult("buffered", schedule.version)


def _cancel_runs(state: State, schedule: Schedule) -> Steps[None]:
    """One after the other: each takes a place in line."""
    reason = f"a newer run of schedule {schedule.spec.schedule_id}"[: limits.MESSAGE_CHARS]
    for job_id in firing.runs_to_cancel(state, schedule):
        event = jobs.decide_cancel(state, job_id, reason)[1]
        if event is not None:
            yield event


# ---- the leader's plan


def apply_fire(state: State, command: FireSchedule, trace: Trace) -> Rejected | None:
    """Decide the slots of a plan, oldest first; at the cap of unfinished jobs the rest is held."""
    schedule = firing.decide_plan(state, command)
    if isinstance(schedule, Rejected):
        return schedule
    faults = len(trace.faults)
    refusal = _walk(state, trace, _fire(state, schedule, command))
    if len(trace.faults) > faults and refusal is not None:
        _walk(state, trace, _set_aside(schedule, refusal))
    return refusal


def _fire(state: State, schedule: Schedule, command: FireSchedule) -> Steps[Rejected | None]:
    for done, slot in enumerate(command.slots):
        if firing.is_spent(schedule):
            break
        full = not slot.skipped and len(state.jobs) >= limits.LIVE_JOBS
        if not full and not slot.skipped:
            yield from _cancel_runs(state, schedule)
        decision = None if full else firing.decide_slot(state, schedule, slot)
        if decision is None:
            yield from firing.decide_hold(state, schedule, done, command)
            return _FULL
        yield from decision
    yield firing.decide_advance(state, schedule, command)
    return None


def _set_aside(schedule: Schedule, why: Rejected) -> Steps[None]:
    yield from schedules.pause(schedule, why.message)


# ---- what follows from the end of a run


def follow_runs(state: State, trace: Trace) -> None:
    """For each schedule of which runs have ended in this command (or by these timers), in that order."""
    ended, state.book.ended = state.book.ended, {}
    for schedule_id, tripped in ended.items():
        schedule = state.schedules[schedule_id]
        refusal = _walk(state, trace, _after_run(state, schedule, tripped))
        if refusal is not None:
            _walk(state, trace, _set_aside(schedule, refusal))


def _after_run(state: State, schedule: Schedule, tripped: bool) -> Steps[None]:
    yield from firing.decide_after_run(state, schedule, tripped)


SCHEDULE_COMMANDS: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {
        PutSchedule: _asked(_put),
        PauseSchedule: _asked(_pause),
        ResumeSchedule: _asked(_resume),
        TriggerSchedule: _asked(_trigger),
        DeleteSchedule: _asked(_delete),
        FireSchedule: apply_fire,
    }
)
