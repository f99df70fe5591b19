"""The worker as a whole against nodes in memory, over real connections."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from orchestrix_raft import InvalidArgument, JobContext, PermissionDenied, Worker
from orchestrix_raft.domain.job import JobSpec, JobState
from orchestrix_raft.domain.report import Completed, Failed, Released
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    CoordinatorMessage,
    Drain,
    Goodbye,
    Heartbeat,
    Observation,
    Redirect,
    Refused,
    ReportMessage,
    Welcome,
)
from orchestrix_raft.machine.commands import Enqueue
from orchestrix_raft.worker import shell
from tests.unit.api.fake_node import FakeNode, FakeSession, refuse, serving


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between connections, and a short end."""
    monkeypatch.setattr(shell, "RECONNECT_S", 0.0)
    monkeypatch.setattr(shell, "RECONNECT_SPREAD_S", 0.0)
    monkeypatch.setattr(shell, "OBSERVE_S", 0.005)


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """The worker runs; in the end it is told to stop, and must."""
    task = asyncio.create_task(worker.run_async())
    try:
        yield task
        worker.stop()
        async with asyncio.timeout(20):
            await task
    finally:
        task.cancel()


class Pool:
    """Two nodes and their addresses."""

    def __init__(self) -> None:
        self.nodes = [FakeNode("n1"), FakeNode("n2")]
        self.addresses: list[str] = []


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    async with AsyncExitStack() as stack:
        made.addresses = [await stack.enter_async_context(serving(node)) for node in made.nodes]
        yield made


@pytest.fixture
def node(pool: Pool) -> FakeNode:
    return pool.nodes[0]


def job_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def enqueue(node: FakeNode, count: int = 1, job_type: str = "echo", first: int = 1) -> list[bytes]:
    """Jobs numbered from `first`."""
    ids = [job_id(number) for number in range(first, first + count)]
    await node.submit(Enqueue(tuple(JobSpec(one, job_type, "default", b'{"a":1}') for one in ids)))
    return ids


async def finished(node: FakeNode, ids: list[bytes]) -> list[Any]:
    return [view.job for one in ids if (view := await node.wait_job(one, 10_000)) is not None]


async def reported(session: FakeSession, count: int) -> list[ReportMessage]:
    """Reports, once they carry `count` outcomes."""
    while True:
        found = [message for message in session.received if isinstance(message, ReportMessage)]
        if sum(len(message.outcomes) for message in found) >= count:
            return found
        session.arrived.clear()
        await session.arrived.wait()


def echo_worker(servers: str | list[str], concurrency: int = 10) -> Worker:
    worker = Worker(servers, concurrency=concurrency, labels=["gpu"], name="w")

    @worker.job("echo")
    async def echo(ctx: JobContext, **arguments: Any) -> Any:
        return arguments

    return worker


async def test_jobs_run_and_their_results_are_recorded(pool: Pool, node: FakeNode) -> None:
    async with at_work(echo_worker(pool.addresses[0])):
        jobs = await finished(node, await enqueue(node, 100))
    assert {(job.state, job.result) for job in jobs} == {(JobState.COMPLETED, b'{"a":1}')}
    hello = node.opened[0].hello
    assert (hello.name, hello.queues, hello.capacity, hello.labels) == ("w", ("default",), 10, ("gpu",))
    assert (hello.epoch, len(hello.session_id)) == (0, 16)


async def test_what_ends_together_is_reported_together(pool: Pool, node: FakeNode) -> None:
    await enqueue(node, 500)
    async with at_work(echo_worker(pool.addresses[0], concurrency=500)):
        await finished(node, [job_id(number) for number in range(1, 501)])
    assert len(await reported(node.opened[0], 500)) == 1


async def test_short_jobs_are_not_observed(
    pool: Pool, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "OBSERVE_S", 1_000.0)
    async with at_work(echo_worker(pool.addresses[0])):
        await finished(node, await enqueue(node, 5))
    assert not [message for message in node.opened[0].received if isinstance(message, Observation)]


