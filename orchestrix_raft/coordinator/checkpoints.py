"""When the state goes to disk, and what of it.

A checkpoint hands over the changes gathered since the last one; writing them is slow and happens off
the loop, one at a time.  A snapshot installed meanwhile begins a new *generation*: what an older one
was writing no longer matters, and its end is ignored.

A mark in the log asks for a checkpoint at exactly that entry, so that nodes can compare what they hold.
"""

from collections import deque
from typing import Final, NamedTuple

from orchestrix_raft.consensus.port import Consensus
from orchestrix_raft.coordinator.history import Layer, LayeredHistory
from orchestrix_raft.storage.port import Position, StateStore, StateView

MARKS_MAX: Final = 4  # checkpoints at marks that wait to be written; each holds changes in memory


class CheckpointWork(NamedTuple):
    """Changes to be written at a position: `Checkpoints.write`, then `Checkpoints.done`."""

    changes: Layer
    position: Position
    generation: int
    marked: bool = False  # somebody wants to read it


class Checkpoints:
    """The checkpoints of one node."""

    def __init__(self, history: LayeredHistory, store: StateStore, every_s: float, every_bytes: int) -> None:
        self._history = history
        self._store = store
        self._every_s = every_s
        self._every_bytes = every_bytes
        self._next_at: float | None = None
        self._asked = False
        self._marks: deque[Position] = deque()
        self.generation = 0  # snapshots installed by this process

    def begin(self, consensus: Consensus, now: float) -> CheckpointWork | None:
        """What to write now, if it is time and the last one is done."""
        history = self._history
        if self._next_at is None:
            self._next_at = now + self._every_s
        if history.checkpointing:
            return None
        if self._marks:
            return CheckpointWork(history.freeze(), self._marks.popleft(), self.generation, marked=True)
        if not self._asked:
            if now < self._next_at and history.pending_bytes < self._every_bytes:
                return None
            if history.pending_bytes == 0:
                return None
        self._asked = False
        self._next_at = now + self._every_s
        position = _position(consensus, consensus.applied_index, consensus.applied_term)
        return CheckpointWork(history.freeze(), position, self.generation)

    def ask(self) -> None:
        """A checkpoint as soon as can be, also if nothing but the position has changed."""
        self._asked = True

    def mark(self, consensus: Consensus, index: int, term: int) -> bool:
        """A checkpoint at exactly the entry that was applied just now.  False: too many are waiting."""
        if len(self._marks) >= MARKS_MAX:
            return False
        self._history.seal()
        self._marks.append(_position(consensus, index, term))
        return True

    def write(self, work: CheckpointWork) -> StateView | None:
        """The slow part; may run in a thread.  The store ignores a position it is past.  The checkpoint as
        written, if somebody wants to read it and it is still there."""
        self._store.write([work.changes], work.position)
        if not work.marked:
            return None
        view = self._store.view()
        if view.position == work.position:
            return view
        view.close()
        return None

    def done(self, work: CheckpointWork, consensus: Consensus) -> None:
        """The store holds it: the layer can go, and the log behind it."""
        if work.generation == self.generation:
            self._history.settled()
            consensus.checkpointed(work.position.index)

    def replaced(self) -> None:
        """A snapshot was installed."""
        self._history.forget()
        self._marks.clear()
        self.generation += 1


def _position(consensus: Consensus, index: int, term: int) -> Position:
    configuration_index, configuration = consensus.configuration_at(index)
    return Position(index, term, configuration_index, configuration, b"")
