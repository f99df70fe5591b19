"""The client, asynchronous: what `Client` does, as coroutines.  This is the one that holds the truth."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from orchestrix_raft.client import backups, building, doubt, leading, steering
from orchestrix_raft.client.building import Chunk, Options
from orchestrix_raft.client.calls import ATTEMPT_S, Caller
from orchestrix_raft.client.cluster import AsyncCluster
from orchestrix_raft.client.draining import worker_id_of
from orchestrix_raft.client.following import AsyncFollowing
from orchestrix_raft.client.lane import Lane
from orchestrix_raft.client.model import (
    WAITING,
    Attempt,
    ClusterStatus,
    Enqueued,
    Job,
    Reason,
    RetryPolicy,
    attempt_of,
    job_of,
    reason_of,
    status_of,
)
from orchestrix_raft.client.notes import Notes
from orchestrix_raft.client.queues import AsyncQueues
from orchestrix_raft.client.schedules import AsyncSchedules
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.history.recorder import CLIENT
from orchestrix_raft.recording.writing import Target, recorder_of
from orchestrix_raft.wire import jobs as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import refused, seconds, text, whole
from orchestrix_raft.wire.cluster import StatusRequest
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.errors import (
    DeadlineExceeded,
    OrchestrixError,
    OutcomeUnknown,
    Unavailable,
    error_for,
)
from orchestrix_raft.wire.targets import addresses_of, files_of
from orchestrix_raft.wire.transport import DEFAULT_SERVERS, TlsFiles

DEADLINE_S: Final = 30.0
WAIT_SLICE_S: Final = 30.0  # one WaitJob call; a longer wait is several
REQUESTS: Final = 4  # of one enqueue_many under way

_TOO_OLD_TO_LIST: Final = (
    "the node that answered is of a version that cannot list jobs by owner or worker: ask one that is newer"
)

_JOBS: Final = services.JOBS.methods
_CLUSTER: Final = services.CLUSTER.methods


class AsyncClient(AsyncFollowing):
    """Enqueue jobs and look after them, through any node of the cluster.

    `servers` is one address, several separated by commas, or a sequence.  Calls fail over between them and
    further members for `deadline` seconds, then raise `Unavailable` (certainly not done) or
    `OutcomeUnknown`.  What a client wrote, its own later reads see.  Use it on one event loop, and close it
    (`async with` does).  `history`: a file to which it appends what it asks and is told, for
    `check-history`; None: the one that ORCHESTRIX_HISTORY names, if any.
    """

    def __init__(
        self,
        servers: str | Sequence[str] = DEFAULT_SERVERS,
        *,
        deadline: float = DEADLINE_S,
        tls: TlsFiles | None = None,
        history: Target | None = None,
    ) -> None:
        seconds("deadline", deadline, zero=False)
        recorder = recorder_of(history, CLIENT)
        notes = None if recorder is None else Notes(recorder)
        self._caller = Caller(addresses_of(servers), files_of(tls), deadline, notes)
        self._lane = Lane(self._caller)
        self.queues = AsyncQueues(self._caller)
        self.schedules = AsyncSchedules(self._caller)
        self.cluster = AsyncCluster(self._caller)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections.  Calls that are under way fail."""
        await self._lane.close()
        await self._caller.close()

    # ---- enqueue ---------------------------------------------------------------------------------------

    async def enqueue(
        self,
        type: str,
        args: Mapping[str, Any] | None = None,
        *,
        queue: str = "default",
        priority: int = 0,
        delay: float | timedelta | None = None,
        run_at: datetime | None = None,
        timeout: float | timedelta | None = None,
        retry: RetryPolicy | None = None,
        unique_key: str | None = None,
        job_id: str | None = None,
        correlation_id: str | None = None,
        labels: Iterable[str] | None = None,
        retry_for: float | timedelta | None = None,
        key: str | None = None,
        unique_scope: str | None = None,
        unique_for: float | timedelta | None = None,
        on_conflict: str | None = None,
        expires: float | timedelta | None = None,
    ) -> str:
        """Enqueue one job and return its id; calls made concurrently share their round trips.

        `args` become the handler's keyword arguments.  `priority`: higher first.  `delay` (seconds) or
        `run_at` put it off.  `timeout` (seconds) ends an attempt.  `retry_for` (seconds): no retry begins
        later than this after now.  `expires` (seconds): cancelled if no worker was given it by then,
        counted from when it is due.  `key`: what the limits per key of its queue go by.  `job_id` (a UUID,
        made here by default): the same id twice is one job.

        `unique_key`: at most one job of the type has it, by `unique_scope` `until_done` (the default),
        `until_started` or `window` (for `unique_for` seconds from now, an hour unless given).  While it is
        taken, `on_conflict` says what happens: `return_existing` (the default: that job's id is returned),
        `replace` (that job is cancelled if it still waits) or `reject` (`AlreadyExists`).

        Raises `InvalidArgument`, `AlreadyExists`, `QuotaExceeded`, `Unavailable`, `OutcomeUnknown`.
        """
        options = Options(
            queue,
            priority,
            delay,
            run_at,
            timeout,
            retry,
            unique_key,
            job_id,
            correlation_id,
            labels,
            retry_for,
            key,
            unique_scope,
            unique_for,
            on_conflict,
            expires,
        )
        return (await self._enqueue(type, args, options)).id

    async def enqueue_told(
        self, /, type: str, args: Mapping[str, Any] | None = None, **options: Any
    ) -> Enqueued:
        """Like `enqueue`, with the same options; tells besides the id whether the job is a new one.  Only
        with a `job_id` of the caller's can that be unknown: it is there after an answer was lost."""
        return await self._enqueue(type, args, Options(**options))

    async def _enqueue(self, job_type: str, args: Mapping[str, Any] | None, options: Options) -> Enqueued:
        job, size = building.new_job(job_type, args, options)
        notes = self._caller.notes
        if notes is None:
            placed = await self._lane.enqueue(job, size)
        else:
            placed = await notes.enqueue(job, lambda: self._lane.enqueue(job, size))
        # An id made here that "was there already" came with an earlier sending of this same call.
        ours = options.job_id is None and placed.job_id == job.job_id
        created = True if ours else placed.created
        return Enqueued(id=format_job_id(placed.job_id), created=created)

    async def enqueue_many(
        self,
        jobs: Iterable[tuple[str, Mapping[str, Any] | None]],
        *,
        queue: str = "default",
        priority: int = 0,
        delay: float | timedelta | None = None,
        run_at: datetime | None = None,
        timeout: float | timedelta | None = None,
        retry: RetryPolicy | None = None,
        correlation_id: str | None = None,
        labels: Iterable[str] | None = None,
        retry_for: float | timedelta | None = None,
        key: str | None = None,
        expires: float | timedelta | None = None,
    ) -> list[str]:
        """Enqueue many jobs given as (type, args) and return their ids in order.

        They travel in batches of up to 1,000 jobs and 4 MiB, each of which is applied as a whole.  When
        jobs are refused the others are enqueued nevertheless; the exception tells the first refusal and has
        the ids of the refused jobs.
        """
        options = Options(
            queue,
            priority,
            delay,
            run_at,
            timeout,
            retry,
            None,
            None,
            correlation_id,
            labels,
            retry_for,
            key,
            expires=expires,
        )
        under_way: set[asyncio.Task[None]] = set()
        chunks: list[Chunk] = []
        try:
            for chunk in building.chunks(jobs, options):
                if len(under_way) == REQUESTS:
                    done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                chunks.append(chunk)
                under_way.add(asyncio.create_task(self._send(chunk)))
            for task in under_way:
                await task
        finally:
            for task in under_way:
                task.cancel()
        refused = [refusal for chunk in chunks for refusal in chunk.refused]
        if refused:
            raise _first_of(refused, sum(chunk.total for chunk in chunks))
        return [job_id for chunk in chunks for job_id in chunk.ids]

    async def _send(self, chunk: Chunk) -> None:
        """Enqueue one batch; refusals are left in it."""
        if not chunk.ids:
            return
        try:
            response = await self._send_noted(chunk.request)
        except (Unavailable, OutcomeUnknown) as error:
            error.job_ids = tuple(chunk.ids)
            raise
        except OrchestrixError as error:  # every job of the batch was refused; this is the first one's reason
            error.job_ids = tuple(chunk.ids)
            chunk.refused.append(error)
            return
        self._caller.wrote(response.applied_index)
        for existing in response.existing:
            chunk.ids[existing.position] = format_job_id(existing.job_id)
        chunk.refused += (
            error_for(r.code, r.reason, r.message, (chunk.ids[r.position],)) for r in response.rejected
        )

    async def _send_noted(self, request: wire.EnqueueRequest) -> wire.EnqueueResponse:
        notes = self._caller.notes
        if notes is None:
            return await self._send_certain(request)
        return await notes.enqueue_many(request, lambda: self._send_certain(request))

    async def _send_certain(self, request: wire.EnqueueRequest) -> wire.EnqueueResponse:
        """OutcomeUnknown if jobs were refused of which an earlier sending may still be applied."""
        response: wire.EnqueueResponse
        response, in_doubt = await self._caller.call_told(_JOBS["Enqueue"], request)
        refused = [error_for(r.code, r.reason, r.message) for r in response.rejected]
        unsettled = [refusal for refusal in refused if doubt.in_doubt(refusal) is not refusal]
        if in_doubt and unsettled:
            what = f"sent again, {len(unsettled)} of {len(request.jobs)} jobs were refused ({unsettled[0]})"
            raise doubt.unsettled(what, tuple(format_job_id(job.job_id) for job in request.jobs))
        return response

    # ---- look ------------------------------------------------------------------------------------------

    async def get(self, job_id: str) -> Job:
        """The job as it is now; `JobNotFound` if there is none."""
        request = wire.GetJobRequest(job_id=building.id_bytes(job_id), read=self._read())
        response = await self._look("get", _JOBS["GetJob"], request)
        return job_of(response.job)

    async def _look(
        self, op: str, method: services.Method, request: Any, **patience: float
    ) -> wire.GetJobResponse:
        response: wire.GetJobResponse
        notes = self._caller.notes
        if notes is None:
            response = await self._caller.call(method, request, **patience)
        else:
            response = await notes.read(op, request, lambda: self._caller.call(method, request, **patience))
        return response

    async def wait(self, job_id: str, timeout: float | timedelta | None = None) -> Job:
        """The job once it is completed, cancelled or dead, whichever it is; `Job.raise_for_state` raises for
        the latter two.  `DeadlineExceeded` after `timeout` seconds; None waits for ever."""
        raw = building.id_bytes(job_id)
        now = asyncio.get_running_loop().time
        with refused():
            patience_s = None if timeout is None else seconds("timeout", timeout)
        until = None if patience_s is None else now() + patience_s
        while True:
            left = WAIT_SLICE_S if until is None else max(0.0, min(WAIT_SLICE_S, until - now()))
            request = wire.WaitJobRequest(job_id=raw, timeout_ms=int(left * 1_000), read=self._read())
            patience = left + (self._caller.deadline_s if until is None else 1.0)
            response = await self._look(
                "wait", _JOBS["WaitJob"], request, deadline_s=patience, attempt_s=left + ATTEMPT_S
            )
            job = job_of(response.job)
            if job.finished:
                return job
            if until is not None and now() >= until:
                raise DeadlineExceeded(f"job {job_id} is {job.state} after {patience_s:g} s", "WAIT_TIMEOUT")

    async def list_jobs(
        self,
        state: str | Iterable[str] | None = None,
        queue: str | None = None,
        type: str | None = None,
        limit: int = 100,
        *,
        owner: str | None = None,
        worker: str | None = None,
    ) -> list[Job]:
        """Up to `limit` jobs: unfinished ones, newest first; then ended ones, latest end first.
        `state` is a state or several.  Long arguments, results and errors are left out (`Job.abridged`).

        `owner` is the id of a node, `worker` that of a worker, as `status` shows it: the jobs that it answers
        for, or holds, at this moment, latest assignment first; `OrchestrixError` if it is not there.
        """
        with refused():
            whole("limit", limit, 1)
            holder = "" if owner is None else text("owner", owner)
        with refused(reason="WORKER_ID_INVALID"):
            worker_id = b"" if worker is None else worker_id_of(worker)
        asked = wire.ListJobsRequest(
            states=building.states(state),
            queue=building.filter_name("queue", queue),
            type=building.filter_name("type", type),
            owner=holder,
            worker_id=worker_id,
        )
        return [job async for job in self._jobs(asked, limit)]

    async def _jobs(self, request: wire.ListJobsRequest, limit: int) -> AsyncIterator[Job]:
        while limit > 0:
            request.limit = min(limit, limits.PAGE)
            request.read.CopyFrom(self._read())
            response: wire.ListJobsResponse = await self._caller.call(_JOBS["ListJobs"], request)
            if (request.owner or request.worker_id) and not response.by_assignment:
                raise OrchestrixError(_TOO_OLD_TO_LIST, "FILTER_UNKNOWN")
            for message in response.jobs:
                yield job_of(message)
            limit -= len(response.jobs)
            request.cursor = response.next_cursor
            if not response.next_cursor:
                return

    async def history(self, job_id: str) -> list[Attempt]:
        """The finished attempts of a job, oldest first."""
        request = wire.GetHistoryRequest(job_id=building.id_bytes(job_id), read=self._read())
        response: wire.GetHistoryResponse = await self._caller.call(_JOBS["GetHistory"], request)
        return [attempt_of(message) for message in response.attempts]

    async def explain(self, job_id: str) -> list[Reason]:
        """Why the job is not running: everything that holds it at this moment; or where it stands."""
        request = wire.ExplainJobRequest(job_id=building.id_bytes(job_id), read=self._read())
        response: wire.ExplainJobResponse = await self._caller.call(_JOBS["ExplainJob"], request)
        return [reason_of(message) for message in response.reasons]

    async def status(self) -> ClusterStatus:
        """The cluster as the node that answers sees it; works without a leader."""
        return status_of(await self._caller.call(_CLUSTER["Status"], StatusRequest()))

    def _read(self) -> ReadOptions:
        return ReadOptions(min_index=self._caller.index)

    # ---- steer -----------------------------------------------------------------------------------------

    async def cancel(self, job_id: str, reason: str = "") -> str:
        """Cancel a waiting job, or ask a running one to stop.

        Returns `cancelled`, `requested` (the handler was asked to end), or `already_completed`,
        `already_cancelled`, `already_dead`.
        """
        job_ids = [building.id_bytes(job_id)]
        with refused():
            text("reason", reason, empty=True)
        request = wire.CancelJobsRequest(request_id=os.urandom(16), job_ids=job_ids, reason=reason)
        return await steering.steer(self._caller, "cancel", _JOBS["CancelJobs"], request, job_id)

    async def retry(self, job_id: str) -> str:
        """Make a dead, cancelled or backing-off job ready now, with its failures forgotten.

        Returns `retried`, or `already_pending`, `already_running` and the like.
        """
        request = wire.RetryJobsRequest(request_id=os.urandom(16), job_ids=[building.id_bytes(job_id)])
        return await steering.steer(self._caller, "retry", _JOBS["RetryJobs"], request, job_id)

    async def purge(self, job_id: str) -> str:
        """Forget a completed, cancelled or dead job and its history.  Its id stays known for a day after its
        end, so enqueueing it again is still the same job.

        Returns `purged`, or `still_pending`, `still_running` and the like.
        """
        request = wire.PurgeJobsRequest(request_id=os.urandom(16), job_ids=[building.id_bytes(job_id)])
        return await steering.steer(self._caller, "purge", _JOBS["PurgeJobs"], request, job_id)

    async def cancel_where(
        self,
        *,
        state: str | Iterable[str] | None = None,
        queue: str | None = None,
        type: str | None = None,
        older_than: float | timedelta | None = None,
        reason: str = "",
        all: bool = False,
    ) -> int:
        """Cancel every job that is there now and that the filter accepts; how many were cancelled or, if
        running (name the state), asked to stop.

        `state`: one or several of scheduled, pending, dispatched, running; the first two by default.
        `older_than`: enqueued at least this many seconds ago.  Without any of these, it takes `all=True`.
        """
        where = building.job_filter(WAITING if state is None else state, queue, type, older_than)
        with refused():
            text("reason", reason, empty=True)
        building.check_meant("cancel_where", all, state, queue, type, older_than)
        return await steering.steer_where(self._caller, "cancel_where", _JOBS["CancelWhere"], where, reason)

    async def retry_where(
        self,
        *,
        state: str | Iterable[str] | None = None,
        queue: str | None = None,
        type: str | None = None,
        older_than: float | timedelta | None = None,
        all: bool = False,
    ) -> int:
        """Make every job ready that is there now and that the filter accepts; how many were.

        `state`: one or several of dead, cancelled, scheduled; dead by default.  `older_than`: ended at least
        this many seconds ago.  One that dies again meanwhile is not retried again.  Without any of these, it
        takes `all=True`.
        """
        where = building.job_filter("dead" if state is None else state, queue, type, older_than)
        building.check_meant("retry_where", all, state, queue, type, older_than)
        return await steering.steer_where(self._caller, "retry_where", _JOBS["RetryWhere"], where)

    async def purge_where(
        self,
        *,
        state: str | Iterable[str],
        queue: str | None = None,
        type: str | None = None,
        older_than: float | timedelta | None = None,
    ) -> int:
        """Forget every job that has ended by now and that the filter accepts; how many were.

        `state`: one or several of dead, completed, cancelled.  `older_than`: ended at least this many seconds
        ago.
        """
        where = building.job_filter(state, queue, type, older_than)
        return await steering.steer_where(self._caller, "purge_where", _JOBS["PurgeWhere"], where)

    async def backup(self, path: str | os.PathLike[str], *, force: bool = False) -> backups.Backup:
        """Write all that was acknowledged before this call, as of one log entry, to a new file: wholly or not
        at all.  `FileExistsError` unless `force`; `OSError`; `Unavailable` when no node gave one."""
        return await backups.write_backup(self._caller, path, force)

    async def verify(self, *, timeout: float | timedelta = 60.0) -> backups.Verification:
        """Let each member read, within `timeout` seconds, all that it holds as of one log entry; compare."""
        return await backups.verify(self._caller, timeout)

    async def transfer_leadership(self, node_id: str = "") -> str:
        """Ask the leader to hand over, to `node_id` or the best follower; returns the new leader.

        The leader is found through any node; `Unavailable` when none is known within the deadline.
        """
        return await leading.transfer(self._caller, self.status, node_id)


def _first_of(refused: list[OrchestrixError], total: int) -> OrchestrixError:
    job_ids = tuple(job_id for error in refused for job_id in error.job_ids)
    first = refused[0]
    text = str(first) if total == 1 else f"{len(job_ids)} of {total} jobs were refused; the first: {first}"
    return type(first)(text, first.reason, job_ids)
