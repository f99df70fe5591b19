"""Nodes of two versions in one simulated cluster, and what must hold of the machine level.

Both are this version, told to be the older or the newer of two.  The newer one's level brings a migration
of several steps, so that crashes and changes of leader fall between them.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from orchestrix_raft.consensus.configuration import placed
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.node import OVER
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.events import Event, LevelRaised, RecordsMigrated
from orchestrix_raft.machine.rules import Rules
from orchestrix_raft.machine.state import State

NEXT_LEVEL: Final = FIRST_LEVEL + 1
_STEPS: Final = 5


def _in_steps(state: State, cursor: bytes, limit: int) -> tuple[tuple[Event, ...], bytes | None]:
    """Nothing but the steps."""
    done = int(cursor or b"0") + 1
    return (), None if done == _STEPS else b"%d" % done


OLD: Final = Rules(FIRST_LEVEL, "old")
NEW: Final = Rules(NEXT_LEVEL, "new", migrations=MappingProxyType({NEXT_LEVEL: _in_steps}))


class VersionWatch:
    """Sees every application on every node.  `shadow`: the machine that never stops."""

    def __init__(self, violation: Callable[[str], None], shadow: Machine) -> None:
        self._violation = violation
        self._shadow = shadow
        self._migrated = 0
        self.raised_at = 0  # log index

    def entry(self, core: Core, events: list[Event]) -> None:
        """An entry was applied for the first time, by `core`."""
        for event in events:
            if isinstance(event, LevelRaised):
                self._raised(core, event)
            elif isinstance(event, RecordsMigrated):
                self._migrated += 1

    def _raised(self, core: Core, event: LevelRaised) -> None:
        state = self._shadow.state
        self.raised_at = state.index
        configuration = placed(*core.consensus.configuration_at(state.index)).configuration
        for node_id in configuration.members if configuration is not None else ():
            node = state.nodes.get(node_id)
            if node is None or node.level < event.level or node.health in OVER:
                self._violation(
                    f"level {event.level} was raised although {node_id} did not announce it: {node}"
                )

    def applied(self, core: Core, index: int) -> None:
        """A node has applied an entry, and goes on."""
        can = core.state.rules.highest
        if core.state.level > can or (self.raised_at and index >= self.raised_at and can < NEXT_LEVEL):
            self._violation(f"{core.identity.node_id} runs levels up to {can} and has applied entry {index}")

    def left_over(self, lost: bool) -> str:
        """What is still missing when every node runs the newer version; `lost`: but for one that is gone."""
        state = self._shadow.state
        if state.rules.highest == FIRST_LEVEL or lost:
            return ""
        if state.level < NEXT_LEVEL or state.migration is not None:
            return f"the cluster is at level {state.level}, migration {state.migration!r}"
        return ""

    def final(self, stopped: int) -> None:
        """Who stopped had to, and what was begun was finished once.  stopped: processes that were too old."""
        if stopped and not self.raised_at:
            self._violation(f"{stopped} processes called themselves too old, and no level was raised")
        if self.raised_at and self._migrated != _STEPS:
            self._violation(f"a migration of {_STEPS} steps took {self._migrated}")
