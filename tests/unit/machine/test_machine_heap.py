"""The heap whose items go out of date: order, and that no step of it is long."""

import random

from orchestrix_raft.machine.heap import LazyHeap

Item = tuple[int, int]


class Watched:
    """A heap over the valid items of a set, and how often it looks whether one is valid."""

    def __init__(self) -> None:
        self.looks = 0
        self.valid: set[Item] = set()
        self.heap = LazyHeap[set[Item], Item](self._look)

    def _look(self, valid: set[Item], item: Item) -> bool:
        self.looks += 1
        return item in valid

    def push(self, item: Item) -> None:
        self.valid.add(item)
        self.heap.push(item)

    def lose(self, item: Item) -> None:
        self.valid.remove(item)
        self.heap.lost(self.valid)

    @property
    def first(self) -> Item | None:
        return self.heap.first(self.valid)


def test_the_first_item_and_the_order_are_those_of_the_valid_ones_whatever_was_lost() -> None:
    rng = random.Random(7)
    watched = Watched()
    for seq in range(3_000):
        watched.push((rng.randrange(1_000), seq))
        while watched.valid and rng.random() < 0.49:
            watched.lose(watched.first if rng.random() < 0.3 else rng.choice(sorted(watched.valid)))  # type: ignore[arg-type]
        assert watched.first == min(watched.valid, default=None)
        assert watched.heap.valid == len(watched.valid)
        if seq % 100 == 0:
            assert list(watched.heap.ascending(watched.valid)) == sorted(watched.valid)
            assert watched.valid <= set(watched.heap)


def test_the_first_item_before_a_bound_is_the_first_of_all_and_what_comes_later_is_not_looked_at() -> None:
    rng = random.Random(7)
    watched = Watched()
    for seq in range(2_000):
        watched.push((rng.randrange(1_000), seq))
        while watched.valid and rng.random() < 0.49:
            watched.lose(rng.choice(sorted(watched.valid)))
        bound = (rng.randrange(1_100),)
        first = min(watched.valid, default=None)
        wanted = first if first is not None and first < bound else None
        assert watched.heap.first_by(watched.valid, bound) == wanted
    looks = watched.looks
    assert watched.heap.first_by(watched.valid, (-1,)) is None
    assert watched.looks == looks


def test_losing_a_hundred_thousand_items_never_walks_many_at_once() -> None:
    watched = Watched()
    items = [(n, n) for n in range(100_000)]
    for item in items:
        watched.push(item)
    random.Random(7).shuffle(items)
    most = 0
    for item in items:
        before = watched.looks
        watched.lose(item)
        most = max(most, watched.looks - before)
        assert len(watched.heap) <= 3 * len(watched.valid) + 200
    assert most <= 8
    assert watched.first is None


def test_what_is_due_is_found_without_looking_at_the_rest() -> None:
    watched = Watched()
    for n in range(10_000):
        watched.push((n, n))
    walk = watched.heap.ascending(watched.valid)
    assert [next(walk) for _ in range(5)] == [(n, n) for n in range(5)]
    assert watched.looks <= 10
