"""Following events through the death of the node that tells them: every event once, on whichever node."""

import asyncio

import pytest

from orchestrix_raft import AsyncClient, Client, Event
from orchestrix_raft.testing import LocalCluster

pytestmark = pytest.mark.cluster
WORKER = "orchestrix_raft.testing.handlers:worker"


async def collect(client: AsyncClient, told: list[Event], last: str) -> None:
    """Follow until the job `last` is done."""
    async for event in client.events(follow=True, since="1-0"):
        told.append(event)
        if event.kind == "job_completed" and event.job_id == last:
            return


async def watch_through_a_kill(cluster: LocalCluster) -> list[Event]:
    """What a watcher is told whose node is killed while jobs run."""
    told: list[Event] = []
    async with AsyncClient(cluster.servers) as watcher, AsyncClient(cluster.servers) as client:
        first = await client.enqueue_many([("noop", None)] * 50)
        await client.wait(first[-1], timeout=20.0)
        await client.queues.pause("elsewhere")
        last = "00000000-0000-7000-8000-000000000001"
        watching = asyncio.ensure_future(collect(watcher, told, last))
        while not told:
            await asyncio.sleep(0)
        number = cluster.addresses.index(watcher._caller.servers.current)
        ids = await client.enqueue_many([("noop", None)] * 50)
        cluster.kill(number)
        ids += await client.enqueue_many([("noop", None)] * 50)
        for job_id in ids:
            await client.wait(job_id, timeout=30.0)
        await client.enqueue("noop", job_id=last)
        await asyncio.wait_for(watching, 30.0)
        assert cluster.addresses[number] != watcher._caller.servers.current
    return told


@pytest.mark.timeout(90)
def test_a_watcher_goes_on_at_another_node_and_sees_every_event_once(cluster: LocalCluster) -> None:
    cluster.worker(WORKER)
    told = asyncio.run(watch_through_a_kill(cluster))
    for node in cluster.running_nodes():
        number = int(node.name[1:]) - 1
        with Client(cluster.addresses[number]) as client:
            known = [event.cursor for event in client.events(since="1-0")]
            (record,) = client.audit()
        assert (record.actor, record.action) == ("127.0.0.1", "configure_queue"), node.name
        assert (record.target, record.outcome) == ("queue elsewhere", "done: paused")
        assert [event.cursor for event in told] == known[: len(told)], node.name
    completed = [event.job_id for event in told if event.kind == "job_completed"]
    assert len(completed) == len(set(completed)) == 151
