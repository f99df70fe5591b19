"""The client against nodes in memory, over real connections: batching, failover, errors."""

import asyncio
import inspect
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

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
from orchestrix_raft.client import calls, lane
from orchestrix_raft.coordinator.port import Done, LogPage, NotApplied, Unknown
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.machine.commands import CancelJobs, Enqueue, EnqueueResult, RetryJobs
from tests.unit.api.fake_node import NO_LEADER, FakeNode, serving

FULL = Rejected(Code.RESOURCE_EXHAUSTED, "LIVE_JOBS", "too many live jobs: let workers catch up")
NOBODY = "00000000-0000-7000-8000-000000000000"


class Cluster:
    """Two nodes that share their jobs, so that either can answer."""

    def __init__(self) -> None:
        self.nodes = [FakeNode("n1"), FakeNode("n2")]
        self.nodes[1].jobs = self.nodes[0].jobs
        self.addresses: list[str] = []

    def of(self, address: str) -> FakeNode:
        return self.nodes[self.addresses.index(address)]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    async with AsyncExitStack() as stack:
        made.addresses = [await stack.enter_async_context(serving(node)) for node in made.nodes]
        yield made


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[AsyncClient]:
    """Of the first node only."""
    async with AsyncClient(cluster.addresses[0], deadline=5.0) as client:
        yield client


@pytest.fixture
def node(cluster: Cluster) -> FakeNode:
    return cluster.nodes[0]


def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


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


# ---- failover --------------------------------------------------------------------------------------------


async def test_a_dead_server_is_passed_over(cluster: Cluster) -> None:
    for servers in ([closed_port(), cluster.addresses[0]], [cluster.addresses[0], closed_port()]):
        async with AsyncClient(servers, deadline=5.0) as client:
            job_id = await client.enqueue("t")
            assert (await client.get(job_id)).id == job_id


@pytest.mark.parametrize("outcome", [NotApplied(NO_LEADER), Unknown("the leader is gone")])
@pytest.mark.parametrize("many", [False, True])
async def test_a_node_without_leader_is_left_for_another(
    cluster: Cluster, outcome: NotApplied | Unknown, many: bool
) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        first.answer = lambda command: outcome
        job_id = (await client.enqueue_many([("t", None)]))[0] if many else await client.enqueue("t")
        assert (await client.get(job_id)).id == job_id
    sent = [command for node in cluster.nodes for command in node.submitted if isinstance(command, Enqueue)]
    assert len({command.jobs[0].job_id for command in sent}) == 1, "sent again under the same id"


