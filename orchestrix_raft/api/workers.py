"""WorkerService: one stream per worker process, and the listing of workers."""

import asyncio
from collections.abc import Sequence
from typing import Final

from orchestrix_raft.api import checks, incoming
from orchestrix_raft.api.calls import handlers
from orchestrix_raft.api.draining import drain_worker
from orchestrix_raft.api.errors import Context, Handlers, Refusal
from orchestrix_raft.api.outbox import Outbox
from orchestrix_raft.api.service import Service
from orchestrix_raft.coordinator.port import NodePort, SessionHandle
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import ASSIGNED
from orchestrix_raft.domain.session import (
    CoordinatorMessage,
    Farewell,
    Goodbye,
    Hello,
    Refused,
    ReportMessage,
)
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.wire import workers as wire
from orchestrix_raft.wire.common import read_info
from orchestrix_raft.wire.drain import DrainWorkerRequest, DrainWorkerResponse
from orchestrix_raft.wire.services import WORKERS
from orchestrix_raft.wire.transport import EOF

LAST_WORDS_S: Final = 10.0  # how long a stream stays open for its last message to be written
_INVALID: Final = "INVALID_ARGUMENT"


class WorkerService(Service):
    """One per server; holds nothing but the node."""

    def handlers(self) -> Handlers:
        """For `Server.add_generic_rpc_handlers`."""
        return handlers(
            WORKERS,
            {
                "Session": self.session,
                "ListWorkers": self.list_workers,
                "DrainWorker": self.drain_worker,
            },
            self._notes.turned_away,
        )

    async def session(self, context: Context) -> None:
        """From the Hello to the last word of either side."""
        first = await context.read()
        if first is EOF:
            return
        hello = _hello(first)
        if isinstance(hello, Refused):
            await context.write(wire.write_coordinator_message(hello))
            return
        await _Stream(context).run(self._node, hello)

    async def list_workers(self, request: wire.ListWorkersRequest) -> wire.ListWorkersResponse:
        """All workers, see `listed`."""
        fresh = await self._node.fresh(request.read.min_index, request.read.linearizable)
        if isinstance(fresh, Rejected):
            raise Refusal(fresh)
        workers = worker_infos(self._node, self._node.sessions())
        return wire.ListWorkersResponse(workers=workers, read=read_info(*fresh))

    async def drain_worker(self, request: DrainWorkerRequest) -> DrainWorkerResponse:
        """Committed: it gets nothing new, and is told."""
        response = await drain_worker(self._node, request)
        self._notes.made("drain_worker", request.worker_id.hex())
        return response


def worker_infos(node: NodePort, sessions: Sequence[Session]) -> list[wire.WorkerInfo]:
    """Those of `listed`, for the wire."""
    return [wire.worker_info(session, stuck_slots(node, session)) for session in listed(sessions)]


def listed(sessions: Sequence[Session]) -> list[Session]:
    """One for each worker process.  A process that stood still for too long, and woke, has a new session
    beside the old one until that expires: the old one is left out unless it still holds jobs."""
    attached = {session.name for session in sessions if session.node_id}
    return [one for one in sessions if one.node_id or one.slots or one.name not in attached]


def stuck_slots(node: NodePort, session: Session) -> int:
    """Slots whose attempt is over while the handler has not ended."""
    stuck = 0
    for token, job_id in session.slots.items():
        view = node.job(job_id)
        if view is None or view.job.token != token or view.job.state not in ASSIGNED:
            stuck += 1
    return stuck


def _hello(message: wire.WorkerMessage) -> Hello | Refused:
    try:
        hello = wire.read_worker_message(message)
    except wire.UnknownMessage as error:
        return Refused(_INVALID, str(error))
    if not isinstance(hello, Hello):
        return Refused(_INVALID, "the first message of a session must be Hello")
    wrong = checks.hello(hello)
    return Refused(_INVALID, wrong) if wrong else hello


class _Stream:
    """One worker's stream: a reader, a writer, and what waits between the node and the writer."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._now = asyncio.get_running_loop().time
        self._outbox = Outbox(self._now())
        self._wake = asyncio.Event()
        self._overrun = asyncio.Event()

    async def run(self, node: NodePort, hello: Hello) -> None:
        """Until the worker goes, the last word is written, or the reader has not kept up."""
        handle = node.open_session(hello, self._deliver)
        tasks = [asyncio.create_task(do) for do in (self._read(handle), self._write(), self._overrun.wait())]
        reader, writer, overrun = tasks
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if done == {reader} and reader.exception() is None and reader.result():
                done, _ = await asyncio.wait(
                    {writer, overrun}, timeout=LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            handle.closed()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        failures = [e for task in tasks if not task.cancelled() and (e := task.exception()) is not None]
        if failures:
            raise failures[0]
        if overrun in done:
            message = "the worker did not read its stream: too much was waiting for it"
            raise Refusal(Rejected(Code.RESOURCE_EXHAUSTED, "READER_TOO_SLOW", message))

    def _deliver(self, message: CoordinatorMessage) -> None:
        if not self._outbox.put(message, self._now()):
            self._overrun.set()
        self._wake.set()

    async def _read(self, handle: SessionHandle) -> bool:
        """Hand on what the worker says.  True: a last word of ours is still to be written."""
        goodbye = False
        while (raw := await self._context.read()) is not EOF:
            try:
                message = wire.read_worker_message(raw)
                if isinstance(message, Hello):
                    raise wire.UnknownMessage("a session has one Hello, its first message")
                accepted = incoming.accept(message)
            except (wire.UnknownMessage, Refusal) as error:
                self._deliver(Refused(_INVALID, str(error)))
                return True
            goodbye = isinstance(message, Goodbye)
            for part in accepted:
                if isinstance(part, ReportMessage):
                    await handle.room()
                handle.receive(part)
        return goodbye

    async def _write(self) -> None:
        """Write what waits, merged; ends after a last word."""
        while True:
            while self._outbox:
                message = self._outbox.take(self._now())
                await self._context.write(wire.write_coordinator_message(message))
                if isinstance(message, Refused | Farewell):
                    return
            self._wake.clear()
            await self._wake.wait()
