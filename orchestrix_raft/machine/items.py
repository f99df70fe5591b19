"""Commands that carry many items: each is decided and evolved before the next, so it sees what that did.

A fault in deciding one item (a bug) concerns this item alone.
"""

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, Final, ParamSpec, TypeVar

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import CANCELLABLE, PURGEABLE, RETRYABLE
from orchestrix_raft.machine import attempts, filters, jobs, keeping, queues, requests
from orchestrix_raft.machine.causes import Cause
from orchestrix_raft.machine.commands import (
    CancelJobs,
    CancelWhere,
    ConfigureQueue,
    Enqueue,
    EnqueueResult,
    JobsResult,
    Observe,
    PurgeJobs,
    PurgeWhere,
    Report,
    ReportResult,
    RetryJobs,
    RetryWhere,
    ScheduleResult,
    WhereResult,
)
from orchestrix_raft.machine.events import Event, JobEnqueued, StaleToken
from orchestrix_raft.machine.evolve import EVOLVE
from orchestrix_raft.machine.port import Gap, Resolved, Result
from orchestrix_raft.machine.records import HistoryUnavailable
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.machine.sessions import SESSION_UNKNOWN
from orchestrix_raft.machine.state import State

LOCAL: Final = (MemoryError, RecursionError, HistoryUnavailable, TooOld)
"""Faults of this node rather than of the log: never turned into a refusal, the node stops."""

STALE_TOKEN: Final = "STALE_TOKEN"
INTERNAL: Final = "INTERNAL"

_DONE: Final = frozenset({"cancelled", "requested", "retried", "purged"})
"""Words that say that something was done."""


Given = ParamSpec("Given")
Verdict = TypeVar("Verdict")


class Trace:
    """What the running entry has done so far."""

    __slots__ = ("causes", "events", "faults", "fenced", "gaps", "resolved")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.causes: list[Cause] = []
        self.faults: list[Exception] = []
        # see `port.Applied`
        self.resolved: list[Resolved] = []
        self.gaps: list[Gap] = []
        self.fenced: list[tuple[str, int]] = []

    def happen(self, state: State, events: Iterable[Event]) -> None:
        """Let events change the state, in order, and note them."""
        for event in events:
            EVOLVE[type(event)](state, event)
            self.events.append(event)

    def judged(
        self, decide: Callable[Given, Verdict], *args: Given.args, **named: Given.kwargs
    ) -> Verdict | Rejected:
        """What `decide` says.  A bug in it becomes a refusal, the same on every node; a fault of this node
        alone goes on and stops it."""
        try:
            return decide(*args, **named)
        except LOCAL:
            raise
        except Exception as fault:  # a bug, see above
            return self.refusal(fault)

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
        except Exception as fault:  # as in `Trace.judged`, which costs too much here: every job passes
            rejected[position] = trace.refusal(fault)
            continue
        if type(verdict) is JobEnqueued:
            evolve(state, verdict)
            happened(verdict)
        elif type(verdict) is Rejected:
            rejected[position] = verdict
        elif type(verdict) is bytes:
            existing[position] = verdict
        elif type(verdict) is tuple:  # in place of another
            trace.happen(state, verdict)
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
        except Exception as fault:  # likewise
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
            event = trace.judged(decide, state, session, mark)
            if isinstance(event, Rejected):
                refused = event  # the other marks still count
            elif event is not None:
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


def apply_purge(state: State, command: PurgeJobs, trace: Trace) -> JobsResult | Rejected:
    """Forget each job."""
    return _each_job(state, command, trace, lambda job_id: keeping.decide_purge(state, job_id))


def apply_cancel_where(state: State, command: CancelWhere, trace: Trace) -> WhereResult | Rejected:
    """Cancel those that a filter accepts."""
    reason = command.reason[: limits.MESSAGE_CHARS]
    return _each_where(
        state, command, trace, CANCELLABLE, lambda job_id: jobs.decide_cancel(state, job_id, reason)
    )


def apply_retry_where(state: State, command: RetryWhere, trace: Trace) -> WhereResult | Rejected:
    """Make those ready that a filter accepts."""
    return _each_where(state, command, trace, RETRYABLE, lambda job_id: jobs.decide_retry(state, job_id))


