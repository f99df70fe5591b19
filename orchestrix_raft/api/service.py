"""What the services of the API have in common: the way to the node."""

from orchestrix_raft.coordinator.port import Door, NodePort


class Service:
    """One per server.  `door`: the node as of now; nothing of it is kept between calls."""

    def __init__(self, door: Door) -> None:
        self._door = door

    @property
    def _node(self) -> NodePort:
        return self._door()
