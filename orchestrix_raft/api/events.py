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
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.wire import events as wire
from orchestrix_raft.wire.common import read_info

AUDIT_DEFAULT: Final = 100
NUMBER_MAX: Final = (1 << 63) - 1
CURSOR_AHEAD: Final = "CURSOR_AHEAD"
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
                    oldest = str(node.oldest_cursor())
                    await context.write(wire.WatchResponse(oldest=oldest, cluster_id=node.cluster_id))
                raise Refusal(page)
            events = [_message(event) for event in page.events]
            response = wire.WatchResponse(events=events, cursor=str(page.cursor), cluster_id=node.cluster_id)
            await context.write(response)


async def list_audit(node: NodePort, request: wire.ListAuditRequest) -> wire.ListAuditResponse:
    """One page of the audit trail."""
    limit = checks.page(request.limit, AUDIT_DEFAULT)
    after = min(request.after, NUMBER_MAX)
    newest = _newest(node)
    # Who knows a later number than this node had it from another one: the leader says whether that can be.
    fresh = await node.fresh(request.read.min_index, request.read.linearizable or after > newest)
    if isinstance(fresh, Rejected):
        raise Refusal(fresh)
    if after > newest and after > (newest := _newest(node)):
        raise _ahead(f"record {after}", f"{newest}" if newest else "none yet")
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
    return wire.ListAuditResponse(records=records, read=read_info(*fresh), cluster_id=node.cluster_id)


def _newest(node: NodePort) -> int:
    """Number of the latest record here; 0: there is none."""
    latest = node.audit(0, 1, latest=True)
    return latest[0][0] if latest else 0


def _ahead(place: str, latest: str) -> Refusal:
    """Of a place that has not come yet anywhere in this cluster."""
    message = f"{place} lies ahead: the latest is {latest} (a place of one cluster means nothing in another)"
    return Refusal(Rejected(Code.FAILED_PRECONDITION, CURSOR_AHEAD, message))


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
    needed = 0 if cursor is None else cursor.index - (cursor.ordinal == 0)
    # Not a wait for the index: it may never come.  All that anybody was told of was committed before, so the
    # leader's index is far enough for every cursor of this cluster.
    ask = request.since == wire.NOW or needed > node.freshness().applied_index
    fresh = await node.fresh(max(min_index, 0 if ask else needed), request.read.linearizable or ask)
    if isinstance(fresh, Rejected):
        raise Refusal(fresh)
    if needed > fresh.applied_index:
        raise _ahead(str(cursor), str(Cursor(fresh.applied_index + 1, 0)))
    return Cursor(fresh.applied_index + 1, 0) if request.since == wire.NOW else cursor


def _filter(request: wire.WatchRequest) -> EventFilter:
    for name in ("kinds", "job_ids", "queues", "types"):
        if len(getattr(request, name)) > FILTER_VALUES:
            raise invalid("FILTER_INVALID", f"{name}: at most {FILTER_VALUES} values")
    unknown = sorted(set(request.kinds) - KINDS.keys())
    if unknown:
        known = ", ".join(KINDS)
        raise invalid("KIND_INVALID", f"no kind of event is called {unknown[0][:100]!r}: there are {known}")
    return EventFilter(
        frozenset(KINDS[kind] for kind in request.kinds),
        frozenset(checks.job_id(job_id) for job_id in request.job_ids),
        frozenset(checks.name_filter(checks.queue, queue) for queue in request.queues),
        frozenset(checks.name_filter(checks.job_type, name) for name in request.types),
    )


def _message(event: EventView) -> wire.EventMessage:
    return wire.event_message(str(event.cursor), *event[1:])
