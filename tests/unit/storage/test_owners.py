"""What root makes in the data directory of another user is that user's: else its node could never start."""

import os
from pathlib import Path

import pytest

from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.offline import Survivor, make_directory
from tests.unit.storage.test_offline import fill

NOBODY = 65_534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def owners(path: Path) -> dict[str, int]:
    """User by path, of the directory and all in it."""
    return {str(one.relative_to(path)): one.lstat().st_uid for one in (path, *path.rglob("*"))}


def give(path: Path) -> None:
    for one in (path, *path.rglob("*")):
        os.chown(one, NOBODY, NOBODY)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A data directory with some life behind it, of another user than root."""
    path = tmp_path / "data"
    directory = DataDirectory.open(path)
    directory.set_node_id("n1")
    directory.set_cluster_id("old")
    directory.open_state_store()
    directory.open_journal()
    directory.open_local_store()
    directory.close()
    give(path)
    return path


def test_a_recovery_by_root_leaves_the_owner_what_it_makes(theirs: Path) -> None:
    (theirs / "LOCK").unlink()
    survivor = Survivor(theirs)
    kept = survivor.replace(fill)
    survivor.close()
    found = owners(theirs)
    assert set(found.values()) == {NOBODY}, found
    assert {"LOCK", "FORMAT", "identity", "raft/data.mdb", "state", kept.name} <= set(found)
    assert all((theirs / name).lstat().st_gid == NOBODY for name in found)


def test_a_recovery_that_is_cut_short_has_made_nothing_of_root_s(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survivor = Survivor(theirs)
    monkeypatch.setattr(survivor, "put_in_place", lambda: theirs)
    survivor.replace(fill)
    found = owners(theirs)
    assert set(found.values()) == {NOBODY}, found
    assert "recovered/identity" in found
    survivor.close()


def test_looking_at_a_directory_as_root_leaves_it_its_owner_s(theirs: Path) -> None:
    (theirs / "raft" / "lock.mdb").unlink()
    survivor = Survivor(theirs)
    with survivor.journal(), survivor.state():
        assert owners(theirs)["raft/lock.mdb"] == 0, "reading has made it"
    survivor.close()
    assert set(owners(theirs).values()) == {NOBODY}


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_that_root_makes_is_the_user_s_who_has_the_place(tmp_path: Path, there: bool) -> None:
    place = tmp_path / "place"
    path = place / "data"
    (path if there else place).mkdir(parents=True)
    give(place)
    make_directory(path, fill)
    assert set(owners(path).values()) == {NOBODY}


def test_root_s_own_directory_stays_root_s(tmp_path: Path) -> None:
    make_directory(tmp_path / "data", fill)
    assert set(owners(tmp_path / "data").values()) == {0}


def test_nothing_else_of_root_s_is_given_away(theirs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root's")
    os.link(secret, theirs / "raft" / "linked")
    (theirs / "raft" / "pointed").symlink_to(secret)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (theirs / "state" / "elsewhere").symlink_to(tmp_path / "elsewhere")
    (theirs / "lost+found").mkdir()
    Survivor(theirs).close()
    assert secret.stat().st_uid == 0
    assert (tmp_path / "elsewhere" / "file").stat().st_uid == 0
    assert (theirs / "lost+found").stat().st_uid == 0
