"""Why a job is where it is, read from the state: the answer to "why is this job not running?".

Reasons are values: a code and the facts that go with it.  Facts whose names end in `_ms` are wall time; what
waits on the elapsed clock is shown as the wall time at which it falls due if both go on alike.  Pure: the
same state gives the same answer on every node.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import ASSIGNED, TERMINAL, Job, JobState, Timer, TimerKind
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.gates import Gate
from orchestrix_raft.machine.jobs import stop_of
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.timers import heap_of


class Reason(NamedTuple):
    """One of the things that hold a job, or that say where it stands."""

    code: str  # a word of CODES
    facts: Mapping[str, int | str]


CODES: Final = frozenset(
    {
        "finished",
        "unique_key_taken",
        "delayed",
        "run_at",
        "backing_off",
        "expires",
        "retry_limit",
        "queue_paused",
        "queue_rate_limited",
        "queue_full",
        "key_rate_limited",
        "key_full",
        "no_worker",
        "no_worker_with_labels",
        "workers_away",
        "workers_draining",
        "workers_full",
        "next",
        "dispatched",
        "running",
        "worker_away",
        "stopping",
    }
)
"""Every code there is; wire/explain.py has a line of text for each."""


def explain(state: State, job: Job) -> list[Reason]:
    """Where a job stands and why; never empty."""
    if job.state in TERMINAL:
        return [*_finished(state, job)]
    if job.state is JobState.SCHEDULED:
        return [*_scheduled(state, job)]
    if job.state is JobState.PENDING:
        blocks = blocked_by(state, job) or [Reason("next", {"queue": job.spec.queue})]
        return [*blocks, *_deadline(state, job)]
    return [*_assigned(state, job)]


def blocked_by(state: State, job: Job) -> list[Reason]:
    """Everything that keeps a ready job from being assigned at this moment; []: nothing does, it is the next
    or waits for those before it to be assigned in this very entry."""
    gate = state.board.gates.get(job.spec.queue)
    limits = [] if gate is None else [*_limits(state, gate, job.spec.key)]
    return [*limits, *_workers(state, job)]


# ---- what a ready job may wait for


def _limits(state: State, gate: Gate, key: str) -> Iterator[Reason]:
    """Its queue's own rules."""
    queue = gate.queue
    options = queue.options
    about: dict[str, int | str] = {"queue": queue.name}
    if options.paused:
        yield Reason("queue_paused", about)
    if 0 < options.concurrency <= gate.running:
        yield Reason("queue_full", about | {"running": gate.running, "limit": options.concurrency})
    if options.rate is not None and queue.window.used >= options.rate.count:
        rate = {"limit": options.rate.count, "window_ms": options.rate.window_ms}
        until = {"until_ms": _wall_ms(state, queue.window.opens_ms(options.rate))}
        yield Reason("queue_rate_limited", about | rate | until)
    if not key:
        return
    about = about | {"key": key}
    options = gate.rules(key)
    running = gate.keys.get(key) or 0
    if 0 < options.key_concurrency <= running:
        yield Reason("key_full", about | {"running": running, "limit": options.key_concurrency})
    window = gate.windows.get(key)
    if options.key_rate is not None and window is not None and window.window.used >= options.key_rate.count:
        rate = {"limit": options.key_rate.count, "window_ms": options.key_rate.window_ms}
        until = {"until_ms": _wall_ms(state, window.window.opens_ms(options.key_rate))}
        yield Reason("key_rate_limited", about | rate | until)


