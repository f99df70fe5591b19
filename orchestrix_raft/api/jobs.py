"""JobService: enqueue, look at and steer jobs."""

import asyncio
from typing import Final, NamedTuple

from orchestrix_raft.api import checks, logs
from orchestrix_raft.api.audit import Notes
from orchestrix_raft.api.calls import handlers
from orchestrix_raft.api.draining import holder_missing
from orchestrix_raft.api.errors import (
    OUTCOME_UNKNOWN,
    Context,
    Handlers,
    Refusal,
    UnknownOutcome,
    applied,
    invalid,
)
from orchestrix_raft.api.service import Service
from orchestrix_raft.coordinator.port import Door, Freshness, JobView
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import CANCELLABLE, PURGEABLE, RETRYABLE, JobFilter
from orchestrix_raft.machine.commands import (
    CancelJobs,
    CancelWhere,
    Enqueue,
    EnqueueResult,
    JobsResult,
    PurgeJobs,
    PurgeWhere,
    RetryJobs,
    RetryWhere,
    WhereResult,
)
from orchestrix_raft.wire import jobs as wire
from orchestrix_raft.wire.common import ReadOptions, read_info
from orchestrix_raft.wire.errors import UNKNOWN
from orchestrix_raft.wire.explain import reason_messages
from orchestrix_raft.wire.services import JOBS
from orchestrix_raft.wire.transport import EOF

STREAM_WINDOW: Final = 32  # batches of one EnqueueStream under way; more wait in the transport
WAITERS: Final = 10_000  # WaitJob calls under way at this node
LIST_DEFAULT: Final = 100


class _Accepted(NamedTuple):
    applied_index: int
    existing: dict[int, bytes]
    rejected: dict[int, Rejected]


