"""When the state goes to disk, and what of it.

A checkpoint hands over the changes gathered since the last one; writing them is slow and happens off
the loop, one at a time.  A snapshot installed meanwhile begins a new *generation*: what an older one
was writing no longer matters, and its end is ignored.
"""

from typing import NamedTuple

from orchestrix_raft.consensus.port import Consensus
from orchestrix_raft.coordinator.history import Layer, LayeredHistory
from orchestrix_raft.storage.port import Position, StateStore


class CheckpointWork(NamedTuple):
    """Changes to be written at a position: `Checkpoints.write`, then `Checkpoints.done`."""

    changes: Layer
    position: Position
    generation: int


class Checkpoints:
    """The checkpoints of one node."""

    def __init__(self, history: LayeredHistory, store: StateStore, every_s: float, every_bytes: int) -> None:
        self._history = history
        self._store = store
        self._every_s = every_s
        self._every_bytes = every_bytes
        self._next_at: float | None = None
        self.generation = 0  # snapshots installed by this process

    def begin(self, consensus: Consensus, now: float) -> CheckpointWork | None:
        """What to write now, if it is time and the last one is done."""
        history = self._history
        if self._next_at is None:
            self._next_at = now + self._every_s
        if now < self._next_at and history.pending_bytes < self._every_bytes:
            return None
        if history.checkpointing or history.pending_bytes == 0:
            return None
        self._next_at = now + self._every_s
        applied = consensus.applied_index
        configuration_index, configuration = consensus.configuration_at(applied)
        position = Position(applied, consensus.applied_term, configuration_index, configuration, b"")
        return CheckpointWork(history.freeze(), position, self.generation)

    def write(self, work: CheckpointWork) -> None:
        """The slow part; may run in a thread.  The store ignores a position it is past."""
        self._store.write([work.changes], work.position)

    def done(self, work: CheckpointWork, consensus: Consensus) -> None:
        """The store holds it: the layer can go, and the log behind it."""
        if work.generation == self.generation:
            self._history.settled()
            consensus.checkpointed(work.position.index)

    def replaced(self) -> None:
        """A snapshot was installed."""
        self._history.forget()
        self.generation += 1
