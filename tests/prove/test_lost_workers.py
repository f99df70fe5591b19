"""A worker that is killed, and one that stands still for a minute and wakes: what becomes of their jobs."""

import time
from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import Ledger, LedgerLine, LocalCluster, eventually
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
WORKER = "orchestrix_raft.testing.handlers:worker"
JOBS = 20
DEADLINE_S, GRACE_S = 30.0, 5.0  # of a session without its worker; what may come on top
SILENT_S = 30.0  # a stream without heartbeats counts as broken
PAUSE_S = 60.0


def starts(ledger: Ledger, attempt: int) -> list[LedgerLine]:
    return [line for line in ledger.lines() if line.what == "start" and line.attempt == attempt]


@pytest.mark.timeout(240)
def test_the_jobs_of_a_killed_worker_run_elsewhere_within_its_deadline(
    cluster: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    environment = {LEDGER_VARIABLE: str(ledger.path)}
    first = cluster.worker(WORKER, environment=environment)
    with Client(cluster.servers) as client:
        ids = client.enqueue_many([("hold", {"path": str(goes_on)})] * JOBS)
        eventually(lambda: ledger.count("start") == JOBS, "all of them run")
        cluster.worker(WORKER, environment=environment)
        killed_s = time.monotonic()
        first.kill()
        eventually(lambda: ledger.count("start") == 2 * JOBS, "all of them run again", 60.0)
        gap_s = max(line.at_s for line in starts(ledger, 2)) - killed_s
        goes_on.touch()
        jobs = [client.wait(job_id, timeout=30.0) for job_id in ids]
        histories = [[attempt.state for attempt in client.history(job_id)] for job_id in ids]
    with capsys.disabled():
        print(f"\n{JOBS} jobs of a killed worker: all run again {gap_s:.1f} s after the kill")
    assert gap_s < DEADLINE_S + GRACE_S
    assert {(job.state, job.attempt, job.losses, job.failures) for job in jobs} == {("completed", 2, 1, 0)}
    assert histories == [["lost", "completed"]] * JOBS


@pytest.mark.timeout(300)
def test_a_worker_that_stood_still_for_a_minute_has_lost_its_jobs_and_knows_it(
    cluster: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its handlers, in threads and on the loop, would have been done by the time it wakes."""
    ledger, goes_on = Ledger(tmp_path / "ledger"), tmp_path / "go on"
    environment = {LEDGER_VARIABLE: str(ledger.path)}
    paused = cluster.worker(WORKER, environment=environment)
    with Client(cluster.servers) as client:
        held = client.enqueue_many([("hold", {"path": str(goes_on)})] * JOBS)
        asleep = client.enqueue_many([("sleep", {"seconds": 20.0})] * JOBS)
        eventually(lambda: ledger.count("start") == 2 * JOBS, "all of them run")
        cluster.worker(WORKER, environment=environment)
        stopped_s = time.monotonic()
        paused.suspend()
        goes_on.touch()
        most_s = SILENT_S + DEADLINE_S + GRACE_S
        eventually(lambda: ledger.count("start") == 4 * JOBS, "all of them run again", most_s + 10.0)
        gap_s = max(line.at_s for line in starts(ledger, 2)) - stopped_s
        eventually(lambda: time.monotonic() >= stopped_s + PAUSE_S, "a minute has passed", PAUSE_S)
        paused.resume()
        jobs = [client.wait(job_id, timeout=60.0) for job_id in held + asleep]
        histories = [[attempt.state for attempt in client.history(job_id)] for job_id in held + asleep]
        eventually(lambda: len(client.status().workers) == 2, "it is back, as another session")
        again = client.wait(client.enqueue("noop"), timeout=20.0)
    with capsys.disabled():
        print(f"\n{2 * JOBS} jobs of a stopped worker: all run again {gap_s:.1f} s after it stood still")
    assert gap_s < most_s
    assert {(job.state, job.attempt, job.losses, job.failures) for job in jobs} == {("completed", 2, 1, 0)}
    assert histories == [["lost", "completed"]] * (2 * JOBS)
    assert again.state == "completed"
    assert paused.running
    assert "the session is lost: " in paused.text() or "SESSION_UNKNOWN" in paused.text()
    ended = {line.job_id for line in ledger.lines() if line.what == "end" and line.attempt == 1}
    assert not ended & set(asleep), "those on its loop were told before they could end"
