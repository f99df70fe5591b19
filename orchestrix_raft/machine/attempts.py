"""One try at running a job: its assignment, what the worker says of it, its time-out and its end.

The fencing token names the attempt.  A report counts if the token is the job's newest, the attempt is not
over, and the reporting session holds the slot; anything else changes nothing but the slot.
"""

from typing import Any, Final, NamedTuple, assert_never

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import (
    ASSIGNED,
    Attempt,
    AttemptState,
    Job,
    JobSpec,
    JobState,
    StopAsked,
    Timer,
    TimerKind,
)
from orchestrix_raft.domain.report import Completed, Failed, Outcome, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.retry import backoff_ms
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine import queues, unique
from orchestrix_raft.machine.codec import encode_record
from orchestrix_raft.machine.events import (
    AttemptEnded,
    Event,
    JobAssigned,
    JobCompleted,
    JobProgressed,
    JobReleased,
    JobStarted,
    SlotFreed,
    StaleToken,
    StopRequested,
)
from orchestrix_raft.machine.history import ATTEMPTS
from orchestrix_raft.machine.jobs import (
    CANCELLED_WHY,
    TIMED_OUT_WHY,
    TOO_OLD,
    finish,
    make_ready,
    stop_of,
)
from orchestrix_raft.machine.records import attempt_key
from orchestrix_raft.machine.state import GENERATION_SHIFT, State, move
from orchestrix_raft.machine.timers import set_timer

_DISPATCHED: Final = JobState.DISPATCHED
_RUNNING: Final = JobState.RUNNING
_COMPLETED: Final = JobState.COMPLETED
_ATTEMPT_COMPLETED: Final = AttemptState.COMPLETED
_COUNTED: Final = frozenset({AttemptState.FAILED, AttemptState.TIMED_OUT})


class _Told(NamedTuple):
    """How an attempt without success came to its end."""

    error: str = ""
    started_ms: int = 0
    finished_ms: int = 0
    reported: bool = False
    retry_in_ms: int = -1
    final: bool = False


# ---- decide: assignment and time


def decide_assignment(state: State, job: Job, session: Session) -> JobAssigned:
    """The board found that this job and this slot belong together."""
    timer = None
    timeout_ms = job.spec.timeout_ms
    if timeout_ms:
        timer = Timer(TimerKind.TIMEOUT, state.elapsed_ms + timeout_ms, state.counter + 1)
    token = (state.generation << GENERATION_SHIFT) + state.token_counter + 1
    return JobAssigned(job.spec.job_id, session.session_id, session.node_id, job.attempt + 1, token, timer)


def decide_timeout(state: State, job_id: bytes) -> tuple[StopRequested]:
    """The attempt has had its time: ask it to end (timer)."""
    job = state.jobs[job_id]
    timer = Timer(TimerKind.FORCED_END, state.elapsed_ms + limits.FORCED_END_MS, state.counter + 1)
    reason = f"no result within {job.spec.timeout_ms} ms"
    return (StopRequested(job_id, job.token, job.session_id, TIMED_OUT_WHY, reason, timer),)


def decide_forced_end(state: State, job_id: bytes) -> tuple[AttemptEnded]:
    """It was asked to end and did not say that it has: the attempt is over, the slot stays taken (timer)."""
    job = state.jobs[job_id]
    told = _Told(started_ms=job.started_ms, finished_ms=state.wall_ms)
    ended = _stopped(state, job, state.counter + 1, told)
    if ended is None:
        raise ValueError("a forced end without a request to stop")
    return (ended,)


def decide_loss(state: State, job: Job, seq: int) -> AttemptEnded:
    """Its session expired.  `seq` is the place in line if it becomes ready again."""
    why, reason = stop_of(job)
    if why == CANCELLED_WHY:
        follows, seq = JobState.CANCELLED, 0
    elif job.losses + 1 >= limits.LOSSES_MAX:
        follows, seq, reason = JobState.DEAD, 0, "poison"
    else:
        follows, reason = JobState.PENDING, "session_expired"
    return AttemptEnded(
        job_id=job.spec.job_id,
        token=job.token,
        state=AttemptState.LOST,
        error="",
        started_ms=job.started_ms,
        finished_ms=state.wall_ms,
        next_state=follows,
        seq=seq,
        timer=None,
        reason=reason,
    )


