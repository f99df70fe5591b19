"""ClusterService.Watch: what happened, as a stream of pages, at the reader's own pace."""

from contextlib import aclosing
from typing import Final

from orchestrix_raft.api import checks
from orchestrix_raft.api.errors import Context, Refusal, invalid
from orchestrix_raft.coordinator.event_reader import CURSOR_TOO_OLD
from orchestrix_raft.coordinator.event_view import (
    KINDS,
    Cursor,
    EventFilter,
    EventView,
    parse_cursor,
)
from orchestrix_raft.coordinator.port import NodePort
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.wire import events as wire
from orchestrix_raft.wire.common import read_info

AUDIT_DEFAULT: Final = 100
NUMBER_MAX: Final = (1 << 63) - 1
FILTER_VALUES: Final = 1_000  # of each field of a filter


async def watch(node: NodePort, request: wire.WatchRequest, context: Context) -> None:
    """Pages until the past is told (or, following, until the reader goes); waiting for a slow reader costs
    this node nothing but its call."""
    wanted = _filter(request)
    since = await _since(node, request)
    async with aclosing(node.watch(since, wanted, request.follow)) as pages:
        async for page in pages:
            if isinstance(page, Rejected):
                if page.reason == CURSOR_TOO_OLD:
                    await context.write(wire.WatchResponse(oldest=str(node.oldest_cursor())))
                raise Refusal(page)
            events = [_message(event) for event in page.events]
            await context.write(wire.WatchResponse(events=events, cursor=str(page.cursor)))


async def list_audit(node: NodePort, request: wire.ListAuditRequest) -> wire.ListAuditResponse:
    """One page of the audit trail."""
    limit = checks.page(request.limit, AUDIT_DEFAULT)
    fresh = await node.fresh(request.read.min_index, request.read.linearizable)
    if isinstance(fresh, Rejected):
        raise Refusal(fresh)
    after = min(request.after, NUMBER_MAX)
    records = [
        wire.AuditRecordMessage(
            number=number,
            at_ms=record.at_ms,
            actor=record.actor,
            action=record.action,
            target=record.target,
            outcome=record.outcome,
        )
        for number, record in node.audit(after, limit, request.latest)
    ]
    return wire.ListAuditResponse(records=records, read=read_info(*fresh))


async def _since(node: NodePort, request: wire.WatchRequest) -> Cursor | None:
    """Where to begin, once this node has come that far."""
    cursor = None
    min_index = request.read.min_index
    if request.since not in ("", wire.NOW):
        cursor = parse_cursor(request.since)
        if cursor is None:
            raise invalid(
                "CURSOR_INVALID", f"since {request.since[:50]!r}: neither a cursor (INDEX-ORDINAL) nor now"
            )
        min_index = max(min_index, cursor.index - (cursor.ordinal == 0))
    fresh = await node.fresh(min_index, request.read.linearizable or request.since == wire.NOW)
    if isinstance(fresh, Rejected):
        raise Refusal(fresh)
    return Cursor(fresh.applied_index + 1, 0) if request.since == wire.NOW else cursor


def _filter(request: wire.WatchRequest) -> EventFilter:
    for name in ("kinds", "job_ids", "queues", "types"):
        if len(getattr(request, name)) > FILTER_VALUES:
            raise invalid("FILTER_INVALID", f"{name}: at most {FILTER_VALUES} values")
    unknown = sorted(set(request.kinds) - KINDS.keys())
    if unknown:
        raise invalid("KIND_INVALID", f"no kind of event is called {unknown[0][:100]!r}")
    return EventFilter(
        frozenset(KINDS[kind] for kind in request.kinds),
        frozenset(checks.job_id(job_id) for job_id in request.job_ids),
        frozenset(checks.name_filter(checks.queue, queue) for queue in request.queues),
        frozenset(checks.name_filter(checks.job_type, name) for name in request.types),
    )


def _message(event: EventView) -> wire.EventMessage:
    return wire.event_message(str(event.cursor), *event[1:])
