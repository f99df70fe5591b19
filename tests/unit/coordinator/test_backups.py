"""Backups of a working node: how fresh they are, what one copy costs, and what a disk may do meanwhile."""

import asyncio
import hashlib
import logging
from collections.abc import Callable

import pytest

from orchestrix_raft.coordinator.backup_file import read_head
from orchestrix_raft.coordinator.backups import Backup, Backups
from orchestrix_raft.coordinator.port import Freshness
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.commands import Enqueue
from orchestrix_raft.storage.memory import MemoryStateStore
from orchestrix_raft.storage.port import SnapshotReader, StorageError
from tests.scenarios.driver import job
from tests.unit.coordinator.bench import Cores

NO_LEADER = Rejected(Code.UNAVAILABLE, "NO_LEADER", "there is no leader")


class World:
    """One node, whose time passes while somebody waits."""

    def __init__(self) -> None:
        self.cores = Cores()
        self.core = self.cores["n1"]
        self.refusal: Rejected | None = None
        self.asked: list[tuple[int, bool]] = []
        self.backups = Backups(self.core, "c1", self.fresh, self.until)
        self.enqueue("a")

    def enqueue(self, *names: str) -> None:
        self.cores.submit("n1", Enqueue(tuple(job(name) for name in names)))
        self.cores.run()

    async def fresh(self, min_index: int, linearizable: bool) -> Freshness | Rejected:
        self.asked.append((min_index, linearizable))
        return self.refusal or Freshness(self.core.consensus.applied_index, stale=False)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.cores.run(0.25)
            self.cores.checkpoint("n1")
            await asyncio.sleep(0)


@pytest.fixture
def world() -> World:
    return World()


async def opened(world: World) -> Backup:
    backup = await world.backups.open()
    assert isinstance(backup, Backup), backup
    return backup


async def content(backup: Backup) -> bytes:
    pieces = [piece async for piece in backup.body()]
    assert not [piece for piece in pieces if isinstance(piece, Rejected)]
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


async def test_a_backup_holds_what_was_applied_when_it_was_asked_for(world: World) -> None:
    world.enqueue("b", "c")
    applied, digest = world.core.consensus.applied_index, world.core.state.digest
    backup = await opened(world)
    world.enqueue("d")
    assert world.asked == [(0, True)]
    head = backup.head
    assert (head.index, head.digest, head.jobs["pending"]) == (applied, digest, 3)
    assert (head.cluster_id, head.node_id) == ("c1", "n1")
    body = await content(backup)
    assert (len(body), hashlib.sha256(body).digest()) == (head.size, head.sha256)
    assert read_head(backup.head_bytes, "x") == (head, len(backup.head_bytes))
    backup.close()


async def test_a_backup_does_not_wait_until_a_checkpoint_is_due(world: World) -> None:
    before = world.cores.now
    (await opened(world)).close()
    assert world.cores.now - before < world.core.limits.checkpoint_s / 2


async def test_a_node_that_is_not_in_touch_with_a_leader_makes_none(world: World) -> None:
    world.refusal = NO_LEADER
    assert await world.backups.open() is NO_LEADER
    world.refusal = None
    (await opened(world)).close()


async def test_a_node_makes_one_at_a_time(world: World) -> None:
    backup = await opened(world)
    refused = await world.backups.open()
    assert isinstance(refused, Rejected)
    assert refused.reason == "BACKUP_RUNNING"
    backup.close()
    (await opened(world)).close()


async def test_a_copy_that_was_begun_for_somebody_else_and_is_older_is_not_taken(world: World) -> None:
    world.core.replica.checkpoints.ask()
    await world.until(lambda: world.core.replica.store.position() is not None)
    assert world.core.replica.store.snapshot() is None, "a follower needs a copy"
    world.enqueue("b")
    backup = await opened(world)
    assert backup.head.jobs["pending"] == 2
    backup.close()


async def test_who_gives_up_waiting_leaves_nothing_behind(world: World) -> None:
    made = asyncio.ensure_future(world.backups.open())
    await asyncio.sleep(0)
    made.cancel()
    with pytest.raises(asyncio.CancelledError):
        await made
    (await opened(world)).close()


async def test_a_disk_that_makes_no_copy_is_named_and_the_node_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(store: MemoryStateStore) -> SnapshotReader:
        raise StorageError("state/copy-9.1: no room on this disk")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStateStore, "snapshot", refuses)
        refused = await world.backups.open()
    assert isinstance(refused, Rejected)
    assert refused.reason == "BACKUP_FAILED"
    assert "no room on this disk" in refused.message
    (await opened(world)).close()


async def test_a_disk_that_fails_while_the_copy_is_read_ends_the_backup_with_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = await opened(world)

    def fails(offset: int, limit: int) -> bytes:
        raise StorageError("state/copy-9.1: Input/output error")

    monkeypatch.setattr(type(backup._reader), "read", lambda reader, offset, limit: fails(offset, limit))
    (last,) = [piece async for piece in backup.body()]
    assert isinstance(last, Rejected)
    assert "Input/output error" in last.message


async def test_a_copy_that_ends_too_early_is_no_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = await opened(world)
    monkeypatch.setattr(type(backup._reader), "read", lambda reader, offset, limit: b"")
    (last,) = [piece async for piece in backup.body()]
    assert isinstance(last, Rejected)
    assert f"ends after 0 of {backup.head.size} bytes" in last.message


async def test_a_copy_that_cannot_be_removed_is_left_to_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backup = await opened(world)

    def fails(reader: object) -> None:
        raise StorageError("state/copy-9.1: Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(type(backup._reader), "close", fails)
        with caplog.at_level(logging.WARNING):
            backup.close()
    assert "was not removed" in caplog.text
    (await opened(world)).close()
