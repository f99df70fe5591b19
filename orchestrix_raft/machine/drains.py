"""Nodes that hand over, sessions that are asked to move, and sessions that nobody comes back for.

A draining node takes no sessions, and nothing is assigned to those it has; that they leave it is its own
task (`duties.handoff` says which goes where).  A worker that was told to move has moved when its session is
resumed elsewhere; nothing else counts as an acknowledgement.
"""

from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import OVER, Drain, Node
from orchestrix_raft.domain.worker import JobHandoff, Session
from orchestrix_raft.machine.commands import DrainNode, ExpireSession, Move, MoveSessions, UndrainNode
from orchestrix_raft.machine.events import Event, HandoffAsked, NodeDraining, NodeUndrained
from orchestrix_raft.machine.sessions import SESSION_MOVED, SESSION_UNKNOWN, decide_expiry
from orchestrix_raft.machine.state import State

NODE_UNKNOWN: Final = Rejected(Code.NOT_FOUND, "NODE_UNKNOWN", "no node of this id has started")
INCARNATION_OVER: Final = Rejected(
    Code.FAILED_PRECONDITION, "INCARNATION_OVER", "the node has started anew, or is dead or stopped"
)
_LEAVING: Final = Rejected(
    Code.FAILED_PRECONDITION,
    "NODE_LEAVING",
    "the node's process is about to end: its next start undoes it",
)
_NOT_DETACHED: Final = Rejected(
    Code.FAILED_PRECONDITION,
    "SESSION_NOT_ORPHANED",
    "the session is attached, or has time left to come back",
)

# ---- decide


def decide_drain(state: State, command: DrainNode) -> tuple[NodeDraining, ...] | Rejected:
    """It shall hand over; asked again it is the same drain, unless now its process is to end."""
    node = living(state, command.node_id, command.incarnation)
    if isinstance(node, Rejected):
        return node
    if node.drain is not None and (node.drain.leaving or not command.leaving):
        return ()
    return (NodeDraining(node.node_id, node.incarnation, command.leaving),)


def decide_undrain(state: State, command: UndrainNode) -> tuple[NodeUndrained, ...] | Rejected:
    """It takes sessions again; not a node whose process is on its way out."""
    node = living(state, command.node_id, command.incarnation)
    if isinstance(node, Rejected):
        return node
    if node.drain is None:
        return ()
    return _LEAVING if node.drain.leaving else (NodeUndrained(node.node_id, node.incarnation),)


def living(state: State, node_id: str, incarnation: int) -> Node | Rejected:
    """The node whose process that is, if it is still to be reckoned with."""
    node = state.nodes.get(node_id)
    if node is None:
        return NODE_UNKNOWN
    if node.incarnation != incarnation or node.health in OVER:
        return INCARNATION_OVER
    return node


def decide_moves(state: State, command: MoveSessions) -> tuple[HandoffAsked, ...] | Rejected:
    """Workers to be told; those that cannot go there, or have gone, are left out."""
    if len(command.moves) > limits.HANDOFFS_AT_ONCE:
        words = f"{len(command.moves)} sessions in one command: at most {limits.HANDOFFS_AT_ONCE}"
        return Rejected(Code.INVALID_ARGUMENT, "TOO_MANY_MOVES", words)
    asked: dict[bytes, HandoffAsked] = {}
    for move in command.moves:
        session = state.sessions.get(move.session_id)
        if session is not None and move.session_id not in asked and _may_move(state, session, move):
            tries = 1 if session.handoff is None else session.handoff.tries + 1
            asked[move.session_id] = HandoffAsked(move.session_id, session.node_id, move.node_id, tries)
    return tuple(asked.values())


def _may_move(state: State, session: Session, move: Move) -> bool:
    target = state.nodes.get(move.node_id)
    return (
        session.node_id not in ("", move.node_id)
        and session.epoch == move.epoch
        and target is not None
        and target.takes_sessions
    )


def decide_expire(state: State, command: ExpireSession) -> tuple[Event, ...] | Rejected:
    """A detached session that the timers have missed: what they would have done."""
    session = state.sessions.get(command.session_id)
    if session is None:
        return SESSION_UNKNOWN
    if session.epoch != command.epoch:
        return SESSION_MOVED
    if session.node_id or (session.timer is not None and session.timer.due_ms > state.elapsed_ms):
        return _NOT_DETACHED
    return decide_expiry(state, command.session_id)


# ---- evolve


def evolve_draining(state: State, event: NodeDraining) -> None:
    """Nothing more is assigned there; the count begins now, or goes on."""
    node = state.nodes[event.node_id]
    if node.drain is None:
        there = state.node_sessions.get(event.node_id, {})
        node.drain = Drain(state.wall_ms, event.leaving, len(there), state.owned_jobs(event.node_id))
        node.drain.asked = sum(session.handoff is not None for session in there.values())
    node.drain.leaving = event.leaving
    state.board.closed_nodes.add(event.node_id)
    state.touched_nodes[event.node_id] = node


def evolve_undrained(state: State, event: NodeUndrained) -> None:
    """What is still attached there may be given jobs in this very entry."""
    node = state.nodes[event.node_id]
    node.drain = None
    board = state.board
    board.closed_nodes.discard(event.node_id)
    board.freed.update(state.node_sessions.get(event.node_id, {}))
    state.touched_nodes[event.node_id] = node


def evolve_handoff_asked(state: State, event: HandoffAsked) -> None:
    """It stays where it is until it is resumed elsewhere."""
    session = state.sessions[event.session_id]
    node = state.nodes[event.node_id]
    if node.drain is not None and session.handoff is None:
        node.drain.asked += 1
        state.touched_nodes[event.node_id] = node
    session.handoff = JobHandoff(event.to, event.tries)
    state.touched_sessions[event.session_id] = session
