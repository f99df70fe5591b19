"""From what a caller says to messages: new jobs, batches of them, ids.  Pure but for the making of ids."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from orchestrix_raft.client.ids import IDS
from orchestrix_raft.client.model import RetryPolicy, ms_of
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id, parse_job_id
from orchestrix_raft.domain.job import JobState, OnConflict, UniqueScope
from orchestrix_raft.wire.errors import InvalidArgument
from orchestrix_raft.wire.jobs import (
    EnqueueRequest,
    JobFilterMessage,
    NewJob,
    UniqueRuleMessage,
    unique_rule_message,
)
from orchestrix_raft.wire.payloads import json_text

_NO_OBJECT: Final = "args must be a mapping of names to values, not {}"
FIELDS_BYTES: Final = 96  # id, numbers and tags of one job in a message, rounded up
_STATES: Final = {state.word: f"JOB_STATE_{state.name}" for state in JobState}
_EMPTY: Final = b"{}"

Choice = TypeVar("Choice", UniqueScope, OnConflict)


class Options(NamedTuple):
    """Everything about a job but its type and arguments."""

    queue: str = "default"
    priority: int = 0
    delay: float | timedelta | None = None
    run_at: datetime | None = None
    timeout: float | timedelta | None = None
    retry: RetryPolicy | None = None
    unique_key: str | None = None
    job_id: str | None = None
    correlation_id: str | None = None
    labels: Iterable[str] | None = None
    retry_for: float | timedelta | None = None
    key: str | None = None
    unique_scope: str | None = None
    unique_for: float | timedelta | None = None
    on_conflict: str | None = None
    expires: float | timedelta | None = None


class Chunk:
    """One batch of `enqueue_many`: its request, the ids in order, and what became of refused jobs."""

    def __init__(self) -> None:
        self.request = EnqueueRequest()
        self.ids: list[str] = []
        self.size = 0
        self.refused: list[Any] = []
        self.total = 0  # jobs, with those that were refused here and have no place in the request


def new_job(job_type: str, args: Mapping[str, Any] | None, options: Options) -> tuple[NewJob, int]:
    """The job for the wire and about how many bytes it takes there; `InvalidArgument` for what is wrong."""
    queue, priority, delay, run_at, timeout, retry, unique_key, job_id, correlation_id, labels = options[:10]
    retry_for = options.retry_for
    text = encode_args(args) if args else _EMPTY
    try:
        if not -limits.PRIORITY_MAX <= priority <= limits.PRIORITY_MAX:
            raise ValueError(f"priority is {priority}: it must be within +-{limits.PRIORITY_MAX}")
        job = NewJob(
            job_id=IDS.next() if job_id is None else id_bytes(job_id),
            type=job_type,
            queue=queue,
            args=text,
            priority=priority,
            run_at_ms=ms_of(run_at) if run_at is not None else 0,
            delay_ms=_milliseconds("delay", delay) if delay is not None else 0,
            timeout_ms=_milliseconds("timeout", timeout) if timeout is not None else 0,
            retry=policy_of(retry).message() if retry is not None else None,
            unique_key=unique_key or "",
            correlation_id=correlation_id or "",
            labels=labels or (),
            retry_for_ms=_milliseconds("retry_for", retry_for) if retry_for is not None else 0,
            key=options.key or "",
            unique=_unique_rule(options),
            expires_ms=_positive("expires", options.expires),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f"this is no job: {error}", "INVALID_ARGUMENT") from error
    size = FIELDS_BYTES + len(text) + 4 * (len(job_type) + len(queue))
    if unique_key or correlation_id or labels or options.key:
        size = job.ByteSize() + 8
    return job, size


def encode_args(args: Mapping[str, Any]) -> bytes:
    """Arguments as JSON text; dates, UUIDs, dataclasses and the like are written as msgspec does."""
    if not isinstance(args, Mapping):
        raise InvalidArgument(_NO_OBJECT.format(type(args).__name__), "ARGS_NOT_AN_OBJECT")
    try:
        text = json_text(args if isinstance(args, dict) else dict(args))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument(f"args cannot be written as JSON: {error}", "ARGS_NOT_JSON") from error
    if len(text) > limits.PAYLOAD_BYTES:
        # Said here: one that no message can hold would break the stream that it shares with other jobs.
        message = f"args have {len(text)} bytes as JSON: at most {limits.PAYLOAD_BYTES}"
        raise InvalidArgument(message, "ARGS_TOO_LARGE")
    return text


def chunks(jobs: Iterable[tuple[str, Mapping[str, Any] | None]], options: Options) -> Iterator[Chunk]:
    """Batches within the limits of one request, in order; jobs whose arguments cannot be sent are refused in
    them."""
    chunk = Chunk()
    made: list[NewJob] = []
    for job_type, args in jobs:
        try:
            job, size = new_job(job_type, args, options)
        except InvalidArgument as error:
            if not error.reason.startswith("ARGS_"):  # wrong of all of them
                raise
            error.job_ids = (format_job_id(IDS.next()),)
            chunk.refused.append(error)
            chunk.total += 1
            continue
        if made and (len(made) == limits.BATCH_JOBS or chunk.size + size > limits.BATCH_BYTES):
            chunk.request.jobs.extend(made)
            yield chunk
            chunk, made = Chunk(), []
        made.append(job)
        chunk.ids.append(format_job_id(job.job_id))
        chunk.total += 1
        chunk.size += size
    if made or chunk.refused:
        chunk.request.jobs.extend(made)
        yield chunk


def id_bytes(job_id: str) -> bytes:
    """The 16 bytes of an id; `InvalidArgument` if it is none."""
    try:
        return parse_job_id(job_id)
    except (ValueError, TypeError) as error:
        raise InvalidArgument(str(error), "JOB_ID_INVALID") from error


def job_filter(
    state: str | Iterable[str], queue: str | None, type: str | None, older_than: float | timedelta | None
) -> JobFilterMessage:
    """What a command on a filter means; `InvalidArgument` for what is wrong."""
    for name, value in (("queue", queue), ("type", type)):
        if value == "":  # a variable that is not set, more likely than: all of them
            raise InvalidArgument(f"{name} is empty: name one, or leave it out to mean all", "FILTER_INVALID")
    try:
        older_than_ms = 0 if older_than is None else _milliseconds("older_than", older_than)
    except ValueError as error:
        raise InvalidArgument(str(error), "INVALID_ARGUMENT") from error
    return JobFilterMessage(
        states=states(state), queue=queue or "", type=type or "", older_than_ms=older_than_ms
    )


def states(wanted: str | Iterable[str] | None) -> list[str]:
    """State words as the names in the .proto file; `InvalidArgument` for a word that is none."""
    words = () if wanted is None else (wanted,) if isinstance(wanted, str) else tuple(wanted)
    try:
        return [_STATES[word] for word in words]
    except KeyError as error:
        known = ", ".join(_STATES)
        raise InvalidArgument(
            f"no such state: {error.args[0]!r} (there are {known})", "STATE_INVALID"
        ) from None


def _unique_rule(options: Options) -> UniqueRuleMessage | None:
    """How a unique key is meant; None: as by default."""
    scope, unique_for, on_conflict = options.unique_scope, options.unique_for, options.on_conflict
    if scope is None and unique_for is None and on_conflict is None:
        return None
    if not options.unique_key:
        raise ValueError("unique_scope, unique_for and on_conflict need a unique_key")
    if unique_for is not None and scope != UniqueScope.WINDOW.word:
        raise ValueError("unique_for belongs to unique_scope='window'")
    return unique_rule_message(
        _choice("unique_scope", scope, UniqueScope.UNTIL_DONE),
        _positive("unique_for", unique_for),
        _choice("on_conflict", on_conflict, OnConflict.RETURN_EXISTING),
    )


def policy_of(retry: object) -> RetryPolicy:
    """What was given, if it is a policy; TypeError with what it is instead."""
    if not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry is {retry!r}: it is a RetryPolicy, such as RetryPolicy.fast()")
    return retry


def _choice(name: str, word: str | None, default: Choice) -> Choice:
    if word is None:
        return default
    for choice in type(default):
        if choice.word == word:
            return choice
    raise ValueError(f"{name} is {word!r}: there are {', '.join(one.word for one in type(default))}")


def _positive(name: str, value: float | timedelta | None) -> int:
    """Milliseconds; 0 for None alone."""
    if value is None:
        return 0
    milliseconds = _milliseconds(name, value)
    if not milliseconds:
        raise ValueError(f"{name} is {value}: it must be more than 0 seconds")
    return milliseconds


def _milliseconds(name: str, value: float | timedelta) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not seconds >= 0:  # also refuses NaN
        raise ValueError(f"{name} is {value}: it must be 0 seconds or more")
    milliseconds = round(seconds * 1_000)
    if milliseconds > limits.DURATION_MS:
        raise ValueError(f"{name} is {value}: at most {limits.DURATION_MS // 86_400_000} days")
    return milliseconds if milliseconds or not seconds else 1
