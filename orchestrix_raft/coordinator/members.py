"""Changes of the members of the cluster, asked for at any node and made by whoever leads.

One change at a time: the leader lets each wait until the one before is committed.  A request is sent
again until it is answered, to the next leader too; that does no harm, because a change that has been made
already is answered as done.  Sans-IO: part of the core.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from orchestrix_raft.consensus.configuration import Configuration, Placed
from orchestrix_raft.consensus.membership_rules import ADD
from orchestrix_raft.consensus.port import Consensus, Role
from orchestrix_raft.coordinator.hello import MEMBERS_MAX
from orchestrix_raft.coordinator.messages import MemberAnswer, MemberChange, PeerMessage
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.coordinator.proposer import OnDone, unavailable
from orchestrix_raft.coordinator.settings import Identity
from orchestrix_raft.domain.errors import Code, Rejected

_OPEN_MAX: Final = 64  # requests under way at one node, and served for each peer: people make them
_NO_MEMBER: Final = "NOT_A_MEMBER"
_REFUSED: Final = "MEMBER_CHANGE_REFUSED"

Answer = Callable[[Outcome], None]


class ChangeLimits(NamedTuple):
    """Seconds."""

    wait_s: float = 5.0  # for a leader; then the request is withdrawn
    outcome_s: float = 15.0  # for an answer; then the outcome is unknown
    resend_s: float = 1.0


class _Wanted:
    """One change, from the asking to the answer."""

    def __init__(self, change: MemberChange, began: float, answer: Answer) -> None:
        self.change, self.began, self.answer = change, began, answer
        self.proposed = False  # consensus has it and will answer
        self.over = False
        self.sent_to: tuple[int, str] = (0, "")  # term and leader
        self.sent_at = 0.0

    def end(self, outcome: Outcome) -> None:
        if not self.over:
            self.over = True
            self.answer(outcome)

    def lost(self) -> None:
        """It may or may not be made: whoever leads next will know."""
        self.proposed = False
        self.change = again(self.change)


class MemberChanges:
    """Of one node.  Nothing is answered from inside `ask`."""

    def __init__(self, consensus: Consensus, bounds: ChangeLimits, send: Callable[[str, PeerMessage], None]):
        self._consensus, self._bounds, self._send = consensus, bounds, send
        self._number = 0
        self._mine: dict[int, _Wanted] = {}
        self._served: dict[tuple[str, int], _Wanted] = {}  # for peers, while this node leads

    # ---- asking ----------------------------------------------------------------------------------------

    def ask(self, change: str, node_id: str, disk_id: str, now: float, done: OnDone) -> None:
        """`change`: add (needs the disk's id) or remove.  `done` is called once, from a later `pump`."""
        self._number += 1
        wanted = _Wanted(MemberChange(self._number, change, node_id, disk_id, False), now, done)
        self._mine[self._number] = wanted

    @property
    def full(self) -> bool:
        """No further request can be taken now."""
        return len(self._mine) >= _OPEN_MAX

    def answered(self, peer: str, message: MemberAnswer) -> None:
        """From the leader that was asked."""
        wanted = self._mine.get(message.number)
        if wanted is None or wanted.sent_to[1] != peer:
            return
        if message.refusal is not None:
            wanted.end(NotApplied(message.refusal))
        elif message.index:
            wanted.end(Done(message.index, None))

    # ---- being asked -----------------------------------------------------------------------------------

    def asked(self, peer: str, message: MemberChange, now: float) -> None:
        """By a node that does not lead; perhaps again, because no answer reached it."""
        place = (peer, message.number)
        if place in self._served or self._consensus.role is not Role.LEADER:
            return
        if sum(asker == peer for asker, _ in self._served) < _OPEN_MAX:
            self._served[place] = _Wanted(message, now, lambda outcome: self._reply(place, outcome))

    def _reply(self, place: tuple[str, int], outcome: Outcome) -> None:
        peer, number = place
        match outcome:
            case Done(index=index):
                self._send(peer, MemberAnswer(number, index, None))
            case NotApplied(rejected=rejected):
                self._send(peer, MemberAnswer(number, 0, rejected))
            case Unknown():
                self._send(peer, MemberAnswer(number, 0, None))

    def fail_all(self, message: str) -> None:
        """The node stops: answer everybody here."""
        for wanted in self._mine.values():
            sent = wanted.proposed or wanted.change.again
            stopping = Rejected(Code.UNAVAILABLE, "NODE_STOPPING", message)
            wanted.end(Unknown(message) if sent else NotApplied(stopping))
        self._mine.clear()

    # ---- the step --------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Something was asked for and is not answered."""
        return bool(self._mine or self._served)

    def pump(self, now: float, reachable: bool) -> None:
        """Go on with everything.  reachable: there is a leader and a connection to it."""
        if not self._mine and not self._served:
            return
        leads = self._consensus.role is Role.LEADER
        for wanted in [*self._mine.values(), *self._served.values()]:
            if leads and not wanted.proposed and not wanted.over:
                self._decide(wanted)
        if not leads:
            for served in self._served.values():
                served.end(Unknown("this node does not lead"))
            if reachable:
                for wanted in self._mine.values():
                    self._send_on(wanted, now)
        for wanted in self._mine.values():
            self._expire(wanted, now, reachable)
        self._mine = {number: wanted for number, wanted in self._mine.items() if not wanted.over}
        self._served = {place: wanted for place, wanted in self._served.items() if not wanted.over}

    def _send_on(self, wanted: _Wanted, now: float) -> None:
        leader = (self._consensus.term, self._consensus.leader_id or "")
        if wanted.over or (wanted.sent_to == leader and now - wanted.sent_at < self._bounds.resend_s):
            return
        self._send(leader[1], wanted.change)
        wanted.sent_to, wanted.sent_at = leader, now
        wanted.change = again(wanted.change)

    def _expire(self, wanted: _Wanted, now: float, reachable: bool) -> None:
        waited_s = now - wanted.began
        if wanted.proposed or wanted.change.again:
            if waited_s >= self._bounds.outcome_s:
                wanted.end(Unknown("the change was not decided in time: `status` shows the members"))
        elif waited_s >= self._bounds.wait_s:
            wanted.end(NotApplied(unavailable(leader_known=reachable)))

    # ---- deciding, on the leader -----------------------------------------------------------------------

    def _decide(self, wanted: _Wanted) -> None:
        """Refuse it, answer it as done, or hand it to consensus; or let it wait for the change before it."""
        consensus, change = self._consensus, wanted.change
        index, configuration = consensus.in_force
        if not consensus.ready or configuration is None or index > consensus.commit_index:
            return
        if is_made(configuration, change):
            wanted.end(Done(consensus.applied_index, None))
            return
        refusal = refuse(configuration, change)
        if refusal is not None:
            wanted.end(NotApplied(refusal))
            return

        def done(made: bool | None, reason: str) -> None:
            if made:
                wanted.end(Done(consensus.applied_index, None))
            elif made is None:
                wanted.lost()
            else:
                wanted.end(NotApplied(Rejected(Code.FAILED_PRECONDITION, _REFUSED, reason)))

        wanted.proposed = True
        consensus.change_membership(change.change, change.node_id, change.disk_id or None, done)


def removes(settled: Placed, identity: Identity) -> bool:
    """Whether that configuration, committed, is one that this node was removed by, rather than one from
    before it was added."""
    configuration = settled.configuration
    return (
        configuration is not None
        and settled.index >= identity.joined_index
        and not configuration.lists(identity.node_id, identity.disk_id)
    )


def again(change: MemberChange) -> MemberChange:
    """The same request, asked once more."""
    return MemberChange(change.number, change.change, change.node_id, change.disk_id, True)


def is_made(configuration: Configuration, change: MemberChange) -> bool:
    """Whether there is nothing to do; of a removal only if it may have been made for this very request."""
    if change.change == ADD:
        return configuration.lists(change.node_id, change.disk_id)
    return change.again and change.node_id not in configuration.members


def refuse(configuration: Configuration, change: MemberChange) -> Rejected | None:
    """What consensus itself does not refuse, or not as clearly."""
    if change.change == ADD:
        if len(configuration.members) >= MEMBERS_MAX:
            full = f"the cluster has {MEMBERS_MAX} members: remove one first"
            return Rejected(Code.RESOURCE_EXHAUSTED, "NODES_LIMIT", full)
        return None
    if change.node_id not in configuration.members:
        members = ", ".join(configuration.members)
        unknown = f"{change.node_id} is not a member; the members are {members}"
        return Rejected(Code.FAILED_PRECONDITION, _NO_MEMBER, unknown)
    return None