async def test_a_batch_whose_answer_was_lost_is_sent_again_under_the_same_ids(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        first.gate = asyncio.Event()
        waiting = []
        for number in range(lane.WINDOW):
            waiting.append(asyncio.ensure_future(client.enqueue("t")))
            while first.gates_entered <= number:
                await asyncio.sleep(0)
        client._lane._broken.set()  # what a lost connection or a silent server comes down to
        ids = await asyncio.gather(*waiting)
    assert cluster.nodes[0].submitted == cluster.nodes[1].submitted
    assert [*cluster.nodes[0].jobs] == [bytes.fromhex(job_id.replace("-", "")) for job_id in ids]


async def test_a_batch_whose_answer_was_lost_is_in_doubt(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncClient(cluster.addresses[0], deadline=0.4) as client:

        async def gone() -> calls.Channel:
            raise calls.Failed("gone", in_doubt=False)

        node = cluster.nodes[0]
        node.gate = asyncio.Event()
        waiting = asyncio.ensure_future(client.enqueue("t"))
        while not node.gates_entered:
            await asyncio.sleep(0)
        monkeypatch.setattr(client._caller, "channel", gone)
        client._lane._broken.set()
        with pytest.raises(OutcomeUnknown, match="may have been enqueued"):
            await waiting


async def test_steering_is_repeated_under_its_request_id(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        job_id = await client.enqueue("t")
        first = cluster.of(client._caller.servers.current)
        first.answer = lambda command: Unknown("the leader is gone")
        assert await client.cancel(job_id, "why") == "cancelled"
    sent = [
        command for node in cluster.nodes for command in node.submitted if isinstance(command, CancelJobs)
    ]
    assert len(sent) == 2
    assert sent[0] == sent[1]


async def test_members_of_the_cluster_are_learned(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LEARN_AFTER_S", 0.0)
    cluster.nodes[0].members = cluster.addresses
    async with AsyncClient(cluster.addresses[0], deadline=5.0) as client:
        await client.enqueue("t")
        learning = client._caller._learning
        assert learning is not None
        await learning
        cluster.nodes[0].answer = lambda command: NotApplied(NO_LEADER)
        await client.enqueue("t")
    assert cluster.nodes[1].submitted


async def test_nobody_there_is_unavailable_in_one_line() -> None:
    async with AsyncClient(closed_port(), deadline=0.3) as client:
        with pytest.raises(Unavailable, match=r"no server answered GetJob within 0\.3 s.*cannot connect"):
            await client.get(NOBODY)
        with pytest.raises(Unavailable, match=r"could take job.*cannot connect") as caught:
            await client.enqueue("t", job_id=NOBODY)
        assert caught.value.job_ids == (NOBODY,)


async def test_a_write_that_may_have_happened_is_not_called_failed(cluster: Cluster) -> None:
    cluster.nodes[0].answer = lambda command: Unknown("the leader is gone")
    async with AsyncClient(cluster.addresses[0], deadline=0.4) as client:
        with pytest.raises(OutcomeUnknown, match="may have been enqueued") as caught:
            await client.enqueue("t", job_id=NOBODY)
        assert caught.value.job_ids == (NOBODY,)
        with pytest.raises(OutcomeUnknown, match="may have been applied"):
            await client.cancel(NOBODY)
        with pytest.raises(OutcomeUnknown) as many:
            await client.enqueue_many([("t", None)])
        assert len(many.value.job_ids) == 1


@pytest.mark.parametrize("method", ["enqueue", "cancel"])
async def test_a_write_that_no_node_applied_is_unavailable(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with AsyncClient(cluster.addresses[0], deadline=0.4) as client:

        async def gone() -> calls.Channel:
            raise calls.Failed("gone", in_doubt=False)

        def refuse(command: object) -> NotApplied:
            monkeypatch.setattr(client._caller, "channel", gone)
            return NotApplied(NO_LEADER)

        cluster.nodes[0].answer = refuse
        call = client.enqueue("t") if method == "enqueue" else client.cancel(NOBODY)
        with pytest.raises(Unavailable, match=r"could take job|no server answered CancelJobs"):
            await call


@pytest.mark.parametrize("method", ["enqueue", "cancel"])
async def test_giving_up_tells_what_a_node_said_rather_than_who_was_not_there(
    cluster: Cluster, method: str
) -> None:
    cluster.nodes[0].answer = lambda command: NotApplied(NO_LEADER)
    async with AsyncClient([cluster.addresses[0], closed_port()], deadline=0.5) as client:
        call = client.enqueue("t") if method == "enqueue" else client.cancel(NOBODY)
        with pytest.raises((Unavailable, OutcomeUnknown), match=NO_LEADER.message):
            await call


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
    node.lines[bytes.fromhex(job_id.replace("-", ""))] = LogPage(
        [(1, 1_000, "info", "a"), (2, 2_000, "info", "b")], ""
    )
    assert [line.message for line in await client.logs(job_id)] == ["a", "b"]
    assert [line.number for line in await client.logs(job_id, after=1)] == [2]
    assert await client.history(job_id) == []


async def test_logs_kept_elsewhere_are_fetched_there(cluster: Cluster, client: AsyncClient) -> None:
    job_id = await client.enqueue("t")
    raw = bytes.fromhex(job_id.replace("-", ""))
    cluster.nodes[0].lines[raw] = LogPage([], cluster.addresses[1])
    cluster.nodes[1].lines[raw] = LogPage([(1, 1_000, "info", "there")], "")
    assert [line.message for line in await client.logs(job_id)] == ["there"]


async def test_status_works_and_is_a_value(client: AsyncClient, node: FakeNode) -> None:
    node.members = ["a:1"]
    await client.enqueue("t")
    status = await client.status()
    assert (status.leader, status.jobs, [n.address for n in status.nodes]) == ("n1", {"pending": 1}, ["a:1"])


async def test_retry_and_transfer_answer_with_words(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t")
    assert await client.retry(job_id) == "retried"
    assert isinstance(node.submitted[-1], RetryJobs)
    assert await client.transfer_leadership("n2") == "n2"


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
    wanted = {
        name for name, _ in inspect.getmembers(AsyncClient, inspect.iscoroutinefunction) if name[0] != "_"
    }
    assert wanted == {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}
    for name in wanted - {"close"}:
        ours, truth = inspect.signature(getattr(Client, name)), inspect.signature(getattr(AsyncClient, name))
        assert ours == truth


def test_the_package_exports_what_it_says() -> None:
    for name in orchestrix_raft.__all__:
        assert getattr(orchestrix_raft, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = orchestrix_raft.nothing
