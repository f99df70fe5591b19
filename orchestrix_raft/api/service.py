"""What the services of the API have in common: the way to the node."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from orchestrix_raft.api.callers import caller
from orchestrix_raft.api.errors import Refusal, UnknownOutcome, applied
from orchestrix_raft.coordinator.port import Done, Door, NodePort, Outcome
from orchestrix_raft.machine.commands import Asked, Auditable, NoteAudit

Answer = TypeVar("Answer")


class Service:
    """One per server.  `door`: the node as of now; nothing of it is kept between calls."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._notes: set[asyncio.Task[Outcome]] = set()  # under way; a task that nobody holds may vanish

    @property
    def _node(self) -> NodePort:
        return self._door()

    async def _asked(self, command: Auditable) -> Done:
        """A change that the caller asks for by hand, applied, and noted under the caller's name."""
        return applied(await self._node.submit(Asked(caller(), command)))

    def _note(self, action: str, target: str, outcome: str) -> None:
        """Into the audit trail, beside the call: what was asked for is done, whatever becomes of the note."""
        note = NoteAudit(caller(), action, target, outcome)
        task = asyncio.get_running_loop().create_task(self._node.submit(note))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _noted(self, action: str, target: str, call: Awaitable[Answer]) -> Answer:
        """What `call` answers; done or refused, it is in the audit trail."""
        try:
            answer = await call
        except Refusal as refusal:
            self._note(action, target, f"refused: {refusal.rejected.reason}")
            raise
        except UnknownOutcome:
            self._note(action, target, "unknown")
            raise
        self._note(action, target, "done")
        return answer