# ---- decide: what the worker says


def decide_outcome(state: State, session: Session, outcome: Outcome) -> tuple[Event, ...]:
    """What one reported end means.  () is a repeated report; a stale one ends with StaleToken."""
    job_id = outcome.job_id
    token = outcome.token
    job = state.jobs.get(job_id)
    if token >> GENERATION_SHIFT < state.generation:
        return () if _is_recorded(state, outcome) else (StaleToken(session.session_id, job_id, token),)
    if (
        job is None
        or job.token != token
        or session.slots.get(token) != job_id
        or (job.state is not _DISPATCHED and job.state is not _RUNNING)
    ):
        return _decide_late(state, session, outcome)
    if isinstance(outcome, Completed):
        if len(outcome.result) > limits.PAYLOAD_BYTES:
            return (_too_large(state, job, outcome),)
        return (JobCompleted(job_id, token, outcome.result, outcome.started_ms, outcome.finished_ms),)
    if isinstance(outcome, Failed):
        return (_decide_failed(state, job, outcome),)
    if isinstance(outcome, Released):
        return (decide_release(state, job, state.counter + 1),)
    assert_never(outcome)


def decide_release(state: State, job: Job, seq: int) -> Event:
    """Given back; `seq` is its new place in line.  An attempt that was asked to stop ends as that instead."""
    told = _Told(started_ms=job.started_ms, finished_ms=state.wall_ms, reported=True)
    stopped = _stopped(state, job, seq, told)
    return stopped if stopped is not None else JobReleased(job.spec.job_id, job.token, seq)


def _decide_late(state: State, session: Session, outcome: Outcome) -> tuple[Event, ...]:
    stale = StaleToken(session.session_id, outcome.job_id, outcome.token)
    if session.slots.get(outcome.token) == outcome.job_id:  # the attempt was over before its handler
        return (SlotFreed(session.session_id, outcome.token), stale)
    return () if _is_recorded(state, outcome) else (stale,)


def _is_recorded(state: State, outcome: Outcome) -> bool:
    """Whether a report has already ended this very attempt."""
    job = state.jobs.get(outcome.job_id) or state.records.finished_job(outcome.job_id)
    if job is None or outcome.token > job.token:
        return False
    for number in range(job.attempt, max(0, job.attempt - limits.ATTEMPTS_KEPT), -1):
        attempt = state.records.attempt(outcome.job_id, number)
        if attempt is not None and attempt.token == outcome.token:
            return attempt.reported
        if attempt is not None and attempt.token < outcome.token:
            break
    # an attempt without a record was given back
    return type(outcome) is Released and job.token == outcome.token and job.state not in ASSIGNED


def _decide_failed(state: State, job: Job, outcome: Failed) -> AttemptEnded:
    told = _Told(
        outcome.error[: limits.ERROR_CHARS],
        outcome.started_ms,
        outcome.finished_ms,
        True,
        outcome.retry_in_ms,
        outcome.final,
    )
    seq = state.counter + 1
    stopped = _stopped(state, job, seq, told)
    return stopped if stopped is not None else _failure(state, job, seq, AttemptState.FAILED, told, "")


def _stopped(state: State, job: Job, seq: int, told: _Told) -> AttemptEnded | None:
    """The end of an attempt that was asked to stop; None if it was not."""
    why, reason = stop_of(job)
    if why == CANCELLED_WHY:
        return AttemptEnded(
            job_id=job.spec.job_id,
            token=job.token,
            state=AttemptState.CANCELLED,
            error=told.error,
            started_ms=told.started_ms,
            finished_ms=told.finished_ms,
            next_state=JobState.CANCELLED,
            seq=0,
            timer=None,
            reason=reason,
            reported=told.reported,
        )
    if why == TIMED_OUT_WHY:
        return _failure(state, job, seq, AttemptState.TIMED_OUT, told, reason)
    return None


