"""Events as those see them who follow: with cursor, kind, actor and reason, and what a filter goes by.

Made when they are read, not when they happen: nobody may be reading.
"""

import re
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, get_args

import msgspec

from orchestrix_raft.domain.job import TimerKind
from orchestrix_raft.domain.worker import worker_id
from orchestrix_raft.machine import events
from orchestrix_raft.machine.causes import Actor, Cause

_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

KINDS: Final = MappingProxyType[str, type](
    {_WORDS.sub("_", kind.__name__).lower(): kind for kind in get_args(events.Event)}
)
"""The name of every kind of event, and its type."""

_NAMES: Final = MappingProxyType[type, str]({kind: name for name, kind in KINDS.items()})
_OF_SESSIONS: Final = TimerKind.SESSION_DEADLINE
TEXT_CHARS: Final = 1_000  # of an error, for instance: the job has all of it, a page of events has many

_UNTOLD: Final = frozenset({"args", "result", "job_id", "boot_id", "seq", "idle_seq", "due_seq", "reason"})
"""Fields that are not among the details: payloads, which the job has; what has a place of its own; what only
the machine needs."""


class Cursor(NamedTuple):
    """A place in the feed, the same on every node: behind event `ordinal` (from 1) of the entry at `index`.
    Ordinal 0: before the first event of that entry."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    ordinal: int

    def __str__(self) -> str:
        return f"{self.index}-{self.ordinal}"


_CURSOR: Final = re.compile(r"(\d{1,18})-(\d{1,9})").fullmatch


def parse_cursor(text: str) -> Cursor | None:
    """The inverse of `str`; None: not a cursor."""
    found = _CURSOR(text)
    return Cursor(int(found[1]), int(found[2])) if found else None


class EventView(NamedTuple):
    """One event."""

    cursor: Cursor  # right behind it
    at_ms: int  # wall, of its entry
    kind: str  # of KINDS
    actor: str
    reason: str
    job_id: bytes  # b"": it concerns no job
    queue: str  # of the job, or the queue that it concerns; "": neither, or the job is forgotten
    job_type: str
    details: dict[str, Any]  # plain values
    elapsed_ms: int | None  # of its entry; None: it was kept by an earlier version


class EventFilter(NamedTuple):
    """What is wanted; an empty set: anything."""

    kinds: frozenset[type] = frozenset()
    job_ids: frozenset[bytes] = frozenset()
    queues: frozenset[str] = frozenset()
    job_types: frozenset[str] = frozenset()

    def may_want(self, event: events.Event) -> bool:
        """By what the event itself says."""
        if self.kinds and type(event) not in self.kinds:
            return False
        return not self.job_ids or job_of(event) in self.job_ids

    def wants(self, queue: str, job_type: str) -> bool:
        """By what its job says."""
        return (not self.queues or queue in self.queues) and (
            not self.job_types or job_type in self.job_types
        )


def job_of(event: events.Event) -> bytes:
    """The job that an event concerns; b"": none."""
    if type(event) is events.JobEnqueued:
        return event.spec.job_id
    return getattr(event, "job_id", b"")


def queue_of(event: events.Event) -> str:
    """The queue that an event is about by itself; "": none."""
    match event:
        case events.QueueConfigured():
            return event.name
        case events.SchedulePut():
            return event.spec.template.queue
        case _:
            return getattr(event, "queue", "")


def view(
    event: events.Event,
    cursor: Cursor,
    times: tuple[int, int | None],
    cause: Cause | None,
    names: tuple[str, str],
) -> EventView:
    """times: of its entry, wall and elapsed.  names: queue and type of its job, as far as they are known."""
    at_ms, elapsed_ms = times
    return EventView(
        cursor,
        at_ms,
        _NAMES[type(event)],
        _actor(event, cause),
        _reason(event),
        job_of(event),
        names[0],
        names[1],
        _fields(event),
        elapsed_ms,
    )


def _actor(event: events.Event, cause: Cause | None) -> str:
    if type(event) is events.JobAssigned:
        return "dispatcher"  # whoever made a slot or a job ready: it is the cluster that brings them together
    if cause is None:
        return ""
    if cause.actor is Actor.CLIENT and cause.name:  # it has none where a directory was recovered
        return f"client via {cause.name}"
    return f"{cause.actor.word} {cause.name}".rstrip()


def _reason(event: events.Event) -> str:
    match event:
        case events.AttemptEnded():
            said = event.reason or event.error.partition("\n")[0]
            return f"{event.state.word}: {said}" if said else event.state.word
        case events.StopRequested():
            return f"{event.why}: {event.reason}" if event.reason else event.why
        case events.SessionEnded():
            return "expired" if event.expired else ""
        case events.SlotSkipped():
            return event.slot.skipped
        case events.TimerSetAside():
            return event.detail
        case _:
            return getattr(event, "reason", "")


def told_fields(kind: type) -> list[str]:
    """The names of the details of a kind."""
    fields: tuple[str, ...] = kind.__struct_fields__  # type: ignore[attr-defined]  # every event is a struct
    return ["worker_id" if name == "session_id" else name for name in fields if name not in _UNTOLD]


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in value.__struct_fields__:
        if name == "key" and isinstance(value, events.TimerSetAside) and value.kind == _OF_SESSIONS:
            told[name] = worker_id(value.key).hex()
        elif name == "session_id":  # who knows it speaks for the worker
            told["worker_id"] = worker_id(getattr(value, name)).hex()
        elif name not in _UNTOLD:
            told[name] = _plain(getattr(value, name))
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    if isinstance(value, str) and len(value) > TEXT_CHARS:
        return f"{value[:TEXT_CHARS]}..."
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value
