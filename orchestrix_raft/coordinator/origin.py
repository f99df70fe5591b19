"""This process as an origin of commands: announced, answered, and sometimes given up by mistake.

A process is an origin from the commit of its NodeStarted until the cluster declares it dead or another
process of the same node starts.  One that lives on after being declared dead begins a new incarnation;
its unresolved commands are certainly not applied under the old one and go on under the new.

A start of this node that was made from another data directory ends the process: of two copies of one
directory only the newer one may take part.
"""

from typing import Final

from orchestrix_raft.coordinator import starts
from orchestrix_raft.coordinator.proposer import Proposer
from orchestrix_raft.coordinator.settings import Identity
from orchestrix_raft.domain.node import OVER
from orchestrix_raft.machine.commands import NodeStarted, NodeStopped
from orchestrix_raft.machine.events import NodeHealthSet, NodeJoined, NodeRemoved
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.machine.state import State

OLD_COPY: Final = (
    "node {} has started from another data directory since it ran from this one, so this one is an old copy: "
    "leave the node to the other one, and remove this copy"
)


class Origin:
    """Keeps the proposer's incarnation in step with what was committed."""

    def __init__(self, identity: Identity, proposer: Proposer, state: State) -> None:
        """`state`: as of the checkpoint.  Superseded: the directory is an old copy already."""
        begun = starts.begun(identity.starts, starts.start_of(identity.boot_id))
        self.identity = identity._replace(starts=begun)
        """Its starts are what the directory should know; whoever owns that stores them."""
        self._proposer = proposer
        self._level = state.rules.highest
        self.announce_at = 0.0
        self._leaving = False
        known = state.nodes.get(identity.node_id)
        if known is not None:
            self._note_start(known.incarnation, known.boot_id)

    @property
    def unannounced(self) -> bool:
        """NodeStarted has still to be committed."""
        return self._proposer.incarnation == 0 and not self._leaving

    def announcement(self) -> NodeStarted:
        """The command that makes this process an origin."""
        me = self.identity
        return NodeStarted(me.node_id, me.boot_id, me.address, me.version, self._level)

    def farewell(self) -> NodeStopped:
        """The command that ends it; nothing is announced afterwards."""
        self._leaving = True
        return NodeStopped(self.identity.node_id, self._proposer.incarnation)

    def joined(self, event: NodeJoined, now: float) -> None:
        """Some process was announced; perhaps this one.  Superseded: as this node, from another directory."""
        if event.node_id != self.identity.node_id:
            return
        self._note_start(event.incarnation, event.boot_id)
        if event.boot_id == self.identity.boot_id:
            self._proposer.announced(event.incarnation, now)

    def _note_start(self, index: int, boot_id: bytes) -> None:
        known = self.identity.starts
        if starts.start_of(boot_id) in known.nonces:
            self.identity = self.identity._replace(starts=starts.committed(known, index, boot_id))
        elif starts.superseded(known, index, boot_id):
            raise starts.Superseded(OLD_COPY.format(self.identity.node_id))

    def health_set(self, event: NodeHealthSet) -> None:
        """Some process was judged; perhaps this one was given up."""
        # Two nodes that are announced in one entry have the same incarnation.
        mine = event.node_id == self.identity.node_id and event.incarnation == self._proposer.incarnation
        if mine and event.health in OVER:
            self._begin_again()

    def removed(self, event: NodeRemoved) -> None:
        """Some node is no member any more; if it is this one, it is no origin again."""
        if event.node_id == self.identity.node_id and event.incarnation == self._proposer.incarnation:
            self._leaving = True
            self._proposer.fenced()

    @property
    def incarnation(self) -> int:
        """Under which commands are sent; 0: not announced."""
        return self._proposer.incarnation

    def applied(self, index: int, applied: Applied, incarnation: int, now: float) -> None:
        """Answer the callers whose commands an entry carried.  `incarnation`: as it was before the entry,
        which may have ended it behind the commands."""
        proposer, me = self._proposer, self.identity.node_id
        for resolved in applied.resolved:
            if resolved.node_id == me and resolved.incarnation == incarnation:
                proposer.resolve(resolved.sequence, index, resolved.result, now)
        for gap in applied.gaps:
            if gap.node_id == me and gap.incarnation == incarnation:
                proposer.resend(now)
        if applied.fenced and incarnation == proposer.incarnation > 0 and (me, incarnation) in applied.fenced:
            self._begin_again()

    def restored(self, state: State, now: float) -> None:
        """A snapshot replaced the state: find this process in it."""
        proposer = self._proposer
        known = state.nodes.get(self.identity.node_id)
        if known is not None:
            self._note_start(known.incarnation, known.boot_id)
        mine = known is not None and known.boot_id == self.identity.boot_id
        if known is not None and mine and known.health not in OVER:
            if known.incarnation == proposer.incarnation:
                proposer.settled_up_to(known.sequence, now)
                return
            proposer.give_up_sent(now)
            proposer.announced(known.incarnation, now)
        elif mine or proposer.incarnation:
            if known is not None and known.incarnation == proposer.incarnation:
                proposer.settled_up_to(known.sequence, now)
            else:
                proposer.give_up_sent(now)
            self._begin_again()

    def _begin_again(self) -> None:
        self.identity = self.identity._replace(boot_id=starts.next_boot_id(self.identity.boot_id))
        self._proposer.fenced()
        self.announce_at = 0.0
