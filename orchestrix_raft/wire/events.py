"""events.proto: what happened, as pages of a stream."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from orchestrix_raft.wire.v1 import events_pb2 as pb

WatchRequest = pb.WatchRequest
WatchResponse = pb.WatchResponse
EventMessage = pb.Event
ListAuditRequest = pb.ListAuditRequest
ListAuditResponse = pb.ListAuditResponse
AuditRecordMessage = pb.AuditRecord

NOW: Final = "now"
"""As `since`: nothing that happened before the call."""

_encode: Final = msgspec.json.Encoder().encode
_CURSOR: Final = re.compile(r"\d{1,18}-\d{1,9}").fullmatch


def check_since(text: str) -> str:
    """`text` if it may be where to begin; else ValueError."""
    if text != NOW and not _CURSOR(text):
        raise ValueError(f"{text[:50]!r} is no cursor of an event: those look like 12-1 (or say now)")
    return text


def event_message(
    cursor: str,
    at_ms: int,
    kind: str,
    actor: str,
    reason: str,
    job_id: bytes,
    queue: str,
    job_type: str,
    details: Mapping[str, Any],
    elapsed_ms: int | None,
) -> pb.Event:
    """One event; `details` are plain values."""
    return pb.Event(
        cursor=cursor,
        at_ms=at_ms,
        kind=kind,
        actor=actor,
        reason=reason,
        job_id=job_id,
        queue=queue,
        type=job_type,
        details=_encode(details),
        elapsed_ms=elapsed_ms,
    )
