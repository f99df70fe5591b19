"""The faults of the simulated disk: what they lose, what they keep, and that a dead process stays dead."""

from collections.abc import Callable

import pytest

from orchestrix_raft.storage.disk import Member
from orchestrix_raft.storage.memory import DiskGone, MemoryDisk
from orchestrix_raft.storage.port import DiskFull, Entry, LogLine, Position, StorageError

AT = Position(5, 1, 0, b"", b"")


def test_a_dead_process_can_not_be_mistaken_for_an_error() -> None:
    assert not issubclass(DiskGone, Exception)


@pytest.mark.parametrize("torn", [True, False])
def test_a_fuse_lets_so_many_steps_pass_and_then_ends_the_process(torn: bool) -> None:
    disk = MemoryDisk()
    journal = disk.open_journal()
    disk.fuse, disk.torn = 2, torn
    for index in (2, 3):
        journal.append(Entry(b"", index, 1))
        journal.flush()
    journal.append(Entry(b"", 4, 1))
    with pytest.raises(DiskGone):
        journal.flush()
    with pytest.raises(DiskGone):
        journal.flush()
    with pytest.raises(DiskGone):
        disk.open_state_store()
    was_gone = disk.gone
    disk.crash()
    assert (was_gone, disk.gone) == (True, False)
    assert disk.open_journal().last_index == (3 if torn else 4)


def test_a_step_that_changes_nothing_burns_nothing() -> None:
    disk = MemoryDisk()
    journal = disk.open_journal()
    disk.fuse = 0
    journal.flush()
    journal.set_term(0, None)
    journal.flush()
    assert disk.fuse == 0


def _flush(disk: MemoryDisk) -> None:
    journal = disk.open_journal()
    journal.set_term(1, "a")
    journal.flush()


def _checkpoint(disk: MemoryDisk) -> None:
    disk.open_state_store().write([{"jobs": {b"a": b"1"}}], AT._replace(index=6))


def _install(disk: MemoryDisk) -> None:
    sender = MemoryDisk().open_state_store()
    sender.write([], AT._replace(index=7))
    assert sender.snapshot() is None
    reader = sender.snapshot()
    assert reader is not None
    writer = disk.open_state_store().receive(reader.ref)
    writer.write(0, reader.read(0, reader.ref.size))
    writer.commit()


def _name(disk: MemoryDisk) -> None:
    disk.set_node_id("n1")


def _facts(disk: MemoryDisk) -> tuple[str | None, Position | None, str]:
    return disk.open_journal().voted_for, disk.open_state_store().position(), disk.identity.node_id


@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("step", [_flush, _checkpoint, _install, _name])
def test_every_kind_of_durable_step_is_stored_wholly_or_not_at_all(
    step: Callable[[MemoryDisk], None], torn: bool
) -> None:
    disk = MemoryDisk()
    disk.open_journal()
    disk.open_state_store().write([], AT)
    disk.kill()
    before = _facts(disk)
    disk.kill()

    steps = disk.steps
    disk.fuse, disk.torn = 0, torn
    with pytest.raises(DiskGone):
        step(disk)
    assert disk.steps == steps + 1
    disk.crash()
    assert (_facts(disk) == before) is torn


def test_the_creation_of_a_journal_is_a_step_too() -> None:
    disk = MemoryDisk()
    disk.fuse = 0
    with pytest.raises(DiskGone):
        disk.open_journal()
    disk.kill()
    assert disk.open_journal().durable_index == 1


def test_a_full_disk_stays_full_over_a_crash_until_it_is_emptied() -> None:
    disk = MemoryDisk()
    journal, local = disk.open_journal(), disk.open_local_store()
    disk.full = True
    journal.append(Entry(b"", 2, 1))
    with pytest.raises(DiskFull):
        journal.flush()
    with pytest.raises(DiskFull):
        local.append_lines({bytes(16): [LogLine(1, 1, 1, "info", "x")]}, 1)
    disk.crash()
    assert disk.full
    journal = disk.open_journal()
    disk.full = False
    journal.append(Entry(b"", 2, 1))
    journal.flush()
    assert journal.durable_index == 2


def test_a_failing_flush_happens_once_and_ends_the_journal() -> None:
    disk = MemoryDisk()
    journal = disk.open_journal()
    journal.append(Entry(b"", 2, 1))
    disk.fail_next_flush = True
    with pytest.raises(StorageError) as caught:
        journal.flush()
    assert not isinstance(caught.value, DiskFull)
    assert not disk.fail_next_flush
    with pytest.raises(StorageError):
        journal.flush()
    disk.kill()
    assert disk.open_journal().last_index == 1


def test_a_killed_process_needs_to_release_nothing_and_can_do_nothing() -> None:
    disk = MemoryDisk()
    journal, state, local = disk.open_journal(), disk.open_state_store(), disk.open_local_store()
    for open_again in (disk.open_journal, disk.open_state_store, disk.open_local_store):
        with pytest.raises(StorageError):
            open_again()
    disk.kill()
    new_journal = disk.open_journal()
    disk.open_state_store()
    disk.open_local_store()
    journal.append(Entry(b"late", 2, 1))
    with pytest.raises(DiskGone):
        journal.flush()
    with pytest.raises(DiskGone):
        state.write([], AT)
    with pytest.raises(DiskGone):
        local.append_lines({bytes(16): [LogLine(1, 1, 1, "info", "x")]}, 1)
    journal.close()
    with pytest.raises(StorageError):
        disk.open_journal()
    assert new_journal.last_index == 1


def test_unsynced_lines_survive_a_killed_process_but_no_power_loss() -> None:
    disk = MemoryDisk()
    disk.open_local_store().append_lines({bytes(16): [LogLine(1, 1, 1, "info", "x")]}, 1)
    disk.kill()
    local = disk.open_local_store()
    assert len(local.lines(bytes(16), (0, 0), 10, 1 << 20)) == 1
    disk.crash()
    assert disk.open_local_store().lines(bytes(16), (0, 0), 10, 1 << 20) == []


def test_the_identity_survives_and_a_name_once_given_stays() -> None:
    disk = MemoryDisk("00000000000000aa")
    disk.set_node_id("n1")
    disk.set_bootstrap([Member("n1", "d1", "host:1")])
    disk.crash()
    assert (disk.identity.disk_id, disk.identity.node_id) == ("00000000000000aa", "n1")
    assert disk.identity.bootstrap == (Member("n1", "d1", "host:1"),)
    with pytest.raises(StorageError):
        disk.set_node_id("n2")


def test_two_disks_with_the_same_history_give_the_same_snapshot() -> None:
    refs = []
    for order in (1, -1):
        store = MemoryDisk().open_state_store()
        rows: dict[bytes, bytes | None] = {key: key for key in (b"a", b"b", b"c")[::order]}
        store.write([{"jobs": rows}, {"queues": rows}], AT)
        assert store.snapshot() is None
        reader = store.snapshot()
        assert reader is not None
        refs.append(reader.ref)
    assert refs[0] == refs[1]
