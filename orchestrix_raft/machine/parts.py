"""A dict by ids that never stops the node to grow: beyond some ten thousand keys it is many small dicts.

A dict of a million keys is copied as a whole when it grows, and again after half a million keys came and
went: 50 ms and more in which the node does nothing else.  A part of it takes less than one.  Few keys stay in
a plain dict, which is faster: `State.divide` looks after each entry.  The order of a walk through parts says
nothing (within a part it is that of coming), so no decision may follow from it; those that walk sort, count,
or look at each by itself.  Written to within `machine` only.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Final, TypeVar, overload
from zlib import crc32

PARTS: Final = 256
FEW: Final = 32_768
"""Keys that stay in one dict: to copy it takes two milliseconds at most, to divide it four to six, once."""

_MASK: Final = PARTS - 1

AnyValue = TypeVar("AnyValue")
AnyDefault = TypeVar("AnyDefault")


class Parts(MutableMapping[bytes, AnyValue]):
    """Values by id.  Any bytes may be asked for: whether there are parts must not be seen from outside."""

    __slots__ = ("_count", "_parts")

    def __init__(self, items: Mapping[bytes, AnyValue]) -> None:
        self._parts: list[dict[bytes, AnyValue]] = [{} for _ in range(PARTS)]
        self._count = len(items)
        for key, value in items.items():
            self._parts[crc32(key) & _MASK][key] = value

    # Each of these is asked several times for every job: so none calls another.

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            yield from part

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and key in self._parts[crc32(key) & _MASK]

    def __getitem__(self, key: bytes) -> AnyValue:
        return self._parts[crc32(key) & _MASK][key]

    @overload
    def get(self, key: bytes, /) -> AnyValue | None: ...
    @overload
    def get(self, key: bytes, /, default: AnyValue | AnyDefault) -> AnyValue | AnyDefault: ...
    def get(self, key: bytes, /, default: object = None) -> object:
        """The value, or `default`."""
        return self._parts[crc32(key) & _MASK].get(key, default)

    def __setitem__(self, key: bytes, value: AnyValue) -> None:
        part = self._parts[crc32(key) & _MASK]
        before = len(part)
        part[key] = value
        self._count += len(part) - before

    def __delitem__(self, key: bytes) -> None:
        del self._parts[crc32(key) & _MASK][key]
        self._count -= 1

    def portions(self) -> Iterator[list[bytes]]:
        """All keys, some at a time: others may come and go between two portions."""
        return (list(part) for part in self._parts)


def in_parts(items: MutableMapping[bytes, AnyValue]) -> MutableMapping[bytes, AnyValue]:
    """The same items, divided if they are not yet."""
    return items if isinstance(items, Parts) else Parts(items)


def portions(items: Mapping[bytes, AnyValue]) -> Iterator[list[bytes]]:
    """All keys, some at a time, whatever form they are kept in."""
    return items.portions() if isinstance(items, Parts) else iter([list(items)])
