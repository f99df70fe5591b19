"""Coordinator nodes: their incarnations, their health, and their place as origins of numbered commands."""

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import OVER, Health, Node, fault_in_node, same_process
from orchestrix_raft.machine.commands import NodeHealthChanged, NodeStarted, NodeStopped, RemoveNode
from orchestrix_raft.machine.drains import INCARNATION_OVER, NODE_UNKNOWN
from orchestrix_raft.machine.events import Event, NodeDraining, NodeHealthSet, NodeJoined, NodeRemoved
from orchestrix_raft.machine.levels import below
from orchestrix_raft.machine.sessions import detachments
from orchestrix_raft.machine.state import State

# ---- decide


def decide_started(state: State, command: NodeStarted) -> tuple[Event, ...] | Rejected:
    """A process begins.  Announced twice it is one start, unless it was declared over in between: then it
    needs a new incarnation to be heard again, and goes on handing over if it did so before."""
    fault = fault_in_node(command.node_id, command.boot_id, command.address, command.version, command.level)
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_NODE", fault)
    if command.level < state.level:
        return below(state.level, command.level)
    node = state.nodes.get(command.node_id)
    if node is None:
        if len(state.nodes) >= limits.NODES:
            return Rejected(
                Code.RESOURCE_EXHAUSTED, "NODES_LIMIT", f"{limits.NODES} nodes have been seen already"
            )
    elif node.boot_id == command.boot_id and node.health not in OVER:
        return ()
    joined = NodeJoined(
        command.node_id, command.boot_id, command.address, command.version, state.index, command.level
    )
    events: list[Event] = [*detachments(state, state.sessions_of(command.node_id)), joined]
    if node is not None and node.drain is not None and same_process(node.boot_id, command.boot_id):
        events.append(NodeDraining(command.node_id, state.index, node.drain.leaving))
    return tuple(events)


def decide_stopped(state: State, command: NodeStopped) -> tuple[Event, ...] | Rejected:
    """It says goodbye."""
    return _decide_health(state, command.node_id, command.incarnation, Health.STOPPED)


def decide_health(state: State, command: NodeHealthChanged) -> tuple[Event, ...] | Rejected:
    """The leader's verdict."""
    return _decide_health(state, command.node_id, command.incarnation, command.health)


def _decide_health(
    state: State, node_id: str, incarnation: int, health: Health
) -> tuple[Event, ...] | Rejected:
    node = state.nodes.get(node_id)
    if node is None:
        return NODE_UNKNOWN
    if node.incarnation != incarnation:
        return INCARNATION_OVER
    if node.health is health:
        return ()
    if node.health in OVER:
        return INCARNATION_OVER
    changed = NodeHealthSet(node_id, incarnation, health)
    if health not in OVER:
        return (changed,)
    return (*detachments(state, state.sessions_of(node_id)), changed)


def decide_removed(state: State, command: RemoveNode) -> tuple[Event, ...] | Rejected:
    """It is a member no more: what it owned has to find another owner, and nothing speaks for it."""
    node = state.nodes.get(command.node_id)
    if node is None:
        return NODE_UNKNOWN
    if node.incarnation != command.incarnation:
        return INCARNATION_OVER
    removed = NodeRemoved(command.node_id, command.incarnation)
    return (*detachments(state, state.sessions_of(command.node_id)), removed)


# ---- evolve


def evolve_joined(state: State, event: NodeJoined) -> None:
    """A new incarnation: its commands count from 1."""
    node = Node(
        event.node_id,
        event.address,
        event.version,
        event.incarnation,
        event.boot_id,
        Health.ALIVE,
        0,
        state.wall_ms,
        level=event.level,
    )
    state.nodes[event.node_id] = node
    state.board.closed_nodes.discard(event.node_id)
    state.touched_nodes[event.node_id] = node


def evolve_health(state: State, event: NodeHealthSet) -> None:
    """The cluster agreed on it."""
    node = state.nodes[event.node_id]
    node.health = event.health
    node.changed_ms = state.wall_ms
    state.touched_nodes[event.node_id] = node


def evolve_removed(state: State, event: NodeRemoved) -> None:
    """Its sessions have left it by the events before this one."""
    del state.nodes[event.node_id]
    state.board.closed_nodes.discard(event.node_id)
    state.touched_nodes[event.node_id] = None
