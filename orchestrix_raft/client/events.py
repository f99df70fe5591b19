"""An event as the client hands it out, and the request for events."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from orchestrix_raft.client import building
from orchestrix_raft.client.model import at
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.wire.arguments import flag, names, optional_text, refused, text
from orchestrix_raft.wire.events import NOW, AuditRecordMessage, EventMessage, WatchRequest, check_since


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    cursor: str  # right behind it: give it as `since` to go on from here
    at: datetime | None  # of the cluster's clock
    kind: str  # job_enqueued, job_completed, session_attached, ...
    actor: str  # who caused it
    reason: str
    job_id: str  # "": it concerns no job
    queue: str  # of the job, or the queue that it concerns; "": neither, or the job is forgotten
    type: str
    details: dict[str, Any]  # the rest; fields of the kind
    elapsed_ms: int | None = None  # of the log's elapsed time; None: a node of an earlier version kept it


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change that somebody asked for by hand."""

    number: int  # in the audit trail, from 1
    at: datetime | None  # of the cluster's clock
    actor: str  # address of the caller, and the name in its certificate if it showed one
    action: str  # cancel_jobs, configure_queue, put_schedule, transfer_leadership, ...
    target: str
    outcome: str  # done: ..., or refused: REASON


class AuditPage(list[AuditEntry]):
    """Records of the audit trail, oldest first.  cluster_id: of the cluster whose trail it is; "": a node of
    an earlier version has answered."""

    def __init__(self, entries: Iterable[AuditEntry], cluster_id: str = "") -> None:
        super().__init__(entries)
        self.cluster_id = cluster_id


def audit_entry_of(message: AuditRecordMessage) -> AuditEntry:
    """From the wire."""
    return AuditEntry(
        number=message.number,
        at=at(message.at_ms),
        actor=message.actor,
        action=message.action,
        target=message.target,
        outcome=message.outcome,
    )


def event_of(message: EventMessage) -> Event:
    """From the wire."""
    return Event(
        cursor=message.cursor,
        at=at(message.at_ms),
        kind=message.kind,
        actor=message.actor,
        reason=message.reason,
        job_id=format_job_id(message.job_id) if message.job_id else "",
        queue=message.queue,
        type=message.type,
        details=msgspec.json.decode(message.details, type=dict[str, Any]),
        elapsed_ms=message.elapsed_ms if message.HasField("elapsed_ms") else None,
    )


def watch_request(
    since: str | None,
    follow: bool,
    job: str | Iterable[str] | None,
    queue: str | Iterable[str] | None,
    type: str | Iterable[str] | None,
    kind: str | Iterable[str] | None,
) -> WatchRequest:
    """What is asked; InvalidArgument for what cannot be meant."""
    with refused():
        flag("follow", follow)
        return WatchRequest(
            since=_since(since) or (NOW if follow else ""),
            follow=follow,
            kinds=_several("kind", kind),
            job_ids=[building.id_bytes(job_id) for job_id in _several("job", job)],
            queues=_several("queue", queue),
            types=_several("type", type),
        )


def _since(given: str | None) -> str:
    told = optional_text("since", given)
    try:
        return check_since(told) if told else ""
    except ValueError as error:
        raise ValueError(f"since: {error}") from error


def _several(name: str, given: str | Iterable[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (text(name, given),) if isinstance(given, str) else names(name, given)
