"""The first start of a cluster: how the nodes of one `--peers` list agree that they are its founders.

Sans-IO: Hellos go in (`saw`, `lost`), `result` says what to do next.  Two steps, like a commit in two
phases: when all listed nodes were seen, empty and with the same list, each *promises* the list of
(node id, disk id, address) durably; when all were seen to have promised the same list, it is *formed*.

What it promises: a disk promises at most once in its life, and a list is formed only when all of its
disks have promised it.  So two different lists that have a disk in common are never both formed, in
whatever order Hellos arrive, nodes crash or come back without their data.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from orchestrix_raft.coordinator.hello import Hello, Member, why_not_admitted
from orchestrix_raft.storage.disk import Identity
from orchestrix_raft.storage.disk import Member as StoredMember

_RESTART_ALL = "nothing is stored yet: empty the data directories of all listed nodes and start them again"


class Founding(msgspec.Struct, frozen=True):
    """A list of founders, sorted, and the id that follows from it."""

    members: tuple[Member, ...]
    cluster_id: str

    @property
    def stored(self) -> tuple[StoredMember, ...]:
        """As the disk's identity keeps it (`set_bootstrap`)."""
        return tuple(StoredMember(one.node_id, one.disk_id, one.address) for one in self.members)


class Promise(msgspec.Struct, frozen=True):
    """Store `founding` durably (`set_bootstrap`), call `promised`, and tell the others in a new Hello."""

    founding: Founding


class Formed(msgspec.Struct, frozen=True):
    """Store it durably (`set_cluster_id`) and run.

    founder: `members` is the list the log begins with.  Otherwise the cluster existed and has added this
    node: `members` are those as of log index `joined_index`, this one among them.
    """

    members: tuple[Member, ...]
    cluster_id: str
    founder: bool
    joined_index: int = 0


class Waiting(msgspec.Struct, frozen=True):
    """For whom (addresses), and why, in one line."""

    missing: tuple[str, ...]
    why: str


class Refused(msgspec.Struct, frozen=True):
    """This node cannot start like this; one line with what to do."""

    reason: str


Result = Promise | Formed | Waiting | Refused


def found(members: Sequence[Member]) -> Founding:
    """The founding of exactly these members; the id does not depend on their order."""
    ordered = tuple(sorted(members))
    return Founding(ordered, hashlib.sha256(msgspec.msgpack.encode(ordered)).hexdigest()[:32])


def promised_by(identity: Identity) -> Founding | None:
    """What a disk promised before a restart."""
    if not identity.bootstrap:
        return None
    return found([Member(one.node_id, one.disk_id, one.address) for one in identity.bootstrap])


