"""What two nodes tell each other first, and whether they may go on.

`judge` is pure and symmetric in spirit: both ends ask it about the other, and either may refuse.  It is
what keeps two clusters from ever merging, two processes from sharing one id, and an emptied disk from
coming back as the member it was.  With TLS the certificate was verified before a Hello is read.
"""

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from orchestrix_raft.coordinator.frames import FrameError
from orchestrix_raft.coordinator.starts import START_BYTES, STARTS_MAX, start_of
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.level import FIRST_LEVEL, LEVEL_MAX
from orchestrix_raft.domain.words import one_line
from orchestrix_raft.storage.disk import Starts
from orchestrix_raft.undecodable import UNDECODABLE, words_of

PROTOCOL: Final = 1
"""Raised when nodes of the old and the new kind cannot talk at all."""

HELLO_BYTES: Final = 64 << 10  # longest first frame; a Hello with all members at their longest fits
NONCE_BYTES: Final = limits.BOOT_ID_BYTES
MEMBERS_MAX: Final = 64
REASON_CHARS: Final = 2_000

_BRING_BACK: Final = (
    "bring its own data directory back as it was when it last ran (an older copy will not do), or replace "
    "it: `cluster remove {}`, then start this one with --join and another --node-id"
)
_NOT_ADDED: Final = (
    "is --peers the right list?  To be added to a running cluster a node is started with --join instead; a "
    "new cluster starts with empty data directories on all of its nodes"
)
_ADD_AGAIN: Final = (
    "to add the machine again, start it with an empty data directory and --join; the --node-id may stay"
)
_ANOTHER_ID: Final = (
    "from different data directories: the member stays; stop the other one and start it with another"
    " --node-id"
)
_STOP_ONE: Final = "the data directory of one is a copy: stop that one and remove it"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.NODE_ID_CHARS)]
_Address = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ADDRESS_CHARS)]
_ClusterId = Annotated[str, msgspec.Meta(max_length=64)]
_Level = Annotated[int, msgspec.Meta(ge=0, le=LEVEL_MAX)]
_Start = Annotated[bytes, msgspec.Meta(min_length=START_BYTES, max_length=START_BYTES)]


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """A node of a cluster, on the disk it joined with, and the address of its API."""

    node_id: _Name
    disk_id: _Name
    address: Annotated[str, msgspec.Meta(max_length=limits.ADDRESS_CHARS)]  # "": not known to the speaker


class Hello(msgspec.Struct, frozen=True, gc=False, tag="hello"):
    """Who speaks.  Encoded by field names, and unknown fields are ignored: nodes of another version must
    be able to read at least the protocol number."""

    protocol: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    node_id: _Name
    disk_id: _Name  # made when the data directory was
    address: _Address
    nonce: Annotated[bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]  # first boot id
    version: Annotated[str, msgspec.Meta(max_length=limits.VERSION_CHARS)] = ""  # of the software
    cluster_id: _ClusterId = ""  # "" before the cluster is formed
    promised: _ClusterId = ""  # the cluster this node will form or none, see `forming`
    peers: Annotated[tuple[_Address, ...], msgspec.Meta(max_length=MEMBERS_MAX)] = ()  # as configured, sorted
    members: Annotated[tuple[Member, ...], msgspec.Meta(max_length=MEMBERS_MAX)] = ()  # of the formed cluster
    starts: Annotated[tuple[_Start, ...], msgspec.Meta(max_length=STARTS_MAX)] = ()  # see `starts`, as are
    start_index: Annotated[int, msgspec.Meta(ge=0, lt=2**62)] = 0  # both
    joining: bool = False  # no cluster yet, and wants to be added to the one that it speaks to
    members_index: Annotated[int, msgspec.Meta(ge=0, lt=2**62)] = 0  # log index that `members` is as of
    level: _Level = FIRST_LEVEL  # the highest machine level the speaker can run
    cluster_level: _Level = 0  # that its state is at; 0: it has none

    def lists(self, node_id: str, disk_id: str) -> bool:
        """Whether the speaker's cluster has that node, on that disk, as a member."""
        return any(one.node_id == node_id and one.disk_id == disk_id for one in self.members)

    @property
    def known_starts(self) -> Starts:
        """Of the speaker's data directory."""
        return Starts(self.start_index, self.starts)


class Refusal(msgspec.Struct, frozen=True, gc=False, tag="refusal"):
    """The last frame before a connection is closed: why, for the log of the other side; or `stay`."""

    reason: Annotated[str, msgspec.Meta(max_length=REASON_CHARS)]
    final: bool = False  # the process that is refused has to end: it can never be let in
    stay: bool = False  # what it waits for cannot be had now; the connection stays open


class Accept(msgspec.Struct, frozen=True):
    """Go on.  member: both are nodes of one cluster and may exchange messages; otherwise one of them has
    still to be formed, and only Hellos are exchanged."""

    member: bool


class Reject(msgspec.Struct, frozen=True):
    """Close the connection; `reason` is one line for both logs.  final: the other has to end."""

    reason: str
    final: bool = False


_decoder: msgspec.msgpack.Decoder[Hello | Refusal] = msgspec.msgpack.Decoder(Hello | Refusal)
_encoder = msgspec.msgpack.Encoder()


def encode(greeting: Hello | Refusal) -> bytes:
    """The payload of a frame."""
    return _encoder.encode(greeting)


