"""The health monitor: which nodes' health should change, by the leader's evidence of silence.

Only changes become commands, and each names the incarnation it saw: a node that came back meanwhile is
not hurt by a late verdict.
"""

from collections.abc import Mapping
from typing import NamedTuple

from orchestrix_raft.domain.node import OVER, Health
from orchestrix_raft.machine.commands import NodeHealthChanged
from orchestrix_raft.machine.state import State


class VerdictAfter(NamedTuple):
    """Milliseconds of silence."""

    suspect_ms: int = 20_000
    dead_ms: int = 30_000


def unhealthy_nodes(
    state: State, silence_ms: Mapping[str, int], after: VerdictAfter, limit: int = 16
) -> list[NodeHealthChanged]:
    """At most `limit` changes of health, in node order.

    `silence_ms` is the leader's evidence: for how long it has heard nothing that it should have heard.  A
    node missing from it (the leader itself) is left alone.
    """
    commands: list[NodeHealthChanged] = []
    for node_id, quiet in silence_ms.items():
        node = state.nodes.get(node_id)
        if node is None or node.health in OVER:
            continue
        if quiet >= after.dead_ms:
            verdict = Health.DEAD
        elif quiet >= after.suspect_ms:
            verdict = Health.SUSPECT
        else:
            verdict = Health.ALIVE
        if verdict != node.health:
            commands.append(NodeHealthChanged(node_id, node.incarnation, verdict))
    return sorted(commands, key=lambda command: command.node_id)[:limit] if commands else commands
