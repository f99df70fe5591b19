"""What a request must look like.  Pure: takes values, says what is wrong in one line, or nothing.

Every check answers with the limit and what was given.  `job` is on the hot path: no loops, no calls for
what is at its default.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from orchestrix_raft.api.errors import Refusal, invalid
from orchestrix_raft.domain import limits, names
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobSpec, JobState, fault_in_unique
from orchestrix_raft.domain.queue import QueueChange, fault_in_change
from orchestrix_raft.domain.retry import DEFAULT_RETRY, RetryPolicy, fault_in_policy
from orchestrix_raft.domain.session import Hello

TIME_MAX_MS: Final = 253_402_300_799_999  # the end of the year 9999: what RFC 3339 can write
WAIT_MAX_MS: Final = 60_000
REQUEST_ID_BYTES: Final = 16
CURSOR_BYTES: Final = 64  # of a step of a command on a filter
HELD_MAX: Final = 2 * limits.CAPACITY  # running handlers and results that wait for their acknowledgement

_LABEL: Final = re.compile(r"[A-Za-z0-9._:/@=-]+").fullmatch
_JSON_OBJECT: Final = msgspec.json.Decoder(dict[str, Any]).decode
_JSON: Final = msgspec.json.Decoder().decode


def job(spec: JobSpec) -> Rejected | None:
    """What is wrong with a new job, if anything."""
    wrong = _names(spec) or _args(spec.args)
    if wrong is None and not -limits.PRIORITY_MAX <= spec.priority <= limits.PRIORITY_MAX:
        wrong = _wrong("PRIORITY_OUT_OF_RANGE", f"priority {spec.priority}: at most +-{limits.PRIORITY_MAX}")
    if wrong is None and (spec.run_at_ms or spec.delay_ms or spec.timeout_ms or spec.retry_for_ms):
        wrong = _times(spec)
    if wrong is None and spec.retry is not DEFAULT_RETRY:
        wrong = _retry(spec.retry)
    if wrong is None and spec.labels:
        wrong = _labels(spec.labels)
    if wrong is None and (spec.key or spec.unique is not None or spec.expires_ms):
        wrong = _rules(spec)
    return wrong


def _wrong(reason: str, message: str) -> Rejected:
    return Rejected(Code.INVALID_ARGUMENT, reason, message)


def _names(spec: JobSpec) -> Rejected | None:
    if len(spec.job_id) != limits.JOB_ID_BYTES:
        return _job_id(spec.job_id)
    if not 0 < len(spec.type) <= limits.TYPE_CHARS or not spec.type.isprintable() or " " in spec.type:
        return job_type(spec.type)
    if len(spec.queue) > limits.QUEUE_CHARS or not names.is_name(spec.queue):
        return queue(spec.queue)
    if len(spec.unique_key) > limits.KEY_CHARS:
        return _too_long("unique_key", spec.unique_key)
    if len(spec.correlation_id) > limits.KEY_CHARS:
        return _too_long("correlation_id", spec.correlation_id)
    return None


def _job_id(job_id: bytes) -> Rejected:
    return _wrong(
        "JOB_ID_INVALID", f"job_id has {len(job_id)} bytes: it must be the {limits.JOB_ID_BYTES} of a UUID"
    )


def _too_long(field: str, text: str) -> Rejected:
    return _wrong(
        f"{field.upper()}_TOO_LONG", f"{field} has {len(text)} characters: at most {limits.KEY_CHARS}"
    )


def job_type(text: str) -> Rejected | None:
    """A type is printable, without blanks."""
    fault = names.fault_in_type(text)
    return _wrong("TYPE_INVALID", fault) if fault else None


def queue(text: str) -> Rejected | None:
    """Queue names are safe in shells, URLs and metrics."""
    fault = names.fault_in_queue(text)
    return _wrong("QUEUE_INVALID", fault) if fault else None


def _args(args: bytes) -> Rejected | None:
    if len(args) > limits.PAYLOAD_BYTES:
        return _wrong("ARGS_TOO_LARGE", f"args have {len(args)} bytes: at most {limits.PAYLOAD_BYTES}")
    try:
        # Decoded in full: a scan for the structure alone lets invalid UTF-8 and endless numbers through.
        _JSON_OBJECT(args)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            return _wrong("ARGS_NOT_JSON", f"args are not JSON that can be kept: {error}")
        message = (
            f"args: {error}; a JSON object is needed, its members become the handler's keyword arguments"
        )
        return _wrong("ARGS_NOT_AN_OBJECT", message)
    except (ValueError, RecursionError) as error:
        return _wrong("ARGS_NOT_JSON", f"args are not JSON: {error}")
    return None


def result(text: bytes) -> str:
    """What is wrong with a handler's result; "" if nothing is."""
    if len(text) > limits.PAYLOAD_BYTES:
        return f"the result has {len(text)} bytes: at most {limits.PAYLOAD_BYTES}"
    try:
        _JSON(text)
    except (ValueError, RecursionError) as error:
        return f"the result is not JSON: {error}"
    return ""


