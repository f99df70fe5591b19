"""The process around a node: a disk that refuses ends it in every phase, or is said where it does no harm."""

from pathlib import Path
from typing import NoReturn

import pytest

from orchestrix_raft.coordinator.options import resolve
from orchestrix_raft.coordinator.port import NodePort
from orchestrix_raft.coordinator.process import Api, Process
from orchestrix_raft.storage.port import DiskFull, StorageError
from orchestrix_raft.testing.cluster import HOST, PEER_PORT_OFFSET, free_ports


def no_api(port: NodePort) -> Api:
    raise AssertionError("these nodes never get so far")


def refuse(*args: object) -> NoReturn:
    raise DiskFull("identity: no room on this disk")


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """A cluster of one that has not begun."""
    (port,) = free_ports(1)
    flags = {
        "listen": f"{HOST}:{port}",
        "data_dir": str(tmp_path / "data"),
        "peer_port_offset": str(PEER_PORT_OFFSET),
    }
    return Process(resolve(flags, {}, {}), no_api)


@pytest.mark.parametrize("step", ["set_bootstrap", "set_cluster_id"])
async def test_a_disk_that_cannot_keep_the_first_start_ends_the_process(
    process: Process, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(process._disk, step, refuse)
    with pytest.raises(DiskFull, match="no room"):
        await process.run()


async def test_a_data_directory_that_is_gone_at_once_ends_the_process_before_it_serves(
    process: Process,
) -> None:
    process._disk.path.rename(process._disk.path.with_name("moved"))
    with pytest.raises(StorageError, match="LOCK: was removed while the node was using it"):
        await process.run()


async def test_a_store_that_cannot_be_closed_does_not_hide_why_the_process_ends(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process._disk, "set_bootstrap", refuse)
    close = process._disk.close

    def closed() -> NoReturn:
        close()
        raise StorageError("local/CLOSED: cannot be written")

    monkeypatch.setattr(process._disk, "close", closed)
    with pytest.raises(DiskFull, match="identity: no room"):
        await process.run()
    assert (
        "the data directory could not be closed in order: local/CLOSED: cannot be written" in caplog.messages
    )


async def test_addresses_that_cannot_be_remembered_are_a_warning(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await process._start_link()
    try:
        monkeypatch.setattr(process, "_known_addresses", lambda: {"n2": f"{HOST}:1"})
        monkeypatch.setattr(process._disk, "set_addresses", refuse)
        process._retarget()
        assert process._targets == {f"{HOST}:1"}
    finally:
        await process._link.close()
        process._close_disk()
    assert "could not be remembered: identity: no room" in caplog.text
