"""Queues as clients see and steer them: `client.queues`."""

import os
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

import msgspec

from orchestrix_raft.client.building import name_of
from orchestrix_raft.client.calls import Caller
from orchestrix_raft.client.model import at
from orchestrix_raft.domain.queue import LIMITS
from orchestrix_raft.wire import queues as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import milliseconds, pair, shown
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.errors import InvalidArgument

_QUEUES: Final = services.QUEUES.methods
_RATES: Final = ("rate", "key_rate")


class Unchanged(Enum):
    """What a limit is that is not named: neither a number nor None, which removes it."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED

Rate = tuple[int, float | timedelta]
"""(count, seconds): at most so many in any so many seconds."""


class RateLimit(msgspec.Struct, frozen=True):
    """At most `count` jobs begin in any `seconds` seconds."""

    count: int
    seconds: float


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as the cluster had it when asked."""

    name: str
    paused: bool
    rate: RateLimit | None
    concurrency: int | None
    key_rate: RateLimit | None  # for the jobs of each key
    key_concurrency: int | None
    scheduled: int  # unfinished jobs by state
    pending: int
    dispatched: int
    running: int
    held: int  # what counts against `concurrency`: slots taken, those of hung handlers included
    rate_used: int  # what counts against `rate`
    rate_opens_at: datetime | None  # when a rate that is used up has room again; None: it has


class AsyncQueues:
    """Pause, limit and look at queues, as coroutines.  A queue exists as soon as a job names it."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self) -> "list[Queue]":
        """Every queue that has unfinished jobs, is paused or is limited, by name."""
        request = wire.ListQueuesRequest(read=self._read())
        response: wire.ListQueuesResponse = await self._caller.call(_QUEUES["ListQueues"], request)
        return [queue_of(message) for message in response.queues]

    async def get(self, name: str) -> Queue:
        """One queue; one that nothing is known of is empty and without limits."""
        request = wire.GetQueueRequest(name=name_of("queue", name), read=self._read())
        response: wire.GetQueueResponse = await self._caller.call(_QUEUES["GetQueue"], request)
        return queue_of(response.queue)

    async def pause(self, name: str) -> Queue:
        """No job of it is handed to a worker any more; those that run go on."""
        return await self._configure(wire.ConfigureQueueRequest(name=name_of("queue", name), paused=True))

    async def resume(self, name: str) -> Queue:
        """The end of a pause."""
        return await self._configure(wire.ConfigureQueueRequest(name=name_of("queue", name), paused=False))

    async def limit(
        self,
        name: str,
        *,
        rate: Rate | Unchanged | None = UNCHANGED,
        concurrency: int | Unchanged | None = UNCHANGED,
        key_rate: Rate | Unchanged | None = UNCHANGED,
        key_concurrency: int | Unchanged | None = UNCHANGED,
    ) -> Queue:
        """Set or, with None, remove limits; one that is not named stays.

        `rate=(100, 1.0)`: at most 100 jobs begin in any second.  `concurrency`: at most so many run at once.
        `key_rate` and `key_concurrency` hold for the jobs of each `key` by itself.  Returns the queue as it
        is then; raises `InvalidArgument`.
        """
        request = wire.ConfigureQueueRequest(name=name_of("queue", name))
        values = (rate, concurrency, key_rate, key_concurrency)
        for word, value in zip(LIMITS, values, strict=True):
            if value is None:
                request.clear.append(word)
            elif isinstance(value, Unchanged):
                continue
            elif word in _RATES:
                count, window_ms = _rate(word, value)
                getattr(request, word).count = count
                getattr(request, word).window_ms = window_ms
            else:
                setattr(request, word, _count(word, value))
        return await self._configure(request)

    async def purge(self, name: str) -> int:
        """Cancel every job of the queue that waits now; how many that were.  Those that run go on."""
        name_of("queue", name)
        notes = self._caller.notes
        if notes is None:
            return await self._purge(name)
        return await notes.purge_queue(name, lambda: self._purge(name))

    async def _purge(self, name: str) -> int:
        purged = 0
        cursor = b""
        while True:
            request = wire.PurgeQueueRequest(request_id=os.urandom(16), name=name, cursor=cursor)
            response: wire.PurgeQueueResponse = await self._caller.call(_QUEUES["PurgeQueue"], request)
            self._caller.wrote(response.applied_index)
            purged += response.purged
            cursor = response.next_cursor
            if not cursor:
                return purged

    async def _configure(self, request: wire.ConfigureQueueRequest) -> Queue:
        request.request_id = os.urandom(16)
        response: wire.ConfigureQueueResponse = await self._caller.call(_QUEUES["ConfigureQueue"], request)
        self._caller.wrote(response.applied_index)
        return queue_of(response.queue)

    def _read(self) -> ReadOptions:
        return ReadOptions(min_index=self._caller.index)


def queue_of(m: wire.QueueMessage) -> Queue:
    """A queue from the wire."""
    return Queue(
        name=m.name,
        paused=m.paused,
        rate=_limit(m.rate) if m.HasField("rate") else None,
        concurrency=m.concurrency or None,
        key_rate=_limit(m.key_rate) if m.HasField("key_rate") else None,
        key_concurrency=m.key_concurrency or None,
        scheduled=m.scheduled,
        pending=m.pending,
        dispatched=m.dispatched,
        running=m.running,
        held=m.held,
        rate_used=m.rate_used,
        rate_opens_at=at(m.rate_opens_ms),
    )


def _limit(message: wire.RateLimitMessage) -> RateLimit:
    return RateLimit(message.count, message.window_ms / 1_000)


def _rate(word: str, rate: object) -> tuple[int, int]:
    try:
        count, window = pair(word, rate, "(count, seconds), such as (100, 1.0)")
        window_ms = milliseconds(f"the window of {word}", window, zero=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(str(error), "QUEUE_OPTIONS_INVALID") from error
    return _count(word, count), window_ms


def _count(word: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 32:
        message = f"{word} is {shown(value)}: a whole number from 1 on; None removes the limit"
        raise InvalidArgument(message, "QUEUE_OPTIONS_INVALID")
    return value
