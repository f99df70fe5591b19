"""What every store promises about views and the digest of contents; both adapters run the same suite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft.storage.port import StateStore, StorageError
from orchestrix_raft.storage.views import Contents, contents_of
from tests.contract.state_benches import KINDS, ROWS, Bench, at, bench_of, copied, stream

MANY = {b"%05d" % number: b"v%d" % number for number in range(1_234)}


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = bench_of(request.param, tmp_path)
    yield bench
    bench.done()


def contents(store: StateStore) -> Contents:
    view = store.view()
    found = contents_of(view)
    view.close()
    return found


def test_a_view_stays_as_it_is_while_the_store_moves_on(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": MANY}], at(7))
    view = store.view()
    slices = view.slices("jobs")
    first = next(slices)
    store.write([{"jobs": {b"00000": b"new", b"01000": None, b"x": b"new"}, "other": {b"a": b"1"}}], at(8))
    assert view.position == at(7)
    assert view.tables() == ["jobs"]
    assert dict([*first, *(row for piece in slices for row in piece)]) == MANY
    view.close()
    assert store.view().position == at(8)


def test_the_digest_depends_on_the_rows_alone(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": {b"gone": b"1"}, "empty": {b"gone": b"1"}}], at(1))
    for key, value in reversed(MANY.items()):
        store.write([{"jobs": {key: value}}], at(2))
    store.write([{"jobs": {b"gone": None}, "empty": {b"gone": None}, "queues": {b"q": b""}}], at(3))
    found = contents(store)
    assert found == Contents(
        bytes.fromhex("5f772d6e93a267cfed3cc5c4c37ebc7b"),
        1_235,
        sum(len(k) + len(v) for k, v in MANY.items()) + 1,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": {b"a": b"2"}},
        {"jobs": {b"c": None}},
        {"jobs": {b"d": b""}},
        {"jobs": {b"b": None, b"ba": b"", b"bb": b"3"}},
        {"queues": {b"q": b""}},
        {"jobs": dict.fromkeys(ROWS), "other": ROWS},
    ],
)
def test_every_difference_of_rows_is_one_of_digests(
    bench: Bench, change: dict[str, dict[bytes, bytes | None]]
) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(1))
    before = contents(store)
    store.write([change], at(1))
    assert contents(store).digest != before.digest


def test_an_empty_store_has_contents(bench: Bench) -> None:
    assert contents(bench.open()).rows == 0


def test_a_view_of_a_state_that_was_replaced_or_closed_refuses(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": MANY}], at(7))
    replaced = store.view()
    slices = replaced.slices("jobs")
    next(slices)
    reader = copied(store)
    data = stream(reader)
    writer = store.receive(reader.ref)
    writer.write(0, data)
    writer.commit()
    reader.close()
    closed = store.view()
    store.close()
    for walk in (slices, replaced.slices("jobs"), closed.slices("jobs")):
        with pytest.raises(StorageError, match="closed or replaced while it was read"):
            next(walk)
    replaced.close()
    closed.close()
