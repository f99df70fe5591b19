"""A replicated log of opaque bytes: what the coordinator may ask of it and what it is told.

The engine (`engine.py`) is PySyncObj made safe; `twin.py` is a cluster in one address space for
tests.  Both pass tests/contract.  Nothing here blocks, sleeps or opens a socket: the owner feeds
messages and time in, and carries `outbox` out.
"""

from collections.abc import Callable, Generator
from enum import IntEnum
from typing import NamedTuple, Protocol

from orchestrix_raft.consensus.configuration import Placed
from orchestrix_raft.consensus.messages import Message

Apply = Callable[[int, int, bytes], None]
"""apply(index, term, data) for every committed command, in order, exactly once per process life.
Raising stops the engine for good (SafetyFault)."""

Restore = Callable[[], Generator[object, None, None]]
"""The store's checkpoint was replaced by a snapshot: load it beside the state in use, a slice at each step,
and put it in its place with the last one.  Nothing is applied meanwhile, and what is not applied yet is not
asked for.  Raising stops the engine for good."""


class SafetyFault(Exception):
    """Going on could break a promise.  The node must stop; every later call raises this again."""


class Role(IntEnum):
    FOLLOWER = 0
    CANDIDATE = 1
    LEADER = 2


class Refused(NamedTuple):
    """The request changed nothing, and why (one line for a person)."""

    reason: str


class Accepted(NamedTuple):
    """Where a proposal stands in the log.  It is committed if an entry of this very term is applied at
    this index, lost if another one is."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    term: int


class PeerProgress(NamedTuple):
    """The leader's view of one peer."""

    node_id: str
    match_index: int
    connected: bool
    answered_s: float  # seconds since its last answer
    snapshot_sent: int  # bytes of a snapshot acknowledged so far, 0 when none is under way


class Consensus(Protocol):
    outbox: list[tuple[str, Message]]
    """(peer, message) in sending order; the owner takes and clears it after every call of `tick` and
    `receive`.
    Whatever must be durable before a message may leave is durable by then."""

    before_flush: Callable[[], None]
    """Called in a tick when new entries are in the outbox and the journal is about to sync: an owner who
    sends them here lets the followers' disks work at the same time as this one."""

    @property
    def node_id(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def term(self) -> int: ...
    @property
    def leader_id(self) -> str | None: ...
    @property
    def commit_index(self) -> int: ...
    @property
    def applied_index(self) -> int: ...
    @property
    def applied_term(self) -> int: ...
    @property
    def first_index(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    @property
    def ready(self) -> bool:
        """Leader whose own no-op is applied: it may stamp, propose and answer reads."""
        ...

    @property
    def voters(self) -> frozenset[str]: ...
    @property
    def members(self) -> frozenset[str]:
        """Voters and learners of the configuration in force."""
        ...

    @property
    def in_force(self) -> Placed:
        """The configuration that counts, committed or not, with its log index."""
        ...

    @property
    def settled(self) -> Placed:
        """The one as of `applied_index`: committed, and never taken back."""
        ...

    def configuration_at(self, index: int) -> tuple[int, bytes]:
        """(log index, bytes) of the configuration as of an applied index: goes into the checkpoint."""
        ...

    def leader_contact_s(self) -> float:
        """Seconds since this node last knew a majority-backed leader: on the leader, since a majority
        answered; on a follower, since the leader's last append.  inf: never."""
        ...

    def progress(self) -> list[PeerProgress]: ...

    def problems(self) -> list[str]:
        """What this node's disk keeps it from doing, although it goes on: one line each, for a person."""
        ...

    def tick(self) -> None:
        """One step: elect, make durable, commit, apply, replicate.  Call it no later than `wake_at`, which
        any other call may bring nearer."""
        ...

    @property
    def wake_at(self) -> float:
        """When `tick` is wanted next if nothing else happens (seconds on the engine's clock).  A message that
        is answered by itself, a heartbeat above all, does not bring it nearer: the answer is in `outbox`."""
        ...

    def receive(self, peer: str, message: Message) -> None: ...
    def connected(self, peer: str, disk_id: str) -> None:
        """A connection to an authenticated member (or a node being added) is up; a second call
        replaces the first connection."""
        ...

    def disconnected(self, peer: str) -> None: ...

    def propose(self, data: bytes) -> Accepted | Refused: ...
    def read_index(self, done: Callable[[int | None], None]) -> None:
        """Leader only.  done(index): every operation acknowledged before this call is inside the state
        at `index`, which is applied here; done(None): not the leader (any more), ask elsewhere."""
        ...

    def transfer(self, target: str | None = None) -> str | Refused:
        """Ask a caught-up voter to take over; its id, or why not.  Best effort: watch `leader_id`."""
        ...

    def change_membership(
        self, change: str, node_id: str, disk_id: str | None, done: Callable[[bool | None, str], None]
    ) -> None:
        """change: "add" (learner that is promoted when caught up), "remove".  done(True, "") committed,
        done(False, why) refused or lost, done(None, why) unknown."""
        ...

    def checkpointed(self, index: int) -> None:
        """The state store holds a durable checkpoint at `index`: the log may be dropped behind it, less
        the kept tail and what a snapshot transfer still needs."""
        ...

    def close(self) -> None: ...
