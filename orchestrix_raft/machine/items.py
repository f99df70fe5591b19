"""Commands that carry many items: each is decided and evolved before the next, so it sees what that did.

A fault in deciding one item (a bug) concerns this item alone.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine import attempts, jobs, requests
from orchestrix_raft.machine.commands import (
    CancelJobs,
    Enqueue,
    EnqueueResult,
    JobsResult,
    Observe,
    Report,
    ReportResult,
    RetryJobs,
)
from orchestrix_raft.machine.events import Event, JobEnqueued, StaleToken
from orchestrix_raft.machine.evolve import EVOLVE
from orchestrix_raft.machine.port import Result
from orchestrix_raft.machine.records import HistoryUnavailable
from orchestrix_raft.machine.sessions import SESSION_UNKNOWN
from orchestrix_raft.machine.state import State

LOCAL: Final = (MemoryError, RecursionError, HistoryUnavailable)
"""Faults of this node rather than of the log: never turned into a refusal, the node stops."""

STALE_TOKEN: Final = "STALE_TOKEN"
INTERNAL: Final = "INTERNAL"


class Trace:
    """What the running entry has done so far."""

    __slots__ = ("events", "faults")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.faults: list[Exception] = []

    def refusal(self, fault: Exception) -> Rejected:
        """Note an exception of decide; the refusal it becomes is the same on every node."""
        self.faults.append(fault)
        return Rejected(Code.INTERNAL, INTERNAL, f"deciding failed with {type(fault).__name__}: a bug")


def _too_many(count: int, limit: int, what: str) -> Rejected:
    return Rejected(Code.INVALID_ARGUMENT, "TOO_MANY", f"{count} {what} in one command, at most {limit}")


def apply_enqueue(state: State, command: Enqueue, trace: Trace) -> EnqueueResult | Rejected:
    """New jobs."""
    if len(command.jobs) > limits.BATCH_JOBS:
        return _too_many(len(command.jobs), limits.BATCH_JOBS, "jobs")
    existing: dict[int, bytes] = {}
    rejected: dict[int, Rejected] = {}
    decide = jobs.decide_enqueue
    evolve = jobs.evolve_enqueued
    happened = trace.events.append
    for position, spec in enumerate(command.jobs):
        try:
            verdict = decide(state, spec)
        except LOCAL:
            raise
        except Exception as fault:  # a bug becomes a refusal, the same on every node
            rejected[position] = trace.refusal(fault)
            continue
        if type(verdict) is JobEnqueued:
            evolve(state, verdict)
            happened(verdict)
        elif type(verdict) is Rejected:
            rejected[position] = verdict
        elif type(verdict) is bytes:
            existing[position] = verdict
    return EnqueueResult(existing, rejected)


def apply_report(state: State, command: Report, trace: Trace) -> ReportResult | Rejected:
    """Ends of attempts.  The token of each outcome fences it; the epoch does not matter."""
    if len(command.outcomes) > limits.CAPACITY:
        return _too_many(len(command.outcomes), limits.CAPACITY, "outcomes")
    session = state.sessions.get(command.session_id)
    if session is None:
        return SESSION_UNKNOWN
    stale: dict[int, str] = {}
    decide = attempts.decide_outcome
    happened = trace.events.append
    for position, outcome in enumerate(command.outcomes):
        try:
            verdict = decide(state, session, outcome)
        except LOCAL:
            raise
        except Exception as fault:  # as above
            stale[position] = trace.refusal(fault).reason
            continue
        for event in verdict:
            kind = type(event)
            EVOLVE[kind](state, event)
            happened(event)
            if kind is StaleToken:
                stale[position] = STALE_TOKEN
    return ReportResult(stale)


def apply_observe(state: State, command: Observe, trace: Trace) -> Rejected | None:
    """Starts, then progress.  What is stale is dropped."""
    count = len(command.started) + len(command.progress)
    if count > 2 * limits.CAPACITY:
        return _too_many(count, 2 * limits.CAPACITY, "marks")
    session = state.sessions.get(command.session_id)
    if session is None:
        return SESSION_UNKNOWN
    refused: Rejected | None = None
    marks: tuple[tuple[Callable[..., Event | None], tuple[Any, ...]], ...] = (
        (attempts.decide_started, command.started),
        (attempts.decide_progress, command.progress),
    )
    for decide, items in marks:
        for mark in items:
            try:
                event = decide(state, session, mark)
            except LOCAL:
                raise
            except Exception as fault:  # as above; the other marks still count
                refused = trace.refusal(fault)
                continue
            if event is not None:
                EVOLVE[type(event)](state, event)
                trace.events.append(event)
    return refused


def apply_cancel(state: State, command: CancelJobs, trace: Trace) -> JobsResult | Rejected:
    """Cancel each job, or ask it to stop."""
    reason = command.reason[: limits.MESSAGE_CHARS]
    return _each_job(state, command, trace, lambda job_id: jobs.decide_cancel(state, job_id, reason))


def apply_retry(state: State, command: RetryJobs, trace: Trace) -> JobsResult | Rejected:
    """Make each job ready."""
    return _each_job(state, command, trace, lambda job_id: jobs.decide_retry(state, job_id))


def _each_job(
    state: State,
    command: CancelJobs | RetryJobs,
    trace: Trace,
    decide: Callable[[bytes], tuple[str, Event | None]],
) -> JobsResult | Rejected:
    if len(command.job_ids) > limits.BATCH_JOBS:
        return _too_many(len(command.job_ids), limits.BATCH_JOBS, "jobs")
    if len(command.request_id) > limits.REQUEST_ID_BYTES:
        message = f"a request id has at most {limits.REQUEST_ID_BYTES} bytes"
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_REQUEST_ID", message)
    known = requests.recall(state, command.request_id)
    if known is not None:
        return known
    words: list[str] = []
    for job_id in command.job_ids:
        try:
            word, event = decide(job_id)
        except LOCAL:
            raise
        except Exception as fault:  # as above
            words.append(trace.refusal(fault).reason.lower())
            continue
        if event is not None:
            EVOLVE[type(event)](state, event)
            trace.events.append(event)
        words.append(word)
    result = JobsResult(tuple(words))
    requests.remember(state, command.request_id, result)
    return result


ITEMWISE: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {
        Enqueue: apply_enqueue,
        Report: apply_report,
        Observe: apply_observe,
        CancelJobs: apply_cancel,
        RetryJobs: apply_retry,
    }
)
