"""Changes asked for by hand: they are applied, and who asked is noted with what came of it.

A command of somebody who is to be named comes in an `Asked`; sent again, it is noted once.  Of a command on a
filter the first step is noted: the others are the client's loop.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.audit import ACTOR_CHARS, TEXT_CHARS, AuditRecord
from orchestrix_raft.machine import requests
from orchestrix_raft.machine.audit_words import outcome_of, target_of
from orchestrix_raft.machine.commands import (
    Asked,
    CancelJobs,
    CancelWhere,
    ConfigureQueue,
    DeleteSchedule,
    NoteAudit,
    PauseSchedule,
    PurgeJobs,
    PurgeWhere,
    PutSchedule,
    ResumeSchedule,
    RetryJobs,
    RetryWhere,
    TriggerSchedule,
)
from orchestrix_raft.machine.events import Audited
from orchestrix_raft.machine.items import ITEMWISE, Trace
from orchestrix_raft.machine.port import Result
from orchestrix_raft.machine.rules import AUDIT_LEVEL
from orchestrix_raft.machine.schedule_items import SCHEDULE_COMMANDS
from orchestrix_raft.machine.state import State

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

WALKS: Final = (CancelWhere, RetryWhere, PurgeWhere)
"""Commands on a filter: `cursor` is empty in the first step, and then the place where the next one begins."""

_APPLY: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {**ITEMWISE, **SCHEDULE_COMMANDS}
)


def apply_asked(state: State, command: Asked, trace: Trace) -> Result:
    """Do what was asked, and note who asked."""
    inner = command.command
    known = requests.recall(state, inner.request_id[: limits.REQUEST_ID_BYTES]) is not None
    result = _APPLY[type(inner)](state, inner, trace)
    if not known and _is_noted(state.level, inner):
        outcome = outcome_of(state.level, inner, result)
        _note(state, trace, command.actor, ACTIONS[type(inner)], target_of(inner), outcome)
    return result


def _is_noted(level: int, command: Any) -> bool:
    """All but the later steps of a command on a filter, in the way of that machine level."""
    if level < AUDIT_LEVEL:
        return _is_noted_at_first(command)
    return not (isinstance(command, WALKS) and command.cursor)


def _is_noted_at_first(command: Any) -> bool:
    """Leaves out every PutSchedule, because its `cursor`, a choice, is never empty.  That was a mistake, and
    stays for the log of that time: nodes that run only the first level apply it beside this one."""
    return not getattr(command, "cursor", b"")


def apply_note(state: State, command: NoteAudit, trace: Trace) -> None:
    """Note what was done elsewhere than in the state."""
    _note(state, trace, command.actor, command.action, command.target, command.outcome)


def _note(state: State, trace: Trace, actor: str, action: str, target: str, outcome: str) -> None:
    record = AuditRecord(
        state.wall_ms, actor[:ACTOR_CHARS], action[:TEXT_CHARS], target[:TEXT_CHARS], outcome[:TEXT_CHARS]
    )
    trace.happen(state, (Audited(state.audit.next, record),))


AUDIT_COMMANDS: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {Asked: apply_asked, NoteAudit: apply_note}
)
