"""This node's part in handing over: its own drain from the commit to the end, and what workers are told.

Without I/O, stepped by the core.  A drain is committed; who goes where is decided by `duties.handoff`, asked
for by command, told to the worker when that is committed, and acknowledged by the committed resumption at
another node.  A process that is to end drains, says goodbye and is then `over`.
"""

from collections.abc import Callable
from typing import Final, Protocol

from orchestrix_raft.consensus.port import Consensus, Refused
from orchestrix_raft.coordinator.hub import SessionHub
from orchestrix_raft.coordinator.leadership import Leadership
from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.coordinator.settings import DrainLimits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import OVER, Drain, Node
from orchestrix_raft.duties.handoff import Patience, Told, handoffs, is_fit, takers
from orchestrix_raft.machine.commands import Command, DrainNode, MoveSessions
from orchestrix_raft.machine.events import HandoffAsked
from orchestrix_raft.machine.ownership import JobOwnershipRegistry
from orchestrix_raft.machine.state import State

TRANSFER_REFUSED: Final = "TRANSFER_REFUSED"


class Surroundings(Protocol):
    """The core, as far as a drain needs it."""

    hub: SessionHub
    consensus: Consensus

    @property
    def state(self) -> State: ...
    @property
    def node_id(self) -> str: ...
    @property
    def incarnation(self) -> int:
        """0: not announced."""
        ...

    @property
    def leadership(self) -> Leadership: ...
    @property
    def leading(self) -> bool: ...
    @property
    def stale(self) -> bool:
        """Out of contact with a leader: nothing can be committed."""
        ...

    @property
    def connected_peers(self) -> frozenset[str]: ...
    def submit(self, command: Command, done: Callable[[Outcome], None] | None) -> None: ...
    def say_goodbye(self, done: Callable[[], None]) -> None: ...


class CoordinatorDrain:
    """Of one node.  `over`: the process may end."""

    def __init__(self, core: Surroundings, bounds: DrainLimits) -> None:
        self._core = core
        self._bounds = bounds
        self._began_at: float | None = None  # when this node saw its drain committed
        self._leave_at: float | None = None  # when the process was told to end
        self._told: dict[bytes, tuple[tuple[str, ...], float]] = {}  # session id -> targets, when told last
        self._busy: dict[type[Command], float] = {}  # command under way -> not to be sent again before
        self._look_at = 0.0
        self._held_until = 0.0
        self._transfer_asked = False
        self._closed = False  # streams that were left have been closed
        self._saying_goodbye = False
        self.said_goodbye = False  # NodeStopped is answered for
        self.over = False

    # ---- what is asked of it -------------------------------------------------------------------------

    @property
    def ending(self) -> bool:
        """The farewell is said or under way: what is submitted now would come behind it and not be done."""
        return self._saying_goodbye or self.over

    @property
    def busy(self) -> bool:
        """`step` has something to do besides looking whether a drain was committed."""
        return self._leave_at is not None or self._began_at is not None

    def leave(self, now: float) -> None:
        """The process is to end: hand over leadership and sessions, say goodbye."""
        if self._leave_at is None:
            self._leave_at = now
            self._core.hub.stop_taking()

    def asked(self, event: HandoffAsked, now: float) -> None:
        """It is committed that a session of this node shall go on elsewhere: tell its worker."""
        core = self._core
        if event.node_id != core.node_id:
            return
        targets, _ = self._told.get(event.session_id, ((), 0.0))
        if self._began_at is not None:
            self._told[event.session_id] = ((*targets, event.to), now)
        core.hub.redirect(event.session_id, _addresses(core, event.to))

    def step(self, now: float) -> None:
        """What is due."""
        core = self._core
        node = core.state.nodes.get(core.node_id)
        drain = node.drain if node is not None and node.incarnation == core.incarnation else None
        if drain is None:
            self._began_at = None
            self._closed = False
            self._told.clear()
        elif self._began_at is None:
            self._began_at = now
        if self._leave_at is not None:
            self._step_leaving(drain, now)
        elif drain is not None and core.leading:
            self._hand_over_leadership(now)
        if drain is not None and not self.over:
            self._hand_over_sessions(now)

    # ---- leadership ----------------------------------------------------------------------------------

    def _hand_over_leadership(self, now: float) -> bool:
        """Ask the most advanced node that does not drain itself.  False: there is nobody to ask."""
        core = self._core
        nodes = core.state.nodes
        fit = [one for one in _heirs(core) if (node := nodes.get(one[1])) is not None and is_fit(node)]
        if not fit:
            return False
        if now >= self._held_until + self._bounds.breath_s:
            self._held_until = now + self._bounds.hold_s
            core.leadership.hold(now, self._bounds.hold_s)
            self._transfer_asked = False
        if not self._transfer_asked and now < self._held_until:
            # One that is a few entries behind is refused: with entries held back it will not be for long.
            # One that was asked has its election: a second one would take votes from it.
            self._transfer_asked = not isinstance(core.consensus.transfer(max(fit)[1]), Refused)
        return True

    # ---- sessions ------------------------------------------------------------------------------------

    def _hand_over_sessions(self, now: float) -> None:
        core = self._core
        if self._began_at is not None and now - self._began_at >= self._bounds.close_s and not self._closed:
            self._closed = True
            core.hub.close_streams()
        if now < self._look_at:
            return
        self._look_at = now + self._bounds.look_s
        told = {
            session_id: Told(len(targets), int((now - at) * 1000), targets)
            for session_id, (targets, at) in self._told.items()
        }
        patience = Patience(int(self._bounds.ack_s * 1000), self._bounds.at_once)
        plan = handoffs(core.state, core.node_id, told, core.connected_peers, patience)
        for session_id in plan.given_up:
            core.hub.give_up(session_id)
        if plan.moves:
            self._submit_once(MoveSessions(plan.moves), now)

    def _submit_once(self, command: Command, now: float) -> None:
        """Unless one of its kind is under way, or failed only just now."""
        kind = type(command)
        if now < self._busy.get(kind, 0.0):
            return
        self._busy[kind] = float("inf")

        def answered(outcome: Outcome) -> None:
            done = isinstance(outcome, Done) and not isinstance(outcome.result, Rejected)
            self._busy[kind] = 0.0 if done else now + self._bounds.again_s

        self._core.submit(command, answered)

    # ---- the end of the process ----------------------------------------------------------------------

    def _step_leaving(self, drain: Drain | None, now: float) -> None:
        core = self._core
        if self.over or self._saying_goodbye:
            self.over = self.over or core.stale
            return
        if core.stale:
            self.over = True  # the others stop as well, or are gone: nothing can be handed over
            return
        assert self._leave_at is not None
        in_time = now - self._leave_at < self._bounds.transfer_s
        if core.leading and in_time and not cost_of_leaving(core) and self._hand_over_leadership(now):
            return
        if not core.incarnation:
            # Not announced: the farewell could not be numbered, and nobody knows this process.
            self.over = len(core.hub) == 0
        elif drain is None or not drain.leaving:
            self._submit_once(DrainNode(core.node_id, core.incarnation, True), now)
        elif len(core.hub) == 0 and not core.state.sessions_of(core.node_id):
            self._saying_goodbye = True
            core.say_goodbye(self._said)

    def _said(self) -> None:
        self.said_goodbye = self.over = True


