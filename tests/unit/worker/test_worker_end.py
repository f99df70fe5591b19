"""How a worker ends: drains, signals, and what no node will have."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable

import pytest

from orchestrix_raft import InvalidArgument, JobContext, PermissionDenied, Worker
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.report import Released
from orchestrix_raft.domain.session import (
    CoordinatorMessage,
    Drain,
    Goodbye,
    Observation,
    ReportMessage,
)
from orchestrix_raft.worker import shell
from tests.unit.api.fake_node import FakeNode, refuse
from tests.unit.worker.pool import Pool, at_work, echo_worker, enqueue, job_id


async def test_a_drain_lets_handlers_finish_and_says_goodbye(
    pool: Pool, node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "orchestrix_raft.worker")
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
    assert "draining: 1 handler to end" in caplog.text


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


def test_the_decorator_gives_the_function_back() -> None:
    def function(ctx: JobContext) -> CoordinatorMessage | None:
        return None

    assert Worker().job("t")(function) is function


async def test_a_failure_is_one_line_in_the_log_of_the_worker(
    pool: Pool, node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    worker = echo_worker(pool.addresses[0])
    started = asyncio.Event()

    @worker.job("broken")
    async def broken(ctx: JobContext, a: int) -> None:
        started.set()
        raise ValueError(f"no {a}\nat all")

    async with at_work(worker):
        await enqueue(node, 1, "broken")
        await started.wait()
        await node.opened[0].until(ReportMessage)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [f"an attempt of job {format_job_id(job_id(1))} failed: ValueError: no 1"]
