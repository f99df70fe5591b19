"""Writing backups and asking every node what it holds, against nodes in memory."""

import asyncio
import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from orchestrix_raft import AsyncClient, OrchestrixError, Unavailable
from orchestrix_raft.client import backups
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.storage.views import Contents
from tests.unit.api.fake_node import NO_LEADER, FakeNode
from tests.unit.client.nodes import Cluster, closed_port

SAME = Contents(b"\x01", 3, 4)


def nothing_else(path: Path) -> bool:
    return [entry.name for entry in path.parent.iterdir()] == ([path.name] if path.exists() else [])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backup"


# ---- backup


async def test_a_backup_is_written_as_it_was_sent_for_its_owner_only(
    client: AsyncClient, node: FakeNode, path: Path
) -> None:
    made = await client.backup(path)
    head = node.backups.opened[0].head_bytes
    assert path.read_bytes() == head + node.backups.content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert nothing_else(path)
    assert (made.path, made.index, made.term, made.node_id, made.cluster_id) == (str(path), 77, 3, "n1", "c1")
    assert made.bytes == path.stat().st_size
    assert made.jobs == {"pending": 2, "completed": 5}
    assert made.digest == "00" * 16


async def test_a_file_system_without_locks_will_do(
    client: AsyncClient, node: FakeNode, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = path.with_name(".backup.77.partial")
    left.write_bytes(b"perhaps under way")
    made = await client.backup(path)
    assert (path.exists(), left.exists(), made.removed) == (True, True, [])


async def test_a_backup_is_synced_piece_by_piece(
    client: AsyncClient, node: FakeNode, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(backups, "SYNC_BYTES", 1_000_000)
    await client.backup(path)
    assert synced[:2] == [path.stat().st_size - 2_000_000, path.stat().st_size]


async def test_a_file_that_is_there_is_replaced_only_by_force(
    client: AsyncClient, node: FakeNode, path: Path
) -> None:
    path.write_text("older")
    with pytest.raises(FileExistsError, match="exists already"):
        await client.backup(path)
    assert not node.backups.opened
    await client.backup(path, force=True)
    assert path.read_bytes().endswith(node.backups.content)


async def test_what_is_no_file_is_not_replaced_even_by_force(
    client: AsyncClient, node: FakeNode, path: Path
) -> None:
    """As root, a rename over /dev/null succeeds, and every program of the machine writes into the backup."""
    os.mkfifo(path)
    with pytest.raises(OSError, match="a device, a pipe or a socket, which a backup would replace"):
        await client.backup(path, force=True)
    assert not node.backups.opened
    assert path.is_fifo()
    assert list(path.parent.iterdir()) == [path]


async def test_two_backups_of_one_process_to_one_path_are_not_in_each_other_s_way(
    client: AsyncClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = backups._fetch
    both, turn = asyncio.Barrier(2), asyncio.Lock()

    async def fetched(*arguments: object) -> object:
        await both.wait()  # both have begun their file
        async with turn:  # one backup at a time is made by a node
            return await fetch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "_fetch", fetched)
    one, other = await asyncio.gather(client.backup(path), client.backup(path), return_exceptions=True)
    made, refused = (one, other) if isinstance(one, backups.Backup) else (other, one)
    assert isinstance(made, backups.Backup)
    assert str(refused) == f"{path} exists already"
    assert nothing_else(path)


async def test_a_file_that_came_meanwhile_is_not_replaced(
    client: AsyncClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = backups._fetch

    async def fetched(*arguments: object) -> object:
        path.write_text("of somebody else")
        return await fetch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "_fetch", fetched)
    with pytest.raises(FileExistsError):
        await client.backup(path)
    assert path.read_text() == "of somebody else"
    assert nothing_else(path)


async def test_a_transfer_that_breaks_off_begins_again_at_another_node(cluster: Cluster, path: Path) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        other = next(node for node in cluster.nodes if node is not first)
        first.backups.pieces = [b"x" * 5_000_000, NO_LEADER]
        made = await client.backup(path)
    assert made.node_id == other.node_id
    assert path.read_bytes().endswith(other.backups.content)
    assert made.bytes == path.stat().st_size


@pytest.mark.parametrize("what", ["short", "long", "changed"])
async def test_what_did_not_arrive_as_it_was_sent_is_not_kept(
    client: AsyncClient, node: FakeNode, path: Path, what: str
) -> None:
    content = node.backups.content
    changed = {"short": content[:-1], "long": content + b"x", "changed": b"y" + content[1:]}[what]
    node.backups.pieces = [changed]
    with pytest.raises(Unavailable, match="did not arrive as it was sent"):
        await client.backup(path)
    assert len(node.backups.opened) == backups.ATTEMPTS
    assert nothing_else(path)


@pytest.mark.parametrize("late", [False, True], ids=["at once", "while it is read"])
async def test_a_refusal_is_raised_as_it_is_and_leaves_nothing(
    client: AsyncClient, node: FakeNode, path: Path, late: bool
) -> None:
    refusal = Rejected(Code.FAILED_PRECONDITION, "BACKUP_FAILED", "no room")
    if late:
        node.backups.pieces = [b"x", refusal]
    else:
        node.backups.refusal = refusal
    with pytest.raises(OrchestrixError, match="no room") as caught:
        await client.backup(path)
    assert caught.value.reason == "BACKUP_FAILED"
    assert nothing_else(path)


async def test_without_a_node_the_last_word_says_so(path: Path) -> None:
    async with AsyncClient(closed_port(), deadline=0.5) as client:
        with pytest.raises(Unavailable, match="no node made a backup; one of those tried: "):
            await client.backup(path)
    assert nothing_else(path)


async def test_a_node_from_which_nothing_comes_is_given_up(
    client: AsyncClient, node: FakeNode, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "STALL_S", 0.05)
    monkeypatch.setattr(backups, "ATTEMPTS", 1)
    never = asyncio.Event()

    async def stands_still() -> object:
        await never.wait()
        raise AssertionError("not reached")

    monkeypatch.setattr(node, "backup", stands_still)
    client._caller.deadline_s = 0.2
    with pytest.raises(Unavailable, match=r"nothing came for 0\.05 s"):
        await client.backup(path)
    assert nothing_else(path)


async def test_a_directory_that_cannot_be_written_is_the_systems_error(
    client: AsyncClient, node: FakeNode, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        await client.backup(tmp_path / "missing" / "backup")
    assert missing.value.filename == str(tmp_path / "missing"), "not that of a file that nobody named"
    with pytest.raises(IsADirectoryError):
        await client.backup(tmp_path, force=True)
    assert not node.backups.opened


async def test_what_an_interrupted_backup_has_left_is_removed_and_named(
    client: AsyncClient, path: Path
) -> None:
    left = path.with_name(".backup.77.partial")
    own = path.with_name(f".backup.{os.getpid()}-1.partial")  # of an earlier process, in a container always 1
    of_another = path.with_name(".backup2.77.partial")
    for name in (left, own, of_another):
        name.write_text("half")
    made = await client.backup(path)
    assert made.removed == sorted(map(str, (left, own)))
    assert sorted(path.parent.iterdir()) == sorted([path, of_another])
    assert (await client.backup(path, force=True)).removed == []


async def test_what_another_backup_is_writing_is_left_alone(client: AsyncClient, path: Path) -> None:
    under_way = path.with_name(".backup.77.partial")
    with under_way.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert (await client.backup(path)).removed == []
    assert under_way.exists()


async def test_a_file_that_is_being_written_is_known_by_its_lock(
    client: AsyncClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = backups._fetch

    async def fetched(*arguments: object) -> object:
        assert backups._remove_leftovers(path) == []
        return await fetch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "_fetch", fetched)
    await client.backup(path)
    assert nothing_else(path)


async def test_a_full_disk_leaves_nothing(
    client: AsyncClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_make_durable", full)
    with pytest.raises(OSError, match="No space left"):
        await client.backup(path)
    assert nothing_else(path)


async def test_the_file_is_durable_before_it_has_its_name(
    client: AsyncClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replaced(before: Path, after: Path) -> None:
        steps.append("name")
        replace(before, after)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    await client.backup(path)
    assert steps[-3:] == ["file", "name", "directory"]
    assert set(steps[:-3]) <= {"file"}


# ---- verify


async def test_all_nodes_are_asked_and_compared(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses[0], deadline=1.0) as client:
        members = list(zip(("n1", "n2"), cluster.addresses, strict=True))
        for node in cluster.nodes:
            node.answer = lambda command: Done(9, None)
            node.backups.found = {9: SAME}
        found = await backups.compare(client._caller, members, 5.0)
        assert (found.index, found.agree) == (9, True)
        assert [(node.node_id, node.digest, node.rows, node.error) for node in found.nodes] == [
            ("n1", "01", 3, ""),
            ("n2", "01", 3, ""),
        ]
        cluster.nodes[1].backups.found = {9: Contents(b"\x02", 3, 4)}
        assert (await backups.compare(client._caller, members, 5.0)).agree is False
        cluster.nodes[1].backups.found = {9: "it restarted"}
        found = await backups.compare(client._caller, members, 5.0)
        assert (found.agree, found.unanswered) == (None, ["n2"])
        assert found.nodes[1].error == "it restarted"


async def test_a_node_that_is_not_ready_is_asked_again_and_given_up_in_time(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses[0], deadline=1.0) as client:
        for node in cluster.nodes:
            node.answer = lambda command: Done(9, None)
            node.backups.found = {9: SAME}
        members = [
            ("n1", cluster.addresses[0]),
            ("n2", closed_port()),
            ("n3", cluster.addresses[1]),
            ("n4", ""),
        ]
        asked = 0
        contents = cluster.nodes[0].contents

        async def later(index: int) -> object:
            nonlocal asked
            asked += 1
            return await contents(index) if asked > 2 else None

        cluster.nodes[0].contents = later  # type: ignore[method-assign,assignment]
        found = await backups.compare(client._caller, members, 0.5)
    assert asked == 3
    assert [node.error.partition(":")[0] for node in found.nodes] == [
        "",
        "it does not answer",
        "node n2 answers at its address",
        "its address is not known",
    ]
    assert (found.agree, found.unanswered) == (None, ["n2", "n3", "n4"])


async def test_nobody_is_told_the_name_of_a_call_that_no_command_has(client: AsyncClient) -> None:
    async with AsyncClient(closed_port(), deadline=0.3) as nobody:
        with pytest.raises(Unavailable) as error:
            await backups.compare(nobody._caller, [], 1.0)
    assert str(error.value).startswith("no server answered the request to compare what the nodes hold within")
    assert "MarkContents" not in str(error.value)


async def test_a_node_that_never_gets_ready_is_named(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses[0], deadline=1.0) as client:
        cluster.nodes[0].answer = lambda command: Done(9, None)
        found = await backups.compare(client._caller, [("n1", cluster.addresses[0])], 0.1)
    assert found.nodes[0].error == "it has not read all it holds yet"
