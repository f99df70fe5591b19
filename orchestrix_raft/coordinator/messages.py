"""What nodes say to each other besides consensus, over the same peer link.

Closed shapes, decoded with their types at the door.  Imported by the core (which speaks them) and by
the shell (which encodes them).  Tags from 100 on: consensus has those below.
"""

from typing import Annotated

import msgspec

from orchestrix_raft.consensus.messages import Message as ConsensusMessage
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected


class _Closed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    pass


class Forward(_Closed, frozen=True, tag=100):
    """Batches of commands (encoded `machine.commands.Batch`) for the leader to append."""

    batches: tuple[bytes, ...]


class ReadRequest(_Closed, frozen=True, tag=101):
    """At which index is a read that starts now linearizable?"""

    number: int


class ReadAnswer(_Closed, frozen=True, tag=102):
    """`index` of ReadRequest `number`; -1: ask again, the asked node does not lead."""

    number: int
    index: int


class NodeBeat(_Closed, frozen=True, tag=103):
    """A node's heartbeat to the leader: evidence of life, its clock, its load, its digest."""

    incarnation: int
    wall_ms: int
    applied_index: int
    sessions: int
    owned_jobs: int
    digest_index: int  # a multiple of DIGEST_STRIDE that it has applied; 0: none yet
    digest: bytes


class BeatSummary(_Closed, frozen=True, tag=104):
    """The leader's answer: what it knows of all nodes, so that any node can show `status`."""

    nodes: tuple[
        tuple[str, int, int, int, int], ...
    ]  # id, applied index, owned jobs, sessions, age of beat in ms


class MemberChange(_Closed, frozen=True, tag=105):
    """Add or remove a member, please; for the leader."""

    number: int
    change: str  # add, remove
    node_id: str
    disk_id: str  # "" to remove
    again: bool  # it was asked for before, and nobody knows what became of it


class MemberAnswer(_Closed, frozen=True, tag=106):
    """To MemberChange `number`: the log index by which it is made; or why not; or neither: ask again."""

    number: int
    index: int
    refusal: Rejected | None


# ---- job logs: 120-129

JobId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
AttemptNumber = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Token = Annotated[int, msgspec.Meta(ge=0, le=limits.TOKEN_MAX)]
LineNumber = Annotated[int, msgspec.Meta(ge=0, le=limits.LINE_NUMBER_MAX)]


class SharedLine(_Closed, frozen=True):
    """A line of a job's log, with its place."""

    job_id: JobId
    token: Token
    attempt: AttemptNumber
    number: LineNumber
    at_ms: int
    level: str
    message: str


class LinesShared(_Closed, frozen=True, tag=120):
    """From the owner of the jobs: keep these as well."""

    batch: int
    lines: tuple[SharedLine, ...]


class LinesTaken(_Closed, frozen=True, tag=121):
    """The answer to `LinesShared`: they are kept, or refused as those of an attempt that is over."""

    batch: int


class LinesRequest(_Closed, frozen=True, tag=122):
    """Which lines of a job behind a place do you keep?"""

    number: int
    job_id: JobId
    after_token: Token
    after_number: LineNumber
    limit: Annotated[int, msgspec.Meta(ge=0, le=limits.PAGE)]


class LinesAnswer(_Closed, frozen=True, tag=123):
    """In the order of their places.  more: there are further ones behind them."""

    number: int
    lines: tuple[tuple[int, int, int, str, str, int], ...]  # token, number, at_ms, level, message, attempt
    more: bool


LinesMessage = LinesShared | LinesTaken | LinesRequest | LinesAnswer

PeerMessage = (
    ConsensusMessage
    | Forward
    | ReadRequest
    | ReadAnswer
    | NodeBeat
    | BeatSummary
    | MemberChange
    | MemberAnswer
    | LinesMessage
)
