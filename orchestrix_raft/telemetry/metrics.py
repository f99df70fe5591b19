"""Counters and gauges of one node.

Values live in plain objects that the owner of a fact changes directly; a `Registry` knows their names
and shows them all at once.  Names are lower_case with the unit last (`loop_lag_max_ms`).
"""

import re
from collections.abc import Callable
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class Counter:
    """Something that happened so many times since the process began."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, times: int = 1) -> None:
        """ValueError if it were to go down."""
        if times < 0:
            raise ValueError(f"a counter only grows, got {times}")
        self.value += times


class Gauge:
    """A quantity of this moment."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def set(self, value: float) -> None:
        self.value = value

    def raise_to(self, value: float) -> None:
        """Keep the largest value seen."""
        self.value = max(self.value, value)


class Registry:
    """The named counters and gauges of one node; names are given once."""

    def __init__(self) -> None:
        self._read: dict[str, Callable[[], float]] = {}

    def counter(self, name: str) -> Counter:
        counter = Counter()
        self._register(name, lambda: counter.value)
        return counter

    def gauge(self, name: str) -> Gauge:
        gauge = Gauge()
        self._register(name, lambda: gauge.value)
        return gauge

    def values(self) -> dict[str, float]:
        """Every value by name, in the order of the names."""
        return {name: self._read[name]() for name in sorted(self._read)}

    def _register(self, name: str, read: Callable[[], float]) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name for a metric: {name!r} (lower case, digits, underscores)")
        if name in self._read:
            raise ValueError(f"there is a metric {name!r} already")
        self._read[name] = read
