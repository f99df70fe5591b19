"""The data directory: who may use it, what is refused, and that its identity survives."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft.storage import layout
from orchestrix_raft.storage.disk import Member
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.port import Damaged, Entry, LogLine, Position, StorageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A formatted, closed data directory."""
    DataDirectory.open(tmp_path / "data").close()
    return tmp_path / "data"


def test_a_missing_directory_is_created_with_its_parents_and_formatted(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "a" / "b")
    identity = directory.identity
    assert len(bytes.fromhex(identity.disk_id)) == 8
    assert (identity.node_id, identity.cluster_id, identity.bootstrap, identity.addresses) == ("", "", (), {})
    directory.close()


def test_what_was_formatted_for_nobody_can_be_taken_back(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "a")
    directory.set_node_id("n1")
    directory.unmake()
    assert not (tmp_path / "a").exists()


def test_what_was_there_before_or_belongs_to_somebody_is_not_taken_back(path: Path, tmp_path: Path) -> None:
    before = DataDirectory.open(path)
    identity = before.identity
    before.unmake()
    promised = DataDirectory.open(tmp_path / "promised")
    promised.set_bootstrap([Member("n1", promised.identity.disk_id, "h1:7400")])
    promised.unmake()
    joined = DataDirectory.open(tmp_path / "joined")
    joined.set_joined("c", 17, {})
    joined.unmake()
    stored = DataDirectory.open(tmp_path / "stored")
    stored.open_journal()
    stored.unmake()
    for known in (before, promised, joined, stored):
        again = DataDirectory.open(known.path)
        assert again.identity == known.identity
        again.close()
    assert identity == before.identity


def test_an_identity_stays_and_two_disks_differ(path: Path, tmp_path: Path) -> None:
    first = DataDirectory.open(path)
    first.close()
    again = DataDirectory.open(path)
    other = DataDirectory.open(tmp_path / "other")
    assert again.identity == first.identity
    assert other.identity.disk_id != first.identity.disk_id
    again.close()
    other.close()


def test_a_disk_knows_when_it_was_added_and_removed(path: Path) -> None:
    directory = DataDirectory.open(path)
    directory.set_joined("c", 17, {"n1": "h1:7400"})
    directory.set_removed(40)
    changed = directory.identity
    assert (changed.cluster_id, changed.joined_index, changed.removed_index) == ("c", 17, 40)
    with pytest.raises(StorageError):
        directory.set_joined("d", 18, {})
    directory.close()
    again = DataDirectory.open(path)
    assert again.identity == changed
    again.close()


def test_what_is_set_is_there_after_opening_again(path: Path) -> None:
    directory = DataDirectory.open(path)
    members = [Member("n1", "d1", "host1:8001"), Member("n2", "d2", "host2:8001")]
    directory.set_node_id("n1")
    directory.set_cluster_id("c")
    directory.set_bootstrap(members)
    directory.set_addresses({"n2": "elsewhere:1"})
    changed = directory.identity
    directory.close()
    again = DataDirectory.open(path)
    assert again.identity == changed
    assert (changed.node_id, changed.cluster_id) == ("n1", "c")
    assert changed.bootstrap == tuple(members)
    assert changed.addresses == {"n2": "elsewhere:1"}
    again.close()


def test_a_name_once_given_cannot_be_changed(path: Path) -> None:
    directory = DataDirectory.open(path)
    directory.set_node_id("n1")
    directory.set_cluster_id("c")
    directory.set_node_id("n1")
    directory.set_cluster_id("c")
    with pytest.raises(StorageError, match="belongs to node 'n1'"):
        directory.set_node_id("n2")
    with pytest.raises(StorageError, match="belongs to cluster 'c'"):
        directory.set_cluster_id("d")
    assert (directory.identity.node_id, directory.identity.cluster_id) == ("n1", "c")
    directory.close()


def test_an_identity_that_cannot_be_saved_stays_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = DataDirectory.open(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layout, "replace_file", full)
    with pytest.raises(StorageError):
        directory.set_node_id("n1")
    assert directory.identity.node_id == ""
    directory.close()


def test_the_stores_are_opened_in_the_directory_and_closed_with_it(path: Path) -> None:
    for life in range(2):
        directory = DataDirectory.open(path)
        journal = directory.open_journal()
        journal.append(Entry(b"x", 2 + life, 1))
        journal.flush()
        assert journal.last_index == 2 + life
        state = directory.open_state_store()
        state.write([], Position(1 + life, 1, 0, b"", b""))
        directory.open_local_store().append_lines({bytes(16): [LogLine(1, 1, 1, "info", "x")]}, 1)
        with pytest.raises(StorageError):
            directory.open_journal()
        directory.close()
        directory.close()
    assert {"raft", "state", "local"} <= {entry.name for entry in path.iterdir()}


# -- refusals, each one line for a person


