"""Changes asked for by hand: they are applied, and who asked is noted with what came of it.

A command of somebody who is to be named comes in an `Asked`; sent again, it is noted once.  Of a command on a
filter the first step is noted: the others are the client's loop.
"""

from collections import Counter
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.audit import ACTOR_CHARS, TEXT_CHARS, AuditRecord
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.machine import requests
from orchestrix_raft.machine.commands import (
    Asked,
    CancelJobs,
    CancelWhere,
    ConfigureQueue,
    DeleteSchedule,
    JobsResult,
    NoteAudit,
    PauseSchedule,
    PurgeJobs,
    PurgeWhere,
    PutSchedule,
    ResumeSchedule,
    RetryJobs,
    RetryWhere,
    ScheduleResult,
    TriggerSchedule,
    WhereResult,
)
from orchestrix_raft.machine.events import Audited
from orchestrix_raft.machine.items import ITEMWISE, Trace
from orchestrix_raft.machine.port import Result
from orchestrix_raft.machine.schedule_items import SCHEDULE_COMMANDS
from orchestrix_raft.machine.state import State

JOBS_NAMED: Final = 8  # of a command on many

ACTIONS: Final = MappingProxyType[type, str](
    {
        CancelJobs: "cancel_jobs",
        RetryJobs: "retry_jobs",
        PurgeJobs: "purge_jobs",
        CancelWhere: "cancel_where",
        RetryWhere: "retry_where",
        PurgeWhere: "purge_where",
        ConfigureQueue: "configure_queue",
        PutSchedule: "put_schedule",
        PauseSchedule: "pause_schedule",
        ResumeSchedule: "resume_schedule",
        TriggerSchedule: "trigger_schedule",
        DeleteSchedule: "delete_schedule",
    }
)
"""What is audited, and what it is called."""

_APPLY: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {**ITEMWISE, **SCHEDULE_COMMANDS}
)


def apply_asked(state: State, command: Asked, trace: Trace) -> Result:
    """Do what was asked, and note who asked."""
    inner = command.command
    known = requests.recall(state, inner.request_id[: limits.REQUEST_ID_BYTES]) is not None
    result = _APPLY[type(inner)](state, inner, trace)
    if not known and not getattr(inner, "cursor", b""):
        _note(state, trace, command.actor, ACTIONS[type(inner)], _target(inner), _outcome(result))
    return result


def apply_note(state: State, command: NoteAudit, trace: Trace) -> None:
    """Note what was done elsewhere than in the state."""
    _note(state, trace, command.actor, command.action, command.target, command.outcome)


def _note(state: State, trace: Trace, actor: str, action: str, target: str, outcome: str) -> None:
    record = AuditRecord(
        state.wall_ms, actor[:ACTOR_CHARS], action[:TEXT_CHARS], target[:TEXT_CHARS], outcome[:TEXT_CHARS]
    )
    trace.happen(state, (Audited(state.audit.next, record),))


def _target(command: Any) -> str:
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


def _outcome(result: Result) -> str:
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


AUDIT_COMMANDS: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {Asked: apply_asked, NoteAudit: apply_note}
)
