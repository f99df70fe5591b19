"""The client against nodes in memory, over real connections: batching, reads, refusals, closing."""

import asyncio
import inspect
import threading

import pytest

import orchestrix_raft
from orchestrix_raft import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    InvalidArgument,
    JobFailed,
    JobNotFound,
    OrchestrixError,
    OutcomeUnknown,
    QuotaExceeded,
    Unavailable,
)
from orchestrix_raft.client import lane
from orchestrix_raft.client.model import Enqueued
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.node import Health, Node
from orchestrix_raft.machine.commands import Command, Enqueue, EnqueueResult, RetryJobs
from orchestrix_raft.storage.port import LogLine
from orchestrix_raft.wire import jobs as wire
from tests.unit.api.fake_node import FakeNode
from tests.unit.client.nodes import NOBODY, Cluster

FULL = Rejected(Code.RESOURCE_EXHAUSTED, "LIVE_JOBS", "too many live jobs: let workers catch up")


def finish(node: FakeNode, state: JobState = JobState.COMPLETED) -> None:
    for job in node.jobs.values():
        job.state = state


# ---- enqueue ---------------------------------------------------------------------------------------------


async def test_enqueue_returns_the_id_of_the_job(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t", {"a": 1}, queue="q", priority=3, labels=["x"])
    job = await client.get(job_id)
    assert (job.id, job.type, job.args, job.queue, job.priority, job.labels) == (
        job_id,
        "t",
        {"a": 1},
        "q",
        3,
        ["x"],
    )
    assert (job.state, job.finished, job.result) == ("pending", False, None)


async def test_the_same_id_twice_is_one_job(client: AsyncClient, node: FakeNode) -> None:
    assert (
        await client.enqueue("t", job_id=NOBODY) == NOBODY == await client.enqueue("t", job_id=NOBODY.upper())
    )
    assert len(node.jobs) == 1


async def test_enqueue_told_says_whether_the_job_is_new(client: AsyncClient, node: FakeNode) -> None:
    assert await client.enqueue_told("t", {"a": 1}, job_id=NOBODY) == Enqueued(id=NOBODY, created=True)
    assert await client.enqueue_told("t", job_id=NOBODY) == Enqueued(id=NOBODY, created=False)
    other = bytes(16)
    node.answer = lambda command: Done(9, EnqueueResult({0: other}, {}))
    holder = "00000000-0000-0000-0000-000000000000"
    assert await client.enqueue_told("t", unique_key="k") == Enqueued(id=holder, created=False)
    with pytest.raises(TypeError, match="colour"):
        await client.enqueue_told("t", colour="red")


async def test_a_job_that_an_earlier_sending_made_is_new(client: AsyncClient, node: FakeNode) -> None:
    """Its id was made for this call: who but it can have enqueued it?"""

    def answer(command: Command) -> Done:
        assert isinstance(command, Enqueue)
        return Done(9, EnqueueResult({0: command.jobs[0].job_id}, {}))

    node.answer = answer
    assert (await client.enqueue_told("t")).created


async def test_concurrent_enqueues_share_messages(client: AsyncClient, node: FakeNode) -> None:
    ids = await asyncio.gather(*(client.enqueue("t", {"n": n}) for n in range(2_000)))
    assert len(set(ids)) == 2_000 == len(node.jobs)
    assert [len(c.jobs) for c in node.submitted if isinstance(c, Enqueue)] == [500, 500, 500, 500]


async def test_what_comes_while_batches_are_under_way_gathers(client: AsyncClient, node: FakeNode) -> None:
    node.gate = asyncio.Event()
    first = []
    for number in range(4):
        first.append(asyncio.ensure_future(client.enqueue("t")))
        while node.gates_entered <= number:
            await asyncio.sleep(0)
    later = []
    for _ in range(3):
        later += [asyncio.ensure_future(client.enqueue("t")) for _ in range(100)]
        for _ in range(100):
            await asyncio.sleep(0)
    node.gate.set()
    await asyncio.gather(*first, *later)
    assert [len(c.jobs) for c in node.submitted if isinstance(c, Enqueue)] == [1, 1, 1, 1, 300]


async def test_each_caller_gets_its_own_answer(client: AsyncClient, node: FakeNode) -> None:
    other = bytes(16)
    node.answer = lambda command: Done(9, EnqueueResult({1: other}, {2: FULL}))
    answers = await asyncio.gather(*(client.enqueue("t") for _ in range(4)), return_exceptions=True)
    assert isinstance(answers[0], str)
    assert answers[1] == "00000000-0000-0000-0000-000000000000"
    assert isinstance(answers[2], QuotaExceeded)
    assert (answers[2].reason, len(answers[2].job_ids)) == ("LIVE_JOBS", 1)
    assert isinstance(answers[3], str)


async def test_a_caller_that_gives_up_does_not_disturb_its_neighbours(
    client: AsyncClient, node: FakeNode
) -> None:
    node.gate = asyncio.Event()
    both = [asyncio.ensure_future(client.enqueue("t")) for _ in range(2)]
    while not node.gates_entered:
        await asyncio.sleep(0)
    both[0].cancel()
    node.gate.set()
    assert isinstance(await both[1], str)


async def test_many_jobs_travel_in_full_batches(client: AsyncClient, node: FakeNode) -> None:
    ids = await client.enqueue_many([("t", {"n": n}) for n in range(2_500)], queue="q")
    assert sorted(len(c.jobs) for c in node.submitted if isinstance(c, Enqueue)) == [500, 1_000, 1_000]
    assert [(await client.get(ids[n])).args for n in (0, 999, 1_000, 2_499)] == [
        {"n": n} for n in (0, 999, 1_000, 2_499)
    ]
    assert len(set(ids)) == 2_500


async def test_refused_jobs_of_many_are_named(client: AsyncClient, node: FakeNode) -> None:
    node.answer = lambda command: Done(9, EnqueueResult({}, {1: FULL, 2: FULL}))
    with pytest.raises(QuotaExceeded, match="2 of 3 jobs were refused; the first: too many") as caught:
        await client.enqueue_many([("t", None)] * 3)
    assert len(caught.value.job_ids) == 2


async def test_nothing_to_enqueue_is_nothing(client: AsyncClient, node: FakeNode) -> None:
    assert await client.enqueue_many([]) == []
    assert not node.submitted


# ---- reads -----------------------------------------------------------------------------------------------


async def test_reads_see_the_clients_own_writes(client: AsyncClient, node: FakeNode) -> None:
    for _ in range(3):
        job_id = await client.enqueue("t")
    await client.get(job_id)
    assert node.fresh_calls[-1] == (3, False)
    await client.enqueue_many([("t", None)])
    await client.list_jobs()
    assert node.fresh_calls[-1] == (4, False)
    await client.cancel(job_id)
    await client.history(job_id)
    assert node.fresh_calls[-1] == (5, False)


async def test_waiting_returns_the_job_whatever_its_end(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t")
    finish(node, JobState.DEAD)
    job = await client.wait(job_id, timeout=5)
    assert (job.state, job.finished) == ("dead", True)
    with pytest.raises(JobFailed, match=f"job {job_id} is dead"):
        job.raise_for_state()


async def test_a_completed_job_raises_nothing_and_has_its_result(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t")
    node.jobs[bytes.fromhex(job_id.replace("-", ""))].result = b'{"sum":[1,2]}'
    finish(node)
    job = await client.wait(job_id)
    job.raise_for_state()
    assert job.result == {"sum": [1, 2]}


@pytest.mark.parametrize("timeout", [0.0, 0.05])
async def test_waiting_in_vain_says_where_the_job_stands(client: AsyncClient, timeout: float) -> None:
    job_id = await client.enqueue("t")
    with pytest.raises(DeadlineExceeded, match=f"job {job_id} is pending"):
        await client.wait(job_id, timeout=timeout)


async def test_what_is_not_there_is_not_found(client: AsyncClient) -> None:
    for look in (client.get, client.wait, client.history, client.logs, client.cancel, client.retry):
        with pytest.raises(JobNotFound, match=NOBODY):
            await look(NOBODY)


async def test_a_listing_is_read_page_by_page(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrix_raft.domain.limits.PAGE", 2)
    ids = [await client.enqueue("t") for _ in range(5)]
    await client.enqueue("other")
    assert [job.id for job in await client.list_jobs(type="t", limit=4)] == ids[:0:-1]
    assert await client.list_jobs(state=["dead", "running"]) == []
    assert len(await client.list_jobs(state="pending", queue="default", limit=100)) == 6


async def test_history_and_logs_come_as_values(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t")
    raw = bytes.fromhex(job_id.replace("-", ""))
    node.lines[raw] = [LogLine(1, 1, 1_000, "info", "a"), LogLine(1, 2, 2_000, "info", "b")]
    lines = await client.logs(job_id)
    assert [line.message for line in lines] == ["a", "b"]
    assert await client.logs(job_id, after=lines[0]) == lines[1:]
    assert lines.silent_nodes == ()
    node.silent = ("n2",)
    assert (await client.logs(job_id)).silent_nodes == ("n2",)
    assert await client.history(job_id) == []


async def test_status_works_and_is_a_value(client: AsyncClient, node: FakeNode) -> None:
    node.members = ["a:1"]
    await client.enqueue("t")
    status = await client.status()
    assert (status.leader, status.jobs, [n.address for n in status.nodes]) == ("n1", {"pending": 1}, ["a:1"])


async def test_a_retry_answers_with_a_word(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t")
    assert await client.retry(job_id) == "retried"
    assert isinstance(node.submitted[-1], RetryJobs)


# ---- refusals, closing, the synchronous face --------------------------------------------------------------


async def test_what_a_node_refuses_raises_at_once(client: AsyncClient, node: FakeNode) -> None:
    with pytest.raises(InvalidArgument, match="queue 'a b'") as caught:
        await client.enqueue("t", queue="a b")
    assert caught.value.reason == "QUEUE_INVALID"
    with pytest.raises(InvalidArgument, match="queue 'a b'"):
        await client.enqueue_many([("t", None)], queue="a b")
    assert not node.submitted


async def test_closing_fails_what_is_under_way(cluster: Cluster) -> None:
    cluster.nodes[0].gate = asyncio.Event()
    client = AsyncClient(cluster.addresses[0])
    waiting = asyncio.ensure_future(client.enqueue("t"))
    while not cluster.nodes[0].gates_entered:
        await asyncio.sleep(0)
    await client.close()
    with pytest.raises(OutcomeUnknown, match="closed"):
        await waiting
    with pytest.raises(OrchestrixError, match="closed"):
        await client.get(NOBODY)


async def test_closing_is_certain_about_what_was_never_sent(cluster: Cluster) -> None:
    cluster.nodes[0].gate = asyncio.Event()
    client = AsyncClient(cluster.addresses[0])
    waiting = []
    for number in range(lane.WINDOW):
        waiting.append(asyncio.ensure_future(client.enqueue("t")))
        while cluster.nodes[0].gates_entered <= number:
            await asyncio.sleep(0)
    last = asyncio.ensure_future(client.enqueue("t", job_id=NOBODY))
    while not client._lane._waiting:
        await asyncio.sleep(0)
    await client.close()
    with pytest.raises(Unavailable, match="closed; the job was not enqueued") as caught:
        await last
    assert caught.value.job_ids == (NOBODY,)
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(end) for end in ends} == {OutcomeUnknown}


async def test_the_synchronous_client_does_the_same(cluster: Cluster) -> None:
    def use() -> tuple[str, list[str], str]:
        with Client(cluster.addresses, deadline=5.0) as client:
            job_id = client.enqueue("t", {"a": 1})
            many = client.enqueue_many([("t", None)] * 3)
            with pytest.raises(JobNotFound):
                client.get(NOBODY)
            state = client.get(job_id).state
        client.close()
        with pytest.raises(OrchestrixError, match="closed"):
            client.get(job_id)
        return job_id, many, state

    job_id, many, state = await asyncio.to_thread(use)
    assert (len({job_id, *many}), state) == (4, "pending")


async def test_threads_share_the_messages_of_a_synchronous_client(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    node.gate = asyncio.Event()
    with Client(cluster.addresses[0], deadline=5.0) as client:
        threads = [threading.Thread(target=client.enqueue, args=("t",)) for _ in range(50)]
        for thread in threads:
            thread.start()
        while not node.gates_entered:
            await asyncio.sleep(0)
        node.gate.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)
    assert len(node.jobs) == 50
    assert len(node.submitted) < 50


def test_the_synchronous_client_has_every_method_of_the_asynchronous_one() -> None:
    wanted, found = (
        {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"}
        for kind in (AsyncClient, Client)
    )
    assert wanted == found
    step_by_step = {"events", "logs"}  # the one gives an iterator where the other gives an asynchronous one
    for name in wanted - {"close"}:
        ours, truth = inspect.signature(getattr(Client, name)), inspect.signature(getattr(AsyncClient, name))
        if name in step_by_step:
            assert ours.parameters == truth.parameters
            assert getattr(Client, name).__doc__ == getattr(AsyncClient, name).__doc__
        else:
            assert ours == truth


def test_the_package_exports_what_it_says() -> None:
    for name in orchestrix_raft.__all__:
        assert getattr(orchestrix_raft, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = orchestrix_raft.nothing


async def test_jobs_are_listed_by_owner_and_worker(client: AsyncClient, node: FakeNode) -> None:
    await client.enqueue("t")
    node.known["n2"] = Node("n2", "h2:7400", "1", 5, bytes(32), Health.ALIVE, 0, 0)
    assert len(await client.list_jobs(owner="n2")) == 1
    assert node.holders[-1] == ("n2", b"")
    for wanted, reason in (({"owner": "n9"}, "NODE_UNKNOWN"), ({"worker": "0f" * 16}, "WORKER_UNKNOWN")):
        with pytest.raises(OrchestrixError) as caught:
            await client.list_jobs(**wanted)  # type: ignore[arg-type]
        assert caught.value.reason == reason
        assert node.fresh_calls[-1][1], "its absence is confirmed with the leader"


async def test_a_node_that_does_not_know_owners_is_not_believed(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of an older version lists every job."""

    async def call(*_: object) -> wire.ListJobsResponse:
        return wire.ListJobsResponse(jobs=[wire.JobMessage(job_id=bytes(16))])

    monkeypatch.setattr(client._caller, "call", call)
    assert len(await client.list_jobs()) == 1
    with pytest.raises(OrchestrixError, match="cannot list jobs by owner or worker"):
        await client.list_jobs(owner="n1")
