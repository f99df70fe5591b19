"""The order of the layers and the life of a checkpoint."""

import random
from collections.abc import Iterator

import pytest

from orchestrix_raft.coordinator.history import LayeredHistory, Ordered
from orchestrix_raft.machine.memory import MemoryStore


class Store(MemoryStore):
    """What LayeredHistory asks of a state store."""

    def load(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        return self.pairs(table)


@pytest.fixture
def store() -> Store:
    store = Store()
    for name in "abcdef":
        store.put("t", name.encode(), b"stored")
    return store


@pytest.fixture
def history(store: Store) -> LayeredHistory:
    return LayeredHistory(store)  # type: ignore[arg-type]  # no more of a state store is asked for


def test_a_newer_layer_hides_an_older_one(history: LayeredHistory) -> None:
    history.put("t", b"a", b"frozen")
    history.put("t", b"b", None)
    history.freeze()
    assert (history.get("t", b"a"), history.get("t", b"b"), history.get("t", b"c")) == (
        b"frozen",
        None,
        b"stored",
    )
    history.put("t", b"a", None)
    history.put("t", b"b", b"current")
    assert (history.get("t", b"a"), history.get("t", b"b")) == (None, b"current")
    assert history.get("other", b"a") is None


def test_deletions_do_not_make_a_scan_short(history: LayeredHistory) -> None:
    for key in (b"a", b"b", b"c"):
        history.put("t", key, None)
    assert [key for key, _ in history.scan("t", b"", 2)] == [b"d", b"e"]
    assert [key for key, _ in history.scan("t", b"d", 9, reverse=True)] == [b"d"]
    history.freeze()
    history.put("t", b"b", b"again")
    assert history.scan("t", b"a", 2) == [(b"b", b"again"), (b"d", b"stored")]


def test_a_scan_does_not_jump_over_rows_it_has_not_seen(history: LayeredHistory) -> None:
    history.put("t", b"z", b"far")
    assert [key for key, _ in history.scan("t", b"", 3)] == [b"a", b"b", b"c"]
    assert [key for key, _ in history.scan("t", b"f", 9)] == [b"f", b"z"]
    history.put("t", b"A", b"far")
    assert [key for key, _ in history.scan("t", b"f", 3, reverse=True)] == [b"f", b"e", b"d"]


def test_one_checkpoint_at_a_time_and_none_under_newer_changes(history: LayeredHistory) -> None:
    assert dict(history.tables("t"))[b"a"] == b"stored"
    history.put("t", b"a", b"new")
    with pytest.raises(RuntimeError):
        history.tables("t")
    assert history.freeze() == {"t": {b"a": b"new"}}
    assert history.checkpointing
    with pytest.raises(RuntimeError):
        history.freeze()
    with pytest.raises(RuntimeError):
        history.tables("t")
    history.settled()
    assert not history.checkpointing


def test_sealed_changes_are_written_one_by_one_and_the_newest_counts(
    history: LayeredHistory,
) -> None:
    for value in (b"1", b"2", b"3"):
        history.put("t", b"a", value)
        history.seal()
    assert history.get("t", b"a") == b"3"
    assert history.freeze() == {"t": {b"a": b"1"}}
    history.settled()
    assert history.get("t", b"a") == b"3"
    assert history.freeze() == {"t": {b"a": b"2"}}


def test_what_waits_to_be_written_is_measured(history: LayeredHistory) -> None:
    assert history.pending_bytes == 0
    history.put("t", b"a", b"x" * 100)
    history.put("t", b"b", None)
    assert history.pending_bytes >= 100
    history.freeze()
    assert history.pending_bytes == 0


def test_a_replaced_store_is_seen_bare(history: LayeredHistory, store: Store) -> None:
    history.put("t", b"a", b"frozen")
    history.freeze()
    history.put("t", b"b", None)
    store.put("t", b"a", b"installed")
    history.forget()
    assert (history.get("t", b"a"), history.get("t", b"b")) == (b"installed", b"stored")
    assert dict(history.tables("t"))[b"a"] == b"installed"
    assert history.pending_bytes == 0


class CountingStore(Store):
    """How many rows were asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def scan(
        self, table: str, start: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        rows = super().scan(table, start, limit, reverse=reverse)
        self.asked += len(rows)
        return rows


def test_a_walk_behind_many_deletions_looks_at_what_it_answers_alone() -> None:
    """As retention does: it begins where it stopped, and all that it deleted lies before."""
    store = CountingStore()
    for number in range(5_000):
        store.put("t", number.to_bytes(4, "big"), b"")
    history = LayeredHistory(store)  # type: ignore[arg-type]  # as above
    start = bytes(4)
    while rows := history.scan("t", start, 101):
        for key, _ in rows[:100]:
            history.put("t", key, None)
        start = rows[-1][0]
    assert not history.scan("t", bytes(4), 1)
    assert store.asked < 3 * 5_000 + 5_100


def test_keys_come_in_order_however_they_came_in() -> None:
    chance = random.Random(3)
    ordered = Ordered([])
    flat: set[bytes] = set()
    for _ in range(300):
        for _ in range(chance.choice((0, 1, 3, 400))):
            key = chance.randbytes(3)
            if key not in flat:
                ordered.add(key)
                flat.add(key)
        assert ordered.keys() == sorted(flat)
