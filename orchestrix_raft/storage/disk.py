"""One node's disk as a whole: who it is, and the three stores on it.

The identity is kept outside the Raft log because it says whether that log may be used at all: a disk
that was wiped and came back under its old name has forgotten its votes, so it gets a new `disk_id` and
is another member.  `layout.DataDirectory` is the product, `memory.MemoryDisk` its twin; whoever runs a
node takes either.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import msgspec

from orchestrix_raft.storage.port import Journal, LocalStore, StateStore, StorageError


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the nodes that formed the cluster."""

    node_id: str
    disk_id: str
    address: str  # host:port of its peer link


class Starts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Processes that ran from this disk."""

    index: int = 0  # log index at which one of them was found committed, 0: none yet
    nonces: tuple[bytes, ...] = ()  # that one's and those of later ones, in order


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The identity record of a disk."""

    disk_id: str  # 16 hex digits, random, made when the disk was formatted
    node_id: str = ""  # empty until the node was named
    cluster_id: str = ""  # empty until the cluster was formed or joined
    bootstrap: tuple[Member, ...] = ()  # the list the founding nodes agreed on
    addresses: dict[str, str] = {}  # last known address by node id, a hint for the first contact
    starts: Starts = Starts()  # by which an old copy of this disk is told from it
    joined_index: int = 0  # log index of the configuration that added this disk; 0: a founder
    removed_index: int = 0  # of the one that removed it; 0: it is a member

    @property
    def known_addresses(self) -> dict[str, str]:
        """Where each member was found last, else where it was when the cluster was founded."""
        return {member.node_id: member.address for member in self.bootstrap} | self.addresses


class Disk(ABC):
    """The identity record, each change of it durable when the call returns, and the stores.

    A store is opened at most once at a time (StorageError).
    """

    _identity: Identity

    @abstractmethod
    def open_journal(self) -> Journal: ...
    @abstractmethod
    def open_state_store(self) -> StateStore: ...
    @abstractmethod
    def open_local_store(self) -> LocalStore: ...
    @abstractmethod
    def close(self) -> None:
        """Close every store that is open and let the next process have the disk."""

    @abstractmethod
    def _save_identity(self, identity: Identity) -> None:
        """Replace the stored record in one atomic, durable step."""

    @property
    def identity(self) -> Identity:
        return self._identity

    def set_node_id(self, node_id: str) -> None:
        """Name the node.  StorageError if this disk belongs to another node."""
        known = self._identity.node_id
        if known and known != node_id:
            raise StorageError(f"this disk belongs to node {known!r}, not to {node_id!r}")
        self._change(node_id=node_id)

    def set_cluster_id(self, cluster_id: str) -> None:
        """Tie the disk to a cluster.  StorageError if it belongs to another one."""
        self._check_cluster(cluster_id)
        self._change(cluster_id=cluster_id)

    def _check_cluster(self, cluster_id: str) -> None:
        known = self._identity.cluster_id
        if known and known != cluster_id:
            raise StorageError(f"this disk belongs to cluster {known!r}, not to {cluster_id!r}")

    def set_joined(self, cluster_id: str, index: int, addresses: Mapping[str, str]) -> None:
        """A cluster has added this disk by the configuration at `index`; its members are at `addresses`.
        StorageError if the disk belongs to another cluster."""
        self._check_cluster(cluster_id)
        self._change(cluster_id=cluster_id, joined_index=index, addresses=dict(addresses))

    def set_removed(self, index: int) -> None:
        """The configuration at `index` has removed this disk: it is not used again."""
        self._change(removed_index=index)

    def set_bootstrap(self, members: Iterable[Member]) -> None:
        """Remember the list the founding nodes agreed on."""
        self._change(bootstrap=tuple(members))

    def set_addresses(self, addresses: Mapping[str, str]) -> None:
        """Remember where the other nodes were last found."""
        self._change(addresses=dict(addresses))

    def set_starts(self, starts: Starts) -> None:
        """Remember the processes that ran from here."""
        self._change(starts=starts)

    def _change(self, **fields: object) -> None:
        changed = msgspec.structs.replace(self._identity, **fields)
        if changed != self._identity:
            self._save_identity(changed)
            self._identity = changed
