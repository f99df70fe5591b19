"""Limits of queues on real processes, with the leader killed in between."""

import pytest

from orchestrix_raft import Client, Job
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"


def most_at_once(jobs: list[Job]) -> int:
    """How many handlers ran at the same time at most, by their own start and end."""
    edges = [(job.started_at, 1) for job in jobs] + [(job.finished_at, -1) for job in jobs]
    running = most = 0
    for _, change in sorted(edges, key=lambda edge: (edge[0].timestamp() if edge[0] else 0.0, edge[1])):
        running += change
        most = max(most, running)
    return most


def fullest(jobs: list[Job], seconds: float) -> int:
    """The most assignments in any stretch of so many seconds."""
    times = [job.dispatched_at.timestamp() for job in jobs if job.dispatched_at is not None]
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


@pytest.mark.timeout(90)
def test_a_rate_and_a_concurrency_hold_when_the_leader_is_killed(cluster: LocalCluster) -> None:
    cluster.worker(WORKER)
    with Client(cluster.servers) as client:
        client.queues.limit("default", rate=(8, 1.0), concurrency=3)
        job_ids = client.enqueue_many([("sleep", {"seconds": 0.2})] * 32)
        eventually(lambda: client.status().jobs["completed"] >= 8, "some are done")
        cluster.kill(cluster.leader())
        jobs = [client.wait(job_id, timeout=60.0) for job_id in job_ids]
    assert {(job.state, job.attempt) for job in jobs} == {("completed", 1)}
    assert most_at_once(jobs) <= 3
    assert fullest(jobs, 0.9) <= 8  # the wall clock may run a little faster than the log's elapsed time


@pytest.mark.timeout(90)
def test_a_pause_outlives_the_leader_and_a_blocked_key_blocks_nobody(cluster: LocalCluster) -> None:
    cluster.worker(WORKER)
    with Client(cluster.servers) as client:
        client.queues.limit("default", key_concurrency=1)
        client.queues.pause("default")
        blocked = client.enqueue_many([("sleep", {"seconds": 0.3})] * 5, key="slow", priority=9)
        quick = client.enqueue("noop", key="quick")
        cluster.kill(cluster.leader())
        eventually(lambda: client.queues.get("default").paused, "the others answer")
        assert {client.get(job_id).state for job_id in [*blocked, quick]} == {"pending"}
        client.queues.resume("default")
        assert client.wait(quick, timeout=30.0).state == "completed"
        jobs = [client.wait(job_id, timeout=30.0) for job_id in blocked]
    assert most_at_once(jobs) == 1