async def test_lines_go_before_the_report_that_ends_their_job(
    pool: Pool, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "OBSERVE_S", 1_000.0)
    worker = echo_worker(pool.addresses[0])

    @worker.job("talk")
    def talk(ctx: JobContext, a: int) -> None:
        ctx.log("last", level="warning")

    async with at_work(worker):
        await finished(node, await enqueue(node, 1, "talk"))
    told = [m for m in node.opened[0].received if isinstance(m, Observation | ReportMessage)]
    assert [type(message) for message in told] == [Observation, ReportMessage]
    assert isinstance(told[0], Observation)
    assert [(line.level, line.message) for line in told[0].lines] == [("warning", "last")]


async def test_what_a_handler_does_is_told_while_it_runs(pool: Pool, node: FakeNode) -> None:
    worker = echo_worker(pool.addresses[0])
    release = threading.Event()

    @worker.job("talk")
    def talk(ctx: JobContext, a: int) -> None:
        ctx.log("first")
        ctx.progress(40, "some")
        release.wait()

    async with at_work(worker):
        (talking,) = await enqueue(node, 1, "talk")
        session = await node.session()
        started: list[bytes] = []
        progress: list[tuple[int, str]] = []
        lines: list[str] = []
        while not (started and progress and lines):
            session.arrived.clear()
            await session.arrived.wait()
            seen = [message for message in session.received if isinstance(message, Observation)]
            started = [mark.job_id for message in seen for mark in message.started]
            progress = [(mark.percent, mark.message) for message in seen for mark in message.progress]
            lines = [line.message for message in seen for line in message.lines]
        release.set()
        await finished(node, [talking])
    assert (started, progress, lines) == ([talking], [(40, "some")], ["first"])


async def test_a_broken_stream_is_resumed_and_nothing_runs_twice(pool: Pool, node: FakeNode) -> None:
    worker = echo_worker(pool.addresses[0])
    runs, release = [], asyncio.Event()

    @worker.job("slow")
    async def slow(ctx: JobContext, a: int) -> None:
        runs.append(ctx.job_id)
        await release.wait()

    async with at_work(worker):
        first = await node.session()
        await enqueue(node, 2, "slow")
        while len(runs) < 2:
            await asyncio.sleep(0)
        first.deliver(Refused("SILENT", "for the test"))
        second = await node.session(1)
        assert second.hello.session_id == first.hello.session_id
        assert second.hello.epoch == 1
        held = [Assignment(one, token, "slow", "q", b"{}", 1, 0, "", 0) for one, token in second.hello.held]
        assert len(held) == 2
        second.deliver(Assignments(tuple(held)))  # delivered again
        release.set()
        await reported(second, 2)
    assert len(runs) == 2


async def test_an_unacknowledged_result_is_sent_again_to_the_next_node(pool: Pool, node: FakeNode) -> None:
    node.report = lambda session, outcomes: None  # type: ignore[method-assign]
    node.welcome = Welcome(1, "n1", 10_000, 25_000, tuple(pool.addresses))
    async with at_work(echo_worker(pool.addresses[0])):
        first = await node.session()
        await enqueue(node)
        (message,) = await reported(first, 1)
        node.on_open = refuse("NODE_STOPPING")
        first.deliver(Refused("NODE_STOPPING", "for the test"))
        (again,) = await reported(await pool.nodes[1].session(), 1)
    assert again.outcomes == message.outcomes


async def test_a_node_that_hands_over_is_left_without_a_gap(pool: Pool, node: FakeNode) -> None:
    second = pool.nodes[1]
    second.welcome = Welcome(2, "n2", 10_000, 25_000, ())
    async with at_work(echo_worker(pool.addresses[0])):
        session = await node.session()
        gate = asyncio.Event()
        opened: list[FakeSession] = []

        def hold(new: FakeSession) -> bool:
            opened.append(new)
            gate.set()
            return True

        second.on_open = hold
        session.deliver(Redirect((pool.addresses[1],)))
        await gate.wait()
        await finished(node, await enqueue(node))  # the old stream is still of use
        opened[0].deliver(second.welcome)
        while not session.over:
            session.arrived.clear()
            await session.arrived.wait()
        await finished(second, await enqueue(second, first=50))
    assert opened[0].hello.epoch == 1
    assert len(node.opened) == 1