def _addresses(core: Surroundings, first: str) -> tuple[str, ...]:
    """Of the nodes that a worker may go to, the first one first, then by their load."""
    state = core.state
    registry = JobOwnershipRegistry(state)
    others = takers(state, core.node_id, core.connected_peers)
    others.sort(key=lambda node_id: (registry.load(node_id), node_id))
    ids = [first, *(node_id for node_id in others if node_id != first)]
    return tuple(state.nodes[node_id].address for node_id in ids if node_id in state.nodes)


def _heirs(core: Surroundings) -> list[tuple[int, str]]:
    """(how far it has the log, id) of the voters that could take over from this leader."""
    voters = core.consensus.voters
    return [
        (one.match_index, one.node_id)
        for one in core.consensus.progress()
        if one.connected and one.node_id in voters
    ]


def successor(core: Surroundings, wanted: str) -> str | Rejected:
    """Whom the leader should ask to take over: `wanted`, or ("") the most advanced voter that does not
    drain; "": consensus shall say why there is none.  One that drains would give leadership away at once."""
    drains = {node_id for node_id, node in core.state.nodes.items() if node.drain is not None}
    if wanted in drains and wanted in core.consensus.voters:
        return _refused(
            f"node {wanted} is draining and would give leadership away at once: undrain it first "
            f"(`cluster undrain {wanted}`), or name another node"
        )
    heirs = _heirs(core)
    able = [one for one in heirs if one[1] not in drains]
    if wanted or not heirs or able:
        return wanted or max(able, default=(0, ""))[1]
    those = ", ".join(sorted(node_id for _, node_id in heirs))
    return _refused(f"every other voter that answers is draining ({those}): undrain one first")


def _refused(why: str) -> Rejected:
    return Rejected(Code.FAILED_PRECONDITION, TRANSFER_REFUSED, why)


def cost_of_leaving(core: Surroundings, node_id: str = "") -> str:
    """What cannot be handed over if that node (by default this one) goes, in a line for people; ""."""
    node_id = node_id or core.node_id
    voters = core.consensus.voters
    if voters <= {node_id}:
        return f"node {node_id} is the whole cluster: there is nobody to hand over to"
    reachable = core.connected_peers | {core.node_id}
    left = sorted(one for one in voters - {node_id} if one in reachable and _stays(core.state.nodes.get(one)))
    if node_id in voters and 2 * len(left) <= len(voters):
        those = ", ".join(left) or "none"
        return (
            f"without node {node_id} there is no majority: of {len(voters)} voting nodes these would be"
            f" left: {those}; nothing new is accepted then"
        )
    if not takers(core.state, node_id, reachable):
        return f"no other node than {node_id} takes sessions: undrain one, or start one"
    return ""


def _stays(node: Node | None) -> bool:
    if node is None or node.health in OVER:
        return False
    return node.drain is None or not node.drain.leaving


def summary(drain: Drain) -> str:
    """What became of a drain so far, for people."""
    return (
        f"{drain.asked} of {drain.sessions} workers handed over, {drain.acknowledged} acknowledged with"
        f" {drain.acknowledged_jobs} of {drain.jobs} jobs, {drain.orphaned} orphaned with"
        f" {drain.orphaned_jobs}"
    )
