"""Which faults met which states: what a table of many runs does not show was never tried.

Looks only: a run with its table is the same run.  A fault strikes nodes, or none (workers, connections): then
it met the states of the cluster alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from orchestrix_raft.consensus.port import Role
from orchestrix_raft.simulation.nodes import SimNode

_OF_A_NODE: Final = ("leader", "candidate", "follower", "down", "still", "snapshot", "checkpoint", "leaving")
_OF_THE_CLUSTER: Final = ("handover", "no leader", "no majority")
STATES: Final = (*_OF_A_NODE, *_OF_THE_CLUSTER)
"""What a struck node may be in the middle of, then what the cluster may be.  still: the process is stopped.
handover: some node leaves.  no majority: half of the nodes or more do not run."""

Met = Counter[tuple[str, str]]
"""(fault, state) -> how often; state "": all of it."""

_ROLES: Final = {Role.LEADER: "leader", Role.CANDIDATE: "candidate", Role.FOLLOWER: "follower"}


class Coverage:
    """Of one run."""

    def __init__(self, nodes: list[SimNode]) -> None:
        self.met: Met = Counter()
        self._nodes = nodes

    def note(self, fault: str, *struck: SimNode) -> None:
        """A fault is about to strike these nodes.  A state counts once, on however many of them it is met."""
        met = {state for node in struck for state in self._of_a_node(node)}
        self.met.update((fault, state) for state in ("", *sorted(met), *self._of_the_cluster()))

    def _of_a_node(self, node: SimNode) -> Iterator[str]:
        core = node.core
        if core is None:
            yield "down"
            return
        yield _ROLES[core.consensus.role]
        if node.paused_until > node.world.now:
            yield "still"
        if node.leaving:
            yield "leaving"
        if core.replica.history.checkpointing:
            yield "checkpoint"
        if core.replica.loading or self._in_a_snapshot(node):
            yield "snapshot"

    def _in_a_snapshot(self, node: SimNode) -> bool:
        """It sends one, or a leader that sends it one is under way with it."""
        for other in self._nodes:
            if other.core is not None:
                for peer in other.core.consensus.progress():
                    if peer.snapshot_sent and node.name in (other.name, peer.node_id):
                        return True
        return False

    def _of_the_cluster(self) -> Iterator[str]:
        if any(node.leaving for node in self._nodes):
            yield "handover"
        if not any(node.leads for node in self._nodes):
            yield "no leader"
        running = sum(node.up and node.paused_until <= node.world.now for node in self._nodes)
        if 2 * running <= len(self._nodes):
            yield "no majority"


def table(met: Met, faults: Iterable[str]) -> str:
    """Faults down, states across, how often; a dot: never."""
    rows = [["", "all", *STATES]]
    for fault in faults:
        rows.append([fault, *(str(met[fault, state] or ".") for state in ("", *STATES))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ([cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(line) for line in lines)