def _failure(state: State, job: Job, seq: int, ended: AttemptState, told: _Told, reason: str) -> AttemptEnded:
    """An attempt that counts as a failure: a back-off follows, or the job is dead."""
    job_id = job.spec.job_id
    failures = job.failures + 1
    policy = job.spec.retry
    error = told.error or reason
    follows, timer = JobState.DEAD, None
    if told.final:
        reason = "discarded"
    elif failures > policy.max_retries:
        reason = "retries_exhausted"
    else:
        wait_ms = told.retry_in_ms
        wait_ms = min(wait_ms, limits.DURATION_MS) if wait_ms >= 0 else backoff_ms(policy, job_id, failures)
        due_ms = state.elapsed_ms + wait_ms
        if job.retry_until_ms and due_ms > job.retry_until_ms:
            reason = TOO_OLD
        else:
            follows = JobState.SCHEDULED
            timer = Timer(TimerKind.READY_AT_ELAPSED, due_ms, seq)
    return AttemptEnded(
        job_id=job_id,
        token=job.token,
        state=ended,
        error=error,
        started_ms=told.started_ms,
        finished_ms=told.finished_ms,
        next_state=follows,
        seq=0,
        timer=timer,
        reason=reason,
        reported=told.reported,
    )


def _too_large(state: State, job: Job, outcome: Completed) -> AttemptEnded:
    error = f"the result has {len(outcome.result)} bytes, at most {limits.PAYLOAD_BYTES} are allowed"
    return AttemptEnded(
        job_id=job.spec.job_id,
        token=job.token,
        state=AttemptState.FAILED,
        error=error,
        started_ms=outcome.started_ms,
        finished_ms=outcome.finished_ms,
        next_state=JobState.DEAD,
        seq=0,
        timer=None,
        reason="result_too_large",
        reported=True,
    )


def decide_started(state: State, session: Session, mark: StartedMark) -> JobStarted | None:
    """The handler runs; None if that is no news."""
    job = _held(state, session, mark.job_id, mark.token)
    if job is None or job.state is not _DISPATCHED:
        return None
    return JobStarted(mark.job_id, mark.token, mark.started_ms)


def decide_progress(state: State, session: Session, mark: ProgressMark) -> JobProgressed | None:
    """The handler says how far it is; None if the attempt is over."""
    if _held(state, session, mark.job_id, mark.token) is None:
        return None
    percent = max(0, min(100, mark.percent))
    return JobProgressed(mark.job_id, mark.token, percent, mark.message[: limits.MESSAGE_CHARS])


def _held(state: State, session: Session, job_id: bytes, token: int) -> Job | None:
    job = state.jobs.get(job_id)
    if job is None or job.token != token or job.session_id != session.session_id:
        return None
    if token >> GENERATION_SHIFT < state.generation:
        return None
    return job if job.state in ASSIGNED else None


# ---- evolve


def evolve_assigned(state: State, event: JobAssigned) -> None:
    """A slot is taken."""
    job_id = event.job_id
    job = state.jobs[job_id]
    session = state.sessions[event.session_id]
    board = state.board
    move(state, job, _DISPATCHED)
    board.leave(job, state.jobs)
    job.attempt = event.attempt
    job.token = token = event.token
    job.session_id = event.session_id
    job.owner = event.node_id
    job.worker = session.name
    job.dispatched_ms = state.wall_ms
    job.progress_percent = 0
    job.progress_message = ""
    state.token_counter += 1
    session.slots[token] = job_id
    if event.timer is not None:
        state.counter = event.timer.seq
        set_timer(state, job, job_id, event.timer)
    elif job.timer is not None:
        set_timer(state, job, job_id, None)
    spec = job.spec
    if spec.unique is not None:
        unique.started(state, spec)
    if board.gates:
        queues.count_assignment(state, spec)
    state.counter += 1
    session.idle_seq = state.counter
    state.touched_jobs[job_id] = job
    state.touched_sessions[event.session_id] = session


def evolve_started(state: State, event: JobStarted) -> None:
    """The handler runs."""
    job = state.jobs[event.job_id]
    move(state, job, _RUNNING)
    job.started_ms = event.started_ms
    state.touched_jobs[event.job_id] = job


def evolve_progressed(state: State, event: JobProgressed) -> None:
    """Latest wins."""
    job = state.jobs[event.job_id]
    job.progress_percent = event.percent
    job.progress_message = event.message
    state.touched_jobs[event.job_id] = job


