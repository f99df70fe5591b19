"""A dict by text that can be walked a part at a time, the same parts on every node.

A part is a range of the keys' check sums, so a number says how far a walk has come, whatever layout the
dict has after a restart, and whatever came and went meanwhile.  Few keys stay in one plain dict: the walk
then looks at all of them for each part, and they are few.  Used within `machine` only.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar
from zlib import crc32

SHARDS: Final = 1024
"""Parts; a walk ends here."""

_FLAT: Final = 1_024  # keys in the one dict; beyond it there is one for each part

AnyValue = TypeVar("AnyValue")


def shard_of(key: str) -> int:
    """In which part a key is: 0 to SHARDS - 1."""
    return crc32(key.encode()) % SHARDS


class Shards(Generic[AnyValue]):
    """Values by key."""

    __slots__ = ("_count", "_flat", "_parts")

    def __init__(self) -> None:
        self._flat: dict[str, AnyValue] = {}  # empty once there are parts
        self._parts: list[dict[str, AnyValue]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        """All keys, in no order."""
        yield from self._flat
        for part in self._parts:
            yield from part

    def __contains__(self, key: str) -> bool:
        return key in self._of(key)

    def get(self, key: str) -> AnyValue | None:
        """The value; None: there is none."""
        return self._of(key).get(key)

    def __setitem__(self, key: str, value: AnyValue) -> None:
        """A new value, or another one."""
        part = self._of(key)
        self._count += key not in part
        part[key] = value
        if len(self._flat) > _FLAT:
            self._parts = [{} for _ in range(SHARDS)]
            for one, known in self._flat.items():
                self._parts[shard_of(one)][one] = known
            self._flat = {}

    def __delitem__(self, key: str) -> None:
        """KeyError if it is not there."""
        del self._of(key)[key]
        self._count -= 1
        if not self._count:
            self._parts = []

    def sizes(self, low: int) -> list[int]:
        """How many keys each part has, from `low` on."""
        if self._parts:
            return [len(part) for part in self._parts[low:]]
        sizes = [0] * SHARDS
        for key in self._flat:
            sizes[shard_of(key)] += 1
        return sizes[low:]

    def within(self, low: int, high: int) -> Iterator[str]:
        """The keys of the parts from `low` to before `high`, in no order."""
        for part in self._parts[low:high]:
            yield from part
        for key in self._flat:
            if low <= shard_of(key) < high:
                yield key

    def _of(self, key: str) -> dict[str, AnyValue]:
        return self._parts[shard_of(key)] if self._parts else self._flat
