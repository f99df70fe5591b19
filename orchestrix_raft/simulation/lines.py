"""Job logs of a whole cluster: one line at one place on every node that keeps it, two copies where no fault
took one, nothing gone with a machine that is gone, and the same answer from whichever node is asked.
"""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.line_reader import ANSWER_S, LogPage
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.storage.port import LinePlace, LogLine

KINDLY: Final = ("calm", "workers")
"""Mixes under which no disk forgets: every line has two copies in the end.  A machine that is lost for good
is lost when the faults are over, and leaves one of each."""
UNDER_WAY: Final = 3  # lines that a machine may take with it, because it was lost before they had left it
JOBS: Final = 20  # whose logs are read from every node
PAGE: Final = 1_000


class LineWatch:
    """Looks at the end of a run."""

    def __init__(self, nodes: list[SimNode], mix: str, violation: Callable[[str], None]) -> None:
        self._nodes = nodes
        self._kindly = mix in KINDLY and len(nodes) > 1
        self._violation = violation
        self._logs: dict[bytes, dict[LinePlace, LogLine]] = {}
        self._told: list[tuple[str, bytes, LogPage]] = []
        self._asked = 0

    def ask(self) -> float:
        """Compare what nodes keep, and ask each for some logs; seconds until `check` may be called."""
        copies: dict[tuple[bytes, LinePlace], int] = {}
        lost = [node for node in self._nodes if not node.counts]
        for node in [*lost, *(node for node in self._nodes if node.counts)]:
            for job_id, lines in node.disk.job_lines().items():
                for line in lines:
                    known = self._logs.setdefault(job_id, {}).setdefault(line.place, line)
                    if known != line:
                        self._violation(
                            f"{node.name} keeps {line} of job {job_id.hex()}, others keep {known}"
                        )
                    place = job_id, line.place
                    copies[place] = copies.get(place, 0) + node.counts
        self._count(copies, bool(lost))
        for job_id in sorted(self._logs)[:JOBS]:
            for node in self._nodes:
                self._ask(node, job_id)
        return 2 * ANSWER_S + 1.0

    def _count(self, copies: dict[tuple[bytes, LinePlace], int], lost: bool) -> None:
        """Enough of every line, and nothing in the way of reading the rest."""
        wanted, forgiven = (1, UNDER_WAY) if lost else (2, 0)
        few = [f"{job_id.hex()} {place}" for (job_id, place), count in copies.items() if count < wanted]
        if self._kindly and len(few) > forgiven:
            self._violation(f"{len(few)} of {len(copies)} lines have fewer than {wanted} copies: {few[:3]}")
        for (job_id, place), count in copies.items():
            if not count:
                del self._logs[job_id][place]

    def _ask(self, node: SimNode, job_id: bytes) -> None:
        core = node.core
        if core is not None and node.counts:
            self._asked += 1
            done = self._told.append
            core.log_exchange.read(
                job_id, (0, 0), PAGE, core.now, lambda page: done((node.name, job_id, page))
            )
            node.poke()

    def check(self) -> None:
        """Every node told all lines that any node keeps, in order."""
        if len(self._told) != self._asked:
            self._violation(f"{self._asked} logs were asked for, {len(self._told)} were told")
        gone = {node.name for node in self._nodes if not node.counts}
        members = {node.name: node.core.consensus.members for node in self._nodes if node.core is not None}
        for name, job_id, page in self._told:
            wanted = [line for _, line in sorted(self._logs[job_id].items())]
            if page.lines != wanted or set(page.silent) != gone & members[name]:
                self._violation(
                    f"{name} told {len(page.lines)} of {len(wanted)} lines of job {job_id.hex()},"
                    f" without {page.silent}"
                )
