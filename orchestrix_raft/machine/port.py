"""What the node around the machine holds on to: constructor, `apply`, and what comes out of it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.machine.causes import Cause
from orchestrix_raft.machine.commands import (
    EnqueueResult,
    JobsResult,
    ReportResult,
    ScheduleResult,
    WhereResult,
)
from orchestrix_raft.machine.events import Event

Result = EnqueueResult | ReportResult | JobsResult | WhereResult | ScheduleResult | Rejected | int | None
"""None: done, nothing to say.  int: an incarnation or an epoch."""


class Resolved(NamedTuple):
    """The outcome of one numbered command; its origin answers the caller."""

    node_id: str
    incarnation: int
    sequence: int
    result: Result


class Gap(NamedTuple):
    """An origin's batch began too far on and was refused; it must send again from `expected`."""

    node_id: str
    incarnation: int
    expected: int


class Applied(NamedTuple):
    """What one entry did."""

    events: list[Event]
    resolved: list[Resolved]
    gaps: list[Gap]
    fenced: list[tuple[str, int]]  # (node id, incarnation) of batches of an incarnation that is over
    causes: Sequence[Cause] = ()  # who did it, for those who follow events
    encoded: bytes = b""  # the events, by `codec.encode_events`
    faults: tuple[Exception, ...] = ()  # caught in decide and answered with INTERNAL: for the node's log


class ChangeLog(Protocol):
    """Receives every change of a stored record, already encoded, at the end of the entry that made it.

    `History` must show a change as soon as it was put.
    """

    def put(self, table: str, key: bytes, value: bytes | None) -> None: ...