def _times(spec: JobSpec) -> Rejected | None:
    if spec.run_at_ms and spec.delay_ms:
        return _wrong("RUN_AT_AND_DELAY", "run_at_ms and delay_ms exclude each other: give one of them")
    if spec.run_at_ms > TIME_MAX_MS:
        return _wrong(
            "RUN_AT_OUT_OF_RANGE", f"run_at_ms {spec.run_at_ms} is after the year 9999: milliseconds?"
        )
    return (
        _duration("delay_ms", spec.delay_ms)
        or _duration("timeout_ms", spec.timeout_ms)
        or _duration("retry_for_ms", spec.retry_for_ms)
    )


def _duration(field: str, value_ms: int) -> Rejected | None:
    if value_ms > limits.DURATION_MS:
        days = limits.DURATION_MS // 86_400_000
        return _wrong("DURATION_TOO_LONG", f"{field} {value_ms}: at most {limits.DURATION_MS} ({days} days)")
    return None


def _rules(spec: JobSpec) -> Rejected | None:
    if len(spec.key) > limits.KEY_CHARS:
        return _too_long("key", spec.key)
    fault = "" if spec.unique is None else fault_in_unique(spec.unique_key, spec.unique)
    return _wrong("UNIQUE_RULE_INVALID", fault) if fault else _duration("expires_ms", spec.expires_ms)


def queue_change(name: str, change: QueueChange) -> None:
    """What is to be changed of a queue; raises `Refusal`."""
    wrong = queue(name)
    if wrong is not None:
        raise Refusal(wrong)
    fault = fault_in_change(name, change)
    if fault:
        raise invalid("QUEUE_OPTIONS_INVALID", fault)


def _retry(policy: RetryPolicy) -> Rejected | None:
    wrong = _duration("retry.delay_ms", policy.delay_ms) or _duration(
        "retry.max_delay_ms", policy.max_delay_ms
    )
    if wrong is None and (fault := fault_in_policy(policy)):
        wrong = _wrong("RETRY_POLICY_INVALID", f"retry.{fault}")
    return wrong


def _labels(labels: Iterable[str]) -> Rejected | None:
    found = tuple(labels)
    if len(found) > limits.LABELS:
        return _wrong("LABELS_INVALID", f"{len(found)} labels: at most {limits.LABELS}")
    for label in found:
        if len(label) > limits.QUEUE_CHARS or not _LABEL(label):
            allowed = f"1 to {limits.QUEUE_CHARS} {names.CHARS} ="
            return _wrong(
                "LABELS_INVALID", f"label {label[: limits.QUEUE_CHARS]!r}: only {allowed} are allowed"
            )
    return None


def batch(count: int, size: int) -> Rejected | None:
    """The size of one Enqueue request: `count` jobs in `size` bytes of message."""
    if count == 0:
        return _wrong("BATCH_EMPTY", "the request has no jobs")
    if count > limits.BATCH_JOBS:
        return _wrong(
            "BATCH_TOO_LARGE", f"the request has {count} jobs: at most {limits.BATCH_JOBS}, please split it"
        )
    if size > limits.BATCH_BYTES:
        return _wrong(
            "BATCH_TOO_LARGE", f"the request has {size} bytes: at most {limits.BATCH_BYTES}, please split it"
        )
    return None


def job_id(value: bytes) -> bytes:
    """The id as given; raises `Refusal` if it is none."""
    if len(value) != limits.JOB_ID_BYTES:
        raise Refusal(_job_id(value))
    return value


def job_ids(values: Iterable[bytes]) -> tuple[bytes, ...]:
    """1 to 1,000 ids; raises `Refusal`."""
    found = tuple(values)
    if not 0 < len(found) <= limits.BATCH_JOBS:
        raise invalid("BATCH_TOO_LARGE", f"{len(found)} job ids: from 1 to {limits.BATCH_JOBS}, please")
    for value in found:
        job_id(value)
    return found


