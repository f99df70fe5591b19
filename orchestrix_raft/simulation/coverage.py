"""Which faults met which states: what a table of many runs does not show was never tried.

Looks only: a run with its table is the same run.  A fault strikes nodes, or none (workers, connections): then
it met the states of the cluster alone, and has no cells for those of a node.

Cells that cannot be met are marked `-` and stand in `CANNOT` with the reason:

- what ends or stops a process needs one: a fault of that kind strikes no node that is down;
- a process is told to end only while nobody else ends: never in the middle of a handover, nor twice;
- a node that is down has no connection that could break, and one that is about to end is not told to run
  another version;
- only a leader dies at a slot, and whoever is deposed in a storm leads: so it follows nobody, campaigns for
  nothing, and the cluster has a leader.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from orchestrix_raft.consensus.port import Role
from orchestrix_raft.simulation.mixes import INJECTED
from orchestrix_raft.simulation.nodes import SimNode

_OF_A_NODE: Final = ("leader", "candidate", "follower", "down", "still", "snapshot", "checkpoint", "leaving")
_OF_THE_CLUSTER: Final = ("handover", "no leader", "no majority")
STATES: Final = (*_OF_A_NODE, *_OF_THE_CLUSTER)
"""What a struck node may be in the middle of, then what the cluster may be.  still: the process is stopped.
handover: some node leaves.  no majority: half of the nodes or more do not run."""

FAULTS: Final = tuple(name for name in INJECTED if name != "aim")
"""What strikes; to aim is no blow of its own."""

AIMED: Final = tuple(state for state in STATES if state not in ("leader", "follower"))
"""What chance seldom meets."""

_NO_NODE: Final = dict.fromkeys(_OF_A_NODE, "it strikes no node")
_NEEDS_A_PROCESS: Final = {"down": "there is no process"}
_NEEDS_A_LEADER: Final = {
    "candidate": "a leader campaigns for nothing",
    "follower": "a leader follows nobody",
    "no leader": "the leader is struck",
    **_NEEDS_A_PROCESS,
}
CANNOT: Final[dict[str, dict[str, str]]] = {
    "cut_worker": _NO_NODE,
    "worker_crash": _NO_NODE,
    "worker_leave": _NO_NODE,
    "worker_drain": _NO_NODE,
    "worker_storm": _NO_NODE,
    "crash": _NEEDS_A_PROCESS,
    "fuse": _NEEDS_A_PROCESS,
    "pause": _NEEDS_A_PROCESS,
    "io_error": _NEEDS_A_PROCESS,
    "flap": {"down": "its connections broke with it"},
    "at_slot": _NEEDS_A_LEADER,
    "storm": _NEEDS_A_LEADER,
    "upgrade": {"leaving": "it is started again soon"},
    "downgrade": {"leaving": "it is started again soon"},
    "leave": {
        **_NEEDS_A_PROCESS,
        "leaving": "it was told already",
        "handover": "one at a time",
    },
}
"""Fault -> state -> why the two never meet."""

Met = Counter[tuple[str, str]]
"""(fault, state) -> how often; state "": all of it."""


class Coverage:
    """Of one run."""

    def __init__(self, nodes: list[SimNode]) -> None:
        self.met: Met = Counter()
        self._nodes = nodes

    def note(self, fault: str, *struck: SimNode) -> None:
        """A fault is about to strike these nodes.  A state counts once, on however many of them it is met."""
        met = {state for node in struck for state in self._of_a_node(node)}
        self.met.update((fault, state) for state in ("", *sorted(met), *self._of_the_cluster()))

    def standing(self, state: str) -> list[SimNode]:
        """The nodes that are in this state; all of them, if the cluster is."""
        nodes = self._nodes
        if state in _CLUSTER_IS:
            return nodes.copy() if _CLUSTER_IS[state](nodes) else []
        if state == "snapshot":
            return [node for node in nodes if self._has_a_snapshot(node)]
        return [node for node in nodes if _NODE_IS[state](node)]

    def _of_a_node(self, node: SimNode) -> Iterator[str]:
        yield from (state for state, holds in _NODE_IS.items() if holds(node))
        if self._has_a_snapshot(node):
            yield "snapshot"

    def _of_the_cluster(self) -> Iterator[str]:
        yield from (state for state, holds in _CLUSTER_IS.items() if holds(self._nodes))

    def _has_a_snapshot(self, node: SimNode) -> bool:
        """It loads one, it sends one, or a leader that sends it one is under way with it."""
        if node.core is None:
            return False
        if node.core.replica.loading:
            return True
        for other in self._nodes:
            if other.leads and other.core is not None:
                for peer in other.core.consensus.progress():
                    if peer.snapshot_sent and node.name in (other.name, peer.node_id):
                        return True
        return False


def _plays(role: Role) -> Callable[[SimNode], bool]:
    return lambda node: node.core is not None and node.core.consensus.role is role


_NODE_IS: Final[dict[str, Callable[[SimNode], bool]]] = {
    "leader": _plays(Role.LEADER),
    "candidate": _plays(Role.CANDIDATE),
    "follower": _plays(Role.FOLLOWER),
    "down": lambda node: node.core is None,
    "still": lambda node: node.core is not None and node.paused_until > node.world.now,
    "checkpoint": lambda node: node.core is not None and node.core.replica.history.checkpointing,
    "leaving": lambda node: node.leaving,
}
"""All but "snapshot", of which only the others know.  `aim` asks for one of them very often."""


def _half_or_less_run(nodes: list[SimNode]) -> bool:
    running = sum(node.up and node.paused_until <= node.world.now for node in nodes)
    return 2 * running <= len(nodes)


_CLUSTER_IS: Final[dict[str, Callable[[list[SimNode]], bool]]] = {
    "handover": lambda nodes: any(node.leaving for node in nodes),
    "no leader": lambda nodes: not any(node.leads for node in nodes),
    "no majority": _half_or_less_run,
}


def table(met: Met) -> str:
    """Faults down, states across, how often; a dot: never, a dash: it cannot be."""
    rows = [["", "all", *STATES]]
    for fault in FAULTS:
        never = CANNOT.get(fault, {})
        cells = (str(met[fault, state] or ("-" if state in never else ".")) for state in ("", *STATES))
        rows.append([fault, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ([cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(line) for line in lines)
