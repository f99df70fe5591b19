"""One engine on a disk in memory, with a state machine that is easy to judge: the list of what it applied.

Shared by the scripted schedules, the contract suite and the seeded simulator.
"""

from collections.abc import Callable, Generator
from random import Random

from orchestrix_raft.consensus.configuration import Configuration
from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.storage.memory import MemoryDisk, MemoryJournal, MemoryStateStore
from orchestrix_raft.storage.port import Position

TABLE = "ops"


class Machine:
    """Everything that was applied, by log index, and its checkpoint in the store."""

    def __init__(self, store: MemoryStateStore) -> None:
        self._store = store
        self.applied: list[tuple[int, bytes]] = []
        self._unsaved: dict[bytes, bytes | None] = {}
        self.on_apply: Callable[[int, int, bytes], None] = lambda index, term, data: None
        self.restore_steps = 0
        """How long loading a snapshot takes, in ticks beyond the first."""
        self.load()

    def apply(self, index: int, term: int, data: bytes) -> None:
        self.on_apply(index, term, data)
        self.applied.append((index, data))
        self._unsaved[index.to_bytes(8, "big")] = data

    def load(self) -> None:
        self._unsaved = {}
        self.applied = [(int.from_bytes(key, "big"), data) for key, data in self._store.load(TABLE)]

    def restore(self) -> Generator[object, None, None]:
        self._unsaved = {}
        return self._load_slowly()

    def _load_slowly(self) -> Generator[object, None, None]:
        yield from range(self.restore_steps)
        self.load()

    def save(self, position: Position) -> None:
        self._store.write([{TABLE: self._unsaved}], position)
        self._unsaved = {}

    @property
    def data(self) -> list[bytes]:
        return [data for _index, data in self.applied]


class RaftNode:
    """A node that can be crashed and started again on the same disk."""

    def __init__(
        self,
        node_id: str,
        clock: Callable[[], float],
        options: Options,
        seed: int = 0,
        disk_id: str | None = None,
    ) -> None:
        self.node_id, self._clock, self._options, self._seed = node_id, clock, options, seed
        self.disk = MemoryDisk(disk_id or f"disk-{node_id}")
        self.disk_id = disk_id or f"disk-{node_id}"
        self.bootstrap: Configuration | None = None
        self.lives = 0
        self.up = False
        self.engine: Engine
        self.journal: MemoryJournal
        self.store: MemoryStateStore
        self.machine: Machine

    def start(self) -> Engine:
        self.lives += 1
        self.journal = self.disk.open_journal()
        self.store = self.disk.open_state_store()
        self.machine = Machine(self.store)
        self.engine = Engine(
            node_id=self.node_id,
            disk_id=self.disk_id,
            journal=self.journal,
            store=self.store,
            apply=self.machine.apply,
            restore=self.machine.restore,
            clock=self._clock,
            rng=Random(f"{self._seed}/{self.node_id}/{self.lives}"),
            options=self._options,
            bootstrap=self.bootstrap,
        )
        self.up = True
        return self.engine

    def crash(self) -> None:
        """The power fails: what was not flushed is gone."""
        self.disk.crash()
        self.up = False

    def wipe(self) -> None:
        """The disk is replaced by an empty one."""
        self.crash()
        self.disk_id = f"{self.disk_id}+"
        self.disk = MemoryDisk(self.disk_id)
        self.bootstrap = None

    def checkpoint(self) -> int:
        """Save the state and tell the engine."""
        engine = self.engine
        index = engine.applied_index
        configuration_index, configuration = engine.configuration_at(index)
        position = Position(index, engine.applied_term, configuration_index, configuration, b"")
        self.machine.save(position)
        engine.checkpointed(index)
        return index