@pytest.mark.parametrize("reason", ["NO_LEADER", "NODE_STOPPING"])
async def test_a_node_that_cannot_take_the_session_is_passed_over(pool: Pool, reason: str) -> None:
    pool.nodes[0].on_open = refuse(reason)
    async with at_work(echo_worker(pool.addresses)):
        await finished(pool.nodes[1], await enqueue(pool.nodes[1]))


async def test_members_named_by_a_welcome_are_used(pool: Pool, node: FakeNode) -> None:
    node.welcome = Welcome(1, "n1", 10_000, 25_000, tuple(pool.addresses))
    async with at_work(echo_worker(pool.addresses[0])):
        session = await node.session()
        node.on_open = refuse("NODE_STOPPING")
        session.deliver(Refused("NODE_STOPPING", "for the test"))
        await finished(pool.nodes[1], await enqueue(pool.nodes[1]))


async def test_heartbeats_are_sent_at_the_interval_that_the_node_named(pool: Pool, node: FakeNode) -> None:
    node.welcome = Welcome(1, "n1", 5, 60_000, ())
    async with at_work(echo_worker(pool.addresses[0])):
        session = await node.session()
        assert (await session.until(Heartbeat))[0] == Heartbeat(1)


async def test_the_fence_stops_handlers_and_leaves_every_stream_of_the_old_session(
    pool: Pool, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "WELCOME_S", 1_000.0)
    worker = echo_worker(pool.addresses[0])
    started, reasons = asyncio.Event(), []

    @worker.job("wait")
    async def wait(ctx: JobContext, a: int) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            reasons.append(ctx.cancel_reason)

    async with at_work(worker):
        old = await node.session()
        await enqueue(node, 1, "wait")
        await started.wait()
        for one in pool.nodes:
            one.on_open = lambda session: session.hello.epoch > 0  # who resumes gets no answer
        old.deliver(Redirect((pool.addresses[1],)))
        resuming = await pool.nodes[1].session()
        old.deliver(Welcome(1, "n1", 10_000, 1, ()))  # a fence that has passed before it is set
        while not (fresh := [s for one in pool.nodes for s in one.opened if s not in (old, resuming)]):
            await asyncio.sleep(0)
        while not (old.over and resuming.over):
            await asyncio.sleep(0)
    assert reasons == ["lease_lost"]
    assert resuming.hello.session_id == old.hello.session_id
    assert fresh[0].hello.session_id != old.hello.session_id
    assert (fresh[0].hello.epoch, fresh[0].hello.held) == (0, ())


async def test_an_expired_session_is_replaced_by_a_fresh_one(pool: Pool, node: FakeNode) -> None:
    async with at_work(echo_worker(pool.addresses[0])):
        first = await node.session()
        first.deliver(Refused("SESSION_UNKNOWN", "for the test"))
        second = await node.session(1)
        await finished(node, await enqueue(node))
    assert second.hello.session_id != first.hello.session_id
    assert second.hello.epoch == 0


async def test_a_stopped_handler_reports_and_frees_its_slot(pool: Pool, node: FakeNode) -> None:
    worker = echo_worker(pool.addresses[0], concurrency=1)

    @worker.job("wait")
    async def wait(ctx: JobContext, a: int) -> None:
        await asyncio.Event().wait()

    async with at_work(worker):
        session = await node.session()
        (waiting,) = await enqueue(node, 1, "wait")
        (following,) = await enqueue(node, first=2)
        node.stop(session, waiting, "timed_out")
        await finished(node, [following])
    outcomes = [outcome for message in await reported(session, 2) for outcome in message.outcomes]
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].cancelled
    assert isinstance(outcomes[1], Completed)


# ---- the end ---------------------------------------------------------------------------------------------


async def test_a_drain_lets_handlers_finish_and_says_goodbye(pool: Pool, node: FakeNode) -> None:
    worker = echo_worker(pool.addresses[0])
    started, release = asyncio.Event(), asyncio.Event()

    @worker.job("slow")
    async def slow(ctx: JobContext, a: int) -> str:
        started.set()
        await release.wait()
        return "done"

    async with at_work(worker) as task:
        await enqueue(node, 1, "slow")
        await started.wait()
        worker.stop()
        session = node.opened[0]
        await session.until(Drain)
        release.set()
        await task
    kinds = [type(message) for message in session.received if not isinstance(message, Observation)]
    assert kinds == [Drain, ReportMessage, Goodbye]
    assert node.jobs[job_id(1)].result == b'"done"'


