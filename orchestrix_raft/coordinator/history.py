"""The machine's window on the disk: writes not yet checkpointed, over the last checkpoint.

Layers, asked in this order: `current` (filled while entries are applied), those that are sealed, newest
first (the oldest is handed over to a checkpoint that is being written), the store.  A layer is dropped only
when the one below it holds the same; so the answer for an index never depends on when checkpoints were made.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from orchestrix_raft.machine.history import Row, overlaid
from orchestrix_raft.storage.port import StateStore

Layer = dict[str, dict[bytes, bytes | None]]

_GAPS: Final = 64  # between known keys that new ones may be put into one by one; sorting anew costs less then


def _layer() -> Layer:
    return defaultdict(dict)


class Ordered:
    """The keys of one table of a layer in order.  New ones are put in their places when somebody asks: keys
    come mostly in order, so that costs far less than a place for each as it comes."""

    __slots__ = ("_fresh", "_keys")

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = sorted(keys)
        self._fresh: list[bytes] = []

    def add(self, key: bytes) -> None:
        """A key that was not there."""
        self._fresh.append(key)

    def keys(self) -> list[bytes]:
        """All of them; not to be changed, and valid until the next `add`."""
        if self._fresh:
            self._merge()
        return self._keys

    def _merge(self) -> None:
        keys, fresh = self._keys, sorted(self._fresh)
        self._fresh = []
        first = 0
        for _ in range(_GAPS):  # each round fills one gap between two known keys
            place = bisect_left(keys, fresh[first])
            last = len(fresh) if place == len(keys) else bisect_left(fresh, keys[place], first)
            keys[place:place] = fresh[first:last]
            if last == len(fresh):
                return
            first = last
        keys += fresh[first:]
        keys.sort()


class LayeredHistory:
    """`machine.history.History` and `machine.port.ChangeLog` over a `StateStore`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._current = _layer()
        self._order: dict[str, Ordered] = {}  # of `_current`: tables that were walked since it began
        self._sealed: list[tuple[Layer, dict[str, Ordered]]] = []  # oldest first
        self._writing = False  # the oldest sealed one is on its way to the store
        self.pending_bytes = 0  # of the current layer, for deciding when to checkpoint

    def put(self, table: str, key: bytes, value: bytes | None) -> None:
        rows = self._current[table]
        if table in self._order and key not in rows:
            self._order[table].add(key)
        rows[key] = value
        self.pending_bytes += 64 if value is None else len(value) + 64

    def get(self, table: str, key: bytes) -> bytes | None:
        layer = self._current.get(table)
        if layer is not None and key in layer:
            return layer[key]
        for sealed, _ in reversed(self._sealed) if self._sealed else ():
            layer = sealed.get(table)
            if layer is not None and key in layer:
                return layer[key]
        return self._store.get(table, key)

    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Walks the layers together.  Costs what is answered and was deleted there, not what they hold."""
        rows: Iterator[Row] | None = None
        for layer, order in (*self._sealed, (self._current, self._order)):
            table_rows = layer.get(table)
            if table_rows:
                if rows is None:
                    rows = self._stored(table, start, limit, reverse)
                rows = overlaid(_walk(table, table_rows, order, start, reverse), rows, reverse=reverse)
        if rows is None:
            return self._store.scan(table, start, limit, reverse=reverse)
        return list(islice(((key, value) for key, value in rows if value is not None), limit))

    def _stored(self, table: str, start: bytes, limit: int, reverse: bool) -> Iterator[Row]:
        """The checkpoint's rows, page by page."""
        seen: bytes | None = None
        while rows := self._store.scan(table, start, limit + (seen is not None), reverse=reverse):
            if rows[-1][0] == seen:
                return
            yield from (rows if rows[0][0] != seen else rows[1:])
            seen = start = rows[-1][0]

    def tables(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Every row of a table of the checkpoint, for loading; the layers must be empty."""
        if self._sealed or self._current:
            raise RuntimeError("loading a checkpoint under changes that are newer")
        return self._store.load(table)

    def seal(self) -> None:
        """Nothing more is added to the changes so far: they will be a checkpoint of their own."""
        self._sealed.append((self._current, self._order))
        self._current, self._order = _layer(), {}
        self.pending_bytes = 0

    def freeze(self) -> Layer:
        """Hand the oldest sealed changes, or else all so far, over to a checkpoint."""
        if self._writing:
            raise RuntimeError("a checkpoint is still being written")
        if not self._sealed:
            self.seal()
        self._writing = True
        return self._sealed[0][0]

    def settled(self) -> None:
        """The frozen changes are in the store."""
        del self._sealed[0]
        self._writing = False

    def forget(self) -> None:
        """The store was replaced as a whole (an installed snapshot): nothing above it is valid."""
        self._sealed.clear()
        self._writing = False
        self._current = _layer()
        self._order = {}
        self.pending_bytes = 0

    @property
    def checkpointing(self) -> bool:
        """A checkpoint is being written."""
        return self._writing


def _walk(
    table: str, rows: dict[bytes, bytes | None], order: dict[str, Ordered], start: bytes, reverse: bool
) -> Iterator[Row]:
    """A layer's rows of one table from `start` on."""
    ordered = order.get(table)
    if ordered is None:
        ordered = order[table] = Ordered(rows)
    keys = ordered.keys()
    if reverse:
        places = range(bisect_right(keys, start) - 1, -1, -1)
    else:
        places = range(bisect_left(keys, start), len(keys))
    return ((key, rows[key]) for key in map(keys.__getitem__, places))
