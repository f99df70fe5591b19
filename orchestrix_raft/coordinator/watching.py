"""Answers those who follow events: walks the feed for them, and waits with them for more.

Nothing is queued for a reader.  One that is slow holds its own walk up and nobody else's; what it has not
read when the feed forgets it is lost to it, and it is told where it can go on.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.event_reader import EventReader
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter
from orchestrix_raft.coordinator.port import EventPage
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.undecodable import UNDECODABLE

log = logging.getLogger(__name__)

FOLLOWERS: Final = 100  # of one node at once; each may take the time of a step to read and write a page
IDLE_S: Final = 1.0  # between two signs of life while nothing happens
UNTOLD_SLICES: Final = 40  # looked through without a find before the reader is told how far it is

_TOO_MANY: Final = Rejected(
    Code.RESOURCE_EXHAUSTED,
    "TOO_MANY_FOLLOWERS",
    f"{FOLLOWERS} readers follow the events of this node: use another one",
)
_STOPPING: Final = Rejected(Code.UNAVAILABLE, "NODE_STOPPING", "this node is going down: use another one")
_CUT_OFF: Final = Rejected(
    Code.UNAVAILABLE, "NOT_FRESH", "this node has lost contact to the leader and learns of nothing new"
)


async def watch(
    core: Core, since: Cursor | None, wanted: EventFilter, follow: bool
) -> AsyncGenerator[EventPage | Rejected, None]:
    """See NodePort.  An entry that is not applied here yet counts as one that is still to come."""
    if core.feed.followers >= FOLLOWERS:
        yield _TOO_MANY
        return
    grown = asyncio.Event()
    end = core.feed.follow(grown.set)
    reader = EventReader(core.feed, since or Cursor(core.feed.after + 1, 0), wanted, core.replica.job)
    try:
        async with aclosing(_walk(core, reader, grown, follow)) as pages:
            async for page in pages:
                yield page
    except (StorageError, *UNDECODABLE) as error:
        log.error("the event feed cannot be read: %s", error)
        yield Rejected(
            Code.UNAVAILABLE,
            "EVENTS_UNREADABLE",
            f"this node cannot read its events, ask another one: {error}",
        )
    finally:
        end()


async def _walk(
    core: Core, reader: EventReader, grown: asyncio.Event, follow: bool
) -> AsyncGenerator[EventPage | Rejected, None]:
    last = core.feed.newest
    untold = 0
    while not core.stopped:
        grown.clear()
        found = reader.slice()
        if isinstance(found, Rejected):
            yield found
            return
        untold += 1
        over = not follow and (reader.at_end or reader.cursor.index > last)
        if found or over or untold >= UNTOLD_SLICES:
            untold = 0
            yield EventPage(found, reader.cursor)
        if over:
            return
        if not reader.at_end:
            await asyncio.sleep(0)
        elif not await _more(grown):
            if core.stale:
                yield _CUT_OFF
                return
            untold = UNTOLD_SLICES
    yield _STOPPING


async def _more(grown: asyncio.Event) -> bool:
    """Wait for news; False: there was none for IDLE_S."""
    try:
        async with asyncio.timeout(IDLE_S):
            await grown.wait()
    except TimeoutError:
        return False
    return True