class Forming:
    """One node's view of the first start.

    me: this node, with its address as it stands in `peers`.  peers: the configured list, empty for a
    cluster of one.  promised: what this disk promised before a restart.  join: the address of a node whose
    cluster shall add this one; then it waits until a formed cluster names it, and never founds one.
    """

    def __init__(
        self, me: Member, peers: Sequence[str], promised: Founding | None = None, join: str = ""
    ) -> None:
        self._me = me
        self._peers = tuple(sorted(peers))
        self._founding = promised
        self._join = join
        self._asked = ""  # the cluster that was asked to add this node, and through whom
        self._seen: dict[str, Hello] = {}  # address -> newest Hello of a listed, empty node
        self._stranger = ""  # why somebody who is not listed knows this node
        self._end: Formed | Refused | None = None
        if join and promised is not None:
            former = _join(one.address for one in promised.members)
            self._end = Refused(
                f"this node took part in a first start with --peers {former} and cannot join another "
                "cluster: use an empty data directory"
            )
        elif promised is not None and {one.address for one in promised.members} != set(peers):
            former = _join(one.address for one in promised.members)
            self._end = Refused(
                f"this node took part in a first start with --peers {former}, now it has "
                f"{_join(self._peers) or 'none'}: start it with the former list; or, if that is given up, "
                + _RESTART_ALL
            )
        elif not peers and not join:
            self._end = Formed(found([me]).members, found([me]).cluster_id, founder=True)

    @property
    def promised_id(self) -> str:
        """For this node's Hello."""
        return self._founding.cluster_id if self._founding else ""

    def saw(self, hello: Hello) -> None:
        """A Hello arrived (also one that is refused for other reasons)."""
        if self._end is not None:
            return
        if hello.cluster_id:
            self._saw_cluster(hello)
        elif hello.address in self._peers and hello.address != self._me.address:
            known = self._seen.get(hello.address)
            late = known is not None and known.promised and not hello.promised
            if known is None or not late or known.disk_id != hello.disk_id:  # a promise is never taken back
                self._seen[hello.address] = hello
        elif self._me.address in hello.peers and not self._join:
            self._stranger = self._lists_differ(hello)

    def lost(self, address: str) -> None:
        """The node there cannot be reached any more.  A promise, once made, still counts."""
        self._asked = ""
        if self._founding is None:
            self._seen.pop(address, None)

    def promised(self, founding: Founding) -> None:
        """The promise that was asked for is durable."""
        if self._founding is not None and self._founding != founding:
            raise ValueError("a disk promises once")
        self._founding = founding

    @property
    def result(self) -> Result:
        """What to do now.  Formed and Refused are final."""
        if self._end is None:
            step = self._step()
            if not isinstance(step, Formed):
                return step
            self._end = step
        return self._end

    # ---- somebody has a cluster already ----------------------------------------------------------------

    def _saw_cluster(self, hello: Hello) -> None:
        listed = hello.lists(self._me.node_id, self._me.disk_id)
        if self._join and not listed:
            self._asked = (
                f"cluster {hello.cluster_id}, which node {hello.node_id} at {hello.address} belongs to"
            )
            return
        if hello.address not in self._peers and not listed:
            return  # not asked for, and it does not ask for this node
        mine = self._founding
        if mine is not None and mine.cluster_id == hello.cluster_id:
            self._end = Formed(mine.members, mine.cluster_id, founder=True)
        elif mine is None and listed:
            self._end = Formed(hello.members, hello.cluster_id, False, hello.members_index)
        else:
            self._end = Refused(why_not_admitted(hello, self._as_hello()))

    def _as_hello(self) -> Hello:
        me = self._me
        return Hello(0, me.node_id, me.disk_id, me.address, nonce=b"", promised=self.promised_id)

    # ---- nobody has one --------------------------------------------------------------------------------

    def _step(self) -> Result:
        if self._join:
            whom = self._asked or f"the cluster of the node at {self._join}"
            return Waiting((self._join,), f"waits for {whom}, to add this node")
        others = [address for address in self._peers if address != self._me.address]
        missing = tuple(address for address in others if address not in self._seen)
        differing = [self._seen[a] for a in others if a in self._seen and self._seen[a].peers != self._peers]
        if differing:
            return Waiting(tuple(hello.address for hello in differing), self._lists_differ(differing[0]))
        if self._founding is not None:
            return self._after_promise(self._founding)
        if missing:
            why = self._stranger or f"waits for {_join(missing)}: not reached yet"
            return Waiting(missing, why)
        members = [self._me, *(_member(self._seen[address]) for address in others)]
        return self._twins(members) or Promise(found(members))

    def _after_promise(self, founding: Founding) -> Result:
        """Formed when every founder is known to have promised the same."""
        missing = []
        fault = ""
        for founder in founding.members:
            if founder == self._me:
                continue
            hello = self._seen.get(founder.address)
            if hello is not None and _member(hello) != founder:
                fault = (
                    f"node {founder.node_id} at {founder.address} took part in this first start and has "
                    f"another disk now (node {hello.node_id}); {_RESTART_ALL}"
                )
            elif hello is not None and hello.promised not in ("", founding.cluster_id):
                fault = (
                    f"node {hello.node_id} at {hello.address} takes part in another first start, "
                    f"{hello.promised}, than this node, {founding.cluster_id}; {_RESTART_ALL}"
                )
            elif hello is not None and hello.promised:
                continue
            missing.append(founder.address)
        if missing:
            return Waiting(tuple(missing), fault or f"waits for {_join(missing)} to agree on the founders")
        return Formed(founding.members, founding.cluster_id, founder=True)

    def _twins(self, members: Sequence[Member]) -> Waiting | None:
        by_id: dict[str, Member] = {}
        by_disk: dict[str, Member] = {}
        for member in members:
            same_id = by_id.setdefault(member.node_id, member)
            same_disk = by_disk.setdefault(member.disk_id, member)
            twin, what = (
                (same_id, f"call themselves {member.node_id}")
                if same_id is not member
                else (same_disk, "run from copies of one data directory")
            )
            if twin is not member:
                both = (twin.address, member.address)
                return Waiting(both, f"the nodes at {both[0]} and {both[1]} {what}: change one of them")
        return None

    def _lists_differ(self, hello: Hello) -> str:
        me = self._me
        return (
            f"the --peers lists differ: node {me.node_id} at {me.address} has {_join(self._peers)}, "
            f"node {hello.node_id} at {hello.address} has {_join(hello.peers) or 'none'}"
        )


def _member(hello: Hello) -> Member:
    return Member(hello.node_id, hello.disk_id, hello.address)


def _join(addresses: Iterable[str]) -> str:
    return ",".join(addresses)
