"""Unique keys: at most one job of a type has a given one, for as long as the rule of that job says.

`State.unique` is the index that decides; it follows from the live jobs and from the windows.
- until_done: the job has it while it is unfinished;
- until_started: until it is handed to a worker, and never again after that;
- window: for a stretch of elapsed time after it was enqueued, whatever becomes of it.
"""

from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import Job, JobSpec, JobState, OnConflict, Timer, TimerKind, UniqueScope
from orchestrix_raft.domain.queue import UniqueWindow
from orchestrix_raft.machine.events import UniqueWindowEnded
from orchestrix_raft.machine.history import UNIQUE_WINDOWS
from orchestrix_raft.machine.records import pair_key
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.timers import set_timer

_WAITING: Final = frozenset({JobState.SCHEDULED, JobState.PENDING})
_WINDOW: Final = UniqueScope.WINDOW
_STARTED: Final = UniqueScope.UNTIL_STARTED

# ---- decide


def resolve(state: State, spec: JobSpec, holder: bytes) -> bytes | Rejected | Job:
    """What becomes of a job whose key another one has: that one's id, a refusal, or the job to replace."""
    on_conflict = OnConflict.RETURN_EXISTING if spec.unique is None else spec.unique.on_conflict
    if on_conflict is OnConflict.RETURN_EXISTING:
        return holder
    if on_conflict is OnConflict.REPLACE:
        job = state.jobs.get(holder)
        return holder if job is None or job.state not in _WAITING else job
    return Rejected(
        Code.ALREADY_EXISTS,
        "UNIQUE_KEY_TAKEN",
        f"job {format_job_id(holder)} has the unique key {spec.unique_key!r} of type {spec.type!r}",
    )


def fault_in_window_count(state: State, spec: JobSpec) -> Rejected | None:
    """Whether one more key taken for a time would be one too many to remember."""
    if len(state.unique_windows) < limits.UNIQUE_WINDOWS:
        return None
    if spec.unique is None or spec.unique.scope is not _WINDOW:
        return None
    return Rejected(
        Code.RESOURCE_EXHAUSTED,
        "UNIQUE_WINDOWS_LIMIT",
        f"{limits.UNIQUE_WINDOWS} unique keys are taken for a time already; use a shorter unique_for",
    )


def conflicts(state: State, job: Job) -> bool:
    """Whether a finished job cannot live again because another one has its key."""
    spec = job.spec
    return bool(spec.unique_key) and holds(job) and (spec.type, spec.unique_key) in state.unique


def decide_window_end(state: State, key: bytes) -> tuple[UniqueWindowEnded]:
    """The time is over (timer)."""
    window = state.unique_windows[key]
    return (UniqueWindowEnded(window.type, window.unique_key),)


def holds(job: Job) -> bool:
    """Whether a live job has its key by being what it is; in a window the time decides."""
    rule = job.spec.unique
    if rule is None or rule.scope is UniqueScope.UNTIL_DONE:
        return True
    return rule.scope is _STARTED and not job.token


# ---- evolve


def take(state: State, job: Job) -> None:
    """A new job, or one that lives again, takes its key if it is to have it."""
    spec = job.spec
    if holds(job):
        _drop_window(state, spec.type, spec.unique_key)
        state.unique[(spec.type, spec.unique_key)] = spec.job_id


def take_new(state: State, job: Job) -> None:
    """A new job takes its key, from the one that it replaces if there is one."""
    spec = job.spec
    rule = spec.unique
    take(state, job)
    if rule is None or rule.scope is not _WINDOW:
        return
    _drop_window(state, spec.type, spec.unique_key)
    place = pair_key(spec.type, spec.unique_key)
    window = UniqueWindow(spec.type, spec.unique_key, spec.job_id)
    state.unique_windows[place] = window
    state.unique[(spec.type, spec.unique_key)] = spec.job_id
    state.counter += 1
    due_ms = state.elapsed_ms + rule.for_ms
    set_timer(state, window, place, Timer(TimerKind.UNIQUE_WINDOW, due_ms, state.counter))
    state.touch(UNIQUE_WINDOWS, place, window)


def started(state: State, spec: JobSpec) -> None:
    """A job with a rule of its own was handed to a worker."""
    rule = spec.unique
    if rule is not None and rule.scope is _STARTED:
        _give_up(state, spec)


def done(state: State, spec: JobSpec) -> None:
    """A job with a key is over."""
    rule = spec.unique
    if rule is None or rule.scope is not _WINDOW:
        _give_up(state, spec)


def evolve_window_ended(state: State, event: UniqueWindowEnded) -> None:
    """The key is free."""
    _drop_window(state, event.job_type, event.unique_key)
    del state.unique[(event.job_type, event.unique_key)]


def _give_up(state: State, spec: JobSpec) -> None:
    key = (spec.type, spec.unique_key)
    if state.unique.get(key) == spec.job_id:
        del state.unique[key]


def _drop_window(state: State, job_type: str, unique_key: str) -> None:
    if not state.unique_windows:
        return
    place = pair_key(job_type, unique_key)
    window = state.unique_windows.pop(place, None)
    if window is not None:
        set_timer(state, window, place, None)
        state.touch(UNIQUE_WINDOWS, place, None)
