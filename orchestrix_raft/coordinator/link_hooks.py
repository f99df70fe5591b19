"""What the peer link tells whoever owns it.  Implemented by the node's shell; nothing else is called back."""

from typing import Protocol

from orchestrix_raft.coordinator.connection import M
from orchestrix_raft.coordinator.hello import Accept, Hello, Reject


class Hooks(Protocol[M]):
    """What the link tells its owner.  All calls come from the loop; none may raise."""

    def on_hello(self, hello: Hello) -> Accept | Reject:
        """May this node speak to us?  Asked for every Hello, and again by `announce`, which may be called
        from in here."""
        ...

    def on_connected(self, node_id: str, disk_id: str) -> None:
        """Messages may flow; a second call means that another connection took over."""
        ...

    def on_disconnected(self, node_id: str) -> None: ...
    def on_gone(self, hello: Hello) -> None:
        """The last connection to a node, member or not, has ended."""
        ...

    def on_messages(self, node_id: str, messages: list[M]) -> None: ...
    def on_refused_for_good(self, reason: str) -> None:
        """A node that was dialled will never let this process in: it has to end."""
        ...
