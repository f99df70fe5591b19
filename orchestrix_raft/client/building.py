"""From what a caller says to messages: new jobs, batches of them, ids.  Pure but for the making of ids."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from orchestrix_raft.client.ids import IDS
from orchestrix_raft.client.model import RetryPolicy, ms_of
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id, parse_job_id
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.wire.errors import InvalidArgument
from orchestrix_raft.wire.jobs import EnqueueRequest, NewJob
from orchestrix_raft.wire.payloads import json_text

FIELDS_BYTES: Final = 96  # id, numbers and tags of one job in a message, rounded up
_STATES: Final = {state.word: f"JOB_STATE_{state.name}" for state in JobState}
_EMPTY: Final = b"{}"


class Options(NamedTuple):
    """Everything about a job but its type and arguments."""

    queue: str
    priority: int
    delay: float | timedelta | None
    run_at: datetime | None
    timeout: float | timedelta | None
    retry: RetryPolicy | None
    unique_key: str | None
    job_id: str | None
    correlation_id: str | None
    labels: Iterable[str] | None


class Chunk:
    """One batch of `enqueue_many`: its request, the ids in order, and what became of refused jobs."""

    def __init__(self) -> None:
        self.request = EnqueueRequest()
        self.ids: list[str] = []
        self.size = 0
        self.refused: list[Any] = []


def new_job(job_type: str, args: Mapping[str, Any] | None, options: Options) -> tuple[NewJob, int]:
    """The job for the wire and about how many bytes it takes there; `InvalidArgument` for what is wrong."""
    (queue, priority, delay, run_at, timeout, retry, unique_key, job_id, correlation_id, labels) = options
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
            retry=retry.message() if retry is not None else None,
            unique_key=unique_key or "",
            correlation_id=correlation_id or "",
            labels=labels or (),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f"this is no job: {error}", "INVALID_ARGUMENT") from error
    size = FIELDS_BYTES + len(text) + 4 * (len(job_type) + len(queue))
    if unique_key or correlation_id or labels:
        size = job.ByteSize() + 8
    return job, size


def encode_args(args: Mapping[str, Any]) -> bytes:
    """Arguments as JSON text; dates, UUIDs, dataclasses and the like are written as msgspec does."""
    if not isinstance(args, Mapping):
        raise InvalidArgument(f"args must be a mapping of names to values, not {type(args).__name__}")
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
    """Batches within the limits of one request, in order."""
    chunk = Chunk()
    made: list[NewJob] = []
    for job_type, args in jobs:
        job, size = new_job(job_type, args, options)
        if made and (len(made) == limits.BATCH_JOBS or chunk.size + size > limits.BATCH_BYTES):
            chunk.request.jobs.extend(made)
            yield chunk
            chunk, made = Chunk(), []
        made.append(job)
        chunk.ids.append(format_job_id(job.job_id))
        chunk.size += size
    if made:
        chunk.request.jobs.extend(made)
        yield chunk


def id_bytes(job_id: str) -> bytes:
    """The 16 bytes of an id; `InvalidArgument` if it is none."""
    try:
        return parse_job_id(job_id)
    except (ValueError, TypeError) as error:
        raise InvalidArgument(str(error), "JOB_ID_INVALID") from error


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


def _milliseconds(name: str, value: float | timedelta) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not seconds >= 0:  # also refuses NaN
        raise ValueError(f"{name} is {value}: it must be 0 seconds or more")
    milliseconds = round(seconds * 1_000)
    if milliseconds > limits.DURATION_MS:
        raise ValueError(f"{name} is {value}: at most {limits.DURATION_MS // 86_400_000} days")
    return milliseconds if milliseconds or not seconds else 1
