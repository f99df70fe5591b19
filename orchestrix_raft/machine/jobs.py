"""Jobs before and after their attempts: enqueueing, becoming ready, cancelling, retrying by hand, ending."""

from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import ASSIGNED, Job, JobSpec, JobState, Timer, TimerKind, fault_in_spec
from orchestrix_raft.machine.codec import encode_record
from orchestrix_raft.machine.events import JobCancelled, JobEnqueued, JobReady, JobRetried, StopRequested
from orchestrix_raft.machine.history import FINISHED, FINISHED_BY_TIME, PAYLOADS
from orchestrix_raft.machine.records import finished_key
from orchestrix_raft.machine.state import State, count_new, move
from orchestrix_raft.machine.timers import set_timer

_SCHEDULED: Final = JobState.SCHEDULED
_PENDING: Final = JobState.PENDING
_INLINE: Final = limits.INLINE_PAYLOAD_BYTES

CANCELLED_WHY: Final = "cancelled"
TIMED_OUT_WHY: Final = "timed_out"

# ---- decide


def decide_enqueue(state: State, spec: JobSpec) -> JobEnqueued | Rejected | bytes:
    """A new job; or the id of the job that is there already."""
    fault = fault_in_spec(spec)
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_JOB", fault)
    job_id = spec.job_id
    if job_id in state.jobs or state.records.is_finished(job_id):
        return job_id
    if spec.unique_key:
        holder = state.unique.get((spec.type, spec.unique_key))
        if holder is not None:
            return holder
    if len(state.jobs) >= limits.LIVE_JOBS:
        return Rejected(
            Code.RESOURCE_EXHAUSTED,
            "LIVE_JOBS_LIMIT",
            f"{limits.LIVE_JOBS} jobs are unfinished; try again when workers have caught up",
        )
    seq = state.counter + 1
    if spec.delay_ms:
        timer = Timer(TimerKind.READY_AT_ELAPSED, state.elapsed_ms + spec.delay_ms, seq + 1)
        return JobEnqueued(spec, _SCHEDULED, seq, timer)
    if spec.run_at_ms > state.wall_ms:
        timer = Timer(TimerKind.READY_AT_WALL, spec.run_at_ms, seq + 1)
        return JobEnqueued(spec, _SCHEDULED, seq, timer)
    return JobEnqueued(spec, _PENDING, seq, None)


def decide_ready(state: State, job_id: bytes) -> tuple[JobReady]:
    """A delay, back-off or run_at is over (timer)."""
    return (JobReady(job_id, state.counter + 1),)


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
        return "retried", JobRetried(job_id, state.counter + 1)
    job = state.records.finished_job(job_id)
    if job is None:
        return "not_found", None
    if job.state is JobState.COMPLETED:
        return "already_completed", None
    if job.spec.unique_key and (job.spec.type, job.spec.unique_key) in state.unique:
        return "unique_conflict", None
    if len(state.jobs) >= limits.LIVE_JOBS:
        return "live_jobs_limit", None
    return "retried", JobRetried(job_id, state.counter + 1)


def _word_of_finished(state: State, job_id: bytes) -> str:
    job = state.records.finished_job(job_id)
    return "not_found" if job is None else f"already_{job.state.word}"


def stop_of(job: Job) -> tuple[str, str]:
    """Why the running attempt was asked to stop ("" if it was not), and the words of who asked."""
    why, _, reason = job.end_reason.partition(": ")
    return why, reason


# ---- evolve


def evolve_enqueued(state: State, event: JobEnqueued) -> None:
    """A job is there."""
    spec = event.spec
    job_id = spec.job_id
    stored = len(spec.args) > _INLINE
    if stored:
        spec = _store_args(state, spec)
    job = Job(spec, event.state, state.wall_ms, event.seq, args_stored=stored)
    state.jobs[job_id] = job
    state.touched_jobs[job_id] = job
    count_new(state, job)
    state.counter = event.seq
    if spec.unique_key:
        state.unique[(spec.type, spec.unique_key)] = job_id
    if event.timer is None:
        state.board.join(job)
    else:
        state.counter = event.timer.seq
        set_timer(state, job, job_id, event.timer)


def evolve_ready(state: State, event: JobReady) -> None:
    """Its time has come."""
    job = state.jobs[event.job_id]
    set_timer(state, job, event.job_id, None)
    make_ready(state, job, event.seq)


def evolve_cancelled(state: State, event: JobCancelled) -> None:
    """It never ran, or waited to run again."""
    job = state.jobs[event.job_id]
    was_ready = job.state is _PENDING
    finish(state, job, JobState.CANCELLED, event.reason)
    if was_ready:
        state.board.leave(job, state.jobs)


def evolve_retried(state: State, event: JobRetried) -> None:
    """Ready again by hand, from the back-off or from the dead."""
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
            state.unique[(job.spec.type, job.spec.unique_key)] = job_id
    job.failures = job.losses = job.finished_ms = 0
    job.reason = ""
    make_ready(state, job, event.seq)


def make_ready(state: State, job: Job, seq: int) -> None:
    """It waits for a worker, behind those that became ready before it."""
    move(state, job, _PENDING)
    job.seq = seq
    state.counter = seq
    state.board.join(job)
    state.touched_jobs[job.spec.job_id] = job


def finish(state: State, job: Job, final: JobState, reason: str) -> None:
    """It is over: from memory to the table of finished jobs.  The caller has freed slot and lane."""
    spec = job.spec
    job_id = spec.job_id
    move(state, job, final)
    job.finished_ms = state.wall_ms
    job.reason = reason
    if job.timer is not None:
        set_timer(state, job, job_id, None)
    if spec.unique_key:
        del state.unique[(spec.type, spec.unique_key)]
    records = state.records
    if job.args_stored:
        args = records.get(PAYLOADS, job_id)
        if args is None:
            raise KeyError(f"no arguments stored for job {job_id.hex()}")
        job.spec = msgspec.structs.replace(spec, args=args)
        job.args_stored = False
        records.put(PAYLOADS, job_id, None)
    records.put(FINISHED, job_id, encode_record(job))
    records.put(FINISHED_BY_TIME, finished_key(final, job.finished_ms, job_id), b"")
    del state.jobs[job_id]
    state.touched_jobs[job_id] = None


def _store_args(state: State, spec: JobSpec) -> JobSpec:
    state.records.put(PAYLOADS, spec.job_id, spec.args)
    return msgspec.structs.replace(spec, args=b"")
