"""A node that was away gets 1,000 entries from the log, 50,000 as a snapshot; then it equals the others."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
CALLERS = 8  # each with a client of its own, so that their jobs do not share entries
SNAPSHOT_LINE = "installed snapshot"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes that put as few commands as possible into one entry: the point here is their number."""
    options = {"--in-flight-entries": "32"}
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster", options=options) as cluster:
        yield cluster


def write_entries(cluster: LocalCluster, leader: int, entries: int) -> int:
    """At least so many log entries, by single enqueues; how many it were."""

    def index() -> int:
        answer = cluster.status(leader)
        assert answer is not None
        return answer.commit_index

    async def call(until: int) -> None:
        async with AsyncClient(cluster.addresses[leader]) as client:
            while index() < until:
                for _ in range(200):
                    await client.enqueue("noop", {"x": "x" * 100}, queue="parked")

    async def write() -> None:
        await asyncio.gather(*(call(begin + entries) for _ in range(CALLERS)))

    begin = index()
    asyncio.run(write())
    return index() - begin


def rejoin(cluster: LocalCluster, entries: int) -> tuple[int, str]:
    """Kill a follower, write `entries`, start it again, wait until all nodes are equal: how many entries it
    was behind, and what it said since its start."""
    leader = cluster.leader()
    away = (leader + 1) % len(cluster)
    cluster.kill(away)
    behind = write_entries(cluster, leader, entries)
    cluster.restart(away)

    def caught_up() -> bool:
        here, there = cluster.status(away), cluster.status(leader)
        return here is not None and there is not None and here.applied_index >= there.commit_index

    eventually(caught_up, "the node that was away has caught up", 60.0)
    cluster.await_same_digest()
    return behind, cluster.node(away).text()


@pytest.mark.timeout(120)
def test_a_node_that_missed_1_000_entries_gets_them_from_the_log(cluster: LocalCluster) -> None:
    behind, said = rejoin(cluster, 1_000)
    assert behind >= 1_000
    assert SNAPSHOT_LINE not in said


@pytest.mark.timeout(1_800)
def test_a_node_that_missed_50_000_entries_gets_a_snapshot(cluster: LocalCluster) -> None:
    behind, said = rejoin(cluster, 50_000)
    assert behind >= 50_000
    assert SNAPSHOT_LINE in said