def apply_purge_where(state: State, command: PurgeWhere, trace: Trace) -> WhereResult | Rejected:
    """Forget those that a filter accepts."""
    return _each_where(state, command, trace, PURGEABLE, lambda job_id: keeping.decide_purge(state, job_id))


Decide = Callable[[bytes], tuple[str, Event | None]]
"""A job's id -> the word for the caller and what happens."""


def _each_job(
    state: State, command: CancelJobs | RetryJobs | PurgeJobs, trace: Trace, decide: Decide
) -> JobsResult | Rejected:
    if len(command.job_ids) > limits.BATCH_JOBS:
        return _too_many(len(command.job_ids), limits.BATCH_JOBS, "jobs")
    known = asked_before(state, command.request_id, JobsResult)
    if known is not None:
        return known
    result = JobsResult(tuple(_do_to_each(state, command.job_ids, trace, decide)))
    requests.remember(state, command.request_id, result)
    return result


def apply_configure(state: State, command: ConfigureQueue, trace: Trace) -> JobsResult | Rejected:
    """Pause or limit a queue."""
    known = asked_before(state, command.request_id, JobsResult)
    if known is not None:
        return known
    verdict = trace.judged(queues.decide_configure, state, command.name, command.change)
    if isinstance(verdict, Rejected):
        return verdict
    if verdict is not None:
        trace.happen(state, (verdict,))
    result = JobsResult(("configured",))
    requests.remember(state, command.request_id, result)
    return result


def _each_where(
    state: State,
    command: CancelWhere | RetryWhere | PurgeWhere,
    trace: Trace,
    allowed: frozenset[JobState],
    decide: Decide,
) -> WhereResult | Rejected:
    known = asked_before(state, command.request_id, WhereResult)
    if known is not None:
        return known
    fault = filters.fault_in_where(command.where, allowed)
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "FILTER_INVALID", fault)
    cursor = filters.first_cursor(state, command.where)
    if command.cursor:
        given = filters.read_cursor(command.cursor)
        if given is None:
            return Rejected(Code.INVALID_ARGUMENT, "CURSOR_INVALID", "not a cursor of an earlier step")
        cursor = given
    limit = max(1, min(command.limit, limits.FILTER_ROWS))
    job_ids, following = filters.select(state, command.where, cursor, limit)
    words = _do_to_each(state, job_ids, trace, decide)
    done = sum(1 for word in words if word in _DONE)
    result = WhereResult(done, len(words) - done, following)
    requests.remember(state, command.request_id, result)
    return result


Known = TypeVar("Known", JobsResult, WhereResult, ScheduleResult)


def asked_before(state: State, request_id: bytes, kind: type[Known]) -> Known | Rejected | None:
    """The answer to the same request earlier, if there was one; a refusal if the id cannot be used."""
    if len(request_id) > limits.REQUEST_ID_BYTES:
        message = f"a request id has at most {limits.REQUEST_ID_BYTES} bytes"
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_REQUEST_ID", message)
    known = requests.recall(state, request_id)
    if known is None or isinstance(known, kind):
        return known
    message = "the request id was used for another kind of request: make a new one for each"
    return Rejected(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED", message)


def _do_to_each(state: State, job_ids: Iterable[bytes], trace: Trace, decide: Decide) -> list[str]:
    """Each decided upon after what came before it was done; the words for the caller, in order."""
    words: list[str] = []
    for job_id in job_ids:
        verdict = trace.judged(decide, job_id)
        if isinstance(verdict, Rejected):
            words.append(verdict.reason.lower())
            continue
        word, event = verdict
        if event is not None:
            EVOLVE[type(event)](state, event)
            trace.events.append(event)
        words.append(word)
    return words


ITEMWISE: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {
        Enqueue: apply_enqueue,
        Report: apply_report,
        Observe: apply_observe,
        CancelJobs: apply_cancel,
        RetryJobs: apply_retry,
        PurgeJobs: apply_purge,
        CancelWhere: apply_cancel_where,
        RetryWhere: apply_retry_where,
        ConfigureQueue: apply_configure,
        PurgeWhere: apply_purge_where,
    }
)
