"""Who is where: the addresses of the members, as replicated, and what the disk remembers of them.

The replicated state is right and the disk's memory a hint: with it the next start finds the others, and an
older copy of the directory is told from this one.
"""

import logging
from collections.abc import Callable, Iterable

from orchestrix_raft.coordinator.addresses import why_out_of_reach
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.first_start import StartError
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.port import StorageError

log = logging.getLogger(__name__)


class Whereabouts:
    """own: this node's address.  dial: keep connections with the nodes at these addresses from now on."""

    def __init__(self, disk: DataDirectory, own: str, dial: Callable[[Iterable[str]], None]) -> None:
        self._disk = disk
        self._own = own
        self._dial = dial
        self._before = ""  # where this node was, if that was elsewhere
        self.core: Core | None = None  # until the node serves, what the disk remembers is all
        self.targets: frozenset[str] = frozenset()

    def check_move(self) -> None:
        """A node may change its address; not to one where the others do not reach it: StartError."""
        identity = self._disk.identity
        others = identity.known_addresses
        before = others.pop(identity.node_id, "")
        if not identity.cluster_id or before in ("", self._own):
            return
        fault = why_out_of_reach(self._own, others.values())
        if fault:
            raise StartError(f"node {identity.node_id} was at {before}; {fault}")
        self._before = before

    def tell_move(self) -> None:
        """Somebody who mistyped or forgot an address should hear of it, once the node is there: a start that
        fails moves nothing."""
        if self._before:
            log.warning(
                "node %s moves from %s to %s: it tells the other nodes; clients and workers have to be told",
                self._disk.identity.node_id,
                self._before,
                self._own,
            )

    def known(self) -> dict[str, str]:
        """Address of each member, as replicated, else as remembered; {} while the node does not serve."""
        core = self.core
        if core is None:
            return {}
        known = {node_id: n.address for node_id, n in core.state.nodes.items()}
        return {
            node_id: address
            for node_id in sorted(core.consensus.members or core.addresses)
            if (address := known.get(node_id) or core.addresses.get(node_id, ""))
        }

    def known_address(self, node_id: str) -> str:
        """Where the cluster knows the node of that id, by what this node knows of the cluster; else empty."""
        return (self.known() or self._disk.identity.known_addresses).get(node_id, "")

    def servers(self) -> tuple[str, ...]:
        """API addresses of all members, this node's first."""
        others = [a for a in self.known().values() if a != self._own]
        return (self._own, *others)

    def retarget(self) -> None:
        """A node was announced, perhaps this one: dial the members where they are now, and remember for the
        next start what was learnt."""
        self._keep_starts()
        addresses = self.known()
        targets = frozenset(addresses.values()) - {self._own}
        if targets != self.targets:
            self.targets = targets
            self._dial(targets)
        try:
            if addresses:
                self._disk.set_addresses(addresses)
        except StorageError as error:  # a hint: without it the next start asks earlier ones
            log.warning("the addresses of the members could not be remembered: %s", error)

    def _keep_starts(self) -> None:
        if self.core is not None:
            try:
                self._disk.set_starts(self.core.identity.starts)
            except StorageError as error:  # what was stored at the start is enough, only longer
                log.warning("the committed start of this node could not be remembered: %s", error)
