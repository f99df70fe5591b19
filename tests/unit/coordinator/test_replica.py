"""What a snapshot replaces; and a checkpoint that cannot be read is said in one line, with what to do."""

import pytest

from orchestrix_raft.coordinator.digests import DIGEST_STRIDE
from orchestrix_raft.coordinator.feed import Feed, FeedKeep
from orchestrix_raft.coordinator.replica import Replica
from orchestrix_raft.machine.codec import encode_entry
from orchestrix_raft.machine.commands import Entry
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import Damaged, Position, StateStore

DAMAGED = {
    "no record": b"\xc1",
    "of another kind": b"\x93\x01\x02\x03",
    "a text that is none": b"\xa4ev\xffl",
}


def made(store: StateStore, disk: MemoryDisk) -> Replica:
    return Replica(store, Feed(disk.open_local_store().feed, FeedKeep()), 5.0, 1 << 20)


def test_what_a_snapshot_replaced_has_no_effects_any_more() -> None:
    disk = MemoryDisk("disk")
    store = disk.open_state_store()
    replica = made(store, disk)
    replica.apply(2, 1, encode_entry(Entry(1, 1, ())))
    assert replica.unfollowed
    replica.history.put("t", b"k", b"v")
    generation = replica.checkpoints.generation
    store.write([{}], Position(7, 1, 0, b"", b""))
    list(replica.restore())
    assert not replica.unfollowed
    assert replica.history.pending_bytes == 0
    assert replica.checkpoints.generation == generation + 1
    replica.digests.note(DIGEST_STRIDE, b"d")
    assert replica.take_replaced()
    assert replica.digests.newest() == (0, b"")
    assert not replica.take_replaced()


def damage(store: StateStore, row: bytes) -> None:
    store.write([{"jobs": {b"j" * 16: row}}], Position(7, 1, 0, b"", b""))


@pytest.mark.parametrize("row", DAMAGED.values(), ids=DAMAGED)
def test_a_node_does_not_start_from_rows_that_it_cannot_read(row: bytes) -> None:
    disk = MemoryDisk("disk")
    store = disk.open_state_store()
    damage(store, row)
    with pytest.raises(Damaged, match=r"^the checkpoint .* cannot be read \(.*\); remove the node") as caught:
        made(store, disk)
    assert str(caught.value).isprintable()


def test_a_snapshot_with_such_rows_ends_the_node_in_the_same_way() -> None:
    disk = MemoryDisk("disk")
    store = disk.open_state_store()
    replica = made(store, disk)
    damage(store, b"\xc1")
    with pytest.raises(Damaged, match="remove the node"):
        list(replica.restore())
