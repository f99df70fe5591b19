"""What the services of the API have in common: the way to the node, and to its audit trail."""

from orchestrix_raft.api.audit import Notes
from orchestrix_raft.api.callers import caller
from orchestrix_raft.api.errors import Refusal, UnknownOutcome, applied
from orchestrix_raft.coordinator.port import Done, Door, NodePort, Unknown
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.machine.commands import Asked, Auditable


class Service:
    """One per server.  `door`: the node as of now; nothing of it is kept between calls.  `notes`: the
    server's; without them the service has its own."""

    def __init__(self, door: Door, notes: Notes | None = None) -> None:
        self._door = door
        self._notes = Notes(door) if notes is None else notes

    @property
    def _node(self) -> NodePort:
        return self._door()

    async def _asked(self, command: Auditable) -> Done:
        """A change that the caller asks for by hand, applied, and noted under the caller's name."""
        outcome = await self._node.submit(Asked(caller(), command))
        if isinstance(outcome, Done) and isinstance(outcome.result, Rejected):
            raise Refusal(outcome.result, noted=True)  # by the state machine
        if isinstance(outcome, Unknown):
            raise UnknownOutcome(outcome.message, noted=True)  # likewise, if it comes to that
        return applied(outcome)
