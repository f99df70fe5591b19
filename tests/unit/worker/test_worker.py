"""The worker as a whole against nodes in memory, over real connections."""

import asyncio
import threading

import pytest

from orchestrix_raft import JobContext
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.report import Completed, Failed
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    Heartbeat,
    Observation,
    Redirect,
    Refused,
    ReportMessage,
    Welcome,
)
from orchestrix_raft.worker import shell
from tests.unit.api.fake_node import FakeNode, FakeSession, refuse
from tests.unit.worker.pool import Pool, at_work, echo_worker, enqueue, finished, job_id, reported


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
        held = [
            Assignment(one, token, "slow", "q", b'{"a":1}', 1, 0, "", 0) for one, token in second.hello.held
        ]
        assert len(held) == 2
        second.deliver(Assignments(tuple(held)))  # delivered again
        last = Assignment(job_id(9), 9, "slow", "q", b'{"a":1}', 1, 0, "", 0)
        second.deliver(Assignments((last,)))
        while format_job_id(job_id(9)) not in runs:  # by then what came before has been looked at
            await asyncio.sleep(0)
        release.set()
        outcomes = [outcome for message in await reported(second, 3) for outcome in message.outcomes]
    assert sorted(runs) == [format_job_id(job_id(number)) for number in (1, 2, 9)]
    assert sorted(outcome.job_id for outcome in outcomes) == [job_id(1), job_id(2), job_id(9)]


async def test_a_result_on_its_way_is_not_run_again_when_its_assignment_comes_once_more(
    pool: Pool, node: FakeNode
) -> None:
    worker = echo_worker(pool.addresses[0])
    runs: list[str] = []

    @worker.job("count")
    async def count(ctx: JobContext, a: int) -> None:
        runs.append(ctx.job_id)

    acknowledge = node.report
    node.report = lambda session, outcomes: None  # type: ignore[method-assign]
    async with at_work(worker):
        first = await node.session()
        await enqueue(node, 1, "count")
        await reported(first, 1)
        first.deliver(Refused("SILENT", "for the test"))
        second = await node.session(1)
        for number, token in ((1, 1), (9, 9)):
            again = Assignment(job_id(number), token, "count", "q", b'{"a":1}', 1, 0, "", 0)
            second.deliver(Assignments((again,)))
        outcomes = [outcome for message in await reported(second, 2) for outcome in message.outcomes]
        acknowledge(second, tuple(outcomes))
    assert runs == [format_job_id(job_id(1)), format_job_id(job_id(9))]


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


async def test_nodes_that_are_down_are_told_once_and_their_return_too(
    pool: Pool, node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "orchestrix_raft.worker")
    refusals = 0

    def refuse_often(session: FakeSession) -> bool:
        nonlocal refusals
        refusals += 1
        return refusals <= 20 and refuse("NO_LEADER")(session)

    for one in pool.nodes:
        one.on_open = refuse_often
    async with at_work(echo_worker(pool.addresses)):
        while refusals <= 20:
            await asyncio.sleep(0)
        while "attached" not in caplog.text:
            await asyncio.sleep(0)
        told = [record.getMessage() for record in caplog.records]
        levels = {record.levelname for record in caplog.records}
    assert levels == {"INFO"}, "at the start nodes may be late"
    ends = [line for line in told if "the stream ended: NO_LEADER: refused by the test" in line]
    assert sorted(line.split(": ")[0] for line in ends) == sorted(pool.addresses), "each of them once"
    assert len(told) == 3
    assert "attached to node" in told[2]
    assert "s without a node" in told[2]


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
    pool: Pool, node: FakeNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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
    assert "the session is lost: no heartbeat was answered in time; handlers told to stop: 1" in caplog.text
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
