"""QueueService: look at queues, pause and limit them, empty them."""

from typing import Final

from orchestrix_raft.api import checks
from orchestrix_raft.api.calls import handlers
from orchestrix_raft.api.errors import Handlers, Refusal
from orchestrix_raft.api.service import Service
from orchestrix_raft.coordinator.port import Freshness, QueueDetails
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.machine.commands import CancelWhere, ConfigureQueue, WhereResult
from orchestrix_raft.wire import queues as wire
from orchestrix_raft.wire.common import ReadOptions, read_info
from orchestrix_raft.wire.services import QUEUES

PURGED: Final = "purged"
_WAITING: Final = (JobState.SCHEDULED, JobState.PENDING)


class QueueService(Service):
    """One per server; holds nothing but the node."""

    def handlers(self) -> Handlers:
        """For `Server.add_generic_rpc_handlers`."""
        return handlers(
            QUEUES,
            {
                "ListQueues": self.list_queues,
                "GetQueue": self.get_queue,
                "ConfigureQueue": self.configure_queue,
                "PurgeQueue": self.purge_queue,
            },
            self._notes.turned_away,
        )

    async def list_queues(self, request: wire.ListQueuesRequest) -> wire.ListQueuesResponse:
        """All of them, by name."""
        fresh = await self._fresh(request.read)
        queues = [_message(details) for details in self._node.queues()]
        return wire.ListQueuesResponse(queues=queues, read=read_info(*fresh))

    async def get_queue(self, request: wire.GetQueueRequest) -> wire.GetQueueResponse:
        """One of them."""
        wrong = checks.queue(request.name)
        if wrong is not None:
            raise Refusal(wrong)
        fresh = await self._fresh(request.read)
        return wire.GetQueueResponse(queue=_message(self._node.queue(request.name)), read=read_info(*fresh))

    async def configure_queue(self, request: wire.ConfigureQueueRequest) -> wire.ConfigureQueueResponse:
        """The queue as it is afterwards."""
        change = wire.queue_change(request)
        checks.queue_change(request.name, change)
        command = ConfigureQueue(checks.request_id(request.request_id), request.name, change)
        done = await self._asked(command)
        queue = _message(self._node.queue(request.name))
        return wire.ConfigureQueueResponse(queue=queue, applied_index=done.index)

    async def purge_queue(self, request: wire.PurgeQueueRequest) -> wire.PurgeQueueResponse:
        """One step."""
        wrong = checks.queue(request.name)
        if wrong is not None:
            raise Refusal(wrong)
        where = JobFilter(_WAITING, request.name)
        step = checks.request_id(request.request_id), where, checks.cursor(request.cursor)
        done = await self._asked(CancelWhere(*step, limits.FILTER_ROWS, PURGED))
        result = done.result
        assert isinstance(result, WhereResult)
        return wire.PurgeQueueResponse(
            purged=result.done, next_cursor=result.cursor, applied_index=done.index
        )

    async def _fresh(self, read: ReadOptions) -> Freshness:
        fresh = await self._node.fresh(read.min_index, read.linearizable)
        if isinstance(fresh, Rejected):
            raise Refusal(fresh)
        return fresh


def _message(details: QueueDetails) -> wire.QueueMessage:
    jobs = details.jobs
    counts = (jobs.scheduled, jobs.pending, jobs.dispatched, jobs.running)
    return wire.queue_message(
        jobs.name, details.options, counts, details.held, details.rate_used, details.rate_opens_ms
    )
