"""Retention: which records of ended jobs go now, by their age and by their number.

Looks at counters alone; the state machine walks the disk, a bounded number of records a command.  When
nothing is due there is no command, so an idle cluster stays idle; and a little more than what is due at this
very moment goes at once, so a busy one does not pay for a command with every job.
"""

from typing import Final, NamedTuple

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.keeping import Kept
from orchestrix_raft.machine.commands import Forget, ForgetAudit
from orchestrix_raft.machine.keeping import count_of, oldest_of
from orchestrix_raft.machine.state import State

SLACK_MS: Final = 1_000  # a record is kept this much longer than it must be, so that several go together


class Keep(NamedTuple):
    """How long (wall milliseconds from the end) and how many."""

    finished_ms: int = limits.KEEP_FINISHED_MS  # completed and cancelled jobs
    finished: int = limits.KEEP_FINISHED
    dead_ms: int = limits.KEEP_DEAD_MS
    dead: int = limits.KEEP_DEAD
    audit_ms: int = limits.KEEP_AUDIT_MS  # from the change
    audit: int = limits.KEEP_AUDIT


def overdue_records(state: State, wall_ms: int, keep: Keep, limit: int) -> list[Forget]:
    """At most one command for each kind; each forgets up to `limit` records."""
    commands = []
    for what, for_ms, most in (
        (Kept.FINISHED, keep.finished_ms, keep.finished),
        (Kept.DEAD, keep.dead_ms, keep.dead),
        (Kept.IDS, 0, -1),
    ):
        oldest_ms = oldest_of(state, what)
        too_old = 0 <= oldest_ms < wall_ms - for_ms - SLACK_MS
        too_many = 0 <= most < count_of(state, what)
        if too_old or too_many:
            room = most - min(limit, most // 10) if too_many else most
            commands.append(Forget(what, wall_ms - for_ms + 1, room, limit))
    return commands


def overdue_audit(state: State, wall_ms: int, keep: Keep, limit: int) -> list[ForgetAudit]:
    """At most one command, for up to `limit` of the oldest records of the audit trail."""
    trail, before_ms = state.audit, wall_ms - keep.audit_ms
    too_old = 0 <= trail.oldest_ms < before_ms - SLACK_MS
    if not too_old and trail.count <= keep.audit:
        return []
    room = keep.audit - min(limit, keep.audit // 10) if trail.count > keep.audit else keep.audit
    return [ForgetAudit(before_ms + 1, room, limit)]
