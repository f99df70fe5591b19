"""The words of an audit record: what a change was meant for, and what came of it.

They are stored in the replicated state.  Another word is another state, so words change with a machine level
only; for that reason durations are written here and not as the command line shows them today.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.queue import LIMITS, QueueChange, RateLimitOptions
from orchestrix_raft.machine.commands import (
    CancelJobs,
    CancelWhere,
    ConfigureQueue,
    JobsResult,
    PurgeJobs,
    PurgeWhere,
    PutSchedule,
    RetryJobs,
    RetryWhere,
    ScheduleResult,
    WhereResult,
)
from orchestrix_raft.machine.port import Result
from orchestrix_raft.machine.rules import AUDIT_LEVEL

JOBS_NAMED: Final = 8  # of a command on many
_UNITS: Final = (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def target_of(command: Any) -> str:
    """What a command was meant for."""
    match command:
        case CancelJobs() | RetryJobs() | PurgeJobs():
            named = [format_job_id(job_id) for job_id in command.job_ids[:JOBS_NAMED]]
            more = len(command.job_ids) - len(named)
            return "jobs " + ", ".join(named) + (f" and {more} more" if more else "")
        case CancelWhere() | RetryWhere() | PurgeWhere():
            return f"jobs where {_filter(command.where)}"
        case ConfigureQueue():
            return f"queue {command.name}"
        case PutSchedule():
            return f"schedule {command.spec.schedule_id}"
        case _:
            return f"schedule {command.schedule_id}"


def _filter(where: JobFilter) -> str:
    known = {int(state): state.word for state in JobState}
    parts = [f"state is {' or '.join(known.get(int(state), '?') for state in where.states)}"]
    parts += [f"{name} is {value}" for name, value in (("queue", where.queue), ("type", where.type)) if value]
    return ", ".join(parts) + (", older" if where.before_ms else "")


def outcome_of(level: int, command: Any, result: Result) -> str:
    """What came of it, in the words of that machine level."""
    if level < AUDIT_LEVEL:
        return _outcome_at_first(result)
    return _outcome(command, result)


def _outcome(command: Any, result: Result) -> str:
    """From AUDIT_LEVEL on: of a queue also what was changed."""
    if isinstance(command, ConfigureQueue) and not isinstance(result, Rejected):
        return "done: " + (", ".join(_changes(command.change)) or "nothing changed")
    return _outcome_at_first(result)


def _outcome_at_first(result: Result) -> str:
    match result:
        case Rejected(reason=reason):
            return f"refused: {reason}"
        case JobsResult(words=words):
            counts = sorted(Counter(words).items())
            return "done: " + ", ".join(
                f"{count} {word}" if len(words) > 1 else word for word, count in counts
            )
        case WhereResult(done=done, cursor=cursor):
            return f"done: {done} at once" + (", more to come" if cursor else "")
        case ScheduleResult(word=word):
            return f"done: {word}"
        case _:
            return "done"


def _changes(change: QueueChange) -> Iterator[str]:
    """Each part of an accepted change: "paused", "rate 100/1s", "concurrency 3", "key rate none"."""
    if change.paused is not None:
        yield "paused" if change.paused else "resumed"
    given = (change.rate, change.concurrency, change.key_rate, change.key_concurrency)
    for name, limit in zip(LIMITS, given, strict=True):
        words = name.replace("_", " ")
        if isinstance(limit, RateLimitOptions):
            yield f"{words} {limit.count}/{_duration(limit.window_ms)}"
        elif limit:
            yield f"{words} {limit}"
        elif name in change.clear:
            yield f"{words} none"


def _duration(duration_ms: int) -> str:
    """In the largest unit that leaves no rest: 1s, 90s, 1500ms."""
    unit, size_ms = next((unit, size_ms) for unit, size_ms in _UNITS if duration_ms % size_ms == 0)
    return f"{duration_ms // size_ms}{unit}"
