"""Nodes without a cluster that want to be added to this node's: they say so in their Hello.

A node that joins asks by connecting, and stays connected until the member's Hello lists it.  Whatever
keeps it out is told to it, and after a while it is asked for again.  An operator may also name an address,
where such a node waits.
"""

from collections.abc import Callable
from typing import Final, Protocol

from orchestrix_raft.coordinator.addresses import AddressError, parse_address
from orchestrix_raft.coordinator.hello import Accept, Hello, Reject
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.domain.audit import JOIN
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.commands import NoteAudit

ASK_AGAIN_S: Final = 5.0  # after a refusal: its cause may have gone
_RECRUITS_MAX: Final = 16  # at a time; without TLS anybody can claim to be one

Later = Callable[[float, Callable[[], None]], object]

Answered = Callable[[Outcome], None]

Add = Callable[[Hello, Answered], None]
"""Ask the cluster to add the node that said this."""


class Link(Protocol):
    """What they are told and found by: a `PeerLink`."""

    def put_off(self, node_id: str, reason: str) -> None: ...
    async def meet(self, address: str) -> Hello | str: ...


class Recruits:
    """Of one member.  mine: its Hello.  add: see `Add`.  later: call back after so many seconds."""

    def __init__(self, mine: Callable[[], Hello], add: Add, link: Link, later: Later) -> None:
        self._mine, self._add, self._link, self._later = mine, add, link, later
        self._waiting: dict[bytes, Hello] = {}  # connected ones, by nonce

    def judge(self, hello: Hello) -> Accept | Reject:
        """May a node that wants to be added stay connected?  The first time it is asked for."""
        if hello.nonce in self._waiting or self._is_listed(hello):
            return Accept(member=False)
        if len(self._waiting) >= _RECRUITS_MAX:
            return Reject("too many nodes want to be added at once: this one has to wait")
        self._waiting[hello.nonce] = hello
        self._ask(hello)
        return Accept(member=False)

    def gone(self, hello: Hello) -> None:
        """A connection has ended, of one of them or of another node."""
        self._waiting.pop(hello.nonce, None)

    def _is_listed(self, hello: Hello) -> bool:
        return self._mine().lists(hello.node_id, hello.disk_id)

    def _ask(self, hello: Hello) -> None:
        self._add(hello, lambda outcome: self._answered(hello, outcome))

    def _answered(self, hello: Hello, outcome: Outcome) -> None:
        """Once it is added it will be listed as soon as this node has applied the configuration."""
        match outcome:
            case Done():
                return
            case NotApplied(rejected=rejected):
                why = rejected.message
            case Unknown(message=message):
                why = message
        if hello.nonce in self._waiting:
            self._link.put_off(hello.node_id, why)
            self._later(ASK_AGAIN_S, lambda: self._ask_again(hello))

    def _ask_again(self, hello: Hello) -> None:
        if hello.nonce in self._waiting and not self._is_listed(hello):
            self._ask(hello)

    async def fetch(self, address: str) -> Hello | Rejected:
        """The node that waits at `address` to be added, or is a member already; else why there is none."""
        mine = self._mine()
        try:
            address = str(parse_address(address))
        except AddressError as error:
            return Rejected(Code.INVALID_ARGUMENT, "ADDRESS_INVALID", str(error))
        if address == mine.address:
            return mine
        there = await self._link.meet(address)
        if isinstance(there, str):
            return _not_there(
                f"there is no node to add at {address}: {there}; start it there, with an empty data "
                f"directory and --join {mine.address}"
            )
        who = f"node {there.node_id} at {address}"
        if there.cluster_id == mine.cluster_id or (there.joining and not there.cluster_id):
            return there
        if there.cluster_id:
            return _not_there(
                f"{who} belongs to cluster {there.cluster_id}, and two clusters never merge: give it an "
                "empty data directory"
            )
        return _not_there(
            f"{who} waits for the first start of another cluster: start it with --join {mine.address} "
            "instead of --peers"
        )


def noting(hello: Hello, note: Callable[[NoteAudit], None], done: Answered) -> Answered:
    """`done`; and that the node was added goes into the audit trail, under its own name: it asked for it."""

    def answered(outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            who = f"node {hello.node_id} at {hello.address}"
            note(NoteAudit(who, JOIN, hello.address, f"done: {hello.node_id} is a member"))
        done(outcome)

    return answered


def _not_there(why: str) -> Rejected:
    return Rejected(Code.FAILED_PRECONDITION, "NO_NODE_TO_ADD", why)
