"""The oldest version that this one works with, built from the history and upgraded under load, node by node,
with one step back; workers and clients of both at nodes of both."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import Ledger, LocalCluster, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load
from tests.cluster.test_upgrade import accounts, change_version
from tests.cluster.versions import environment, oldest_version, this_version

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"
JOBS = 25  # that are done before the next node changes


@pytest.fixture
def old(tmp_path: Path) -> dict[str, str]:
    """The environment of a program of the oldest version."""
    found = oldest_version(tmp_path / "oldest")
    if isinstance(found, str):
        pytest.skip(f"no older version to build: {found}")
    return environment(found)


@pytest.fixture
def cluster(tmp_path: Path, old: dict[str, str]) -> Iterator[LocalCluster]:
    """Three nodes of the oldest version."""
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster", environment=old) as cluster:
        yield cluster
        cluster.kill_everything()


def asks(version: Mapping[str, str], server: str, *arguments: str) -> str:
    """What a client of that version is told by that node, on the command line."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrix_raft", *arguments, "--servers", server],
        env={**os.environ, **version},
        capture_output=True,
        text=True,
        timeout=30.0,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def both_use_every_node(cluster: LocalCluster, versions: list[dict[str, str]]) -> list[str]:
    """A client of each version has a job done through every node; the ids."""
    done = []
    for number in range(3):
        for version in versions:
            answer = json.loads(
                asks(version, cluster.addresses[number], "enqueue", "noop", "--wait", "--json")
            )
            assert (answer["state"], answer["attempt"]) == ("completed", 1)
            done.append(answer["id"])
    return done


def one_of_each_suffices(cluster: LocalCluster, odd: int, two: dict[str, str], ledger: Ledger) -> None:
    """One of the `two` nodes dies, the leader if it is one of them.  One node of each version is left; they
    elect a leader, and go on."""
    leader = cluster.leader()
    dead = leader if leader != odd else (odd + 1) % 3
    cluster.kill(dead)
    more_end(ledger)
    cluster.environment = two
    cluster.start_node(dead)
    cluster.await_following(dead)


def more_end(ledger: Ledger) -> None:
    """Jobs go on."""
    done = ledger.count("end")
    eventually(lambda: ledger.count("end") > done + JOBS, "jobs go on")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "whole", [False, pytest.param(True, marks=pytest.mark.long)], ids=["first node", "all nodes"]
)
def test_nodes_workers_and_clients_of_the_oldest_version_work_with_those_of_this_one(
    cluster: LocalCluster, old: dict[str, str], whole: bool
) -> None:
    new = environment(this_version())
    ledger = Ledger(cluster.data_dir / "ledger")
    for version in (old, new):
        cluster.worker(WORKER, environment={**version, LEDGER_VARIABLE: str(ledger.path)})
    by_hand: list[str] = []
    with Load(cluster.servers, per_s=50.0, make=job_number) as load:
        for number, version in ((0, new), (1, new), (1, old))[: 3 if whole else 1]:
            change_version(cluster, number, version)
            more_end(ledger)
        one_of_each_suffices(cluster, 0, old, ledger)
        if whole:
            by_hand = both_use_every_node(cluster, [old, new])
            change_version(cluster, 1, new)
            one_of_each_suffices(cluster, 2, new, ledger)
            change_version(cluster, 2, new)
            more_end(ledger)
    assert not load.refused
    assert not load.in_doubt
    load.acknowledged.extend(by_hand)
    found = asyncio.run(accounts(cluster.servers, load, ledger))
    assert found.clean, found
    assert {line.attempt for line in ledger.lines()} == {1}
    cluster.await_same_digest()
    with Client(cluster.servers) as client:
        assert client.verify().agree
