"""Which nodes the replicated state still holds although the cluster's configuration has them no more.

The configuration is changed first, by an entry of consensus; what the removed node owned follows from it
here.  Whoever leads sees the difference, so it does not matter which leader made the change, or whether
that one lived to see its end.
"""

from collections.abc import Collection

from orchestrix_raft.machine.commands import RemoveNode
from orchestrix_raft.machine.state import State


def departed_nodes(state: State, members: Collection[str], limit: int = 16) -> list[RemoveNode]:
    """At most `limit` removals, in node order.  `members`: voters and learners of a configuration that is
    committed and applied; a node starts only after the one that added it."""
    if not members:
        return []
    gone = [node for node_id, node in sorted(state.nodes.items()) if node_id not in members]
    return [RemoveNode(node.node_id, node.incarnation) for node in gone[:limit]]
