"""What every store of checkpoints promises; the LMDB one and its twin in memory run the same suite."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft.storage.port import DiskFull
from tests.contract.state_benches import KINDS, ROWS, Bench, at, bench_of


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = bench_of(request.param, tmp_path)
    yield bench
    bench.done()


def test_a_new_store_holds_nothing(bench: Bench) -> None:
    store = bench.open()
    assert store.position() is None
    assert store.get("jobs", b"a") is None
    assert list(store.load("jobs")) == []
    assert store.scan("jobs", b"a", 10) == []
    assert store.snapshot() is None
    assert bench.after_power_loss().position() is None


def test_a_write_is_seen_and_survives_with_its_position(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS, "queues": {b"q": b"x"}}], at(7))
    for life in (store, bench.after_power_loss()):
        assert life.position() == at(7)
        assert list(life.load("jobs")) == sorted(ROWS.items())
        assert [life.get("jobs", key) for key in sorted(ROWS)] == [ROWS[key] for key in sorted(ROWS)]
        assert life.get("jobs", b"bb") is None
        assert life.get("queues", b"q") == b"x"
        assert life.get("queues", b"a") is None


def test_a_position_alone_can_move(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(7))
    store.write([], at(8))
    survived = bench.after_power_loss()
    assert survived.position() == at(8)
    assert list(survived.load("jobs")) == sorted(ROWS.items())


def test_of_several_mappings_the_last_one_wins(bench: Bench) -> None:
    store = bench.open()
    store.write(
        [
            {"jobs": {b"a": b"1", b"b": b"1", b"c": b"1"}},
            {"jobs": {b"a": None, b"b": b"2", b"d": None}},
            {"jobs": {b"a": b"3", b"c": None}},
        ],
        at(1),
    )
    assert list(store.load("jobs")) == [(b"a", b"3"), (b"b", b"2")]


def test_deleting_removes_and_deleting_nothing_is_fine(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(1))
    store.write([{"jobs": {b"b": None, b"zz": None}, "never": {b"k": None}}], at(2))
    assert store.get("jobs", b"b") is None
    assert [key for key, _ in store.load("jobs")] == [b"a", b"ba", b"c"]
    assert store.scan("jobs", b"b", 1) == [(b"ba", b"3")]
    store.write([{"jobs": {b"ba": None, b"bc": b"4"}}], at(3))
    assert store.scan("jobs", b"b", 1) == [(b"bc", b"4")]
    assert list(store.load("never")) == []


def test_scanning_forwards_and_backwards(bench: Bench) -> None:
    store = bench.open()
    keys = [b"b", b"bb", b"d", b"f"]
    store.write([{"jobs": {key: key for key in keys}}], at(1))

    def forwards(start: bytes, limit: int) -> list[bytes]:
        return [key for key, _ in store.scan("jobs", start, limit)]

    def backwards(start: bytes, limit: int) -> list[bytes]:
        return [key for key, _ in store.scan("jobs", start, limit, reverse=True)]

    assert forwards(b"", 10) == keys
    assert forwards(b"b", 2) == [b"b", b"bb"]
    assert forwards(b"c", 10) == [b"d", b"f"]
    assert forwards(b"g", 10) == []
    assert forwards(b"a", 0) == []
    assert backwards(b"z" * 600, 10) == keys[::-1]
    assert backwards(b"f", 2) == [b"f", b"d"]
    assert backwards(b"e", 10) == [b"d", b"bb", b"b"]
    assert backwards(b"b", 10) == [b"b"]
    assert backwards(b"a", 10) == []
    assert backwards(b"", 10) == []
    assert backwards(b"z", 0) == []


def test_scans_agree_with_a_sorted_list(bench: Bench) -> None:
    dice = random.Random(1)
    keys = sorted({dice.randbytes(dice.randint(1, 3)) for _ in range(300)})
    store = bench.open()
    store.write([{"jobs": {key: key for key in keys}}], at(1))
    for _ in range(200):
        start, limit = dice.randbytes(dice.randint(1, 4)), dice.randint(0, 20)
        assert store.scan("jobs", start, limit) == [(k, k) for k in keys if k >= start][:limit]
        below = [(k, k) for k in reversed(keys) if k <= start]
        assert store.scan("jobs", start, limit, reverse=True) == below[:limit]


@pytest.mark.parametrize("key", [b"", b"x" * 512])
def test_a_key_that_cannot_be_stored_is_refused_and_nothing_is_written(bench: Bench, key: bytes) -> None:
    store = bench.open()
    store.write([{"jobs": {b"a": b"1"}}], at(1))
    with pytest.raises(ValueError):
        store.write([{"new": {b"b": b"2"}}, {"jobs": {b"a": b"2", key: b"2"}}], at(2))
    assert store.position() == at(1)
    assert store.get("jobs", b"a") == b"1"
    assert store.get("new", b"b") is None
    store.write([{"new": {b"b": b"3", b"x" * 511: b"4"}}], at(3))
    assert store.get("new", b"b") == b"3"
    assert bench.after_power_loss().get("new", b"x" * 511) == b"4"


@pytest.mark.parametrize("table", ["", "_meta"])
def test_a_table_name_of_the_stores_own_is_refused(bench: Bench, table: str) -> None:
    store = bench.open()
    with pytest.raises(ValueError):
        store.write([{table: {b"a": b"1"}}], at(1))
    assert store.position() is None


def test_a_full_disk_stores_nothing_and_a_later_write_may_fit(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": {b"a": b"1"}}], at(1))
    bench.fill_up()
    with pytest.raises(DiskFull):
        store.write([{"jobs": {b"a": b"2"}}], at(2))
    assert (store.position(), store.get("jobs", b"a")) == (at(1), b"1")
    bench.make_room()
    store.write([{"jobs": {b"a": b"3"}}], at(3))
    survived = bench.after_power_loss()
    assert (survived.position(), survived.get("jobs", b"a")) == (at(3), b"3")


def test_a_load_under_way_is_one_view(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": {bytes([n]): b"old" for n in range(100)}}], at(1))
    rows = store.load("jobs")
    first = next(rows)
    store.write([{"jobs": {bytes([n]): b"new" if n % 2 else None for n in range(100)}}], at(2))
    assert [first, *rows] == [(bytes([n]), b"old") for n in range(100)]
    assert [value for _, value in store.load("jobs")] == [b"new"] * 50


def test_size_grows_with_what_is_stored(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": {b"a": b"1"}}], at(1))
    before = store.size_bytes
    store.write([{"jobs": {b"b": bytes(100_000)}}], at(2))
    assert store.size_bytes >= before + 100_000


@pytest.mark.parametrize("seed", range(6))
def test_any_history_survives_as_the_last_checkpoint(bench: Bench, seed: int) -> None:
    dice = random.Random(seed)
    store = bench.open()
    model: dict[str, dict[bytes, bytes]] = {"jobs": {}, "queues": {}, "workers": {}}
    for index in range(1, 60):
        batches = []
        for _ in range(dice.randrange(3)):
            batch: dict[str, dict[bytes, bytes | None]] = {}
            for table in dice.sample(sorted(model), dice.randint(1, 3)):
                batch[table] = {
                    bytes([dice.randrange(40)]): dice.choice([None, dice.randbytes(dice.choice([3, 3_000]))])
                    for _ in range(dice.randrange(12))
                }
            batches.append(batch)
        store.write(batches, at(index))
        for batch in batches:
            for table, rows in batch.items():
                for key, value in rows.items():
                    if value is None:
                        model[table].pop(key, None)
                    else:
                        model[table][key] = value
        if dice.random() < 0.2:
            store = bench.after_power_loss()
        assert store.position() == at(index)
        for table, rows_held in model.items():
            key = bytes([dice.randrange(40)])
            assert store.get(table, key) == rows_held.get(key)
    for table, rows_held in model.items():
        assert list(store.load(table)) == sorted(rows_held.items())
