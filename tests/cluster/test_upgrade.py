"""Two versions in one cluster: node by node under load, the level raised at the end, and no way back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft import AsyncClient, Client, ClusterStatus, OrchestrixError
from orchestrix_raft.machine import codec
from orchestrix_raft.testing import Accounts, Ledger, LocalCluster, audit, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load
from orchestrix_raft.version import MACHINE_LEVEL, VERSION
from tests.cluster.versions import (
    MIGRATED,
    MIGRATED_CONCURRENCY,
    NEXT_LEVEL,
    NEXT_VERSION,
    environment,
    next_version,
    this_version,
)

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"
INSTALL = f"install version {NEXT_VERSION} or newer"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes of this version."""
    old = environment(this_version())
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster", environment=old) as cluster:
        yield cluster
        cluster.kill_everything()


@pytest.fixture
def newer(tmp_path: Path) -> dict[str, str]:
    """The environment of a node of the next version."""
    return environment(next_version(tmp_path / "next"))


def change_version(cluster: LocalCluster, number: int, version: dict[str, str]) -> None:
    """Stop a node in good order and start it with another version of the package."""
    assert cluster.node(number).stop() == 0
    cluster.environment = version
    cluster.start_node(number)
    cluster.await_following(number)


def seen(cluster: LocalCluster) -> ClusterStatus:
    """By the leader."""
    answer = cluster.status(cluster.leader())
    assert answer is not None
    return answer


def stored(cluster: LocalCluster) -> bytes:
    """The state of the first node as it is on disk."""
    return b"".join(path.read_bytes() for path in (cluster.node_dir(0) / "state").rglob("data.mdb"))


def raised(cluster: LocalCluster) -> bool:
    """Whether every node that runs has applied the raise, and what it did to the queues."""
    answers = [cluster.status(number) for number in range(3) if cluster.node(number).running]
    return all(answer is not None and answer.machine_level == NEXT_LEVEL for answer in answers)


async def accounts(servers: str, load: Load, ledger: Ledger) -> Accounts:
    async with AsyncClient(servers) as client:
        return await audit(client, load.acknowledged, ledger, 30.0, load.in_doubt)


@pytest.mark.timeout(180)
def test_a_rolling_upgrade_under_load_loses_nothing_and_has_no_way_back(
    cluster: LocalCluster, newer: dict[str, str]
) -> None:
    ledger = Ledger(cluster.data_dir / "ledger")
    for _ in range(2):
        cluster.worker(WORKER, environment={LEDGER_VARIABLE: str(ledger.path)})
    with Load(cluster.servers, per_s=50.0, make=job_number) as load:
        eventually(lambda: ledger.count("end") > 50, "jobs run")
        for number in range(3):
            status = seen(cluster)
            assert status.machine_level == MACHINE_LEVEL
            change_version(cluster, number, newer)
            if number < 2:
                assert_half_way(cluster, number)
            done = ledger.count("end")
            eventually(lambda done=done: ledger.count("end") > done + 50, "jobs go on")  # type: ignore[misc]
        eventually(lambda: raised(cluster), "the level is raised")
        done = ledger.count("end")
        eventually(lambda: ledger.count("end") > done + 50, "jobs go on")
    found = asyncio.run(accounts(cluster.servers, load, ledger))
    assert found.clean, found
    assert not load.in_doubt
    assert not load.refused
    assert {line.attempt for line in ledger.lines()} == {1}
    status = seen(cluster)
    assert [(n.version, n.machine_level) for n in status.nodes] == [(NEXT_VERSION, NEXT_LEVEL)] * 3
    assert status.level_waits_for == []
    with Client(cluster.servers) as client:
        queue = client.queues.get(MIGRATED)
        assert queue.concurrency == MIGRATED_CONCURRENCY
        client.queues.pause("later")
    cluster.await_same_digest()
    assert_no_way_back(cluster, newer)


def assert_half_way(cluster: LocalCluster, upgraded: int) -> None:
    """The level waits for those that are left, and what needs it is refused with one line."""
    waits = [cluster.node_id(number) for number in range(upgraded + 1, 3)]
    eventually(lambda: seen(cluster).level_waits_for == waits, f"the level waits for {waits}")
    status = seen(cluster)
    assert status.machine_level == MACHINE_LEVEL
    versions = {node.node_id: node.version for node in status.nodes}
    assert versions == {
        cluster.node_id(number): NEXT_VERSION if number <= upgraded else VERSION for number in range(3)
    }
    with (
        Client(cluster.addresses[upgraded]) as client,
        pytest.raises(OrchestrixError, match=f"needs machine level {NEXT_LEVEL} and the cluster is at"),
    ):
        client.queues.pause("early")


def assert_no_way_back(cluster: LocalCluster, newer: dict[str, str]) -> None:
    """The older version ends with one line, on a disk that knows the level and on one that knows nothing, and
    hurts nobody."""
    number = (cluster.leader() + 1) % 3
    assert cluster.node(number).stop() == 0
    cluster.environment = environment(this_version())
    for process in (cluster.start_node(number), cluster.node(cluster.add_node())):
        assert process.wait(30.0) == 1
        assert INSTALL in process.text().splitlines()[-1]
        assert "Traceback" not in process.text()
    cluster.environment = newer
    cluster.start_node(number)
    cluster.await_following(number)
    cluster.await_healthy()
    cluster.await_same_digest()


@pytest.mark.parametrize("every", ["1h", "100ms"], ids=["log", "checkpoint"])
def test_a_node_alone_finds_out_by_what_it_has_stored(
    tmp_path: Path, newer: dict[str, str], every: str
) -> None:
    old, options = environment(this_version()), {"--checkpoint-interval": every}
    data = tmp_path / "alone"
    with LocalCluster(nodes=1, data_dir=data, options=options, environment=old) as cluster:
        with Client(cluster.servers) as client:
            kept = client.enqueue("noop")
        change_version(cluster, 0, newer)
        eventually(lambda: seen(cluster).machine_level == NEXT_LEVEL, "the level is raised")
        if every != "1h":
            level = codec.encode_record(codec.Level(NEXT_LEVEL, NEXT_VERSION, None))
            eventually(lambda: level in stored(cluster), "the checkpoint has the level", poll_s=0.1)
        assert cluster.node(0).stop() == 0
        cluster.environment = old
        process = cluster.start_node(0)
        assert process.wait(30.0) == 1
        assert (
            process.text()
            .splitlines()[-1]
            .endswith(
                f"machine level {NEXT_LEVEL}, raised by version {NEXT_VERSION}; this is version "
                f"{VERSION}, which runs levels up to {MACHINE_LEVEL}: {INSTALL}"
            )
        )
        assert "Traceback" not in process.text()
        cluster.environment = newer
        cluster.start_node(0)
        cluster.await_following(0)
        with Client(cluster.servers) as client:
            assert client.get(kept).state == "pending"
