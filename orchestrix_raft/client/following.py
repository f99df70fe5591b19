"""What a client tells of what happened: events and job logs, for as long as it is listened to, and the audit
trail.

`AsyncClient` inherits this; whatever node tells, another one goes on where it fails.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable
from typing import Any, Final, Literal, overload

from orchestrix_raft.client import building, streaming
from orchestrix_raft.client.calls import Caller
from orchestrix_raft.client.events import AuditPage, Event, audit_entry_of, event_of, watch_request
from orchestrix_raft.client.model import LogLine, LogLines, log_line_of
from orchestrix_raft.domain import limits
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import flag, refused, shown, whole
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.errors import OrchestrixError
from orchestrix_raft.wire.events import (
    NOW,
    AuditRecordMessage,
    ListAuditRequest,
    ListAuditResponse,
    WatchRequest,
    WatchResponse,
)
from orchestrix_raft.wire.jobs import GetLogsRequest, GetLogsResponse

_WATCH: Final = services.CLUSTER.methods["Watch"]
_LIST_AUDIT: Final = services.CLUSTER.methods["ListAudit"]
_GET_LOGS: Final = services.JOBS.methods["GetLogs"]
_FOLLOW_LOGS: Final = services.JOBS.methods["FollowLogs"]


class AsyncFollowing:
    """The methods of `AsyncClient` that tell events, audit records and log lines."""

    _caller: Caller

    # ---- events ----------------------------------------------------------------------------------------

    def events(
        self,
        *,
        since: str | None = None,
        follow: bool = False,
        job: str | Iterable[str] | None = None,
        queue: str | Iterable[str] | None = None,
        type: str | Iterable[str] | None = None,
        kind: str | Iterable[str] | None = None,
    ) -> AsyncIterator[Event]:
        """What happened, in order, each event once; with `follow` also what happens from now on, without end.

        `since` is the cursor of an event: what happened after it.  Left out, it means everything that is
        still known (an hour, unless the nodes are told otherwise), or with `follow` nothing that has happened
        yet (also: `"now"`).  Whatever else is given, one value or several, must match.  The stream goes on at
        another node when its own one fails.

        Raises `CursorTooOld` when no node knows what happened right after `since` any more: its `oldest` is
        where to go on; `Unavailable` when no node has answered for the client's deadline, also with `follow`;
        `OrchestrixError` with reason CURSOR_AHEAD for a cursor that no node can have told, such as one of
        another cluster, and with reason ANOTHER_CLUSTER when the nodes that answer are no longer of the
        cluster that this client was told events of.  The `cursor` of any of them is how far the stream has
        come: give it as `since`.
        """
        return self._events(watch_request(since, follow, job, queue, type, kind))

    async def _events(self, request: WatchRequest) -> AsyncIterator[Event]:
        async for page in self._event_pages(request):
            for event in page:
                yield event

    async def _event_pages(self, request: WatchRequest) -> AsyncGenerator[list[Event], None]:
        request.read.CopyFrom(ReadOptions(min_index=self._caller.index))

        caller = self._caller
        told = caller.events_of if request.since not in ("", NOW) else ""

        def advance(response: WatchResponse) -> None:
            nonlocal told
            if told and response.cluster_id not in ("", told):
                raise OrchestrixError(_another(told, response.cluster_id, request.since), "ANOTHER_CLUSTER")
            caller.events_of = told = response.cluster_id or told
            request.since = response.cursor or request.since

        try:
            async for response in streaming.responses(
                self._caller, _WATCH, request, advance, endless=request.follow
            ):
                yield [event_of(message) for message in response.events]
        except OrchestrixError as error:
            error.cursor = "" if request.since == NOW else request.since
            raise

    async def audit(self, after: int = 0, limit: int = 100, *, latest: bool = False) -> AuditPage:
        """Who changed what by hand, oldest first: of the records numbered behind `after` the first `limit`,
        or with `latest` the last ones.  They are kept for 30 days, unless the nodes are told otherwise.

        The `cluster_id` of what is returned says whose trail it is: compare it when you go on from a number
        that you have kept.  A number that is later than the latest is refused, with reason CURSOR_AHEAD."""
        with refused():
            flag("latest", latest)
            request = ListAuditRequest(
                after=whole("after", after, 0, limits.LINE_NUMBER_MAX),
                limit=whole("limit", limit, 1, limits.PAGE),
                latest=latest,
                read=ReadOptions(min_index=self._caller.index),
            )
        response: ListAuditResponse = await self._caller.call(_LIST_AUDIT, request)
        if latest and not response.cluster_id:  # of an earlier version, which gives the first ones
            return await self._latest_by_reading(request)
        return AuditPage((audit_entry_of(message) for message in response.records), response.cluster_id)

    async def _latest_by_reading(self, request: ListAuditRequest) -> AuditPage:
        """The last records, by reading all: there are at most as many as nodes keep."""
        latest = deque[AuditRecordMessage](maxlen=request.limit)
        request.limit, request.latest = limits.PAGE, False
        while True:
            response: ListAuditResponse = await self._caller.call(_LIST_AUDIT, request)
            if not response.records:
                return AuditPage((audit_entry_of(message) for message in latest), response.cluster_id)
            latest.extend(response.records)
            request.after = response.records[-1].number

    # ---- job logs --------------------------------------------------------------------------------------

    @overload
    def logs(
        self, job_id: str, after: LogLine | None = None, limit: int = limits.PAGE
    ) -> Coroutine[Any, Any, LogLines]: ...

    @overload
    def logs(
        self, job_id: str, after: LogLine | None = None, limit: int = limits.PAGE, *, follow: Literal[True]
    ) -> AsyncIterator[LogLine]: ...

    def logs(
        self,
        job_id: str,
        after: LogLine | None = None,
        limit: int = limits.PAGE,
        *,
        follow: bool = False,
    ) -> Coroutine[Any, Any, LogLines] | AsyncIterator[LogLine]:
        """Lines that the job's handlers logged, in order, those behind the line `after`, at most `limit`; its
        `silent_nodes` did not answer, and lines that only they keep are missing.

        With `follow`: an iterator over all of them, old and new, until the job has ended.  It goes on at
        another node when its own one fails.
        """
        request = logs_request(job_id, after, limit, follow)
        return self._followed_lines(request) if follow else self._lines(request)

    async def _lines(self, request: GetLogsRequest) -> LogLines:
        response: GetLogsResponse = await self._caller.call(_GET_LOGS, request)
        return LogLines((log_line_of(message) for message in response.lines), response.silent_nodes)

    async def _followed_lines(self, request: GetLogsRequest) -> AsyncIterator[LogLine]:
        async for page in self._line_pages(request):
            for line in page:
                yield line

    async def _line_pages(self, request: GetLogsRequest) -> AsyncGenerator[list[LogLine], None]:
        def advance(response: GetLogsResponse) -> None:
            if response.lines:
                request.after_token = response.lines[-1].token
                request.after_number = response.lines[-1].number

        async for response in streaming.responses(
            self._caller, _FOLLOW_LOGS, request, advance, endless=False
        ):
            yield [log_line_of(message) for message in response.lines]


def _another(before: str, now: str, since: str) -> str:
    """Why events cannot be followed any more."""
    return (
        f"another cluster answers: {now}, made by a restore or a recovery perhaps, no longer {before}. Cursor"
        f" {since} was the last one told, and means nothing there: begin without one"
    )


def logs_request(job_id: str, after: LogLine | None, limit: int, follow: bool) -> GetLogsRequest:
    """What is asked; InvalidArgument for what cannot be meant."""
    with refused():
        flag("follow", follow)
        request = GetLogsRequest(
            job_id=building.id_bytes(job_id), limit=whole("limit", limit, 1, limits.PAGE)
        )
        if after is not None and not isinstance(after, LogLine):
            raise TypeError(f"after is {shown(after)}: it must be a LogLine, the last one that is known")
    if after is not None:
        request.after_token, request.after_number = after.fencing_token, after.number
    return request
