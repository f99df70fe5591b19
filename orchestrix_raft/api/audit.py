"""The audit trail as the API writes it: which calls are in it, and what of the refused ones.

A change that the state machine makes is noted by it, in the same entry (`machine.audit_items`).  Other
changes are noted here once they are made.  Calls that change something and are turned away here are noted
too, but bounded: who sends nonsense without end must not fill the log, nor push out what others did.  What
is left out is counted, and the count is a record of its own.
"""

import asyncio
import time
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.api.callers import caller
from orchestrix_raft.api.errors import Refusal, UnknownOutcome
from orchestrix_raft.coordinator.port import Door, NotApplied
from orchestrix_raft.domain.audit import TEXT_CHARS
from orchestrix_raft.domain.errors import Code
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.words import one_line
from orchestrix_raft.machine.commands import NoteAudit

CALLS: Final = MappingProxyType(
    {
        "CancelJobs": "cancel_jobs",
        "RetryJobs": "retry_jobs",
        "PurgeJobs": "purge_jobs",
        "CancelWhere": "cancel_where",
        "RetryWhere": "retry_where",
        "PurgeWhere": "purge_where",
        "ConfigureQueue": "configure_queue",
        "PurgeQueue": "cancel_where",
        "PutSchedule": "put_schedule",
        "PauseSchedule": "pause_schedule",
        "ResumeSchedule": "resume_schedule",
        "TriggerSchedule": "trigger_schedule",
        "DeleteSchedule": "delete_schedule",
        "TransferLeadership": "transfer_leadership",
        "AddMember": "add_member",
        "RemoveMember": "remove_member",
        "DrainNode": "drain_node",
        "UndrainNode": "undrain_node",
        "DrainWorker": "drain_worker",
        "Backup": "backup",
        "MarkContents": "verify",
    }
)
"""Methods of the API that are audited, and what they are called in the trail."""

LEFT_OUT: Final = "left_out"
"""The action of a record that stands for refused calls which are not in the trail themselves."""

AT_ONCE: Final = 20
"""Refused calls that a node notes at once; then one a minute: in 30 days less than half of the trail."""

JOBS_NAMED: Final = 8  # of a refused call on many, as of one that is done

ONE_IN_S: Final = 60.0

_MALFORMED: Final = "MALFORMED_MESSAGE"


class Notes:
    """Of one server.  `door`: the node as of now."""

    def __init__(self, door: Door, now: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._now = now
        self._under_way: set[asyncio.Task[None]] = set()  # a task that nobody holds may vanish
        self._room, self._counted_at = float(AT_ONCE), now()
        self._left_out = 0
        self._later: asyncio.TimerHandle | None = None

    def made(self, action: str, target: str, outcome: str = "done") -> None:
        """The caller's change: it is made, whatever becomes of the note."""
        self._write(NoteAudit(caller(), action, target, outcome), refused=0)

    def asked(self, action: str, target: str) -> None:
        """A change that the caller asks for, after which this node may not be able to note anything.
        Bounded: what becomes of it is noted otherwise, too."""
        if self._take():
            self._write(NoteAudit(caller(), action, target, "asked"), refused=0)

    def turned_away(self, method: str, request: Any, error: Exception) -> None:
        """A call of that method has ended with `error`; request: None if it could not be read.  Nothing is
        done for calls that are not audited, or are in the trail already, nor for those that found no leader:
        that says nothing of the caller, and clients send them again."""
        action = CALLS.get(method)
        if action is None or getattr(error, "noted", False) or _unavailable(error):
            return
        if self._take():
            outcome = "unknown" if isinstance(error, UnknownOutcome) else f"refused: {_reason(error)}"
            self._write(NoteAudit(caller(), action, target_of(request), outcome), refused=1)
        else:
            self._leave_out(1)

    def _take(self) -> bool:
        now = self._now()
        self._room = min(float(AT_ONCE), self._room + (now - self._counted_at) / ONE_IN_S)
        self._counted_at = now
        if self._room < 1.0:
            return False
        self._room -= 1.0
        return True

    def _leave_out(self, count: int) -> None:
        self._left_out += count
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(ONE_IN_S, self._tell_left_out)

    def _tell_left_out(self) -> None:
        """One record for all that was left out so far."""
        self._later = None
        count, self._left_out = self._left_out, 0
        words = "1 more call" if count == 1 else f"{count} more calls"
        note = NoteAudit("", LEFT_OUT, "calls that were turned away", f"refused: {words}")
        self._write(note, refused=count)

    def _write(self, note: NoteAudit, refused: int) -> None:
        """refused: how many refused calls the note stands for; counted again if it is certainly lost."""
        task = asyncio.get_running_loop().create_task(self._submit(note, refused))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _submit(self, note: NoteAudit, refused: int) -> None:
        outcome = await self._door().submit(note)
        # A note whose outcome is unknown has most probably been made: counted again it would be there twice.
        if refused and isinstance(outcome, NotApplied):
            self._leave_out(refused)


def _unavailable(error: Exception) -> bool:
    return isinstance(error, Refusal) and error.rejected.code is Code.UNAVAILABLE


def _reason(error: Exception) -> str:
    return error.rejected.reason if isinstance(error, Refusal) else _MALFORMED


def target_of(request: Any) -> str:
    """What a refused call was about, in the words that the trail has for one that was done.  The request may
    hold anything."""
    if request is None:
        return ""
    return one_line(_target(request, request.DESCRIPTOR.fields_by_name)[:TEXT_CHARS])


def _target(request: Any, fields: Any) -> str:
    if "job_ids" in fields:
        named = ", ".join(_job(job_id) for job_id in request.job_ids[:JOBS_NAMED])
        more = len(request.job_ids) - JOBS_NAMED
        return f"jobs {named}" + (f" and {more} more" if more > 0 else "")
    if "filter" in fields:
        where = request.filter
        pairs = ("queue", where.queue), ("type", where.type)
        parts = [f"{name} is {value}" for name, value in pairs if value]
        return "jobs where " + (", ".join(parts) or "only the state is named")
    if "worker_id" in fields:
        return str(request.worker_id[:TEXT_CHARS].hex())
    if "spec" in fields:
        return f"schedule {request.spec.id}"
    for field, word in (("name", "queue "), ("id", "schedule "), ("node_id", ""), ("address", "")):
        if field in fields:
            return word + str(getattr(request, field))
    return ""


def _job(job_id: bytes) -> str:
    try:
        return format_job_id(job_id)
    except ValueError:
        return f"{job_id[:16].hex()} (no id)"
