"""The audit trail: records of who asked for a change by hand, in order, until they are too old or too many.

Replicated, so that every node tells the same, and kept longer than the event feed.  Records are numbered
without gaps and go from the front.
"""

from orchestrix_raft.domain import limits
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import ForgetAudit
from orchestrix_raft.machine.events import Audited, AuditForgotten
from orchestrix_raft.machine.history import AUDIT, AUDIT_KEY, SINGLES
from orchestrix_raft.machine.records import audit_key
from orchestrix_raft.machine.state import State


def decide_forget(state: State, command: ForgetAudit) -> tuple[AuditForgotten, ...]:
    """The oldest records that are over time or over number, at most `limit`."""
    trail = state.audit
    limit = max(1, min(command.limit, limits.FORGET_AT_ONCE))
    surplus = trail.count - command.keep
    first, oldest_ms = trail.next, -1
    for place, (number, record) in enumerate(state.records.audit_from(trail.first, limit + 1)):
        if place == limit or not (record.at_ms < command.before_ms or surplus > place):
            first, oldest_ms = number, record.at_ms
            break
    return (AuditForgotten(first, oldest_ms),) if first != trail.first else ()


# ---- evolve


def evolve_audited(state: State, event: Audited) -> None:
    """The trail is one record longer."""
    trail = state.audit
    if not trail.count:
        trail.oldest_ms = event.record.at_ms
    trail.next = event.number + 1
    state.records.put(AUDIT, audit_key(event.number), codec.encode_record(event.record))
    state.touch(SINGLES, AUDIT_KEY, trail)


def evolve_forgotten(state: State, event: AuditForgotten) -> None:
    """The trail begins later."""
    trail = state.audit
    for number in range(trail.first, event.first):
        state.records.put(AUDIT, audit_key(number), None)
    trail.first, trail.oldest_ms = event.first, event.oldest_ms
    state.touch(SINGLES, AUDIT_KEY, trail)
