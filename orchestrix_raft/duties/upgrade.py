"""The upgrade: the machine level that the whole cluster can run now, and the migration that its raise began.

Proposed by the leader; the command names every member's process as it was seen, so a node that is replaced by
an older one in between is never left behind.
"""

from collections.abc import Collection

from orchestrix_raft.domain.node import OVER
from orchestrix_raft.machine.commands import MigrateRecords, RaiseLevel
from orchestrix_raft.machine.state import State


def outstanding(state: State) -> bool:
    """Whether `upgrade_steps` might have anything to say: asked at every step of a leader."""
    return state.level < state.rules.highest or state.migration is not None


def upgrade_steps(state: State, members: Collection[str]) -> list[RaiseLevel | MigrateRecords]:
    """At most one command.  members: voters and learners of the configuration in force.

    One level at a time, and only after the migration to the one before: a level may rely on it.
    """
    if state.migration is not None:
        return [MigrateRecords(state.level, state.migration)]
    level = state.level + 1
    if level > state.rules.highest or too_old(state, members, level):
        return []
    named = tuple((node_id, state.nodes[node_id].incarnation) for node_id in sorted(members))
    return [RaiseLevel(level, state.rules.version, named)]


def too_old(state: State, members: Collection[str], level: int) -> list[str]:
    """Whom a machine level waits for, in order: members that do not run or have not said that they can run
    it, and whoever else lives and cannot."""
    running = {node_id: node for node_id, node in state.nodes.items() if node.health not in OVER}
    missing = set(members) - running.keys()
    return sorted(missing | {node_id for node_id, node in running.items() if node.level < level})


def waits_for(state: State, members: Collection[str]) -> tuple[str, ...]:
    """The nodes that keep the next level from coming; none if nobody could run it."""
    if state.level >= max((node.level for node in state.nodes.values()), default=0):
        return ()
    return tuple(too_old(state, members, state.level + 1))
