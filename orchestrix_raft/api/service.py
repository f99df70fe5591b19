"""What the services of the API have in common: the way to the node."""

from orchestrix_raft.api.callers import caller
from orchestrix_raft.api.errors import applied
from orchestrix_raft.coordinator.port import Done, Door, NodePort
from orchestrix_raft.machine.commands import Asked, Auditable


class Service:
    """One per server.  `door`: the node as of now; nothing of it is kept between calls."""

    def __init__(self, door: Door) -> None:
        self._door = door

    @property
    def _node(self) -> NodePort:
        return self._door()

    async def _asked(self, command: Auditable) -> Done:
        """A change that the caller asks for by hand, applied, and noted under the caller's name."""
        return applied(await self._node.submit(Asked(caller(), command)))
