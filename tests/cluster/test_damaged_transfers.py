"""A snapshot that is damaged on its way between real nodes is refused and sent again."""

import re
from pathlib import Path
from typing import Final

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import LocalCluster
from orchestrix_raft.testing.cluster import PEER_PORT_OFFSET
from tests.cluster.damaging_proxy import DamagingProxy, Spoil
from tests.cluster.test_disks import LARGE, all_there

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
LAST: Final = 2
CHUNK_BYTES: Final = 100_000  # shorter frames are no chunks
JOBS: Final = 30  # six chunks in two frames or more, so that eight frames are several transfers
SECOND_OFFSET: Final = 2_000
CLOSED: Final = "closed the connection with node n[12] .*"


def flip(place: int) -> Spoil:
    """One bit of the byte there."""

    def spoil(frame: bytearray) -> None:
        frame[place] ^= 1

    return spoil


class BehindProxy(LocalCluster):
    """The last node listens for its peers elsewhere than they think; it finds nobody, so they dial it."""

    def node_command(self, number: int) -> list[str]:
        command = super().node_command(number)
        if number == LAST:
            command[command.index("--peer-port-offset") + 1] = str(SECOND_OFFSET)
        return command


@pytest.mark.parametrize(
    ("spoil", "times", "says"),
    [
        (flip(-1_000), 8, r"snapshot \d+ from n\d failed: .* was changed on its way \(SHA-256 differs\)"),
        pytest.param(flip(0), 2, f"{CLOSED}: a frame holds ExtType, not bytes", marks=pytest.mark.long),
        pytest.param(flip(5), 2, f"{CLOSED}: not a list of messages: ", marks=pytest.mark.long),
    ],
    ids=["content", "frame", "message"],
)
def test_a_snapshot_damaged_on_its_way_is_refused_and_sent_again_until_it_is_whole(
    tmp_path: Path, spoil: Spoil, times: int, says: str
) -> None:
    options = {"--log-tail-entries": "20", "--checkpoint-interval": "300ms"}
    cluster = BehindProxy(nodes=3, data_dir=tmp_path, options=options)
    api = int(cluster.addresses[LAST].rpartition(":")[2])
    with (
        DamagingProxy(api + PEER_PORT_OFFSET, api + SECOND_OFFSET, spoil, times, CHUNK_BYTES) as proxy,
        cluster,
    ):
        cluster.kill(LAST)
        with Client(cluster.servers) as client:
            ids = [client.enqueue("noop", LARGE) for _ in range(JOBS)]
            assert proxy.spoilt == 0
            cluster.start_node(LAST)
            cluster.await_following(LAST)
            cluster.await_healthy()
            cluster.await_same_digest()
        assert proxy.spoilt == times
        assert re.search(says, cluster.node(LAST).text())
        assert "installed snapshot" in cluster.node(LAST).text()
        assert len(all_there(cluster, ids)) == JOBS
        cluster.kill_everything()
