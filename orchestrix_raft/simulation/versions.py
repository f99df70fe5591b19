"""Nodes of two versions in one simulated cluster, and what must hold of the machine level.

Both are this version.  The older one is told to run only the first level, by whose rules this version must
still apply entries.  The newer one is one level further than this version, and that level brings a migration
of several steps, so that crashes and changes of leader fall between them.  In between lie the levels that
this version has: they are raised on the way, and in every run whose nodes all are of this version.
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
from orchestrix_raft.version import MACHINE_LEVEL

NEXT_LEVEL: Final = MACHINE_LEVEL + 1
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
        self.raised_at: dict[int, int] = {}  # level -> log index

    @property
    def upgraded(self) -> bool:
        """Whether the cluster was raised to the level of the newer version, which no version has alone."""
        return NEXT_LEVEL in self.raised_at

    def entry(self, core: Core, events: list[Event]) -> None:
        """An entry was applied for the first time, by `core`."""
        for event in events:
            if isinstance(event, LevelRaised):
                self._raised(core, event)
            elif isinstance(event, RecordsMigrated):
                self._migrated += 1

    def _raised(self, core: Core, event: LevelRaised) -> None:
        state = self._shadow.state
        if event.level != FIRST_LEVEL + len(self.raised_at) + 1:
            self._violation(f"level {event.level} was raised after {sorted(self.raised_at)}")
        self.raised_at[event.level] = state.index
        configuration = placed(*core.consensus.configuration_at(state.index)).configuration
        for node_id in configuration.members if configuration is not None else ():
            node = state.nodes.get(node_id)
            if node is None or node.level < event.level or node.health in OVER:
                self._violation(
                    f"level {event.level} was raised although {node_id} did not announce it: {node}"
                )

    def applied(self, core: Core, index: int) -> None:
        """A node has applied an entry, and goes on."""
        state = core.state
        can = state.rules.highest
        above = self.raised_at.get(can + 1)
        if state.level > can or (above is not None and index >= above):
            self._violation(f"{core.identity.node_id} runs levels up to {can} and has applied entry {index}")

    def left_over(self, lost: bool) -> str:
        """What is still missing when every node runs the newest version there is; `lost`: but for one that is
        gone, which holds the level back."""
        state = self._shadow.state
        if lost:
            return ""
        if state.level < state.rules.highest or state.migration is not None:
            return f"the cluster is at level {state.level}, migration {state.migration!r}"
        return ""

    def final(self, stopped: int) -> None:
        """Who stopped had to, and what was begun was finished once.  stopped: processes that were too old."""
        if stopped and not self.raised_at:
            self._violation(f"{stopped} processes called themselves too old, and no level was raised")
        steps = _STEPS if self.upgraded else 0
        if self._migrated != steps:
            self._violation(f"a migration of {steps} steps took {self._migrated}")
