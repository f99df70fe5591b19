"""A feed in memory: what a fake node tells those who follow events."""

import asyncio
from collections.abc import AsyncGenerator

from orchestrix_raft.coordinator.event_reader import cursor_too_old
from orchestrix_raft.coordinator.event_view import KINDS, Cursor, EventFilter, EventView
from orchestrix_raft.coordinator.port import EventPage
from orchestrix_raft.domain.errors import Rejected

AT_MS = 1_700_000_000_000
ELAPSED_MS = 0


class FakeEvents:
    """One event an entry.  `ending`: what a stream ends with once it has told everything."""

    def __init__(self) -> None:
        self.after = 0
        self.told: list[EventView] = []
        self.ending: Rejected | None = None
        self.asked: list[tuple[Cursor | None, EventFilter, bool]] = []
        self.streams = 0
        self._changed = asyncio.Event()

    def happen(
        self,
        kind: str,
        job_id: bytes = b"",
        index: int = 0,
        reason: str = "",
        elapsed_ms: int | None = ELAPSED_MS,
    ) -> EventView:
        index = index or (self.told[-1].cursor.index + 1 if self.told else self.after + 1)
        event = EventView(
            *(Cursor(index, 1), AT_MS, kind, "client via n1", reason, job_id, "mail", "send", {"n": 1}),
            elapsed_ms,
        )
        self.told.append(event)
        self.change()
        return event

    @property
    def newest(self) -> int:
        return max([self.after, *(event.cursor.index for event in self.told)])

    def change(self) -> None:
        """Let streams look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(
        self, since: Cursor | None, wanted: EventFilter, follow: bool
    ) -> AsyncGenerator[EventPage | Rejected, None]:
        self.asked.append((since, wanted, follow))
        self.streams += 1
        try:
            place = since or Cursor(self.after + 1, 0)
            while True:
                changed = self._changed
                if place.index <= self.after:
                    yield cursor_too_old(place, self.after)
                    return
                new = [event for event in self.told if event.cursor > place]
                if new:
                    place = Cursor(new[-1].cursor.index + 1, 0)
                found = [event for event in new if not wanted.kinds or KINDS[event.kind] in wanted.kinds]
                yield EventPage(found, place)
                if self.ending is not None:
                    yield self.ending
                    return
                if not follow:
                    return
                await changed.wait()
        finally:
            self.streams -= 1