def decode(payload: bytes) -> Hello | Refusal:
    """FrameError when `payload` is neither.  Every text in what comes back can be printed on one line: logs
    have it."""
    try:
        greeting = _decoder.decode(payload)
    except UNDECODABLE as error:
        raise FrameError(f"not a Hello: {words_of(error)}") from error
    if isinstance(greeting, Refusal):
        return msgspec.structs.replace(greeting, reason=one_line(greeting.reason))
    if not all(map(str.isprintable, _texts(greeting))):
        raise FrameError("not a Hello: a name or an address in it cannot be printed")
    return greeting


def _texts(hello: Hello) -> Iterator[str]:
    yield from (hello.node_id, hello.disk_id, hello.address, hello.version, hello.cluster_id, hello.promised)
    yield from hello.peers
    for member in hello.members:
        yield from (member.node_id, member.disk_id, member.address)


def judge(mine: Hello, theirs: Hello) -> Accept | Reject:
    """May the two speak?  Both sides reach the same verdict from their own end, except that only the
    one that is not formed can still become a member."""
    if theirs.protocol != mine.protocol:
        return Reject(
            f"node {theirs.node_id} {theirs.version} speaks peer protocol {theirs.protocol}, "
            f"node {mine.node_id} {mine.version} speaks {mine.protocol}: upgrade one release at a time"
        )
    twin = _twin(mine, theirs)
    if twin is not None:
        return twin
    if mine.cluster_id and theirs.cluster_id:
        if mine.cluster_id != theirs.cluster_id:
            return Reject(
                f"node {theirs.node_id} at {theirs.address} belongs to cluster {theirs.cluster_id}, "
                f"node {mine.node_id} at {mine.address} to {mine.cluster_id}: two clusters never merge"
            )
        return _too_old(mine, theirs) or Accept(member=True)
    if mine.cluster_id:
        return _too_old(mine, theirs) or _admit(mine, theirs)
    if theirs.cluster_id:
        return _admit(theirs, mine)
    return Accept(member=False)


def why_removed(mine: Hello, theirs: Hello) -> str:
    """One line for a node of this cluster that is no member any more, as far as this node knows; else empty.
    Whoever was added later than this node knows says so by its `members_index`."""
    if not mine.members or mine.members_index <= theirs.members_index:
        return ""
    return "" if mine.lists(theirs.node_id, theirs.disk_id) else removed(theirs.node_id, mine.cluster_id)


def removed(node_id: str, cluster_id: str) -> str:
    """What a node that is no member any more is told, in one line."""
    return f"node {node_id} was removed from cluster {cluster_id}: {_ADD_AGAIN}"


def _too_old(mine: Hello, theirs: Hello) -> Reject | None:
    """The level never falls, so this will not change.  Whoever is too old leaves the verdict to the other: a
    number that somebody says is no reason to end."""
    if theirs.level >= mine.cluster_level:
        return None
    return Reject(
        f"node {theirs.node_id} is version {theirs.version}, which runs machine levels up to {theirs.level}, "
        f"and the cluster is at {mine.cluster_level}: install version {mine.version} or newer on it",
        final=True,
    )


def _twin(mine: Hello, theirs: Hello) -> Reject | None:
    if theirs.nonce == mine.nonce:
        return Reject(f"{theirs.address} is node {mine.node_id} itself, reached under another address")
    if theirs.node_id == mine.node_id:
        return Reject(two_processes(mine, theirs), final=copied_from(theirs, mine))
    if theirs.disk_id == mine.disk_id:
        return Reject(
            f"nodes {mine.node_id} and {theirs.node_id} run from copies of one data directory: "
            "empty that of the newer one"
        )
    return None


def two_processes(one: Hello, other: Hello) -> str:
    """One line for two that call themselves the same."""
    copied = one.disk_id == other.disk_id
    return f"two processes run as node {one.node_id}, at {one.address} and {other.address}: " + (
        _STOP_ONE if copied else _ANOTHER_ID
    )


def copied_from(copy: Hello, original: Hello) -> bool:
    """Whether `copy` runs from a copy of the data directory that `original`, of the same id, runs from: it
    finds there that `original` has started."""
    return (
        copy.node_id == original.node_id
        and copy.nonce != original.nonce
        and start_of(original.nonce) in copy.starts
    )


def _admit(formed: Hello, empty: Hello) -> Accept | Reject:
    """`empty` may enter only as the member that the cluster knows, or as a founder that crashed between
    promising and learning that all had promised; or it asks to be added."""
    known = empty.joining or formed.lists(empty.node_id, empty.disk_id)
    if empty.promised == formed.cluster_id or (not empty.promised and known):
        return Accept(member=False)
    return Reject(why_not_admitted(formed, empty))


def why_not_admitted(formed: Hello, empty: Hello) -> str:
    """One line for the node without a cluster, with what to do."""
    where = f"cluster {formed.cluster_id}, which node {formed.node_id} at {formed.address} belongs to"
    if empty.promised:
        return (
            f"node {empty.node_id} took part in the first start of another cluster, {empty.promised}, than "
            f"{where}: {_NOT_ADDED}"
        )
    if any(one.node_id == empty.node_id for one in formed.members):
        lost = f"node {empty.node_id} is a member of {where}, but on another disk: "
        return lost + _BRING_BACK.format(empty.node_id)
    return f"node {empty.node_id} has no data and is not a member of {where}: {_NOT_ADDED}"
