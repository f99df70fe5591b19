"""The machine's window on the disk: writes not yet checkpointed, over the last checkpoint.

Three layers, asked in this order: `current` (filled while entries are applied), `frozen` (handed over
to a checkpoint that is being written), the store.  A layer is dropped only when the one below it holds
the same; so the answer for an index never depends on when checkpoints were made.
"""

from collections import defaultdict
from collections.abc import Iterator

from orchestrix_raft.storage.port import StateStore

Layer = dict[str, dict[bytes, bytes | None]]


def _layer() -> Layer:
    return defaultdict(dict)


class LayeredHistory:
    """`machine.history.History` and `machine.port.ChangeLog` over a `StateStore`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._current = _layer()
        self._frozen: Layer | None = None
        self.pending_bytes = 0  # of the current layer, for deciding when to checkpoint

    def put(self, table: str, key: bytes, value: bytes | None) -> None:
        self._current[table][key] = value
        self.pending_bytes += 64 if value is None else len(value) + 64

    def get(self, table: str, key: bytes) -> bytes | None:
        layer = self._current.get(table)
        if layer is not None and key in layer:
            return layer[key]
        if self._frozen is not None:
            layer = self._frozen.get(table)
            if layer is not None and key in layer:
                return layer[key]
        return self._store.get(table, key)

    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Merges the layers.  Asks the store for as many more rows as the layers may hide."""
        over: dict[bytes, bytes | None] = {}
        for layer in (self._frozen, self._current):
            for key, value in ({} if layer is None else layer.get(table, {})).items():
                if (key <= start) if reverse else (key >= start):
                    over[key] = value
        hidden = sum(1 for value in over.values() if value is None)
        below = self._store.scan(table, start, limit + hidden + 1, reverse=reverse)
        complete = len(below) <= limit + hidden
        merged = {key: value for key, value in below if key not in over}
        merged.update((key, value) for key, value in over.items() if value is not None)
        rows = sorted(merged.items(), reverse=reverse)
        if not complete:
            # What lies beyond the last row seen below is unknown, so nothing beyond it may be answered.
            edge = below[-1][0]
            rows = [row for row in rows if (row[0] >= edge if reverse else row[0] <= edge)]
        return rows[:limit]

    def tables(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Every row of a table of the checkpoint, for loading; the layers must be empty."""
        if self._frozen is not None or self._current:
            raise RuntimeError("loading a checkpoint under changes that are newer")
        return self._store.load(table)

    def freeze(self) -> Layer:
        """Hand the changes so far over to a checkpoint."""
        if self._frozen is not None:
            raise RuntimeError("a checkpoint is still being written")
        self._frozen, self._current = self._current, _layer()
        self.pending_bytes = 0
        return self._frozen

    def settled(self) -> None:
        """The frozen changes are in the store."""
        self._frozen = None

    def forget(self) -> None:
        """The store was replaced as a whole (an installed snapshot): nothing above it is valid."""
        self._frozen = None
        self._current = _layer()
        self.pending_bytes = 0

    @property
    def checkpointing(self) -> bool:
        """A checkpoint is being written."""
        return self._frozen is not None