def refusal(path: Path) -> str:
    with pytest.raises(StorageError) as caught:
        DataDirectory.open(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_second_user_is_refused_by_name_and_let_in_after_the_first(path: Path) -> None:
    first = DataDirectory.open(path)
    assert f"in use by a running node (process {os.getpid()})" in refusal(path)
    first.close()
    DataDirectory.open(path).close()


HOLDER = """
import sys
from pathlib import Path
from orchestrix_raft.storage.layout import DataDirectory
directory = DataDirectory.open(Path(sys.argv[1]))
directory.open_journal()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_leaves_no_lock_behind(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert f"(process {holder.pid})" in refusal(path)
        holder.kill()
    directory = DataDirectory.open(path)
    assert directory.open_journal().last_index == 1
    directory.close()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    assert "not a directory" in refusal(tmp_path / "data")


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert "neither empty nor a data directory (it holds 'photos')" in refusal(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["photos"]


def test_a_directory_that_cannot_be_written_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "not writable by this user" in refusal(path)


def test_what_a_newer_version_wrote_is_refused(path: Path) -> None:
    (path / "FORMAT").write_bytes(b"orchestrix-raft data directory, schema 2\n")
    assert refusal(path).endswith(
        "schema 2 was written by a newer version; this one reads up to 1: install that version or a newer one"
    )


@pytest.mark.parametrize("content", [b"", b"orchestrix-raft data directory, schema x\n", b"\xff" * 200])
def test_an_unreadable_format_is_refused(path: Path, content: bytes) -> None:
    (path / "FORMAT").write_bytes(content)
    assert "FORMAT: cannot be read" in refusal(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"node_id":""', b'"node_id":"x"'), (b"disk_id", b"disk_it"), (b"{", b"["), (b'""', b'"\xff"')],
)
def test_a_changed_identity_is_damage(path: Path, old: bytes, new: bytes) -> None:
    file = path / "identity"
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    assert "identity: damaged" in refusal(path)
    with pytest.raises(Damaged):
        DataDirectory.open(path)


def test_a_lost_identity_is_damage_once_there_is_data(path: Path) -> None:
    (path / "identity").unlink()
    DataDirectory.open(path).close()
    directory = DataDirectory.open(path)
    directory.open_journal()
    directory.close()
    (path / "identity").unlink()
    assert "identity: missing, although the directory holds data" in refusal(path)


def test_a_refused_directory_is_not_left_locked(path: Path) -> None:
    good = (path / "FORMAT").read_bytes()
    (path / "FORMAT").write_bytes(b"")
    refusal(path)
    (path / "FORMAT").write_bytes(good)
    DataDirectory.open(path).close()


@pytest.mark.parametrize(
    "left", [[], ["LOCK"], ["LOCK", "FORMAT.tmp"], ["LOCK", "FORMAT"], ["LOCK", "FORMAT", "identity.tmp"]]
)
def test_a_formatting_cut_short_is_completed(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).write_bytes(
            b"orchestrix-raft data directory, schema 1\n" if name == "FORMAT" else b""
        )
    directory = DataDirectory.open(tmp_path)
    assert directory.identity.disk_id
    directory.close()


# ---- what happens to the files while they are in use


@pytest.fixture
def open_disk(tmp_path: Path) -> Iterator[DataDirectory]:
    """A directory with all three stores open."""
    disk = DataDirectory.open(tmp_path / "data")
    disk.open_journal()
    disk.open_state_store()
    disk.open_local_store()
    yield disk
    with contextlib.suppress(StorageError):  # of the tests that leave no directory for the stores to close in
        disk.close()


FILES = ["LOCK", "raft/data.mdb", "state/state-0/data.mdb", "local/data.mdb"]


def test_a_directory_in_place_passes(open_disk: DataDirectory) -> None:
    open_disk.set_addresses({"n1": "n1:7400"})  # replaces a file, as it should
    open_disk.check_in_place()


@pytest.mark.parametrize("name", FILES)
def test_a_file_removed_while_it_is_open_is_noticed_by_name(open_disk: DataDirectory, name: str) -> None:
    (open_disk.path / name).unlink()
    with pytest.raises(StorageError, match=f"{name}: was removed while the node was using it"):
        open_disk.check_in_place()


@pytest.mark.parametrize("name", FILES)
def test_a_file_replaced_while_it_is_open_is_noticed_by_name(open_disk: DataDirectory, name: str) -> None:
    file = open_disk.path / name
    copy = file.with_name("copy")
    shutil.copyfile(file, copy)
    copy.rename(file)
    with pytest.raises(StorageError, match=f"{name}: was replaced while the node was using it"):
        open_disk.check_in_place()


@pytest.mark.parametrize("name", ["", "raft", "state", "state/state-0"])
def test_a_directory_removed_or_moved_while_it_is_open_is_noticed(
    open_disk: DataDirectory, name: str, tmp_path: Path
) -> None:
    (open_disk.path / name).rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="was removed") as caught:
        open_disk.check_in_place()
    assert "\n" not in str(caught.value)
    (tmp_path / "elsewhere").rename(open_disk.path / name)
    open_disk.check_in_place()  # nothing was lost
    shutil.rmtree(open_disk.path / name)
    with pytest.raises(StorageError, match="was removed"):
        open_disk.check_in_place()


def test_closing_closes_every_store_and_the_lock_even_if_one_of_them_fails(path: Path) -> None:
    disk = DataDirectory.open(path)
    journal, store = disk.open_journal(), disk.open_state_store()
    disk.open_local_store()
    shutil.rmtree(path / "local")
    with pytest.raises(StorageError, match="CLOSED"):
        disk.close()
    with pytest.raises(StorageError):
        journal.append(Entry(b"", 2, 0))
    with pytest.raises(StorageError):
        store.write([], Position(1, 1, 1, b"", b""))
    DataDirectory.open(path).close()
