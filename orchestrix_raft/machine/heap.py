"""A heap whose items may go out of date, and that never stops the node to get rid of them.

What an item stands for knows whether it is still valid.  Stale items are dropped when they come to the top;
when there are more of them than valid ones, every further one pays for moving a few items into a fresh heap,
so that no step ever walks a million of them.  Items ascend by stored numbers that no two share: no layout
of a heap decides anything.  Used within `machine` only.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush, merge
from typing import Any, Final, Generic, TypeVar

_SLACK: Final = 64  # stale items it may hold besides as many as it has valid ones
_MOVED: Final = 8  # looked at for each item that goes out of date

AnyItem = TypeVar("AnyItem", bound=tuple[Any, ...])
AnyContext = TypeVar("AnyContext")


class LazyHeap(Generic[AnyContext, AnyItem]):
    """Items in ascending order.  `is_valid(context, item)`: whether it is still up to date."""

    __slots__ = ("_is_valid", "_items", "_old", "valid")

    def __init__(self, is_valid: Callable[[AnyContext, AnyItem], bool]) -> None:
        self._is_valid = is_valid
        # Two lists for life: the garbage collector, frozen after the start, never walks them.
        self._items: list[AnyItem] = []
        self._old: list[AnyItem] = []  # a heap, too: what is still to be moved into the other
        self.valid = 0  # how many are

    def __len__(self) -> int:
        return len(self._items) + len(self._old)

    def __iter__(self) -> Iterator[AnyItem]:
        """All, stale ones included, in no order."""
        yield from self._items
        yield from self._old

    def push(self, item: AnyItem) -> None:
        """A valid one."""
        heappush(self._items, item)
        self.valid += 1

    def lost(self, context: AnyContext) -> None:
        """One of the items is valid no more."""
        self.valid -= 1
        if not self._old:
            if len(self._items) <= 2 * self.valid + _SLACK:
                return
            self._items, self._old = self._old, self._items
        old, is_valid = self._old, self._is_valid
        for _ in range(min(_MOVED, len(old))):
            item = old.pop()  # the last one: the rest is still a heap
            if is_valid(context, item):
                heappush(self._items, item)

    def first(self, context: AnyContext) -> AnyItem | None:
        """The first valid one; drops the stale ones before it."""
        item = self._top(context, self._items)
        if self._old:
            older = self._top(context, self._old)
            if item is None or (older is not None and older < item):
                return older
        return item

    def first_by(self, context: AnyContext, bound: tuple[Any, ...]) -> AnyItem | None:
        """`first`, if it comes before `bound`.  Mostly nothing does, and then no item is looked at."""
        items, old = self._items, self._old
        if (items and items[0] < bound) or (old and old[0] < bound):
            item = self.first(context)
            return item if item is not None and item < bound else None
        return None

    def _top(self, context: AnyContext, items: list[AnyItem]) -> AnyItem | None:
        while items:
            item = items[0]
            if self._is_valid(context, item):
                return item
            heappop(items)
        return None

    def ascending(self, context: AnyContext) -> Iterator[AnyItem]:
        """The valid ones in order; nothing may change meanwhile.  One costs the logarithm of those before."""
        walks = [_ascending(items) for items in (self._items, self._old) if items]
        return (item for item in merge(*walks) if self._is_valid(context, item))


def _ascending(items: list[AnyItem]) -> Iterator[AnyItem]:
    """The items of a heap in order, none of them taken out."""
    ahead = [(items[0], 0)]
    while ahead:
        item, at = heappop(ahead)
        yield item
        for child in (2 * at + 1, 2 * at + 2):
            if child < len(items):
                heappush(ahead, (items[child], child))
