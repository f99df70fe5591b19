"""From what a caller says to messages: new jobs, batches of them, ids.  Pure but for the making of ids."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from orchestrix_raft.client.ids import IDS
from orchestrix_raft.client.model import RetryPolicy
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id, parse_job_id
from orchestrix_raft.domain.job import JobState, OnConflict, UniqueScope
from orchestrix_raft.wire import arguments
from orchestrix_raft.wire.arguments import milliseconds, moment_ms, optional_text, shown
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
_NAME_REASONS: Final = {"type": "TYPE_INVALID", "queue": "QUEUE_INVALID"}

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
    retry_for, key = options.retry_for, options.key
    text = _EMPTY if args is None else encode_args(args)
    given_type, given_queue = name_of("type", job_type), name_of("queue", queue)
    try:
        job = NewJob(
            job_id=IDS.next() if job_id is None else id_bytes(job_id),
            type=given_type,
            queue=given_queue,
            args=text,
            priority=_priority(priority),
            run_at_ms=moment_ms("run_at", run_at) if run_at is not None else 0,
            delay_ms=milliseconds("delay", delay) if delay is not None else 0,
            timeout_ms=_positive("timeout", timeout),
            retry=policy_of(retry).message() if retry is not None else None,
            unique_key=optional_text("unique_key", unique_key),
            correlation_id="" if correlation_id is None else _correlation_id(correlation_id),
            labels=() if labels is None else arguments.names("labels", labels),
            retry_for_ms=_positive("retry_for", retry_for),
            key=optional_text("key", key),
            unique=_unique_rule(options),
            expires_ms=_positive("expires", options.expires),
        )
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"this is no job: {error}", "INVALID_ARGUMENT") from error
    size = FIELDS_BYTES + len(text) + 4 * (len(given_type) + len(given_queue))
    if unique_key or correlation_id or labels or key:
        size = job.ByteSize() + 8
    if size > limits.BATCH_BYTES:
        # Said here: one that no message can hold would break the stream that it shares with other jobs.
        message = f"this is no job: its texts have {size - len(text):,} bytes beside args: shorten them"
        raise InvalidArgument(message, "INVALID_ARGUMENT")
    return job, size


def encode_args(args: Mapping[str, Any]) -> bytes:
    """Arguments as JSON text; dates, UUIDs, dataclasses and the like are written as msgspec does."""
    if not isinstance(args, Mapping):
        raise InvalidArgument(_NO_OBJECT.format(type(args).__name__), "ARGS_NOT_AN_OBJECT")
    keys: Iterable[object] = args
    for key in keys:
        if not isinstance(key, str):  # would become text, and a keyword that the handler does not have
            message = f"args has the key {shown(key)}: keys must be text, the handler's keyword arguments"
            raise InvalidArgument(message, "ARGS_NOT_AN_OBJECT")
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
    """Batches within the limits of one request, in order; jobs that are wrong are refused in them.

    What is wrong of all of them is raised before the first batch.
    """
    if isinstance(jobs, str | bytes | Mapping) or not isinstance(jobs, Iterable):
        message = f"jobs is {shown(jobs)}: it must be a list of (type, args)"
        raise InvalidArgument(message, "INVALID_ARGUMENT")
    if options.labels is not None:  # an iterator would be at its end after the first job
        options = options._replace(labels=_labels(options.labels))
    new_job("any", None, options)
    chunk = Chunk()
    made: list[NewJob] = []
    for item in jobs:
        try:
            job_type, args = _type_and_args(item)
            job, size = new_job(job_type, args, options)
        except InvalidArgument as error:
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


def _type_and_args(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        message = f"one of the jobs is {shown(item)}: each must be (type, args), such as ('mail', None)"
        raise InvalidArgument(message, "INVALID_ARGUMENT")
    return item[0], item[1]


def id_bytes(job_id: str) -> bytes:
    """The 16 bytes of an id; `InvalidArgument` if it is none."""
    given: object = job_id
    if not isinstance(given, str):
        message = f"job_id is {shown(given)}: it must be text, such as str(uuid.uuid4())"
        raise InvalidArgument(message, "JOB_ID_INVALID")
    try:
        return parse_job_id(job_id)
    except ValueError as error:
        raise InvalidArgument(f"job_id is {error}", "JOB_ID_INVALID") from error


def name_of(what: str, value: object) -> str:
    """The name of a queue or a type of jobs; `InvalidArgument` for what is none."""
    if isinstance(value, str) and value.isascii() and value:
        return value
    try:
        return arguments.text(what, value)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(str(error), _NAME_REASONS[what]) from error


def job_filter(
    state: str | Iterable[str], queue: str | None, type: str | None, older_than: float | timedelta | None
) -> JobFilterMessage:
    """What a command on a filter means; `InvalidArgument` for what is wrong."""
    try:
        older_than_ms = 0 if older_than is None else milliseconds("older_than", older_than)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(str(error), "INVALID_ARGUMENT") from error
    return JobFilterMessage(
        states=states(state),
        queue=filter_name("queue", queue),
        type=filter_name("type", type),
        older_than_ms=older_than_ms,
    )


def check_meant(what: str, every: bool, *given: object) -> None:
    """`InvalidArgument` for a command on a filter that was given none, unless `every` job is meant."""
    with arguments.refused():
        arguments.flag("all", every)
    if not every and all(value is None for value in given):
        words = f"{what}() without a filter would mean every job: name a state, queue, type or older_than"
        raise InvalidArgument(f"{words}, or say all=True", "FILTER_INVALID")


def filter_name(what: str, value: str | None) -> str:
    """The one queue or type that is meant; "" (all) for None alone."""
    if value is None:
        return ""
    if value == "":  # a variable that is not set, more likely than: all of them
        raise InvalidArgument(f"{what} is empty: name one, or leave it out to mean all", "FILTER_INVALID")
    return name_of(what, value)


def states(wanted: str | Iterable[str] | None) -> list[str]:
    """State words as the names in the .proto file; `InvalidArgument` for a word that is none."""
    if wanted is None:
        return []
    try:
        words = (wanted,) if isinstance(wanted, str) else arguments.names("state", wanted)
        return [_STATES[word] for word in words]
    except TypeError as error:
        raise InvalidArgument(str(error), "STATE_INVALID") from error
    except (KeyError, ValueError) as error:
        known = ", ".join(_STATES)
        word = error.args[0] if isinstance(error, KeyError) else ""
        raise InvalidArgument(f"no such state: {word!r} (there are {known})", "STATE_INVALID") from None


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
        raise TypeError(f"retry is {shown(retry)}: it is a RetryPolicy, such as RetryPolicy.fast()")
    return retry


def _choice(name: str, word: str | None, default: Choice) -> Choice:
    if word is None:
        return default
    for choice in type(default):
        if choice.word == word:
            return choice
    raise ValueError(f"{name} is {shown(word)}: there are {', '.join(one.word for one in type(default))}")


def _priority(priority: object) -> int:
    return arguments.whole("priority", priority, -limits.PRIORITY_MAX, limits.PRIORITY_MAX)


def _correlation_id(correlation_id: object) -> str:
    return arguments.text("correlation_id", correlation_id, empty=True)  # "": as it came from elsewhere


def _labels(labels: object) -> tuple[str, ...]:
    try:
        return arguments.names("labels", labels)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"this is no job: {error}", "INVALID_ARGUMENT") from error


def _positive(name: str, value: float | timedelta | None) -> int:
    """Milliseconds; 0 for None alone."""
    return 0 if value is None else milliseconds(name, value, zero=False)
