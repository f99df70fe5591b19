"""Retries, dead letters, purge, retention and explain on real processes, across the death of a leader."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrix_raft import Client, JobNotFound, RetryPolicy
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = pytest.mark.cluster
WORKER = "tests.cluster.letters:worker"
NONE_LEFT = RetryPolicy(max_retries=0)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster") as cluster:
        yield cluster


@pytest.mark.timeout(90)
def test_dead_letters_say_why_and_live_again_by_filter_after_a_failover(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    cluster.worker(WORKER)
    path = tmp_path / "there"
    with Client(cluster.servers) as client:
        refused = client.wait(client.enqueue("refuse", {"why": "the account is closed"}), 20.0)
        wrong = client.wait(client.enqueue("wrong"), 20.0)
        ids = client.enqueue_many([("fail_unless", {"path": str(path)})] * 30, retry=NONE_LEFT)
        assert [client.wait(job_id, 20.0).state for job_id in ids] == ["dead"] * 30
        assert (refused.state, refused.reason, refused.error) == (
            "dead",
            "discarded",
            "the account is closed",
        )
        assert (wrong.state, wrong.failures) == ("dead", 1)
        assert "no such customer" in wrong.error
        path.touch()
        cluster.kill(cluster.leader())
        assert client.retry_where(type="fail_unless") == 30
        assert [client.wait(job_id, 30.0).state for job_id in ids] == ["completed"] * 30
        assert client.purge_where(state="dead") == 2
        assert client.purge(ids[0]) == "purged"
        with pytest.raises(JobNotFound):
            client.get(ids[0])
        assert client.enqueue("fail_unless", {"path": ""}, job_id=ids[0]) == ids[0], "its id is still known"
        with pytest.raises(JobNotFound):
            client.get(ids[0])


@pytest.mark.timeout(90)
def test_a_retry_is_due_when_it_was_before_the_leader_died(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.worker(WORKER)
    path = tmp_path / "there"
    with Client(cluster.servers) as client:
        late = RetryPolicy(max_retries=1, delay=3.0, jitter=0.0)
        job_id = client.enqueue("fail_unless", {"path": str(path)}, retry=late)
        eventually(lambda: client.get(job_id).failures == 1, "the first attempt failed", 20.0)
        (reason,) = client.explain(job_id)
        assert reason.code == "backing_off"
        path.touch()
        cluster.kill(cluster.leader())
        assert client.wait(job_id, 40.0).state == "completed"
        first, second = client.history(job_id)
    assert first.finished_at is not None
    assert second.dispatched_at is not None
    assert (second.dispatched_at - first.finished_at).total_seconds() >= 2.5  # two clocks, one of them slewed


@pytest.mark.timeout(90)
def test_jobs_are_explained_cancelled_by_filter_and_told_their_deadline(cluster: LocalCluster) -> None:
    with Client(cluster.servers) as client:
        waiting = client.enqueue("deadline", timeout=60.0)
        assert [reason.code for reason in client.explain(waiting)] == ["no_worker"]
        others = client.enqueue_many([("noop", {})] * 700, queue="nobody")
        delayed = client.enqueue("noop", queue="nobody", delay=60.0)
        assert [reason.code for reason in client.explain(delayed)] == ["delayed"]
        assert client.cancel_where(queue="nobody") == 701
        assert client.get(others[-1]).state == client.get(delayed).state == "cancelled"
        cluster.worker(WORKER)
        done = client.wait(waiting, 30.0)
        left = datetime.fromisoformat(done.result) - datetime.now(UTC)
        assert 30 < left.total_seconds() <= 60
        assert [reason.code for reason in client.explain(waiting)] == ["finished"]


@pytest.mark.timeout(90)
def test_finished_jobs_go_when_their_time_is_over(tmp_path: Path) -> None:
    options = {"--keep-finished": "1s", "--keep-dead-jobs": "2"}
    with (
        LocalCluster(nodes=3, data_dir=tmp_path, options=options) as cluster,
        Client(cluster.servers) as client,
    ):
        cluster.worker(WORKER)
        client.enqueue_many([("refuse", {"why": str(number)}) for number in range(5)])

        def two_are_left() -> bool:
            counts = client.status().jobs
            return counts["dead"] == 2 and not counts["pending"] + counts["dispatched"] + counts["running"]

        eventually(two_are_left, "two dead letters are left", 20.0)
        assert len(client.list_jobs("dead")) == 2
        gone = client.enqueue_many([("noop", {})] * 40, queue="nobody")
        client.cancel_where(queue="nobody")
        eventually(lambda: not client.list_jobs("cancelled"), "cancelled jobs are forgotten", 20.0)
        assert client.enqueue("noop", job_id=gone[0]) == gone[0]
        cluster.await_same_digest()
