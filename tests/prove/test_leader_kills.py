"""Twenty times SIGKILL of the leader under load, with exact books."""

import asyncio
import statistics

import pytest

from orchestrix_raft import AsyncClient
from orchestrix_raft.testing import Accounts, Ledger, LocalCluster, audit, lookup
from orchestrix_raft.testing.crashes import job_number, kill_leaders
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
KILLS = 20
PER_S = 200.0
MEDIAN_S, WORST_S = 2.0, 4.0


@pytest.mark.timeout(900)
def test_twenty_dead_leaders_lose_nothing_and_repeat_nothing(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(cluster.data_dir / "ledger")
    for _ in range(2):
        cluster.worker(
            "orchestrix_raft.testing.handlers:worker", environment={LEDGER_VARIABLE: str(ledger.path)}
        )
    crashes = kill_leaders(cluster, ledger, kills=KILLS, per_s=PER_S, make=job_number)
    load, failovers_s = crashes.load, sorted(crashes.failovers_s)

    async def books() -> tuple[Accounts, set[int]]:
        async with AsyncClient(cluster.servers) as client:
            accounts = await audit(client, load.acknowledged, ledger, 60.0, load.in_doubt)
            jobs = await lookup(client, load.acknowledged)
            return accounts, {job.attempt for job in jobs.values()}

    accounts, attempts = asyncio.run(books())
    with capsys.disabled():
        print(
            f"\n{KILLS} leaders killed: {accounts.enqueued:,} jobs acknowledged, "
            f"{accounts.completed:,} completed, "
            f"{accounts.lost} lost, {accounts.executions:,} executions, {len(load.in_doubt)} in doubt, "
            f"{len(load.refused)} refused; fail-over median {statistics.median(failovers_s):.2f} s, "
            f"worst {failovers_s[-1]:.2f} s; all: {', '.join(f'{s:.2f}' for s in failovers_s)}"
        )
    assert accounts.clean, accounts
    assert not accounts.reexecuted
    assert attempts == {1}, "running jobs of surviving workers go on"
    assert statistics.median(failovers_s) <= MEDIAN_S
    assert failovers_s[-1] <= WORST_S
    cluster.await_same_digest()
