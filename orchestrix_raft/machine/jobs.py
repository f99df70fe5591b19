"""Jobs before and after their attempts: enqueueing, becoming ready, cancelling, retrying by hand, ending."""

from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import ASSIGNED, Job, JobSpec, JobState, Timer, TimerKind, fault_in_spec
from orchestrix_raft.machine import queues, unique
from orchestrix_raft.machine.book import run_begins, run_ends
from orchestrix_raft.machine.codec import encode_record
from orchestrix_raft.machine.events import (
    JobCancelled,
    JobEnqueued,
    JobGivenUp,
    JobReady,
    JobRetried,
    StopRequested,
)
from orchestrix_raft.machine.history import FINISHED, FINISHED_BY_TIME, PAYLOADS
from orchestrix_raft.machine.records import finished_key, number_value
from orchestrix_raft.machine.state import State, count_new, move
from orchestrix_raft.machine.timers import set_timer

_SCHEDULED: Final = JobState.SCHEDULED
_PENDING: Final = JobState.PENDING
_INLINE: Final = limits.INLINE_PAYLOAD_BYTES

CANCELLED_WHY: Final = "cancelled"
TIMED_OUT_WHY: Final = "timed_out"
TOO_OLD: Final = "retry_for_exceeded"
EXPIRED: Final = "expired"
REPLACED: Final = "replaced"

# ---- decide


def decide_enqueue(
    state: State, spec: JobSpec
) -> JobEnqueued | tuple[JobCancelled, JobEnqueued] | Rejected | bytes:
    """A new job, perhaps in place of another; or the id of the job that is there already."""
    fault = fault_in_spec(spec)
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_JOB", fault)
    job_id = spec.job_id
    if job_id in state.jobs or state.records.is_finished(job_id):
        return job_id
    replaced: Job | None = None
    if spec.unique_key:
        holder = state.unique.get((spec.type, spec.unique_key))
        if holder is not None:
            resolved = unique.resolve(state, spec, holder)
            if not isinstance(resolved, Job):
                return resolved
            replaced = resolved
    if spec.key or spec.unique is not None:
        full = queues.fault_in_key_count(state, spec) or unique.fault_in_window_count(state, spec)
        if full is not None:
            return full
    if len(state.jobs) >= limits.LIVE_JOBS and replaced is None:
        return Rejected(
            Code.RESOURCE_EXHAUSTED,
            "LIVE_JOBS_LIMIT",
            f"{limits.LIVE_JOBS} jobs are unfinished; try again when workers have caught up",
        )
    seq = state.counter + 1
    if spec.delay_ms:
        timer = Timer(TimerKind.READY_AT_ELAPSED, state.elapsed_ms + spec.delay_ms, seq + 1)
        event = JobEnqueued(spec, _SCHEDULED, seq, timer)
    elif spec.run_at_ms > state.wall_ms:
        timer = Timer(TimerKind.READY_AT_WALL, spec.run_at_ms, seq + 1)
        event = JobEnqueued(spec, _SCHEDULED, seq, timer)
    else:
        event = JobEnqueued(spec, _PENDING, seq, _expiry(state, spec, seq) if spec.expires_ms else None)
    return event if replaced is None else (JobCancelled(replaced.spec.job_id, REPLACED), event)


def _expiry(state: State, spec: JobSpec, seq: int) -> Timer:
    """When a job that is ready for the first time is given up; `seq` is its place in line, too."""
    return Timer(TimerKind.EXPIRY, state.elapsed_ms + spec.expires_ms, seq)


def decide_ready(state: State, job_id: bytes) -> tuple[JobReady]:
    """A delay, back-off or run_at is over (timer)."""
    job = state.jobs[job_id]
    seq = state.counter + 1
    expires = job.spec.expires_ms and not job.token
    return (JobReady(job_id, seq, _expiry(state, job.spec, seq) if expires else None),)


