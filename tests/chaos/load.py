"""The load of a run: jobs of all sorts from several clients, and exact books of what each call was told.

Every job has an id of its own from the beginning, so that it can be looked up whatever became of the call.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestrix_raft.client.aio import AsyncClient
from orchestrix_raft.client.ids import IDS
from orchestrix_raft.client.model import RetryPolicy
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.testing.background import Background
from orchestrix_raft.wire.errors import JobNotFound, OrchestrixError, OutcomeUnknown, Unavailable

STEP_S: Final = 0.05
DEADLINES_S: Final = (20.0, 20.0, 1.5)
"""Of the clients: two that wait until they know, and one that is often left in doubt."""
UNDER_WAY: Final = 1_500
"""Calls that wait at once, when nobody answers; further ones are left out and counted."""
BATCH: Final = 20
LIMITED: Final = "limited"
CONCURRENCY: Final = 4
RATE: Final = (15, 1.0)
UNIQUE_KEYS: Final = 40
SCHEDULES: Final = {"every-second": 1.0, "every-three": 3.0}
STEERED: Final = 200  # of the newest jobs that may be cancelled
END_S: Final = 40.0  # for the calls that are under way at the end


@dataclass
class Books:
    """What the clients were told."""

    acknowledged: dict[str, str] = field(default_factory=dict)  # job -> what sort of job it is
    in_doubt: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # certainly not enqueued
    cancelled: dict[str, str] = field(default_factory=dict)  # job -> what cancelling it gave
    retried: dict[str, str] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)  # acknowledged, and then not found by a read
    calls: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)  # of calls other than enqueues, by kind of error
    left_out: int = 0
    first_slots: dict[str, datetime] = field(default_factory=dict)

    def failed(self, error: OrchestrixError, sort: str, job_ids: list[str]) -> None:
        """An enqueue that brought an error."""
        if isinstance(error, OutcomeUnknown):
            self.in_doubt |= dict.fromkeys(job_ids, sort)
        elif isinstance(error, Unavailable):
            self.refused |= dict.fromkeys(job_ids, sort)
        else:
            self.failures[f"{sort}: {type(error).__name__} {error.reason}"] += 1


class Sort(NamedTuple):
    """One sort of call, and how often a second it is made."""

    per_s: float
    call: Callable[[AsyncClient], Awaitable[None]]


class Load(Background):
    """A thread with an event loop: calls until `stop`, each by one of several clients.

    history: the file to which every client records what it asks and sees.  scale: of all the rates.
    """

    def __init__(self, servers: str, history: Path, seed: int, scale: float = 1.0) -> None:
        super().__init__("load")
        self.books = Books()
        self._servers = servers
        self._history = history
        self._rng = random.Random(seed)
        self._steerable: list[str] = []
        self._doomed: list[str] = []
        sorts = {
            "single": Sort(40.0, self._single),
            "batch": Sort(2.0, self._batch),
            "long": Sort(2.0, self._long),
            "delayed": Sort(5.0, self._delayed),
            "unique": Sort(8.0, self._unique),
            "limited": Sort(6.0, self._limited),
            "flaky": Sort(4.0, self._flaky),
            "doomed": Sort(1.0, self._doom),
            "retry": Sort(0.5, self._retry),
            "cancel": Sort(2.0, self._cancel),
            "get": Sort(8.0, self._get),
        }
        self._sorts = {name: Sort(sort.per_s * scale, sort.call) for name, sort in sorts.items()}

    def stop(self) -> None:
        """No further calls."""
        self._stopping.set()

    @property
    def over(self) -> bool:
        """Every call has been answered."""
        return not self._thread.is_alive()

    async def _work(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        now = asyncio.get_running_loop().time
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    AsyncClient(self._servers, deadline=deadline_s, history=self._history)
                )
                for deadline_s in DEADLINES_S
            ]
            await self._prepare(clients[0])
            begun_s, made = now(), Counter[str]()
            while not await asyncio.to_thread(self._stopping.wait, STEP_S):
                for name, sort in self._sorts.items():
                    for _ in range(made[name], int((now() - begun_s) * sort.per_s)):
                        made[name] += 1
                        if len(under_way) >= UNDER_WAY:
                            self.books.left_out += 1
                            continue
                        task = asyncio.create_task(self._call(name, sort, self._rng.choice(clients)))
                        under_way.add(task)
                        task.add_done_callback(under_way.discard)
            if under_way:
                await asyncio.wait(under_way, timeout=END_S)
            for task in list(under_way):
                raise TimeoutError(f"a call did not end within {END_S:g} s of its client's deadline: {task}")

    async def _prepare(self, client: AsyncClient) -> None:
        await client.queues.limit(LIMITED, concurrency=CONCURRENCY, rate=RATE)
        for name, period_s in SCHEDULES.items():
            made = await client.schedules.every(name, period_s, "noop", misfire="all", overlap="allow")
            assert made.next_slot is not None
            self.books.first_slots[name] = made.next_slot

    async def _call(self, name: str, sort: Sort, client: AsyncClient) -> None:
        self.books.calls[name] += 1
        try:
            await sort.call(client)
        except OrchestrixError as error:  # of a call that enqueues nothing: it may fail, not lie
            self.books.failures[f"{name}: {type(error).__name__} {error.reason}"] += 1

    # ---- enqueueing ------------------------------------------------------------------------------------

    async def _enqueue(self, client: AsyncClient, sort: str, job_type: str, args: Any, **options: Any) -> str:
        """The id of the job there is then; empty if the call failed."""
        job_id = format_job_id(IDS.next())
        try:
            found = await client.enqueue(job_type, args, job_id=job_id, **options)
        except OrchestrixError as error:
            self.books.failed(error, sort, [job_id])
            return ""
        self.books.acknowledged[found] = sort
        return found

    async def _single(self, client: AsyncClient) -> None:
        await self._enqueue(client, "single", "noop", {"n": self._rng.randrange(1_000)})

    async def _batch(self, client: AsyncClient) -> None:
        try:
            found = await client.enqueue_many([("noop", {"n": n}) for n in range(BATCH)])
        except OrchestrixError as error:
            self.books.failed(error, "batch", list(error.job_ids))
            return
        self.books.acknowledged |= dict.fromkeys(found, "batch")

    async def _long(self, client: AsyncClient) -> None:
        seconds = round(self._rng.uniform(0.5, 5.0), 2)
        self._may_be_steered(await self._enqueue(client, "long", "sleep", {"seconds": seconds}))

    async def _delayed(self, client: AsyncClient) -> None:
        delay_s = round(self._rng.uniform(0.2, 8.0), 2)
        self._may_be_steered(await self._enqueue(client, "delayed", "noop", None, delay=delay_s))

    async def _unique(self, client: AsyncClient) -> None:
        key = f"key-{self._rng.randrange(UNIQUE_KEYS)}"
        await self._enqueue(client, "unique", "sleep", {"seconds": 0.3}, unique_key=key)

    async def _limited(self, client: AsyncClient) -> None:
        seconds = round(self._rng.uniform(0.05, 0.3), 2)
        await self._enqueue(client, "limited", "sleep", {"seconds": seconds}, queue=LIMITED)

    async def _flaky(self, client: AsyncClient) -> None:
        await self._enqueue(client, "flaky", "flaky", {"failures": 2}, retry=RetryPolicy.fast())

    async def _doom(self, client: AsyncClient) -> None:
        job_id = await self._enqueue(client, "doomed", "fail", None, retry=RetryPolicy(max_retries=0))
        if job_id:
            self._doomed.append(job_id)

    # ---- steering and looking --------------------------------------------------------------------------

    def _may_be_steered(self, job_id: str) -> None:
        if job_id:
            self._steerable.append(job_id)
            del self._steerable[:-STEERED]

    async def _cancel(self, client: AsyncClient) -> None:
        if self._steerable:
            job_id = self._steerable.pop(self._rng.randrange(len(self._steerable)))
            try:
                self.books.cancelled[job_id] = await client.cancel(job_id)
            except OutcomeUnknown:
                self.books.cancelled[job_id] = "unknown"
                raise

    async def _retry(self, client: AsyncClient) -> None:
        if self._doomed:
            job_id = self._doomed.pop(0)
            self.books.retried[job_id] = await client.retry(job_id)

    async def _get(self, client: AsyncClient) -> None:
        """What was acknowledged, to whichever client, is found by everybody: not-found is never stale."""
        known = list(self.books.acknowledged)[-STEERED:]
        if known:
            job_id = self._rng.choice(known)
            try:
                await client.get(job_id)
            except JobNotFound:
                self.books.unseen.append(job_id)
