"""All nodes killed at once, again and again, with workers running and clients writing."""

import asyncio

import pytest

from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import Accounts, Ledger, LocalCluster, audit, eventually
from orchestrix_raft.testing.crashes import job_number
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.load import Load

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TIMES = 5


def await_more(load: Load, jobs: int) -> None:
    """Wait for so many further acknowledged jobs."""
    enough = len(load.acknowledged) + jobs

    def reached() -> bool:
        return len(load.acknowledged) >= enough

    eventually(reached, f"{jobs} more jobs are acknowledged", 60.0)


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_when_all_nodes_die_at_once(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(cluster.data_dir / "ledger")
    for _ in range(2):
        cluster.worker(
            "orchestrix_raft.testing.handlers:worker", environment={LEDGER_VARIABLE: str(ledger.path)}
        )
    with Load(cluster.servers, 200.0, job_number) as load:
        for _ in range(TIMES):
            await_more(load, 400)
            cluster.kill_nodes(range(3))
            for number in range(3):
                cluster.start_node(number)
            cluster.await_healthy()

    async def books() -> Accounts:
        async with AsyncClient(cluster.servers) as client:
            return await audit(client, load.acknowledged, ledger, 60.0, load.in_doubt)

    accounts = asyncio.run(books())
    with capsys.disabled():
        print(
            f"\nall nodes killed {TIMES} times: {accounts.enqueued:,} jobs acknowledged, "
            f"{accounts.completed:,} completed, {accounts.lost} lost, {accounts.executions:,} executions, "
            f"{len(load.in_doubt)} in doubt"
        )
    assert accounts.clean, accounts
    cluster.await_same_digest()