def decide_expired(state: State, job_id: bytes) -> tuple[JobCancelled]:
    """It was never handed to a worker, and its time is over (timer)."""
    return (JobCancelled(job_id, EXPIRED),)


def decide_too_old(state: State, job_id: bytes) -> tuple[JobGivenUp]:
    """A job that failed waits for a worker, and no retry may begin any more (timer)."""
    return (JobGivenUp(job_id, TOO_OLD),)


def decide_overdue(state: State, job: Job) -> JobCancelled | JobGivenUp | None:
    """What becomes of a ready job whose time is over when it would be handed to a worker: its timer may be
    due in the running entry only, or stand behind too many others.  None: it may begin."""
    timer = job.timer
    if timer is None or timer.due_ms > state.elapsed_ms:
        return None
    decide = decide_too_old if timer.kind == TimerKind.RETRY_LIMIT else decide_expired
    return decide(state, job.spec.job_id)[0]


def decide_cancel(
    state: State, job_id: bytes, reason: str
) -> tuple[str, JobCancelled | StopRequested | None]:
    """The word for the caller and what happens.

    A cancel also outranks a running time-out: the attempt keeps the end it has, but no retry follows.
    """
    job = state.jobs.get(job_id)
    if job is None:
        return _word_of_finished(state, job_id), None
    if job.state not in ASSIGNED:
        return "cancelled", JobCancelled(job_id, reason)
    why, _ = stop_of(job)
    if why == CANCELLED_WHY:
        return "requested", None
    due_ms = state.elapsed_ms + limits.FORCED_END_MS
    if why and job.timer is not None:
        due_ms = min(due_ms, job.timer.due_ms)
    timer = Timer(TimerKind.FORCED_END, due_ms, state.counter + 1)
    return "requested", StopRequested(job_id, job.token, job.session_id, CANCELLED_WHY, reason, timer)


def decide_retry(state: State, job_id: bytes) -> tuple[str, JobRetried | None]:
    """The word for the caller and what happens."""
    job = state.jobs.get(job_id)
    if job is not None:
        if job.state is not _SCHEDULED:
            return f"already_{job.state.word}", None
        seq = state.counter + 1
        expires = job.spec.expires_ms and not job.token  # it only comes earlier than it was to
        return "retried", JobRetried(job_id, seq, _expiry(state, job.spec, seq) if expires else None)
    job = state.records.finished_job(job_id)
    if job is None:
        return "not_found", None
    if job.state is JobState.COMPLETED:
        return "already_completed", None
    if unique.conflicts(state, job):
        return "unique_conflict", None
    if len(state.jobs) >= limits.LIVE_JOBS:
        return "live_jobs_limit", None
    return "retried", JobRetried(job_id, state.counter + 1)


def _word_of_finished(state: State, job_id: bytes) -> str:
    job = state.records.finished_job(job_id)
    return "not_found" if job is None else f"already_{job.state.word}"


def stop_of(job: Job) -> tuple[str, str]:
    """Why the running attempt was asked to stop ("" if it was not), and the words of who asked."""
    return ("", "") if job.stop is None else (job.stop.why, job.stop.reason)


# ---- evolve


def evolve_enqueued(state: State, event: JobEnqueued) -> None:
    """A job is there."""
    spec = event.spec
    job_id = spec.job_id
    stored = len(spec.args) > _INLINE
    if stored:
        spec = _store_args(state, spec)
    job = Job(spec, event.state, state.wall_ms, event.seq, args_stored=stored)
    if spec.retry_for_ms:
        job.retry_until_ms = state.elapsed_ms + spec.retry_for_ms
    state.jobs[job_id] = job
    state.touched_jobs[job_id] = job
    count_new(state, job)
    state.counter = event.seq
    if event.timer is not None:
        state.counter = event.timer.seq
        set_timer(state, job, job_id, event.timer)
        state.sharing.share(spec)
    if event.state is _PENDING:
        state.board.join(job)
    if spec.unique_key:
        unique.take_new(state, job)


