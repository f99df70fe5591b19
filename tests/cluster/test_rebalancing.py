"""Workers that are all attached to one node spread over the cluster, with everything they run."""

import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import Ledger, LocalCluster, eventually
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.restarts import restarted_or_counted
from tests.cluster.many_workers import SLOTS

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(180)]
WORKERS: Final = 24
"""After the moves of one step the first node still has more than twice as many as the others."""
AT_ONCE: Final = 10  # sessions that one step may move


def owners(cluster: LocalCluster) -> Counter[str]:
    """How many sessions each node holds."""
    status = cluster.status(cluster.leader())
    assert status is not None
    return Counter(worker.node_id for worker in status.workers if worker.node_id)


def test_workers_of_one_node_spread_in_bounded_steps_and_their_jobs_go_on(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    first = cluster.addresses[0]
    cluster.worker_program(
        [sys.executable, "-m", "tests.cluster.many_workers", first, str(WORKERS)],
        {LEDGER_VARIABLE: str(ledger.path)},
    )
    eventually(lambda: owners(cluster)[cluster.node_id(0)] == WORKERS, "all are attached to the first node")
    with Client(cluster.servers) as client:
        held = client.enqueue_many([("hold", {"path": str(goes_on)})] * (WORKERS * SLOTS))
        eventually(lambda: ledger.count("start") == len(held), "all of them run")

        def spread() -> bool:
            found = owners(cluster)
            loads = [found[cluster.node_id(number)] for number in range(3)]
            return sum(loads) == WORKERS and max(loads) <= 2 * min(loads)

        eventually(spread, "no node has more than twice as many as another", 90.0, 0.2)
        asked = Counter(event.cursor.split("-")[0] for event in client.events(kind="handoff_asked"))
        goes_on.touch()
        assert not restarted_or_counted(client, held)
    assert len(asked) > 1
    assert max(asked.values()) <= AT_ONCE
    assert sum(asked.values()) < WORKERS
    assert ledger.count("start") == ledger.count("end") == len(held)
    cluster.await_same_digest()
