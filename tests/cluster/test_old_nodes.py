"""The oldest version that this one works with, built from the history and upgraded under load, node by node,
with one step back; workers and clients of both at nodes of both.  The machine level stays while one old node
is left, and with it every decision; the last one to change has it raised, by nobody's hand."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from msgspec import structs

from orchestrix_raft import Client, ClusterStatus, Event
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.machine.rules import AUDIT_LEVEL
from orchestrix_raft.testing import Ledger, LocalCluster, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load
from orchestrix_raft.version import MACHINE_LEVEL
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


STEERED = [
    ("put_schedule", "schedule often", "done: created"),
    ("put_schedule", "schedule often", "done: updated"),
    ("put_schedule", "schedule nightly", "done: created"),
    ("configure_queue", "queue slow", "done: paused"),
    ("configure_queue", "queue slow", "done: rate 100/1s, concurrency 3"),
    ("configure_queue", "queue slow", "done: rate none"),
    ("configure_queue", "queue slow", "done: resumed"),
    ("delete_schedule", "schedule often", "done: deleted"),
    ("delete_schedule", "schedule nightly", "done: deleted"),
]
"""What the trail says of `steer` from the second machine level on."""
STEERED_AT_FIRST = [
    *[("configure_queue", "queue slow", "done: configured")] * 4,
    ("delete_schedule", "schedule often", "done: deleted"),
    ("delete_schedule", "schedule nightly", "done: deleted"),
]


def steer(cluster: LocalCluster, level: int) -> None:
    """Somebody makes schedules and changes a queue while jobs run, and takes it back.  The nodes hold the
    same in the middle of it, and all have noted what this machine level notes."""
    with Client(cluster.servers) as client:
        before = [one.number for one in client.audit(limit=1_000)]
        client.schedules.every("often", 1.0, "noop", queue="nobody")
        client.schedules.update("often", every=0.5)
        client.schedules.cron("nightly", "0 3 * * *", "noop", queue="nobody")
        client.queues.pause("slow")
        client.queues.limit("slow", rate=(100, 1.0), concurrency=3)
        client.queues.limit("slow", rate=None)
        assert client.verify().agree
        client.queues.resume("slow")
        for name in ("often", "nightly"):
            client.schedules.delete(name)
    wanted = STEERED if level >= AUDIT_LEVEL else STEERED_AT_FIRST
    for address in cluster.addresses:
        eventually(lambda at=address: noted(at, before) == wanted, f"{address} has noted it")  # type: ignore[misc]
        assert status_of(cluster, address).machine_level == level


def noted(address: str, before: list[int]) -> list[tuple[str, str, str]]:
    """What that node has in the trail behind `before`."""
    with Client(address) as client:
        records = client.audit(after=max(before, default=0), limit=1_000)
    return [(one.action, one.target, one.outcome) for one in records if one.action != "verify"]


def status_of(cluster: LocalCluster, address: str) -> ClusterStatus:
    """As that node answers."""
    answer = cluster.status(cluster.addresses.index(address))
    assert answer is not None
    return answer


def raised(cluster: LocalCluster) -> bool:
    """Whether every node has applied the raise to the highest level of this version."""
    return all(status_of(cluster, address).machine_level == MACHINE_LEVEL for address in cluster.addresses)


def tell_the_same(cluster: LocalCluster, new: set[int]) -> None:
    """Nodes of both versions tell the same events, whichever version kept them; those numbered `new` tell the
    elapsed time of the newest ones, too, and what is told of it agrees."""
    told: dict[str, Event] = {}
    for number, address in enumerate(cluster.addresses):
        with Client(address) as client:
            events = list(client.events())
        assert all(event.elapsed_ms is None for event in events) or number in new
        assert events[-1].elapsed_ms is not None or number not in new
        for event in events:
            known = told.setdefault(event.cursor, event)
            assert structs.replace(event, elapsed_ms=None) == structs.replace(known, elapsed_ms=None)
            if event.elapsed_ms is not None:
                assert known.elapsed_ms in (event.elapsed_ms, None)
                told[event.cursor] = event


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
        steer(cluster, FIRST_LEVEL)
        for number, version in ((0, new), (1, new), (1, old))[: 3 if whole else 1]:
            change_version(cluster, number, version)
            more_end(ledger)
            steer(cluster, FIRST_LEVEL)
        one_of_each_suffices(cluster, 0, old, ledger)
        if whole:
            by_hand = both_use_every_node(cluster, [old, new])
            change_version(cluster, 1, new)
            one_of_each_suffices(cluster, 2, new, ledger)
            steer(cluster, FIRST_LEVEL)
            assert status_of(cluster, cluster.addresses[0]).level_waits_for == [cluster.node_id(2)]
            change_version(cluster, 2, new)
            eventually(lambda: raised(cluster), "the level is raised when the last one can run it")
            steer(cluster, MACHINE_LEVEL)
            more_end(ledger)
    assert not load.refused
    assert not load.in_doubt
    load.acknowledged.extend(by_hand)
    found = asyncio.run(accounts(cluster.servers, load, ledger))
    assert found.clean, found
    assert {line.attempt for line in ledger.lines()} == {1}
    cluster.await_same_digest()
    tell_the_same(cluster, {0, 1, 2} if whole else {0})
    with Client(cluster.servers) as client:
        assert client.verify().agree