def request_id(value: bytes) -> bytes:
    """16 bytes; raises `Refusal`."""
    if len(value) != REQUEST_ID_BYTES:
        raise invalid(
            "REQUEST_ID_INVALID", f"request_id has {len(value)} bytes: {REQUEST_ID_BYTES} random ones, please"
        )
    return value


def text(field: str, value: str) -> str:
    """A reason or message of bounded length; raises `Refusal`."""
    if len(value) > limits.MESSAGE_CHARS:
        raise invalid(
            f"{field.upper()}_TOO_LONG",
            f"{field} has {len(value)} characters: at most {limits.MESSAGE_CHARS}",
        )
    return value


def page(limit: int, default: int) -> int:
    """How many items to list; 0 means `default`; raises `Refusal`."""
    if limit > limits.PAGE:
        raise invalid("LIMIT_OUT_OF_RANGE", f"limit {limit}: at most {limits.PAGE}")
    return limit or default


def filter_states(values: Iterable[int], allowed: frozenset[JobState]) -> tuple[JobState, ...]:
    """The states that a command on a filter means; raises `Refusal`."""
    found = set(values)
    if not found or not allowed.issuperset(found):
        words = ", ".join(state.word for state in sorted(allowed))
        raise invalid("FILTER_INVALID", f"this needs a filter with at least one of the states {words}")
    return tuple(sorted(JobState(value) for value in found))


def cursor(value: bytes) -> bytes:
    """The cursor of an earlier step, or none; raises `Refusal`."""
    if len(value) > CURSOR_BYTES:
        raise invalid("CURSOR_INVALID", "not a cursor of an earlier step")
    return value


def step(limit: int) -> int:
    """How many jobs one step looks at; 0 means as many as may be; raises `Refusal`."""
    if limit > limits.FILTER_ROWS:
        raise invalid("LIMIT_OUT_OF_RANGE", f"limit {limit}: at most {limits.FILTER_ROWS}")
    return limit or limits.FILTER_ROWS


def wait_ms(value: int) -> int:
    """How long one WaitJob may take; raises `Refusal`."""
    if value > WAIT_MAX_MS:
        raise invalid("TIMEOUT_TOO_LONG", f"timeout_ms {value}: at most {WAIT_MAX_MS}, then ask again")
    return value


def name_filter(check: Callable[[str], Rejected | None], value: str) -> str:
    """A filter of a listing: empty, or a name that could exist; raises `Refusal`."""
    wrong = check(value) if value else None
    if wrong is not None:
        raise Refusal(wrong)
    return value


def holder(owner: str, worker_id: bytes) -> None:
    """Which node's or worker's jobs are listed; either may be empty; raises `Refusal`."""
    if len(owner) > limits.NODE_ID_CHARS:
        raise invalid("NODE_ID_INVALID", f"owner has {len(owner)} characters")
    if worker_id and len(worker_id) != limits.SESSION_ID_BYTES:
        words = f"worker_id has {len(worker_id)} bytes, must have {limits.SESSION_ID_BYTES}"
        raise invalid("WORKER_ID_INVALID", words)


def hello(message: Hello) -> str:
    """What is wrong with a worker's Hello; "" if nothing is."""
    if len(message.session_id) != limits.JOB_ID_BYTES:
        return f"session_id has {len(message.session_id)} bytes: {limits.JOB_ID_BYTES} random ones, please"
    if len(message.name) > limits.TYPE_CHARS:
        return f"name has {len(message.name)} characters: at most {limits.TYPE_CHARS}"
    if not 0 < len(message.queues) <= limits.QUEUES_OF_A_WORKER:
        return f"{len(message.queues)} queues: from 1 to {limits.QUEUES_OF_A_WORKER}, please"
    if not 0 < message.capacity <= limits.CAPACITY:
        return f"capacity {message.capacity}: from 1 to {limits.CAPACITY}, please"
    if len(message.held) > HELD_MAX:
        return f"{len(message.held)} held jobs: at most {HELD_MAX}"
    if any(len(held_id) != limits.JOB_ID_BYTES for held_id, _ in message.held):
        return f"a held job's id has not {limits.JOB_ID_BYTES} bytes"
    wrong = _labels(message.labels)
    for name in message.queues:
        wrong = wrong or queue(name)
    return wrong.message if wrong is not None else ""