class JobService(Service):
    """One per server; holds nothing but the node and how many wait."""

    def __init__(self, door: Door, notes: Notes | None = None) -> None:
        super().__init__(door, notes)
        self._waiters = 0
        self._followers = logs.LogFollowers()

    def handlers(self) -> Handlers:
        """For `Server.add_generic_rpc_handlers`."""
        return handlers(
            JOBS,
            {
                "Enqueue": self.enqueue,
                "EnqueueStream": self.enqueue_stream,
                "GetJob": self.get_job,
                "ListJobs": self.list_jobs,
                "WaitJob": self.wait_job,
                "GetHistory": self.get_history,
                "GetLogs": self.get_logs,
                "FollowLogs": self.follow_logs,
                "CancelJobs": self.cancel_jobs,
                "RetryJobs": self.retry_jobs,
                "PurgeJobs": self.purge_jobs,
                "CancelWhere": self.cancel_where,
                "RetryWhere": self.retry_where,
                "PurgeWhere": self.purge_where,
                "ExplainJob": self.explain_job,
            },
            self._notes.turned_away,
        )

    # ---- enqueue ---------------------------------------------------------------------------------------

    async def enqueue(self, request: wire.EnqueueRequest) -> wire.EnqueueResponse:
        """One batch; a request of which every job is refused is refused as a whole."""
        done = await self._enqueue(request)
        if len(done.rejected) == len(request.jobs):
            raise Refusal(done.rejected[0])
        return wire.enqueue_response(*done, request.batch_id)

    async def _enqueue(self, request: wire.EnqueueRequest) -> _Accepted:
        wrong = checks.batch(len(request.jobs), request.ByteSize())
        if wrong is not None:
            raise Refusal(wrong)
        try:
            specs = wire.job_specs(request)
        except ValueError as error:
            raise invalid("UNIQUE_RULE_INVALID", str(error)) from error
        refused = {
            position: why for position, spec in enumerate(specs) if (why := checks.job(spec)) is not None
        }
        if not refused:
            done = applied(await self._node.submit(Enqueue(tuple(specs))))
            assert isinstance(done.result, EnqueueResult)
            return _Accepted(done.index, done.result.existing, done.result.rejected)
        kept = [position for position in range(len(specs)) if position not in refused]
        if not kept:
            return _Accepted(0, {}, refused)
        done = applied(await self._node.submit(Enqueue(tuple(specs[p] for p in kept))))
        assert isinstance(done.result, EnqueueResult)
        existing = {kept[position]: job_id for position, job_id in done.result.existing.items()}
        refused.update((kept[position], why) for position, why in done.result.rejected.items())
        return _Accepted(done.index, existing, refused)

    async def enqueue_stream(self, context: Context) -> None:
        """Answers come in the order in which batches are applied; at most STREAM_WINDOW are under way."""
        window = asyncio.Semaphore(STREAM_WINDOW)
        answers: asyncio.Queue[wire.EnqueueResponse | None] = asyncio.Queue()

        async def answer(request: wire.EnqueueRequest) -> None:
            answers.put_nowait(await self._enqueue_of_stream(request))

        async def write() -> None:
            while (response := await answers.get()) is not None:
                await context.write(response)
                window.release()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            while (request := await context.read()) is not EOF:
                await window.acquire()
                tasks.create_task(answer(request))
            for _ in range(STREAM_WINDOW):
                await window.acquire()  # all are answered
            answers.put_nowait(None)

    async def _enqueue_of_stream(self, request: wire.EnqueueRequest) -> wire.EnqueueResponse:
        try:
            return wire.enqueue_response(*await self._enqueue(request), request.batch_id)
        except Refusal as refusal:
            why = refusal.rejected
            return wire.enqueue_failure(request.batch_id, why.code, why.reason, why.message)
        except UnknownOutcome as unknown:
            return wire.enqueue_failure(request.batch_id, UNKNOWN, OUTCOME_UNKNOWN, str(unknown))

    # ---- reads -----------------------------------------------------------------------------------------

    async def get_job(self, request: wire.GetJobRequest) -> wire.GetJobResponse:
        """One job in full."""
        view, fresh = await self._job(checks.job_id(request.job_id), request.read)
        return wire.GetJobResponse(job=wire.job_message(*view), read=read_info(*fresh))

    async def wait_job(self, request: wire.WaitJobRequest) -> wire.GetJobResponse:
        """The job when it is terminal, or as it is when the time is over."""
        job_id, timeout_ms = checks.job_id(request.job_id), checks.wait_ms(request.timeout_ms)
        await self._job(job_id, request.read)
        if self._waiters >= WAITERS:
            message = f"{WAITERS} calls wait for jobs at this node already: ask another node, or poll GetJob"
            raise Refusal(Rejected(Code.RESOURCE_EXHAUSTED, "TOO_MANY_WAITERS", message))
        self._waiters += 1
        try:
            view = await self._node.wait_job(job_id, timeout_ms)
        finally:
            self._waiters -= 1
        if view is None:
            raise _not_found(job_id)
        return wire.GetJobResponse(job=wire.job_message(*view), read=read_info(*self._node.freshness()))

    async def list_jobs(self, request: wire.ListJobsRequest) -> wire.ListJobsResponse:
        """One page, long payloads left out."""
        queue = checks.name_filter(checks.queue, request.queue)
        job_type = checks.name_filter(checks.job_type, request.type)
        limit = checks.page(request.limit, LIST_DEFAULT)
        wanted = _states(request), queue, job_type, limit, request.cursor
        fresh = await self._fresh(request.read)
        holder = request.owner, request.worker_id
        if any(holder):
            fresh = await self._known_holder(*holder, request.read, fresh)
        page = await self._node.list_jobs(*wanted, *holder)
        if isinstance(page, Rejected):
            raise Refusal(page)
        listed = [wire.listed_job_message(*view) for view in page.jobs]
        return wire.ListJobsResponse(
            jobs=listed, next_cursor=page.cursor, read=read_info(*fresh), by_assignment=any(holder)
        )

    async def _known_holder(
        self, owner: str, worker_id: bytes, read: ReadOptions, fresh: Freshness
    ) -> Freshness:
        """Raise `Refusal` for a node or a worker that is not there; its absence is confirmed with the leader
        first."""
        checks.holder(owner, worker_id)
        missing = holder_missing(self._node, owner, worker_id)
        if missing is not None and not read.linearizable:
            fresh = await self._fresh(ReadOptions(min_index=read.min_index, linearizable=True))
            missing = holder_missing(self._node, owner, worker_id)
        if missing is not None:
            raise Refusal(missing)
        return fresh

    async def get_history(self, request: wire.GetHistoryRequest) -> wire.GetHistoryResponse:
        """Finished attempts of a job that exists."""
        job_id = checks.job_id(request.job_id)
        _, fresh = await self._job(job_id, request.read)
        attempts = wire.attempt_messages(self._node.attempts(job_id))
        return wire.GetHistoryResponse(attempts=attempts, read=read_info(*fresh))

    async def explain_job(self, request: wire.ExplainJobRequest) -> wire.ExplainJobResponse:
        """Why a job is where it is."""
        job_id = checks.job_id(request.job_id)
        view, fresh = await self._job(job_id, request.read)
        reasons = reason_messages(self._node.explain(job_id))
        return wire.ExplainJobResponse(job=wire.job_message(*view), reasons=reasons, read=read_info(*fresh))

    async def get_logs(self, request: wire.GetLogsRequest) -> wire.GetLogsResponse:
        """Lines of a job."""
        page = await logs.page(self._node, request, self._linearizable)
        if page is None:
            raise _not_found(request.job_id)
        return wire.logs_response(page.lines, page.silent)

    async def follow_logs(self, request: wire.GetLogsRequest, context: Context) -> None:
        """Lines of a job until it has ended."""
        if not await self._followers.follow(self._node, request, context, self._linearizable):
            raise _not_found(request.job_id)

    async def _linearizable(self) -> Freshness:
        return await self._fresh(ReadOptions(linearizable=True))

    async def _fresh(self, read: ReadOptions) -> Freshness:
        fresh = await self._node.fresh(read.min_index, read.linearizable)
        if isinstance(fresh, Rejected):
            raise Refusal(fresh)
        return fresh

    async def _job(self, job_id: bytes, read: ReadOptions) -> tuple[JobView, Freshness]:
        """The job, read as freshly as asked; its absence is confirmed with the leader first."""
        fresh = await self._fresh(read)
        view = self._node.job(job_id)
        if view is None and not read.linearizable:
            fresh = await self._fresh(ReadOptions(min_index=read.min_index, linearizable=True))
            view = self._node.job(job_id)
        if view is None:
            raise _not_found(job_id)
        return view, fresh

    # ---- steering --------------------------------------------------------------------------------------

    async def cancel_jobs(self, request: wire.CancelJobsRequest) -> wire.JobsResponse:
        """One word per job."""
        request_id, job_ids = checks.request_id(request.request_id), checks.job_ids(request.job_ids)
        return await self._steer(CancelJobs(request_id, job_ids, checks.text("reason", request.reason)))

    async def retry_jobs(self, request: wire.RetryJobsRequest) -> wire.JobsResponse:
        """One word per job."""
        return await self._steer(
            RetryJobs(checks.request_id(request.request_id), checks.job_ids(request.job_ids))
        )

    async def purge_jobs(self, request: wire.PurgeJobsRequest) -> wire.JobsResponse:
        """One word per job."""
        return await self._steer(
            PurgeJobs(checks.request_id(request.request_id), checks.job_ids(request.job_ids))
        )

    async def _steer(self, command: CancelJobs | RetryJobs | PurgeJobs) -> wire.JobsResponse:
        done = await self._asked(command)
        assert isinstance(done.result, JobsResult)
        return wire.JobsResponse(results=done.result.words, applied_index=done.index)

    async def cancel_where(self, request: wire.WhereRequest) -> wire.WhereResponse:
        """One step."""
        reason = checks.text("reason", request.reason)
        return await self._steer_where(CancelWhere(*self._step(request, CANCELLABLE), reason))

    async def retry_where(self, request: wire.WhereRequest) -> wire.WhereResponse:
        """One step."""
        return await self._steer_where(RetryWhere(*self._step(request, RETRYABLE)))

    async def purge_where(self, request: wire.WhereRequest) -> wire.WhereResponse:
        """One step."""
        return await self._steer_where(PurgeWhere(*self._step(request, PURGEABLE)))

    def _step(
        self, request: wire.WhereRequest, allowed: frozenset[JobState]
    ) -> tuple[bytes, JobFilter, bytes, int]:
        """What every step of a command on a filter has: request id, filter, cursor, limit."""
        asked = request.filter
        before_ms = max(1, self._node.wall_ms - asked.older_than_ms) if asked.older_than_ms else 0
        states = checks.filter_states(asked.states, allowed)
        queue = checks.name_filter(checks.queue, asked.queue)
        job_type = checks.name_filter(checks.job_type, asked.type)
        where = JobFilter(states, queue, job_type, before_ms)
        limit = checks.step(request.limit)
        return checks.request_id(request.request_id), where, checks.cursor(request.cursor), limit

    async def _steer_where(self, command: CancelWhere | RetryWhere | PurgeWhere) -> wire.WhereResponse:
        done = await self._asked(command)
        result = done.result
        assert isinstance(result, WhereResult)
        return wire.WhereResponse(
            done=result.done, skipped=result.skipped, next_cursor=result.cursor, applied_index=done.index
        )


def _states(request: wire.ListJobsRequest) -> frozenset[JobState]:
    try:
        return frozenset(JobState(state) for state in request.states)
    except ValueError:
        raise invalid("STATE_INVALID", f"states {list(request.states)}: one of them is no state") from None


def _not_found(job_id: bytes) -> Refusal:
    message = (
        f"no job {format_job_id(job_id)}: it never was, or it ended longer ago than finished jobs are kept"
    )
    return Refusal(Rejected(Code.NOT_FOUND, "JOB_NOT_FOUND", message))