def _workers(state: State, job: Job) -> Iterator[Reason]:
    """Whether a worker could take it."""
    spec = job.spec
    queue: dict[str, int | str] = {"queue": spec.queue}
    serving = [session for session in state.sessions.values() if spec.queue in session.queues]
    if not serving:
        yield Reason("no_worker", queue)
        return
    fitting = [session for session in serving if set(spec.labels) <= set(session.labels)]
    if not fitting:
        labels = ", ".join(spec.labels)
        yield Reason("no_worker_with_labels", queue | {"labels": labels, "workers": len(serving)})
        return
    attached = [session for session in fitting if session.node_id]
    if not attached:
        until_ms = max(_due_ms(state, session.timer) for session in fitting)
        yield Reason("workers_away", queue | {"workers": len(fitting), "until_ms": until_ms})
        return
    closed = state.board.closed_nodes
    taking = [session for session in attached if not session.draining and session.node_id not in closed]
    if not taking:
        yield Reason("workers_draining", queue | {"workers": len(attached)})
        return
    if all(len(session.slots) >= session.capacity for session in taking):
        yield Reason("workers_full", queue | _load(state, taking) | _line(state, spec.queue))


def _load(state: State, sessions: list[Session]) -> dict[str, int | str]:
    slots = sum(session.capacity for session in sessions)
    stuck = 0  # handlers whose attempts are over
    for session in sessions:
        for token, job_id in session.slots.items():
            job = state.jobs.get(job_id)
            stuck += job is None or job.token != token or job.state not in ASSIGNED
    return {"workers": len(sessions), "slots": slots, "stuck": stuck}


def _line(state: State, queue: str) -> dict[str, int | str]:
    counts = state.queues.get(queue)
    return {"pending": 0 if counts is None else counts[JobState.PENDING]}


# ---- where a job stands


def _scheduled(state: State, job: Job) -> Iterator[Reason]:
    until_ms = _due_ms(state, job.timer)
    if job.timer is not None and job.timer.kind == TimerKind.READY_AT_WALL:
        yield Reason("run_at", {"until_ms": until_ms})
    elif job.failures:
        tries = {"failures": job.failures, "max_retries": job.spec.retry.max_retries}
        yield Reason("backing_off", {"until_ms": until_ms, **tries, "error": _first_line(job.error)})
    else:
        yield Reason("delayed", {"until_ms": until_ms})


def _deadline(state: State, job: Job) -> Iterator[Reason]:
    """What becomes of a ready job if it goes on waiting."""
    timer = job.timer
    if timer is not None and timer.kind == TimerKind.RETRY_LIMIT:
        yield Reason("retry_limit", {"until_ms": _wall_ms(state, job.retry_until_ms)})
    elif timer is not None:
        yield Reason("expires", {"until_ms": _due_ms(state, timer)})


def _assigned(state: State, job: Job) -> Iterator[Reason]:
    where: dict[str, int | str] = {"worker": job.worker, "node": job.owner, "attempt": job.attempt}
    if job.state is JobState.DISPATCHED:
        yield Reason("dispatched", where | {"since_ms": job.dispatched_ms})
    else:
        yield Reason("running", where | {"since_ms": job.started_ms})
    session = state.sessions.get(job.session_id)
    if session is not None and not session.node_id:
        until_ms = _due_ms(state, session.timer)
        yield Reason("worker_away", {"worker": session.name, "until_ms": until_ms})
    why, reason = stop_of(job)
    if why:
        yield Reason("stopping", {"why": why, "reason": reason, "until_ms": _due_ms(state, job.timer)})


def _finished(state: State, job: Job) -> Iterator[Reason]:
    about = {"reason": job.reason, "error": _first_line(job.error)}
    yield Reason("finished", {"state": job.state.word, "since_ms": job.finished_ms, **about})
    spec = job.spec
    holder = state.unique.get((spec.type, spec.unique_key)) if spec.unique_key else None
    if holder is not None and job.state is not JobState.COMPLETED:
        yield Reason("unique_key_taken", {"unique_key": spec.unique_key, "job": format_job_id(holder)})


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


# ---- time


def _due_ms(state: State, timer: Timer | None) -> int:
    """When a timer falls due, on the wall clock; 0: there is none (it was set aside)."""
    if timer is None:
        return 0
    return timer.due_ms if heap_of(state, timer.kind) is state.wall_timers else _wall_ms(state, timer.due_ms)


def _wall_ms(state: State, elapsed_ms: int) -> int:
    return state.wall_ms + max(0, elapsed_ms - state.elapsed_ms)
