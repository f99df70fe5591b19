"""Layers over a store answer like one flat table, whenever checkpoints are made."""

from collections.abc import Iterable, Iterator

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrix_raft.coordinator.history import Layer, LayeredHistory
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.storage.port import StateStore

KEYS = st.binary(min_size=1, max_size=2).map(lambda key: bytes(byte % 4 for byte in key))
TABLES = st.sampled_from(("finished", "attempts"))


class Store(MemoryStore):
    """What LayeredHistory asks of a state store."""

    def load(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        return self.pairs(table)

    def take(self, layer: Layer) -> None:
        for table, rows in layer.items():
            for key, value in rows.items():
                self.put(table, key, value)


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        store: StateStore = self.store  # type: ignore[assignment]  # no more of it is asked for
        self.history = LayeredHistory(store)
        self.flat = MemoryStore()
        self.frozen: Layer | None = None
        self.written = False
        self.replaced = MemoryStore()

    @rule(table=TABLES, key=KEYS, value=st.none() | st.binary(max_size=2))
    def put(self, table: str, key: bytes, value: bytes | None) -> None:
        self.history.put(table, key, value)
        self.flat.put(table, key, value)

    @precondition(lambda self: self.frozen is None)
    @rule()
    def freeze(self) -> None:
        self.frozen = self.history.freeze()
        self.written = False

    @precondition(lambda self: self.frozen is not None and not self.written)
    @rule()
    def write(self) -> None:
        assert self.frozen is not None
        self.store.take(self.frozen)
        self.written = True

    @precondition(lambda self: self.frozen is not None and self.written)
    @rule()
    def settled(self) -> None:
        self.history.settled()
        self.frozen = None

    @rule(rows=st.dictionaries(st.tuples(TABLES, KEYS), st.binary(max_size=2), max_size=8))
    def replace(self, rows: dict[tuple[str, bytes], bytes]) -> None:
        """A snapshot takes the place of everything."""
        self.store.tables = {}
        for (table, key), value in rows.items():
            self.store.put(table, key, value)
        self.flat = self.store.copy()
        self.history.forget()
        self.frozen = None
        assert dict(self.history.tables("finished")) == dict(self.flat.pairs("finished"))

    @rule(table=TABLES, key=KEYS)
    def get(self, table: str, key: bytes) -> None:
        assert self.history.get(table, key) == self.flat.get(table, key)

    @rule(table=TABLES, start=KEYS | st.just(b""), limit=st.integers(1, 8), reverse=st.booleans())
    def scan(self, table: str, start: bytes, limit: int, reverse: bool) -> None:
        found = self.history.scan(table, start, limit, reverse=reverse)
        assert found == self.flat.scan(table, start, limit, reverse=reverse)

    @invariant()
    def all_of_it_in_pages(self) -> None:
        """Reading on from the last key seen meets every row once, in both directions."""
        for table in ("finished", "attempts"):
            rows = list(self.flat.pairs(table))
            assert list(self._pages(table, reverse=False)) == rows
            assert list(self._pages(table, reverse=True)) == rows[::-1]

    def _pages(self, table: str, reverse: bool) -> Iterable[tuple[bytes, bytes]]:
        edge = b"\xff" if reverse else b""
        seen: bytes | None = None
        while True:
            page = [row for row in self.history.scan(table, edge, 3, reverse=reverse) if row[0] != seen]
            yield from page
            if not page:
                return
            seen = edge = page[-1][0]

    @invariant()
    def pending_bytes_say_whether_there_is_something_to_write(self) -> None:
        current = self.history._current
        assert (self.history.pending_bytes > 0) == any(current.values())
        assert self.history.checkpointing == (self.frozen is not None)


TestHistories = Histories.TestCase