def evolve_completed(state: State, event: JobCompleted) -> None:
    """It has a result."""
    job = state.jobs[event.job_id]
    job.started_ms = event.started_ms or job.started_ms
    _keep_attempt(state, job, _ATTEMPT_COMPLETED, job.started_ms, event.finished_ms, "", "", True)
    _free_slot(state, job.session_id, event.token, job.spec)
    job.session_id = b""
    job.stop = None
    job.result = event.result
    # Those of earlier attempts stay in the history: a reader of the job must not take it for failed.
    job.error = ""
    finish(state, job, _COMPLETED, "")


def evolve_attempt_ended(state: State, event: AttemptEnded) -> None:
    """No success; `event.next_state` says what follows."""
    job = state.jobs[event.job_id]
    started_ms = event.started_ms or job.started_ms
    _keep_attempt(
        state, job, event.state, started_ms, event.finished_ms, event.error, event.reason, event.reported
    )
    if event.reported:
        _free_slot(state, job.session_id, event.token, job.spec)
    else:
        queues.keep_unit(state, state.sessions[job.session_id], job)
    if event.state in _COUNTED:
        job.failures += 1
        job.error = event.error
    elif event.state is AttemptState.LOST:
        job.losses += 1
    job.session_id = b""
    job.stop = None
    follows = event.next_state
    if follows is JobState.DEAD or follows is JobState.CANCELLED:
        job.started_ms = started_ms
        finish(state, job, follows, event.reason)
        return
    job.dispatched_ms = job.started_ms = 0
    set_timer(state, job, event.job_id, event.timer)
    if follows is JobState.PENDING:
        make_ready(state, job, event.seq)
        return
    if event.timer is not None:
        state.counter = event.timer.seq
    move(state, job, follows)
    state.touched_jobs[event.job_id] = job


def evolve_released(state: State, event: JobReleased) -> None:
    """As if it had not been assigned, but the token stays used."""
    job = state.jobs[event.job_id]
    _free_slot(state, job.session_id, event.token, job.spec)
    job.attempt -= 1
    job.session_id = b""
    job.dispatched_ms = job.started_ms = 0
    set_timer(state, job, event.job_id, None)
    make_ready(state, job, event.seq)


def evolve_stop_requested(state: State, event: StopRequested) -> None:
    """The end is asked for, and will be forced by the timer."""
    job = state.jobs[event.job_id]
    job.stop = StopAsked(event.why, event.reason)
    state.counter = event.timer.seq
    set_timer(state, job, event.job_id, event.timer)
    state.touched_jobs[event.job_id] = job


def evolve_slot_freed(state: State, event: SlotFreed) -> None:
    """The handler of an attempt that was over has ended, too."""
    _free_slot(state, event.session_id, event.token, None)


def evolve_nothing(state: State, event: Any) -> None:
    """An event that only tells (StaleToken)."""


def _free_slot(state: State, session_id: bytes, token: int, spec: JobSpec | None) -> None:
    """`spec` None: the attempt was over before."""
    session = state.sessions[session_id]
    del session.slots[token]
    if spec is None:
        queues.free_unit(state, *session.leftovers.pop(token))
    elif state.board.gates:
        queues.free_unit(state, spec.queue, spec.key)
    state.board.freed[session_id] = session
    state.touched_sessions[session_id] = session


def _keep_attempt(
    state: State,
    job: Job,
    ended: AttemptState,
    started_ms: int,
    finished_ms: int,
    error: str,
    reason: str,
    reported: bool,
) -> None:
    job_id = job.spec.job_id
    number = job.attempt
    attempt = Attempt(
        job_id=job_id,
        attempt=number,
        token=job.token,
        state=ended,
        worker=job.worker,
        session_id=job.session_id,
        node_id=job.owner,
        dispatched_ms=job.dispatched_ms,
        started_ms=started_ms,
        finished_ms=finished_ms,
        error=error,
        reason=reason,
        reported=reported,
    )
    state.records.put(ATTEMPTS, attempt_key(job_id, number), encode_record(attempt))
    if number > limits.ATTEMPTS_KEPT:
        state.records.put(ATTEMPTS, attempt_key(job_id, number - limits.ATTEMPTS_KEPT), None)
