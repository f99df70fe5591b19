"""Handlers by job type, and how what they return or raise becomes the outcome of an attempt."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.report import Completed, Failed, Outcome, Released
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.wire.arguments import flag, shown
from orchestrix_raft.wire.payloads import json_text
from orchestrix_raft.worker.context import Discard, JobCancelled, JobContext, Retry, asked_to_stop, sendable

DRAINING: Final = "draining"
"""The reason of a stop that comes from the worker itself: the job is given back, not failed."""

TIMED_OUT: Final = "timed_out"
"""The reason of a stop whose attempt has had its time."""

_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, Any]).decode


NoRetry = tuple[type[BaseException], ...]


class Handler(NamedTuple):
    """How jobs of one type are run."""

    job_type: str
    function: Callable[..., Any]
    asynchronous: bool
    process: bool
    no_retry_on: NoRetry


def make_handler(
    job_type: str | None, function: Callable[..., Any], process: bool, no_retry_on: NoRetry
) -> Handler:
    """A handler for a type, or (None) for that of the function's name; TypeError or ValueError for a function
    that could not do it."""
    if not callable(function):
        raise TypeError(f"{shown(function)} is no function: a handler is one that takes a JobContext")
    name = str(getattr(function, "__name__", ""))
    if job_type is None and not name.isidentifier():
        raise ValueError(f"{shown(function)} has no name: say which type of jobs it handles")
    asynchronous = inspect.iscoroutinefunction(function)
    where = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', name or '?')}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{where} is a generator: a handler returns its result")
    if not _takes_context(function):
        raise TypeError(f"{where} takes no JobContext: it must be the first of its parameters")
    if flag("process", process):
        if asynchronous:
            raise TypeError(f"{where} is async: process=True is for a def, which may call asyncio.run itself")
        if not _is_importable(function):
            raise ValueError(
                f"{where} cannot run in a process: it must be a function at the top of its module"
            )
    return Handler(
        job_type or name, function, asynchronous, process, _exceptions(where, no_retry_on, process)
    )


def _takes_context(function: Callable[..., Any]) -> bool:
    """It has a place for one positional argument, as far as one can see."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True  # written in C, and silent about it
    return any(
        one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.VAR_POSITIONAL) for one in parameters
    )


def _is_importable(thing: Any) -> bool:
    """Another process finds it by the name of its module and its own."""
    return "<" not in getattr(thing, "__qualname__", "<")


def _exceptions(where: str, no_retry_on: object, process: bool) -> NoRetry:
    """What was given, if `except` could take it."""
    wrong = f"no_retry_on of {where} is {shown(no_retry_on)}: it must be exceptions, such as (ValueError,)"
    if not isinstance(no_retry_on, tuple | list):
        raise TypeError(wrong)
    for kind in no_retry_on:
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            raise TypeError(wrong)
        if process and not _is_importable(kind):
            name = kind.__qualname__
            raise ValueError(f"no_retry_on of {where}: {name} must be at the top of its module to be found")
    return tuple(no_retry_on)


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
    text, sentence = f"the handler was stopped ({context.cancel_reason})", _sentence(error)
    if sentence and sentence != asked_to_stop(context.cancel_reason):  # that says no more
        text += f": {sentence}"
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
