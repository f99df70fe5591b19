"""How a node finds its cluster: the one its disk belongs to, one that the listed nodes found together, or one
that adds it.

`forming` decides; here its decisions are made durable on the disk and told to the other nodes.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrix_raft.coordinator import forming
from orchestrix_raft.coordinator.forming import Formed
from orchestrix_raft.coordinator.hello import Hello, Member, removed
from orchestrix_raft.domain.words import counted
from orchestrix_raft.storage.disk import Identity
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.port import StorageError

log = logging.getLogger(__name__)


class StartError(Exception):
    """The node cannot start like this; one line with what to do."""


class Removed(StartError):
    """The node is no member of its cluster any more: started again from this directory it ends again."""


def formed_before(identity: Identity, peers: Sequence[str], own: str, data_dir: Path) -> Formed | None:
    """The cluster that a disk belongs to; None: it has none yet.  own: this node's address.  StartError: the
    listed peers are those of another cluster; Removed: it was a member once."""
    if not identity.cluster_id:
        return None
    if identity.removed_index:
        line = removed(identity.node_id, identity.cluster_id)
        raise Removed(f"{line}; what is left in {data_dir} is of no use")
    members = tuple(Member(m.node_id, m.disk_id, m.address) for m in identity.bootstrap)
    known = set(identity.addresses.values()) or {m.address for m in members}
    others = set(peers) - {own}
    if others and not others & known:
        raise StartError(
            f"the data directory {data_dir} belongs to cluster {identity.cluster_id} "
            f"of {','.join(sorted(known)) or 'one node'}, and none of the other --peers is a member of it: "
            "name that cluster's members, or use an empty directory"
        )
    if peers and set(peers) != known:
        log.warning(
            "--peers is ignored: this data directory belongs to cluster %s of %s already",
            identity.cluster_id,
            ",".join(sorted(known)),
        )
    return Formed(members, identity.cluster_id, founder=bool(members))


def check_join(identity: Identity, data_dir: Path, join: str, there: Hello | str) -> None:
    """Whether a disk that belongs to a cluster may be started with `--join` of that address.  there: who
    answered at it, or why nobody did.  StartError: a node of another cluster.  If it cannot be told, the
    disk's own word counts: the node that once added this one may be gone for good."""
    own = f"this data directory belongs to cluster {identity.cluster_id} already"
    if isinstance(there, str):
        if join not in identity.known_addresses.values():
            log.warning(
                "--join is ignored: %s; the node at %s cannot be asked for its own: %s", own, join, there
            )
    elif not there.cluster_id:
        log.warning("--join is ignored: %s; node %s at %s has none yet", own, there.node_id, join)
    elif there.cluster_id != identity.cluster_id:
        raise StartError(
            f"the data directory {data_dir} belongs to node {identity.node_id} of cluster "
            f"{identity.cluster_id}, and node {there.node_id} at {join} to cluster {there.cluster_id}: "
            "to join that one use an empty directory; to go on in its own leave out --join"
        )


class FirstStart:
    """From the first Hello to the cluster.  announce: this node's Hello has changed.  failed: a promise could
    not be made durable, so this node cannot go on."""

    def __init__(
        self,
        disk: DataDirectory,
        own: str,
        peers: Sequence[str],
        announce: Callable[[], None],
        failed: Callable[[StorageError], None],
        join: str = "",
    ) -> None:
        self._disk = disk
        self._announce = announce
        self._failed = failed
        identity = disk.identity
        me = Member(identity.node_id, identity.disk_id, own)
        self._forming = forming.Forming(me, peers, forming.promised_by(identity), join)
        self._what = "joining" if join else "first start"
        self.waiting_for = "starting"
        self.formed: asyncio.Future[Formed] = asyncio.get_running_loop().create_future()
        """The cluster; StartError: there will be none."""

    @property
    def promised_id(self) -> str:
        """For this node's Hello."""
        return self._forming.promised_id

    def saw(self, hello: Hello) -> None:
        """A Hello arrived; what follows from it is done in a moment, the caller is judging it."""
        self._forming.saw(hello)
        asyncio.get_running_loop().call_soon(self.go_on)

    def lost(self, address: str) -> None:
        """The node there cannot be reached any more."""
        self._forming.lost(address)

    def go_on(self) -> None:
        """Do what is wanted next, until it waits or is over."""
        try:
            while not self.formed.done() and self._step():
                pass
        except StorageError as error:  # what was promised is not kept
            self._failed(error)

    def _step(self) -> bool:
        match self._forming.result:
            case forming.Promise(founding=founding):
                self._disk.set_bootstrap(founding.stored)
                self._forming.promised(founding)
                self._announce()
            case Formed() as formed:
                self._keep(formed)
            case forming.Refused(reason=reason):
                self.formed.set_exception(StartError(reason))
            case forming.Waiting(why=why):
                if why != self.waiting_for:
                    self.waiting_for = why
                    log.info("%s: %s", self._what, why)
                return False
        return True

    def _keep(self, formed: Formed) -> None:
        if formed.founder and not self._disk.identity.bootstrap:
            # A cluster of one promises nothing to anybody, but its log begins with this list.
            self._disk.set_bootstrap(forming.found(formed.members).stored)
        if formed.founder:
            self._disk.set_cluster_id(formed.cluster_id)
            log.info("cluster %s formed with %s", formed.cluster_id, counted(len(formed.members), "node"))
        else:
            addresses = {one.node_id: one.address for one in formed.members if one.address}
            self._disk.set_joined(formed.cluster_id, formed.joined_index, addresses)
            log.info("cluster %s has added this node", formed.cluster_id)
        self.formed.set_result(formed)
        self._announce()
