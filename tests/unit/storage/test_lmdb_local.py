"""The LMDB store of job logs after a killed process, a power loss and a damaged file."""

import shutil
from pathlib import Path

import pytest

from orchestrix_raft.storage.environment import open_environment
from orchestrix_raft.storage.local import LmdbLocalStore
from orchestrix_raft.storage.port import DiskFull, LogLine

JOB = bytes(16)


def lines_in(path: Path) -> tuple[int, str]:
    """How many lines a store holds, and what it says about lost ones."""
    store = LmdbLocalStore(path)
    try:
        return len(store.lines(JOB, (0, 0), 10_000, 1 << 30)), store.discarded
    finally:
        store.close()


def killed(store: LmdbLocalStore, path: Path, count: int) -> Path:
    """The files of a process that was killed after it wrote `count` lines."""
    store.append_lines({JOB: [LogLine(1, n, n, "info", "word " * 50) for n in range(count)]}, 1)
    copy = path.with_name("killed")
    shutil.copytree(path, copy)
    store.close()
    return copy


def test_a_killed_process_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "local"
    assert lines_in(killed(LmdbLocalStore(path), path, 500)) == (500, "")


def test_a_file_scrambled_by_a_power_loss_is_thrown_away_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "local"
    copy = killed(LmdbLocalStore(path), path, 5_000)
    data = bytearray((copy / "data.mdb").read_bytes())
    first = data.index(b"word word")  # a page of lines, which opening alone does not read
    data[first : first + 200_000] = bytes(200_000)
    (copy / "data.mdb").write_bytes(data)
    count, discarded = lines_in(copy)
    assert count == 0
    assert "killed/data.mdb" in discarded
    assert lines_in(copy) == (0, "")


def test_an_orderly_end_is_marked_and_the_mark_is_gone_while_the_store_is_open(tmp_path: Path) -> None:
    path = tmp_path / "local"
    store = LmdbLocalStore(path)
    assert not (path / "CLOSED").exists()
    store.close()
    assert (path / "CLOSED").exists()
    store = LmdbLocalStore(path)
    assert not (path / "CLOSED").exists()
    store.close()


def test_no_room_for_lines_is_said_and_keeps_the_earlier_ones(tmp_path: Path) -> None:
    store = LmdbLocalStore(tmp_path / "local", map_bytes=1 << 20)
    store.append_lines({JOB: [LogLine(1, 1, 1, "info", "kept")]}, 1)
    with pytest.raises(DiskFull):
        store.append_lines(
            {bytes([n]) * 16: [LogLine(1, 1, 1, "info", "x" * 500_000)] for n in range(1, 9)}, 2
        )
    assert [line.message for line in store.lines(JOB, (0, 0), 10, 1 << 20)] == ["kept"]
    store.append_lines({JOB: [LogLine(1, 2, 1, "info", "later")]}, 3)
    store.close()


def test_lines_of_an_earlier_layout_go(tmp_path: Path) -> None:
    """They had no place that several nodes agree on."""
    path = tmp_path / "local"
    env = open_environment(path, tables_max=3, synced=False)
    for name in (b"lines", b"jobs", b"ages"):
        table = env.open_db(name)
        with env.begin(write=True) as txn:
            txn.put(JOB + b"\0\0\0\1", b"old", db=table)
    env.close()
    store = LmdbLocalStore(path)
    assert store.lines(JOB, (0, 0), 10, 1 << 20) == []
    store.append_lines({JOB: [LogLine(1, 1, 1, "info", "new")]}, 1)
    assert len(store.lines(JOB, (0, 0), 10, 1 << 20)) == 1
    with store._env.begin() as txn:
        assert txn.get(b"lines") is None
    store.close()
