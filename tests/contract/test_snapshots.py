"""What every store promises about snapshots, sent and received; both adapters run the same suite."""

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrix_raft.storage.port import (
    Damaged,
    DiskFull,
    SnapshotReader,
    SnapshotRef,
    StateStore,
    StorageError,
)
from tests.contract.state_benches import KINDS, ROWS, Bench, LmdbBench, at, bench_of, copied, stream


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = bench_of(request.param, tmp_path)
    yield bench
    bench.done()


@pytest.fixture
def other(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    """A second disk of the same kind."""
    root = tmp_path / "other"
    root.mkdir()
    other = bench_of("lmdb" if isinstance(bench, LmdbBench) else "memory", root)
    yield other
    other.done()


def send(reader: SnapshotReader, store: StateStore) -> None:
    """Transfer a whole snapshot."""
    writer = store.receive(reader.ref)
    data = stream(reader)
    half = len(data) // 2
    writer.write(0, data[:half])
    writer.write(half, data[half:])
    writer.commit()


def test_a_snapshot_names_its_checkpoint_and_its_bytes(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(7, term=3))
    assert store.snapshot() is None, "the copy is made in the background"
    reader = copied(store)
    data = stream(reader)
    assert reader.ref == SnapshotRef(7, 3, len(data), hashlib.sha256(data).digest(), 6, b"configuration 7")
    assert reader.read(3, 5) == data[3:8]
    assert reader.read(len(data), 5) == b""
    reader.close()


def test_a_snapshot_stays_as_it_is_while_the_store_moves_on(bench: Bench, other: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(7))
    reader = copied(store)
    store.write([{"jobs": {b"a": b"changed", b"b": None}}], at(8))
    assert reader.ref.index == 7
    receiver = other.open()
    send(reader, receiver)
    assert list(receiver.load("jobs")) == sorted(ROWS.items())
    assert receiver.position() == at(7)
    reader.close()


def test_readers_of_one_checkpoint_share_a_copy_until_the_last_closes(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(7))
    one = copied(store)
    two = store.snapshot()
    assert two is not None, "no second copy of the same checkpoint"
    data = stream(one)
    one.close()
    one.close()
    with pytest.raises(ValueError):
        one.read(0, 10)
    assert stream(two) == data
    two.close()
    assert store.snapshot() is None, "the copy went with its last reader"


def test_a_newer_checkpoint_gets_a_copy_of_its_own(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(7))
    old = copied(store)
    store.write([], at(8))
    assert store.snapshot() is None
    new = copied(store)
    assert (old.ref.index, new.ref.index) == (7, 8)
    old.close()
    assert stream(new)
    new.close()


def test_a_copy_is_handed_out_even_when_checkpoints_come_faster_than_copies(bench: Bench) -> None:
    store = bench.open()
    store.write([], at(1))
    for index in range(2, 100_000):
        reader = store.snapshot()
        if reader is not None:
            break
        store.write([], at(index))
    assert reader is not None, "every new checkpoint threw the copy under way away"
    reader.close()


def test_a_copy_nobody_came_back_for_is_not_handed_out_when_it_is_old(bench: Bench) -> None:
    store = bench.open()
    store.write([], at(1))
    assert store.snapshot() is None
    for index in range(2, 12):
        store.write([], at(index))
    reader = copied(store)
    assert reader.ref.index == 11
    reader.close()


def test_a_received_snapshot_replaces_the_whole_state(bench: Bench, other: Bench) -> None:
    sender, receiver = bench.open(), other.open()
    sender.write([{"jobs": ROWS}], at(50))
    receiver.write([{"jobs": {b"a": b"old", b"z": b"old"}, "gone": {b"g": b"old"}}], at(9))
    assert len(list(receiver.load("jobs"))) == 2
    reader = copied(sender)
    send(reader, receiver)
    reader.close()
    for life in (receiver, other.after_power_loss()):
        assert life.position() == at(50)
        assert list(life.load("jobs")) == sorted(ROWS.items())
        assert life.get("jobs", b"z") is None
        assert life.get("jobs", b"a") == b"1"
        assert life.get("gone", b"g") is None
        assert life.scan("gone", b"g", 5) == []


def test_after_a_received_snapshot_the_store_goes_on(bench: Bench, other: Bench) -> None:
    sender, receiver = bench.open(), other.open()
    sender.write([{"jobs": ROWS}], at(50))
    for _ in range(2):  # the same snapshot twice: its directory name is taken the second time
        reader = copied(sender)
        send(reader, receiver)
        reader.close()
    receiver.write([{"jobs": {b"a": b"new"}}], at(51))
    forwarded = copied(receiver)
    assert forwarded.ref.index == 51
    forwarded.close()
    survived = other.after_power_loss()
    assert (survived.position(), survived.get("jobs", b"a")) == (at(51), b"new")


def test_a_reader_survives_the_arrival_of_another_state(bench: Bench, other: Bench) -> None:
    sender, receiver = bench.open(), other.open()
    receiver.write([{"jobs": {b"a": b"old"}}], at(9))
    kept = copied(receiver)
    data = stream(kept)
    sender.write([{"jobs": ROWS}], at(50))
    receiver.snapshot()
    reader = copied(sender)
    send(reader, receiver)
    assert stream(kept) == data
    kept.close()
    reader.close()


@pytest.fixture
def offer(bench: Bench) -> Iterator[tuple[SnapshotRef, bytes]]:
    """A snapshot at index 50 and its bytes."""
    store = bench.open()
    store.write([{"jobs": ROWS}], at(50))
    reader = copied(store)
    yield reader.ref, stream(reader)
    reader.close()


@pytest.fixture
def receiver(other: Bench) -> StateStore:
    """A store at index 9."""
    store = other.open()
    store.write([{"jobs": {b"a": b"old"}}], at(9))
    return store


def still_old(store: StateStore) -> bool:
    return store.position() == at(9) and store.get("jobs", b"a") == b"old"


def test_an_incomplete_snapshot_is_refused(
    offer: tuple[SnapshotRef, bytes], receiver: StateStore, other: Bench
) -> None:
    ref, data = offer
    writer = receiver.receive(ref)
    writer.write(0, data[:-1])
    with pytest.raises(Damaged, match=f"ended after {ref.size - 1} of {ref.size} bytes"):
        writer.commit()
    with pytest.raises(StorageError):
        writer.commit()
    assert still_old(receiver)
    assert still_old(other.after_power_loss())


def test_a_changed_snapshot_is_refused(
    offer: tuple[SnapshotRef, bytes], receiver: StateStore, other: Bench
) -> None:
    ref, data = offer
    writer = receiver.receive(ref)
    writer.write(0, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Damaged, match="SHA-256"):
        writer.commit()
    assert still_old(receiver)
    assert still_old(other.after_power_loss())


@pytest.mark.parametrize(
    "lie",
    [
        lambda ref: ref._replace(index=51),
        lambda ref: ref._replace(term=2),
        lambda ref: ref._replace(configuration_index=3),
        lambda ref: ref._replace(configuration=b"another"),
    ],
)
def test_a_snapshot_that_is_not_what_was_announced_is_refused(
    offer: tuple[SnapshotRef, bytes], receiver: StateStore, lie: Callable[[SnapshotRef], SnapshotRef]
) -> None:
    ref, data = offer
    writer = receiver.receive(lie(ref))
    writer.write(0, data)
    with pytest.raises(Damaged, match="announced"):
        writer.commit()
    assert still_old(receiver)


def test_bytes_that_are_no_snapshot_are_refused(receiver: StateStore) -> None:
    data = random.Random(1).randbytes(20_000)
    writer = receiver.receive(SnapshotRef(50, 1, len(data), hashlib.sha256(data).digest(), 0, b""))
    writer.write(0, data)
    with pytest.raises(Damaged):
        writer.commit()
    assert still_old(receiver)


def test_a_stream_is_taken_only_in_order_and_only_as_long_as_announced(
    offer: tuple[SnapshotRef, bytes], receiver: StateStore
) -> None:
    ref, data = offer
    writer = receiver.receive(ref)
    writer.write(0, data[:100])
    for offset in (0, 99, 101):
        with pytest.raises(ValueError):
            writer.write(offset, b"x")
    with pytest.raises(Damaged):
        writer.write(100, data[100:] + b"x")
    writer.write(100, data[100:])
    writer.commit()
    assert receiver.position() == at(50)


def test_an_aborted_or_superseded_transfer_ends(
    offer: tuple[SnapshotRef, bytes], receiver: StateStore
) -> None:
    ref, data = offer
    aborted = receiver.receive(ref)
    aborted.write(0, data)
    aborted.abort()
    aborted.abort()
    with pytest.raises(StorageError):
        aborted.commit()
    superseded = receiver.receive(ref)
    superseded.write(0, data)
    last = receiver.receive(ref)
    with pytest.raises(StorageError):
        superseded.write(len(data), b"")
    with pytest.raises(StorageError):
        superseded.commit()
    assert still_old(receiver)
    last.write(0, data)
    last.commit()
    assert receiver.position() == at(50)


def test_a_half_received_snapshot_is_gone_after_a_power_loss(
    offer: tuple[SnapshotRef, bytes], receiver: StateStore, other: Bench
) -> None:
    ref, data = offer
    receiver.receive(ref).write(0, data)
    survived = other.after_power_loss()
    assert still_old(survived)
    send_again = survived.receive(ref)
    send_again.write(0, data)
    send_again.commit()
    assert survived.position() == at(50)


def test_changes_from_before_an_installed_snapshot_are_ignored(bench: Bench, other: Bench) -> None:
    sender, receiver = other.open(), bench.open()
    sender.write([{"jobs": {b"a": b"of the snapshot"}}], at(20))
    receiver.write([{"jobs": {b"a": b"old"}}], at(5))
    reader = copied(sender)
    send(reader, receiver)
    reader.close()
    receiver.write([{"jobs": {b"a": b"late"}}], at(12))
    assert receiver.get("jobs", b"a") == b"of the snapshot"
    assert receiver.position() == at(20)


def test_without_room_for_a_copy_the_state_is_unharmed_and_asking_later_makes_one(bench: Bench) -> None:
    store = bench.open()
    store.write([{"jobs": ROWS}], at(7))
    bench.fill_up()
    for _ in range(2):
        with pytest.raises(DiskFull):
            store.snapshot()
    assert (store.position(), store.get("jobs", b"a")) == (at(7), b"1")
    bench.make_room()
    store.write([{"jobs": {b"a": b"2"}}], at(8))
    reader = copied(store)
    assert reader.ref.index == 8
    reader.close()


def test_a_snapshot_without_room_for_it_is_refused_before_its_first_byte(
    offer: tuple[SnapshotRef, bytes], receiver: StateStore, bench: Bench, other: Bench
) -> None:
    ref, data = offer
    other.fill_up()
    with pytest.raises(DiskFull):
        receiver.receive(ref)
    assert still_old(receiver)
    other.make_room()
    writer = receiver.receive(ref)
    writer.write(0, data)
    writer.commit()
    assert receiver.position() == at(50)