def evolve_ready(state: State, event: JobReady) -> None:
    """Its time has come."""
    job = state.jobs[event.job_id]
    set_timer(state, job, event.job_id, None)
    make_ready(state, job, event.seq)
    if event.timer is not None:
        set_timer(state, job, event.job_id, event.timer)


def evolve_cancelled(state: State, event: JobCancelled) -> None:
    """It never ran, or waited to run again."""
    job = state.jobs[event.job_id]
    was_ready = job.state is _PENDING
    finish(state, job, JobState.CANCELLED, event.reason)
    if was_ready:
        state.board.leave(job, state.jobs)


def evolve_given_up(state: State, event: JobGivenUp) -> None:
    """It was ready, and nobody took it in time."""
    job = state.jobs[event.job_id]
    finish(state, job, JobState.DEAD, event.reason)
    state.board.leave(job, state.jobs)


def evolve_retried(state: State, event: JobRetried) -> None:
    """Ready again by hand, from the back-off or from the dead; its age counts from now."""
    job_id = event.job_id
    job = state.jobs.get(job_id)
    if job is not None:
        set_timer(state, job, job_id, None)
    else:
        job = state.records.finished_job(job_id)
        if job is None:
            raise KeyError(f"no finished job {job_id.hex()}")
        state.records.put(FINISHED, job_id, None)
        state.records.put(FINISHED_BY_TIME, finished_key(job.state, job.finished_ms, job_id), None)
        if len(job.spec.args) > _INLINE:
            job.spec = _store_args(state, job.spec)
            job.args_stored = True
        state.jobs[job_id] = job
        if job.spec.unique_key:
            unique.take(state, job)
        if job.spec.firing is not None:
            run_begins(state, job.spec.firing, job_id)
    job.failures = job.losses = job.finished_ms = 0
    job.reason = ""
    if job.retry_until_ms:
        job.retry_until_ms = state.elapsed_ms + job.spec.retry_for_ms
    make_ready(state, job, event.seq)
    if event.timer is not None:
        set_timer(state, job, job_id, event.timer)


def make_ready(state: State, job: Job, seq: int) -> None:
    """It waits for a worker, behind those that became ready before it."""
    job_id = job.spec.job_id
    move(state, job, _PENDING)
    job.seq = seq
    state.counter = seq
    if job.retry_until_ms and job.failures:
        # The place in line is the timer's, too: nothing else takes a number while several become ready.
        set_timer(state, job, job_id, Timer(TimerKind.RETRY_LIMIT, job.retry_until_ms + 1, seq))
    state.board.join(job)
    state.touched_jobs[job_id] = job


def finish(state: State, job: Job, final: JobState, reason: str) -> None:
    """It is over: from memory to the table of finished jobs.  The caller has freed slot and lane."""
    spec = job.spec
    job_id = spec.job_id
    move(state, job, final)
    job.finished_ms = state.wall_ms
    job.reason = reason
    if state.oldest[final] < 0:
        state.oldest[final] = state.wall_ms
    if job.timer is not None:
        set_timer(state, job, job_id, None)
    if spec.unique_key:
        unique.done(state, spec)
    records = state.records
    if job.args_stored:
        args = records.get(PAYLOADS, job_id)
        if args is None:
            raise KeyError(f"no arguments stored for job {job_id.hex()}")
        job.spec = msgspec.structs.replace(spec, args=args)
        job.args_stored = False
        records.put(PAYLOADS, job_id, None)
    records.put(FINISHED, job_id, encode_record(job))
    records.put(FINISHED_BY_TIME, finished_key(final, job.finished_ms, job_id), number_value(job.attempt))
    del state.jobs[job_id]
    state.touched_jobs[job_id] = None
    if spec.firing is not None:
        run_ends(state, spec.firing, job_id, final)


def _store_args(state: State, spec: JobSpec) -> JobSpec:
    state.records.put(PAYLOADS, spec.job_id, spec.args)
    return msgspec.structs.replace(spec, args=b"")
