"""What a start that fails leaves behind: nothing of a first one, and no node where it is not."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrix_raft.coordinator.first_start import StartError
from orchestrix_raft.coordinator.listening import LinkError
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.testing.cluster import HOST, PEER_PORT_OFFSET, free_ports
from tests.unit.coordinator.test_process import founded, started


@contextmanager
def taken(offset: int) -> Iterator[str]:
    """An address at which a node cannot listen: its port, or that of its peer link, is in use."""
    (port,) = free_ports(1)
    with socket.create_server((HOST, port + offset)):
        yield f"{HOST}:{port}"


@pytest.mark.parametrize("offset", [0, PEER_PORT_OFFSET], ids=["API", "peer link"])
@pytest.mark.parametrize("made", [True, False])
async def test_a_first_start_that_fails_leaves_nothing_behind(
    tmp_path: Path, offset: int, made: bool
) -> None:
    data_dir = tmp_path / "data"
    if not made:
        (data_dir / "lost+found").mkdir(parents=True)
    with taken(offset) as listen, pytest.raises((StartError, LinkError), match="in use"):
        await started(data_dir, listen=listen, node_id="n1", peer_port_offset=str(PEER_PORT_OFFSET)).run()
    assert [one.name for one in data_dir.iterdir()] == ["lost+found"] if not made else not data_dir.exists()
    started(data_dir, node_id="n2")._close_disk()


async def test_a_start_that_cannot_tidy_up_says_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with taken(0) as listen:
        process = started(tmp_path / "data", listen=listen)
        monkeypatch.setattr(process._disk, "check_in_place", lambda: None)
        (tmp_path / "data" / "identity").unlink()
        with pytest.raises(StartError, match="in use"):
            await process.run()
    assert "what the failed start has made could not be removed" in caplog.text


@pytest.mark.parametrize("offset", [0, PEER_PORT_OFFSET], ids=["API", "peer link"])
async def test_a_start_that_fails_moves_no_node(
    tmp_path: Path, offset: int, caplog: pytest.LogCaptureFixture
) -> None:
    own = f"{HOST}:7999"
    founded(tmp_path, own)
    with taken(offset) as listen, pytest.raises((StartError, LinkError), match="in use"):
        await started(tmp_path, listen=listen, peer_port_offset=str(PEER_PORT_OFFSET)).run()
    again = DataDirectory.open(tmp_path)
    assert again.identity.known_addresses == {"n1": own}
    again.close()
    assert "moves" not in caplog.text
