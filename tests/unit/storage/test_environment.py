"""What is committed is on the disk: nothing of it is left to the operating system."""

import os
from pathlib import Path

import pytest

from orchestrix_raft.storage.environment import open_environment


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(device, inode) of everything that was synced, in order."""
    seen: list[tuple[int, int]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        status = os.fstat(descriptor)
        seen.append((status.st_dev, status.st_ino))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return seen


def place(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def test_a_commit_syncs_the_data_and_the_page_that_names_it(tmp_path: Path) -> None:
    env = open_environment(tmp_path / "e")
    flags = env.flags()
    env.close()
    assert (flags["sync"], flags["metasync"]) == (True, True)


def test_the_names_of_a_new_file_and_its_directory_are_synced(
    tmp_path: Path, synced: list[tuple[int, int]]
) -> None:
    path = tmp_path / "e"
    open_environment(path).close()
    assert synced == [place(path), place(tmp_path)]
    open_environment(path).close()
    assert len(synced) == 2, "they have been there before"
