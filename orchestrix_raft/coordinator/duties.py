"""The leader's duties: what it proposes of its own accord, one entry of them at a time.

The duties themselves are pure functions of the package `duties`; here is when they are asked, and with
which evidence.  The next look waits until the entry of the one before is applied, so it sees its effect.
"""

from collections.abc import Collection
from typing import Final

from orchestrix_raft.coordinator.beats import Beats
from orchestrix_raft.coordinator.rebalance import Rebalancer
from orchestrix_raft.coordinator.settings import CoreLimits
from orchestrix_raft.coordinator.stamper import Stamper
from orchestrix_raft.duties.handoff import OrphanJobDetector
from orchestrix_raft.duties.health import unhealthy_nodes
from orchestrix_raft.duties.members import departed_nodes
from orchestrix_raft.duties.retention import overdue_audit, overdue_records
from orchestrix_raft.duties.upgrade import outstanding, upgrade_steps
from orchestrix_raft.machine.commands import Command
from orchestrix_raft.machine.state import State

ORPHANS_S: Final = 30.0  # between two looks for orphans; what falls due before is the timers' business
ORPHANS_AT_ONCE: Final = 100  # each with all its jobs


class Duties:
    """Of one node; asked while it leads."""

    def __init__(self, limits: CoreLimits, beats: Beats, stamper: Stamper) -> None:
        self._limits = limits
        self._beats = beats
        self._stamper = stamper
        self._index = 0  # of the newest entry of duties
        self._forget_at = 0.0
        self._orphans_at = 0.0
        self._rebalancer = Rebalancer(limits.rebalance)

    def lead(self, now: float) -> None:
        """This node leads from now on: nothing of its own is under way."""
        self._index = 0
        self._orphans_at = now + ORPHANS_S
        self._rebalancer.lead(now)

    def proposed(self, index: int) -> None:
        """What `due` answered is in the log at `index`."""
        self._index = index

    def due(
        self,
        state: State,
        applied_index: int,
        members: Collection[str],
        everyone: Collection[str],
        now: float,
        resting: bool,
    ) -> tuple[Command, ...]:
        """What to propose now.  members: of the applied configuration.  everyone: while a machine level is
        outstanding, those of the one in force as well.  resting: a checkpoint is being written, on all nodes
        at about the same time; what can wait does, so that what cannot has the processor and the disk."""
        if self._index > applied_index:
            return ()
        silence = self._beats.silence_ms(state.nodes, now)
        commands: list[Command] = [*departed_nodes(state, members)]
        if not commands:
            commands += unhealthy_nodes(state, silence, self._limits.beats.verdict)
        commands += self._rebalancer.due(state, now)
        if self._stamper.ready(now):
            if outstanding(state):
                commands += upgrade_steps(state, everyone)
            commands += self._orphans(state, now)
            if not resting:
                commands += self._retention(state, now)
        return tuple(commands)

    def _orphans(self, state: State, now: float) -> list[Command]:
        if now < self._orphans_at:
            return []
        self._orphans_at = now + ORPHANS_S
        return [*OrphanJobDetector.orphans(state, self._stamper.elapsed_ms(now), ORPHANS_AT_ONCE)]

    def _retention(self, state: State, now: float) -> list[Command]:
        if now < self._forget_at:
            return []
        keeping = self._limits.keeping
        wall_ms = self._stamper.wall_ms(now)
        commands: list[Command] = [
            *overdue_records(state, wall_ms, keeping.keep, keeping.at_once),
            *overdue_audit(state, wall_ms, keeping.keep, keeping.at_once),
        ]
        if commands:
            self._forget_at = now + keeping.pause_s
        return commands

    def due_in_s(self, now: float) -> float:
        """Seconds until `due` is worth another look for a reason of its own; inf: none is known."""
        return self._forget_at - now if self._forget_at > now else float("inf")