@pytest.mark.parametrize("stuck", [False, True])
async def test_what_does_not_finish_in_a_drain_is_given_back(
    pool: Pool, node: FakeNode, monkeypatch: pytest.MonkeyPatch, stuck: bool
) -> None:
    monkeypatch.setattr(shell, "DRAIN_S", 0.01)
    monkeypatch.setattr(shell, "STOP_S", 0.01)
    worker = echo_worker(pool.addresses[0])
    started, release = threading.Event(), threading.Event()

    @worker.job("task")
    async def task_handler(ctx: JobContext, a: int) -> None:
        started.set()
        await asyncio.Event().wait()

    @worker.job("thread")
    def thread_handler(ctx: JobContext, a: int) -> None:
        started.set()
        release.wait()

    async with at_work(worker):
        (one,) = await enqueue(node, 1, "thread" if stuck else "task")
        await asyncio.to_thread(started.wait)
    release.set()
    (message,) = [message for message in node.opened[0].received if isinstance(message, ReportMessage)]
    assert message.outcomes == (Released(one, 1),)
    assert node.jobs[one].failures == 0


async def test_a_second_stop_does_not_wait_for_handlers(pool: Pool, node: FakeNode) -> None:
    worker = echo_worker(pool.addresses[0])
    started = asyncio.Event()

    @worker.job("slow")
    async def slow(ctx: JobContext, a: int) -> None:
        started.set()
        await asyncio.Event().wait()

    async with at_work(worker):
        await enqueue(node, 1, "slow")
        await started.wait()
        worker.stop()
        await node.opened[0].until(Drain)
    assert [type(m) for m in node.opened[0].received if isinstance(m, Goodbye)] == [Goodbye]


async def test_a_worker_that_never_found_a_node_ends_at_once() -> None:
    async with at_work(Worker("127.0.0.1:9")):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda node: setattr(node, "on_open", refuse("INVALID_ARGUMENT")), InvalidArgument),
        (lambda node: setattr(node, "on_open", refuse("PERMISSION_DENIED")), PermissionDenied),
    ],
)
async def test_what_no_node_accepts_ends_the_worker_with_an_error(
    pool: Pool, node: FakeNode, change: Callable[[FakeNode], None], error: type[Exception]
) -> None:
    change(node)
    with pytest.raises(error, match="refused by the test"):
        await echo_worker(pool.addresses[0]).run_async()


async def test_a_wrong_queue_name_ends_the_worker_with_the_nodes_words(pool: Pool) -> None:
    with pytest.raises(InvalidArgument, match="queue 'a b'"):
        await Worker(pool.addresses[0], queues=["a b"]).run_async()


async def test_run_ends_on_a_signal(pool: Pool, node: FakeNode) -> None:
    """`run` in a program of its own is the same with another loop; here its signal handling."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def wait_for_session() -> None:
        await node.session()
        os.kill(child, signal.SIGTERM)
        loop.call_soon(done.set)

    child = os.getpid()
    worker = echo_worker(pool.addresses[0])
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    try:
        task: Awaitable[None] = asyncio.create_task(worker.run_async())
        await wait_for_session()
        await task
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@pytest.mark.parametrize(
    "options",
    [{"queues": []}, {"queues": "a"}, {"concurrency": 0}, {"concurrency": 10_001}, {"servers": "x"}],
)
def test_a_worker_that_cannot_be_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Worker(**options)


def test_a_type_has_one_handler() -> None:
    worker = Worker()

    @worker.job("t")
    def first(ctx: JobContext) -> None:
        """The one."""

    with pytest.raises(ValueError, match="already"):
        worker.job("t")(first)


def test_the_decorator_gives_the_function_back() -> None:
    def function(ctx: JobContext) -> CoordinatorMessage | None:
        return None

    assert Worker().job("t")(function) is function
