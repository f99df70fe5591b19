"""History and change log in dicts: what a node keeps on disk, for tests, the simulator and tools."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class MemoryStore:
    """Both ports of the machine over one set of tables."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[bytes, bytes]] = {}

    def put(self, table: str, key: bytes, value: bytes | None) -> None:
        """Store or, with None, delete."""
        rows = self.tables.setdefault(table, {})
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value, or None."""
        rows = self.tables.get(table)
        return None if rows is None else rows.get(key)

    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """See `History.scan`.  Sorts the table: for small ones."""
        rows = self.tables.get(table, {})
        keys = sorted(rows)
        if reverse:
            stop = bisect_right(keys, start)
            chosen = keys[max(0, stop - limit) : stop][::-1]
        else:
            first = bisect_left(keys, start)
            chosen = keys[first : first + limit]
        return [(key, rows[key]) for key in chosen]

    def pairs(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """All pairs of a table in key order, as `Machine.load` wants them."""
        return iter(sorted(self.tables.get(table, {}).items()))

    def copy(self) -> "MemoryStore":
        """An independent store with the same content."""
        twin = MemoryStore()
        twin.tables = {name: dict(rows) for name, rows in self.tables.items()}
        return twin
