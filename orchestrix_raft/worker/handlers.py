"""Handlers by job type, and how what they return or raise becomes the outcome of an attempt."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.report import Completed, Failed, Outcome, Released
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.wire.payloads import json_text
from orchestrix_raft.worker.context import Discard, JobCancelled, JobContext, Retry, sendable

DRAINING: Final = "draining"
"""The reason of a stop that comes from the worker itself: the job is given back, not failed."""

_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, Any]).decode


NoRetry = tuple[type[BaseException], ...]


class Handler(NamedTuple):
    """How jobs of one type are run."""

    job_type: str
    function: Callable[..., Any]
    asynchronous: bool
    process: bool
    no_retry_on: NoRetry


def make_handler(job_type: str, function: Callable[..., Any], process: bool, no_retry_on: NoRetry) -> Handler:
    """A handler; ValueError when another process could not find the function by its name."""
    if process and "<" in function.__qualname__:
        where = f"{function.__module__}.{function.__qualname__}"
        raise ValueError(f"{where} cannot run in a process: it must be a function at the top of its module")
    return Handler(job_type, function, inspect.iscoroutinefunction(function), process, no_retry_on)


def arguments(job: Assignment) -> dict[str, Any]:
    """The job's arguments as keyword arguments; ValueError if they are none."""
    return _ARGUMENTS(job.args) if job.args else {}


def completed(job: Assignment, result: object, started_ms: int, finished_ms: int) -> Outcome:
    """The handler returned: a result that cannot be kept is a failure, and trying again would not help."""
    try:
        text = json_text(result)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        wrong = f"the result cannot be written as JSON: {error}"
        return Failed(job.job_id, job.token, wrong, started_ms, finished_ms, final=True)
    if len(text) > limits.PAYLOAD_BYTES:
        wrong = f"the result has {len(text)} bytes as JSON: at most {limits.PAYLOAD_BYTES}"
        return Failed(job.job_id, job.token, wrong, started_ms, finished_ms, final=True)
    return Completed(job.job_id, job.token, text, started_ms, finished_ms)


def failed(
    job: Assignment,
    error: BaseException,
    started_ms: int,
    finished_ms: int,
    no_retry_on: NoRetry,
) -> Failed:
    """The handler raised."""
    retry_in_ms = -1
    if isinstance(error, Retry) and error.delay is not None:
        retry_in_ms = min(round(error.delay * 1_000), limits.DURATION_MS)
    final = isinstance(error, (Discard, *no_retry_on))
    text = _sentence(error) if isinstance(error, Discard | Retry) else describe(error)
    return Failed(job.job_id, job.token, text, started_ms, finished_ms, retry_in_ms, final)


def stopped(
    job: Assignment, context: JobContext, error: BaseException, started_ms: int, finished_ms: int
) -> Outcome:
    """The handler ended with a cancellation: because it was asked to, or of its own making."""
    if not context.cancel_reason:
        return failed(job, error, started_ms, finished_ms, ())
    if context.cancel_reason == DRAINING:
        return Released(job.job_id, job.token)
    text = f"the handler was stopped ({context.cancel_reason}): {_sentence(error)}".rstrip(": ")
    return Failed(job.job_id, job.token, text, started_ms, finished_ms, cancelled=True)


def describe(error: BaseException) -> str:
    """Type and message first, so that cutting keeps them; then where it happened, without our own frames."""
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    where = "".join(traceback.format_exception(type(error), error, frames))
    return _cut(f"{type(error).__name__}: {_sentence(error)}\n\n{where}")


def _sentence(error: BaseException) -> str:
    """What it says of itself."""
    try:
        return _cut(str(error))
    except Exception:  # an exception that cannot be told is still the end of its handler
        return "(its text cannot be told)"


def _cut(text: str) -> str:
    return sendable(text[: limits.ERROR_CHARS])[: limits.ERROR_CHARS]


def no_handler(job: Assignment, worker: str, now_ms: int) -> Failed:
    """Another worker may have one, so it is tried again."""
    text = f"no handler for type {job.type!r} on worker {worker}"
    return Failed(job.job_id, job.token, text, now_ms, now_ms)


def run_here(handler: Handler, job: Assignment, context: JobContext, now_ms: Callable[[], int]) -> Outcome:
    """Run a synchronous handler in this thread, to its end."""
    started_ms = now_ms()
    try:
        result = handler.function(context, **arguments(job))
    except JobCancelled as error:
        return stopped(job, context, error, started_ms, now_ms())
    except BaseException as error:  # whatever a handler raises is an outcome; nothing else runs here
        return failed(job, error, started_ms, now_ms(), handler.no_retry_on)
    return completed(job, result, started_ms, now_ms())
