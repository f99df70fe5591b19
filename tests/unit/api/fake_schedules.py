"""Schedules for the node in memory: a real state machine, so that answers are those of a cluster."""

from orchestrix_raft.coordinator.port import SchedulePage, ScheduleView
from orchestrix_raft.coordinator.schedule_queries import ScheduleListing, schedule_view
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import Batch, Command, NodeStarted
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.port import Result


class FakeSchedules:
    """`wall_ms` is the time at which commands are applied."""

    def __init__(self, wall_ms: int) -> None:
        self.wall_ms = wall_ms
        store = MemoryStore()
        self._machine = Machine(store, store)
        self._index = 0
        self._apply(codec.unnumbered(NodeStarted("n", bytes(16), "", "")))

    def _apply(self, batch: Batch) -> Result:
        self._index += 1
        applied = self._machine.apply(self._index, 1, codec.make_entry(0, self.wall_ms, (batch,)))
        return applied.resolved[0].result if applied.resolved else None

    def do(self, command: Command) -> Result:
        """Apply one command."""
        return self._apply(Batch("n", 1, self._index, (command,)))

    def __getitem__(self, schedule_id: str) -> Schedule:
        return self._machine.state.schedules[schedule_id]

    def find(self, schedule_id: str) -> ScheduleView | None:
        """As a node would."""
        return schedule_view(self._machine, schedule_id)

    def page(self, prefix: str, states: frozenset[str], limit: int, cursor: bytes) -> SchedulePage | Rejected:
        """As a node would."""
        wrong = ScheduleListing.check(cursor)
        if wrong is not None:
            return wrong
        listing = ScheduleListing(self._machine, prefix, states, limit, cursor)
        while not listing.slice():
            pass
        return listing.page()
