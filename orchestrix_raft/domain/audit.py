"""Who changed what by hand: one record of the audit trail, and where the trail begins and ends."""

from typing import Final

import msgspec

JOIN: Final = "join"
RESTORE: Final = "restore"
RECOVER: Final = "recover"
BY_NODES: Final = frozenset({JOIN, RESTORE, RECOVER})
"""Actions that nobody asks a service for: of nodes that join, and of commands on a directory."""

ACTOR_CHARS = 200
TEXT_CHARS = 500  # of what was meant, and of what came of it


class AuditRecord(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """One change that somebody asked for, done or refused."""

    at_ms: int  # wall
    actor: str  # as far as known: where the call came from, and whose certificate it showed
    action: str  # cancel_jobs, configure_queue, put_schedule, ...
    target: str  # jobs, a filter, a queue, a schedule, a node
    outcome: str  # done: ..., or refused: REASON


class AuditTrail(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """The records kept are those numbered from `first` up to before `next`."""

    first: int = 1
    next: int = 1
    oldest_ms: int = -1  # wall, of the first one; -1: there is none

    @property
    def count(self) -> int:
        """How many are kept."""
        return self.next - self.first
