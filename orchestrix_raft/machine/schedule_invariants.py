"""What must hold of schedules, their runs and what is due after every entry.

Part of `invariants.check`; every function names what is wrong, one line each.
"""

from collections.abc import Iterator

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import Job
from orchestrix_raft.domain.schedule import (
    NO_SLOT,
    UNPLANNED,
    Schedule,
    fault_in_schedule,
    run_id,
)
from orchestrix_raft.machine.state import State


def faults_in_schedules(state: State) -> Iterator[str]:
    """Schedules, the jobs that are their runs, and the index of what is due belong to each other."""
    for schedule_id, schedule in state.schedules.items():
        if schedule.spec.schedule_id != schedule_id:
            yield f"schedule {schedule_id} is filed under another id"
        for fault in (*_faults_in_place(schedule), *_faults_in_buffer(state, schedule)):
            yield f"schedule {schedule_id}: {fault}"
    incarnations = {schedule.incarnation for schedule in state.schedules.values()}
    if len(incarnations) != len(state.schedules) or any(one > state.counter for one in incarnations):
        yield "two schedules share an incarnation"
    yield from _faults_in_runs(state)
    waiting = {(s.due_ms, s.due_seq, s.spec.schedule_id) for s in state.schedules.values() if s.due_seq}
    book = state.book
    if not waiting <= set(book.waiting) or book.waiting.valid != len(waiting):
        yield f"{len(waiting)} schedules wait for their time, {book.waiting.valid} are indexed"
    if len(book.waiting) > 3 * book.waiting.valid + 200:
        yield "the index of due schedules is full of stale items"
    if book.ended:
        yield f"runs of {sorted(book.ended)} have ended and nothing followed"
    if len(state.schedules) > limits.SCHEDULES:
        yield "too many schedules"


def _faults_in_place(schedule: Schedule) -> Iterator[str]:
    fault = fault_in_schedule(schedule.spec)
    if fault:
        yield fault
    slot_ms = schedule.next_slot_ms
    if (schedule.due_seq == 0) != (schedule.paused or slot_ms == NO_SLOT):
        yield f"is {schedule.word} and waits at {schedule.due_seq}"
    if slot_ms not in (NO_SLOT, UNPLANNED):
        if slot_ms <= schedule.after_ms:
            yield f"its next slot {slot_ms} is decided already"
        late_ms = schedule.due_ms - slot_ms
        if schedule.due_seq and not 0 <= late_ms <= schedule.spec.jitter_ms:
            yield f"its slot {slot_ms} is due at {schedule.due_ms}"
    if schedule.version > 1:
        return  # a change may have lowered the two bounds below
    if 0 < schedule.spec.max_runs < schedule.fired:
        yield f"has had {schedule.fired} runs"
    if 0 < schedule.spec.pause_on_failure <= schedule.failures and not schedule.paused:
        yield f"{schedule.failures} runs failed and it is not paused"


def _faults_in_buffer(state: State, schedule: Schedule) -> Iterator[str]:
    slots = [slot.slot_ms for slot in schedule.buffered if not slot.trigger]
    active = state.book.runs.get(schedule.spec.schedule_id, {})
    if schedule.buffered and schedule.paused:
        yield "is paused and has slots in its buffer"
    if schedule.buffered and not active:
        yield "has slots in its buffer and no active run"
    if schedule.version == 1 and slots != sorted(set(slots)):  # a change may bring a one-shot of the past
        yield f"its buffer is out of order: {slots}"
    if len(schedule.buffered) > limits.BUFFERED_SLOTS:
        yield f"its buffer has {len(schedule.buffered)} slots"


def _faults_in_runs(state: State) -> Iterator[str]:
    runs: dict[str, set[bytes]] = {}
    for job_id, job in state.jobs.items():
        firing = job.spec.firing
        if firing is None:
            continue
        schedule = state.schedules.get(firing.schedule_id)
        if schedule is not None and schedule.incarnation == firing.incarnation:
            runs.setdefault(firing.schedule_id, set()).add(job_id)
            yield from _faults_in_run(schedule, job)
    if runs != {schedule_id: set(active) for schedule_id, active in state.book.runs.items()}:
        yield "the index of active runs differs from the jobs"


def _faults_in_run(schedule: Schedule, job: Job) -> Iterator[str]:
    firing, name = job.spec.firing, job.spec.job_id.hex()
    if firing is not None and firing.slot_ms > firing.fired_ms:
        yield f"run {name} was fired before its slot"
    marks = range(schedule.triggers + 1)
    mine = schedule.spec.schedule_id, schedule.incarnation
    if firing is not None and all(run_id(*mine, firing.slot_ms, n) != job.spec.job_id for n in marks):
        yield f"run {name} has another id than its slot"
