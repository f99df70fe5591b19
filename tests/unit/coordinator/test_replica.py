"""A checkpoint that cannot be read is said in one line, with what to do: at a start and after a snapshot."""

import pytest

from orchestrix_raft.coordinator.feed import Feed, FeedKeep
from orchestrix_raft.coordinator.replica import Replica
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import Damaged, Position, StateStore

DAMAGED = {
    "no record": b"\xc1",
    "of another kind": b"\x93\x01\x02\x03",
    "a text that is none": b"\xa4ev\xffl",
}


def made(store: StateStore, disk: MemoryDisk) -> Replica:
    return Replica(store, Feed(disk.open_local_store().feed, FeedKeep()), 5.0, 1 << 20)


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
