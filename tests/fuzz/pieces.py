"""Values out of bytes: what a fuzzer changes in the bytes changes one value, and any bytes are some values.

When the bytes end, every further value is the first of its choices, so that short inputs mean something.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

NUMBERS: Final = (0, 1, 2, 3, 7, 16, 59, 60, 100, 1_000, 65_535, (1 << 31) - 1, (1 << 31), (1 << 32) - 1)
NUMBERS_64: Final = (
    *NUMBERS,
    1_700_000_000_000,
    253_402_300_799_999,
    (1 << 62),
    (1 << 63) - 1,
    (1 << 64) - 1,
)


class Pieces:
    """Reads from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """Up to so many bytes."""
        found = self._data[self._at : self._at + count]
        self._at += len(found)
        return found

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def byte(self) -> int:
        found = self.take(1)
        return found[0] if found else 0

    def choose(self, choices: Sequence[T]) -> T:
        return choices[self.byte() % len(choices)]

    def number(self, choices: Sequence[int] = NUMBERS_64) -> int:
        """One of the interesting numbers, or a small one, or any of eight bytes."""
        kind = self.byte()
        if kind < 96:
            return choices[kind % len(choices)]
        return kind - 96 if kind < 224 else int.from_bytes(self.take(8))

    def some(self) -> bytes:
        """Bytes with their length in front."""
        return self.take(self.byte())


def one_line(text: object, chars_max: int = 4_000) -> None:
    """What is told of bad input: one line that can be printed, and not all that was sent."""
    told = str(text)
    assert told, "it says something"
    assert told.isprintable(), f"not one printable line: {told!r}"
    assert len(told) <= chars_max, f"{len(told)} characters"
