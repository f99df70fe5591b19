"""What the engines of two nodes say to each other, and what counts as nonsense.

The peer link encodes and decodes these with msgspec, so types are checked at the door; `malformed`
checks what types cannot say, before the engine touches a message.  Tags and field order are the wire
format: add at the end, never renumber.  Which disk speaks is known from the connection.

Terms are Raft terms, indexes are log indexes (the first real entry is 2), sizes are bytes.
"""

from operator import attrgetter
from typing import ClassVar, Final

import msgspec

from orchestrix_raft.consensus.configuration import Configuration, ConfigurationError
from orchestrix_raft.consensus.entries import CONFIGURATION
from orchestrix_raft.storage.port import Entry, SnapshotRef

NUMBER_MAX = 2**62
ENTRY_BYTES_MAX = 64 * 1024 * 1024
CHUNK_BYTES_MAX = 4 * 1024 * 1024
DIGEST_BYTES = 32


class _PeerMessage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    NUMBERS: ClassVar[tuple[str, ...]] = ()


class AppendEntries(_PeerMessage, frozen=True, array_like=True, gc=False, tag=1):
    """Leader to everybody it replicates to; without entries it is a heartbeat."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term", "round", "commit_index", "prev_index", "prev_term")

    term: int
    round: int  # echoed in the answer: proves that the answer is newer than a read
    commit_index: int
    prev_index: int
    prev_term: int
    entries: list[Entry]


class AppendAnswer(_PeerMessage, frozen=True, array_like=True, gc=False, tag=2):
    """matched: everything before `next_index` is durable here and equal to the leader's log.
    not matched: send again from `next_index`; 0: the answer only carries the higher term."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term", "round", "next_index", "last_index")

    term: int
    round: int
    matched: bool
    next_index: int
    last_index: int = 0  # where the log here ends; 0: not said


class PreVote(_PeerMessage, frozen=True, array_like=True, gc=False, tag=3):
    """Would you vote for me in `term`?  Changes nothing at the voter."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term", "nonce", "last_index", "last_term", "configuration_index")

    term: int
    nonce: int
    last_index: int
    last_term: int
    configuration_index: int


class PreVoteAnswer(_PeerMessage, frozen=True, array_like=True, gc=False, tag=4):
    """gone: a committed configuration does not list the asker as a voter; it should stop asking."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term", "nonce")

    term: int  # the voter's own
    nonce: int
    granted: bool
    gone: bool


class VoteRequest(_PeerMessage, frozen=True, array_like=True, gc=False, tag=5):
    NUMBERS: ClassVar[tuple[str, ...]] = ("term", "last_index", "last_term", "configuration_index")

    term: int
    last_index: int
    last_term: int
    configuration_index: int
    transfer: bool  # the leader itself asked for this election


class VoteAnswer(_PeerMessage, frozen=True, array_like=True, gc=False, tag=6):
    """A vote in `term`, durable at the voter.  A refusal is silence."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term",)

    term: int


class TimeoutNow(_PeerMessage, frozen=True, array_like=True, gc=False, tag=7):
    """Leader to a caught-up voter: campaign at once."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term",)

    term: int


class SnapshotChunk(_PeerMessage, frozen=True, array_like=True, gc=False, tag=8):
    """It has no commit index on purpose: a snapshot says nothing about the receiver's log."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term", "round", "offset")

    term: int
    round: int
    ref: SnapshotRef
    offset: int
    data: bytes

    @property
    def last(self) -> bool:
        return self.offset + len(self.data) == self.ref.size


class SnapshotAnswer(_PeerMessage, frozen=True, array_like=True, gc=False, tag=9):
    """Progress of one snapshot.  That it is installed is said by an AppendAnswer."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("term", "round", "index", "received")

    term: int
    round: int
    index: int  # of the snapshot
    received: int  # bytes written so far
    failed: bool  # start again


Message = (
    AppendEntries
    | AppendAnswer
    | PreVote
    | PreVoteAnswer
    | VoteRequest
    | VoteAnswer
    | TimeoutNow
    | SnapshotChunk
    | SnapshotAnswer
)

OF_CONSENSUS: Final = (
    AppendEntries,
    AppendAnswer,
    PreVote,
    PreVoteAnswer,
    VoteRequest,
    VoteAnswer,
    TimeoutNow,
    SnapshotChunk,
    SnapshotAnswer,
)
"""The same for `isinstance`."""

_NUMBERS: Final = {kind: attrgetter(*kind.NUMBERS, "term") for kind in OF_CONSENSUS}
"""The numbers of a message; the term is there twice, so that there are always several."""


def malformed(message: Message) -> str | None:
    """Why `message` cannot come from a sound engine, or None."""
    numbers = _NUMBERS[type(message)](message)
    if min(numbers) < 0 or max(numbers) >= NUMBER_MAX:
        wrong = (n for n, value in zip(message.NUMBERS, numbers, strict=False) if not 0 <= value < NUMBER_MAX)
        return f"{next(wrong)} is out of range"
    if isinstance(message, AppendEntries):
        return _malformed_append(message)
    if isinstance(message, SnapshotChunk):
        return _malformed_chunk(message)
    return None


def _malformed_append(message: AppendEntries) -> str | None:
    if message.prev_index < 1:
        return "prev_index is before the first entry"
    index, term = message.prev_index, message.prev_term
    for data, entry_index, entry_term in message.entries:
        index += 1
        if entry_index != index:
            return "entries are not consecutive"
        if not term <= entry_term <= message.term:
            return "terms of entries are out of order"
        term = entry_term
        if not 0 < len(data) <= ENTRY_BYTES_MAX:
            return "size of an entry is out of range"
        if data[:1] == CONFIGURATION and not _decodes(data):
            return "configuration does not decode"
    if term > message.term:
        return "prev_term is above the leader's term"
    return None


def _malformed_chunk(message: SnapshotChunk) -> str | None:
    ref = message.ref
    if not 1 <= ref.index < NUMBER_MAX or not 0 <= ref.term <= message.term:
        return "index or term of the snapshot is out of range"
    if not 0 < ref.size < NUMBER_MAX or len(ref.digest) != DIGEST_BYTES:
        return "size or digest of the snapshot is out of range"
    if not 0 < len(message.data) <= CHUNK_BYTES_MAX or message.offset + len(message.data) > ref.size:
        return "chunk lies outside the snapshot"
    if not 0 <= ref.configuration_index <= ref.index:
        return "the snapshot's configuration is newer than the snapshot"
    if ref.configuration and not _decodes(ref.configuration):
        return "configuration does not decode"
    return None


def _decodes(data: bytes) -> bool:
    try:
        Configuration.decode(data)
    except ConfigurationError:
        return False
    return True
