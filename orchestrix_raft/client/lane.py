"""Single enqueues, gathered: what is called concurrently travels in one message of EnqueueStream.

The jobs handed over in one pass of the event loop form one batch; while enough batches are under way,
later jobs gather into the next one.  A batch is kept until it is answered and is sent again, with the
same ids, over the next stream when its stream breaks: so a lost answer neither loses nor doubles a job.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import grpc.aio

from orchestrix_raft.client import doubt
from orchestrix_raft.client.calls import ATTEMPT_S, Caller, Channel, Failed
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.wire import services
from orchestrix_raft.wire.conversation import converse
from orchestrix_raft.wire.errors import UNKNOWN, OrchestrixError, OutcomeUnknown, Unavailable, error_for
from orchestrix_raft.wire.jobs import EnqueueRequest, EnqueueResponse, NewJob
from orchestrix_raft.wire.servers import Backoff
from orchestrix_raft.wire.transport import EOF

BATCH_JOBS: Final = 500
BATCH_BYTES: Final = 1 << 20
WINDOW: Final = 4  # batches under way: more would only make them smaller
SWEEP_S: Final = 0.25  # how exactly deadlines are kept
LAST_ANSWERS_S: Final = 0.5  # for batches sent with one that was refused: their answers come with its own

_METHOD: Final = services.JOBS.methods["EnqueueStream"]
_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE.value[0]


class Placed(NamedTuple):
    """What became of a job: its id, or that of the one that was there already (`created` is False; None: it
    was there when the job was sent again, and an earlier sending of it may have made it)."""

    job_id: bytes
    created: bool | None
    applied: int = 0  # log index by which it was decided


class _Item:
    __slots__ = ("expires", "future", "job", "size")

    def __init__(self, job: NewJob, size: int, future: "asyncio.Future[Placed]", expires: float) -> None:
        self.job = job
        self.size = size
        self.future = future
        self.expires = expires


class _Batch:
    """Jobs that travel together, in the positions of the message."""

    def __init__(self, batch_id: int, items: list[_Item]) -> None:
        self.items = items
        self.request = EnqueueRequest(jobs=[item.job for item in items], batch_id=batch_id)
        self.sent_at = 0.0
        self.in_doubt = False  # an earlier sending of it may have been applied

    def leave_out_what_is_over(self) -> None:
        """To be called before it is sent again: who was told that a job is certainly not enqueued was told so
        for good."""
        left = [item for item in self.items if not item.future.done()]
        if len(left) < len(self.items):
            self.items = left
            jobs = [item.job for item in left]
            self.request = EnqueueRequest(jobs=jobs, batch_id=self.request.batch_id)


class Lane:
    """The gathering lane of one client; its task starts with the first job and ends with `close`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._waiting: deque[_Item] = deque()
        self._again: deque[_Batch] = deque()  # to be sent once more
        self._under_way: dict[int, _Batch] = {}
        self._batches = 0  # made
        self._answers = 0  # received
        self._trouble: Failed | None = None  # why servers were left, until one answers
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._broken: asyncio.Event = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None  # a refusal came: nothing more goes to this server

    def enqueue(self, job: NewJob, size: int) -> "asyncio.Future[Placed]":
        """A future of what becomes of the job."""
        loop = asyncio.get_running_loop()
        if self._task is None:
            self._task = loop.create_task(self._run())
            self._task.add_done_callback(self._ended)
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP_S, self._sweep)
        future: asyncio.Future[Placed] = loop.create_future()
        self._waiting.append(_Item(job, size, future, loop.time() + self._caller.deadline_s))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Jobs not answered yet fail."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    # ---- the stream ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        backoff = Backoff(self._caller.servers)
        while True:
            await self._wake.wait()
            channel: Channel | None = None
            try:
                channel = await self._caller.channel()
                with channel.in_use():
                    answered = await self._converse(channel)
            except Failed as failure:
                self._trouble = failure.over(self._trouble)
                answered = False  # the caller has turned to the next server already
            else:
                self._caller.failed(channel)
            for batch in self._under_way.values():
                batch.in_doubt = True
                self._again.append(batch)
            self._under_way.clear()
            if answered:
                backoff = Backoff(self._caller.servers)
            await asyncio.sleep(backoff.next_s())
            if self._again or self._waiting:
                self._wake.set()

    async def _converse(self, channel: Channel) -> bool:
        """Send and receive over one stream until it is no good any more; whether it answered anything."""
        before = self._answers
        self._broken.clear()
        self._stay()
        call = channel.stub(_METHOD)()
        try:
            errors = await converse(call, self._write(call), self._read(call), self._broken.wait())
        finally:
            self._stay()
        for error in errors:
            if isinstance(error, grpc.aio.AioRpcError):
                verdict = self._caller.judge(error, channel)
                if isinstance(verdict, OrchestrixError):
                    self._fail_all(verdict)
                else:
                    self._trouble = verdict.over(self._trouble)
            else:
                raise error
        return self._answers > before

    def _stay(self) -> None:
        """No refusal has come over this stream."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    async def _write(self, call: Any) -> None:
        now = asyncio.get_running_loop().time
        while not self._broken.is_set():
            while (
                self._leaving is None
                and len(self._under_way) < WINDOW
                and (batch := self._next_batch()) is not None
            ):
                batch.sent_at = now()
                self._under_way[batch.request.batch_id] = batch
                try:
                    await call.write(batch.request)
                except asyncio.InvalidStateError:
                    # The stream was over before; the reader knows why.
                    self._again.appendleft(self._under_way.pop(batch.request.batch_id))
                    return
            self._wake.clear()
            await self._wake.wait()

    async def _read(self, call: Any) -> None:
        while (response := await call.read()) is not EOF:
            batch = self._under_way.pop(response.batch_id, None)
            if batch is not None:
                self._answers += 1
                self._answered(batch, response)
                if self._leaving is not None and not self._under_way:
                    self._broken.set()
                self._wake.set()

    def _next_batch(self) -> _Batch | None:
        while self._again:
            batch = self._again.popleft()
            batch.leave_out_what_is_over()
            if batch.items:
                return batch
        items: list[_Item] = []
        size = 0
        while (
            self._waiting
            and len(items) < BATCH_JOBS
            and (not items or size + self._waiting[0].size <= BATCH_BYTES)
        ):
            item = self._waiting.popleft()
            if not item.future.done():
                items.append(item)
                size += item.size
        if not items:
            return None
        self._batches += 1
        return _Batch(self._batches, items)

    def _answered(self, batch: _Batch, response: EnqueueResponse) -> None:
        if response.HasField("error"):
            self._refused(batch, response)
            return
        self._trouble = None
        index = response.applied_index
        self._caller.wrote(index)
        answers: dict[int, Placed | OrchestrixError] = {
            e.position: _existing(e.job_id, batch, e.position, index) for e in response.existing
        }
        for r in response.rejected:
            job_ids = (format_job_id(batch.items[r.position].job.job_id),)
            refusal = error_for(r.code, r.reason, r.message, job_ids)
            answers[r.position] = doubt.in_doubt(refusal) if batch.in_doubt else refusal
        for position, item in enumerate(batch.items):
            if item.future.done():
                continue
            answer = answers.get(position) or Placed(item.job.job_id, True, index)
            if isinstance(answer, OrchestrixError):
                item.future.set_exception(answer)
            else:
                item.future.set_result(answer)

    def _refused(self, batch: _Batch, response: EnqueueResponse) -> None:
        """The batch as a whole: another server may take it, or its jobs fail."""
        error = response.error
        unknown = error.code == UNKNOWN and error.reason == "OUTCOME_UNKNOWN"
        if unknown or error.code == _UNAVAILABLE:
            batch.in_doubt |= unknown
            self._trouble = Failed(error.message, in_doubt=unknown, told=True)
            self._again.append(batch)
            if not batch.in_doubt:
                self._give_up_in_time(batch)
            if self._leaving is None:
                loop = asyncio.get_running_loop()
                self._leaving = loop.call_later(LAST_ANSWERS_S, self._broken.set)
            return
        for item in batch.items:
            if not item.future.done():
                job_ids = (format_job_id(item.job.job_id),)
                refusal = error_for(error.code, error.reason, error.message, job_ids)
                item.future.set_exception(doubt.in_doubt(refusal) if batch.in_doubt else refusal)

    def _give_up_in_time(self, batch: _Batch) -> None:
        """A refusal that took as long as is left would be the last answer in time: jobs sent again would end
        in doubt, while now they are certainly not enqueued."""
        now = asyncio.get_running_loop().time()
        took_s = now - batch.sent_at
        self._expire((item for item in batch.items if item.expires - now < took_s), in_doubt=False)

    def _fail_all(self, error: OrchestrixError) -> None:
        """The servers do not let us enqueue at all."""
        _fail(self._waiting, error)
        for batch in (*self._again, *self._under_way.values()):
            _fail(batch.items, doubt.in_doubt(error) if batch.in_doubt else error)
        self._waiting.clear()
        self._again.clear()
        self._under_way.clear()

    # ---- deadlines -------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and (self._waiting[0].expires <= now or self._waiting[0].future.done()):
            self._expire((self._waiting.popleft(),), in_doubt=False)
        for batch in self._again:
            self._expire((item for item in batch.items if item.expires <= now), batch.in_doubt)
        for batch in self._under_way.values():
            self._expire((item for item in batch.items if item.expires <= now), in_doubt=True)
        if any(now - batch.sent_at > ATTEMPT_S for batch in self._under_way.values()):
            self._broken.set()
        outstanding = self._waiting or self._again or self._under_way
        self._sweeper = loop.call_later(SWEEP_S, self._sweep) if outstanding else None

    def _expire(self, items: Iterable[_Item], in_doubt: bool) -> None:
        patience = f"within {self._caller.deadline_s:g} s"
        if self._trouble is not None:
            patience += f" (one of those tried: {self._trouble})"
        for item in items:
            if item.future.done():
                continue
            job_id = format_job_id(item.job.job_id)
            if in_doubt:
                text = f"no server acknowledged job {job_id} {patience}; it may have been enqueued"
                item.future.set_exception(OutcomeUnknown(text, "OUTCOME_UNKNOWN", (job_id,)))
            else:
                text = f"no server could take job {job_id} {patience}; it was not enqueued"
                item.future.set_exception(Unavailable(text, "NO_SERVER", (job_id,)))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Closed, or broken by a fault of the program: nobody may wait for ever."""
        cause = None if task.cancelled() else task.exception()
        why = "this client was closed" if cause is None else f"the client failed: {cause!r}"
        certain = Unavailable(f"{why}; the job was not enqueued", "CLIENT_CLOSED")
        _fail(self._waiting, certain)
        for batch in self._again:
            if not batch.in_doubt:
                _fail(batch.items, certain)
        self._fail_all(OutcomeUnknown(f"{why}; the job may have been enqueued", "OUTCOME_UNKNOWN"))
        self._task = None


def _existing(found: bytes, batch: _Batch, position: int, index: int) -> Placed | OrchestrixError:
    """The answer to a job when one is there already: itself, or the holder of its unique key."""
    job_id = batch.items[position].job.job_id
    if not batch.in_doubt:
        return Placed(found, False, index)
    if found == job_id:
        return Placed(found, None, index)  # an earlier sending may have made it
    return doubt.held(format_job_id(job_id), format_job_id(found))


def _fail(items: Iterable[_Item], error: OrchestrixError) -> None:
    for item in items:
        if not item.future.done():
            job_ids = (format_job_id(item.job.job_id),)
            item.future.set_exception(type(error)(str(error), error.reason, job_ids))
