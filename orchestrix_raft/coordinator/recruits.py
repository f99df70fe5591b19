"""Nodes without a cluster that want to be added to this node's: they say so in their Hello.

A node that joins asks by connecting, and stays connected until the members' Hello lists it.  Whatever
keeps it out is told to it as a refusal; it comes again, and after a while it is asked for again.  An
operator may also name an address, where such a node waits.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from orchestrix_raft.coordinator.addresses import AddressError, parse_address
from orchestrix_raft.coordinator.hello import Accept, Hello, Reject
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.domain.errors import Code, Rejected

ASK_AGAIN_S: Final = 5.0  # after a refusal: its cause may have gone
_RECRUITS_MAX: Final = 16  # at a time; without TLS anybody can claim to be one

Add = Callable[[Hello, Callable[[Outcome], None]], None]
"""Ask the cluster to add the node that said this."""


class Recruits:
    """Of one member.

    mine: its Hello.  add: see `Add`.  changed: somebody has to be judged anew.  meet: who is at an address,
    or one line that says why nobody is (`PeerLink.meet`).
    """

    def __init__(
        self,
        mine: Callable[[], Hello],
        add: Add,
        changed: Callable[[], None],
        meet: Callable[[str], Awaitable[Hello | str]],
        clock: Callable[[], float],
    ) -> None:
        self._mine, self._add, self._changed, self._meet, self._clock = mine, add, changed, meet, clock
        self._asked: set[bytes] = set()  # nonces of those that are being added
        self._refused: dict[bytes, tuple[str, float]] = {}  # why, and when

    def judge(self, hello: Hello) -> Accept | Reject:
        """May a node that wants to be added stay connected?  The first time it is asked for."""
        why, since = self._refused.pop(hello.nonce, ("", 0.0))
        if why and self._clock() - since < ASK_AGAIN_S:
            self._refused[hello.nonce] = (why, since)
            return Reject(why)
        if hello.nonce not in self._asked and not self._mine().lists(hello.node_id, hello.disk_id):
            if len(self._asked) >= _RECRUITS_MAX:
                return Reject("too many nodes want to be added at once: this one has to wait")
            self._asked.add(hello.nonce)
            self._add(hello, lambda outcome: self._answered(hello.nonce, outcome))
        return Accept(member=False)

    def _answered(self, nonce: bytes, outcome: Outcome) -> None:
        self._asked.discard(nonce)
        match outcome:
            case Done():
                return  # it will be listed as soon as this node has applied the configuration
            case NotApplied(rejected=rejected):
                why = rejected.message
            case Unknown(message=message):
                why = message
        if len(self._refused) >= _RECRUITS_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[nonce] = (why, self._clock())
        self._changed()

    async def fetch(self, address: str) -> Hello | Rejected:
        """The node that waits at `address` to be added, or is a member already; else why there is none."""
        mine = self._mine()
        try:
            address = str(parse_address(address))
        except AddressError as error:
            return Rejected(Code.INVALID_ARGUMENT, "ADDRESS_INVALID", str(error))
        if address == mine.address:
            return mine
        there = await self._meet(address)
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


def _not_there(why: str) -> Rejected:
    return Rejected(Code.FAILED_PRECONDITION, "NO_NODE_TO_ADD", why)
