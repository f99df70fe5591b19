"""Handlers on the loop, in threads and in processes, and what becomes of what they return or raise."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from orchestrix_raft import Discard, JobCancelled, JobContext, Retry
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.report import Completed, Failed, Outcome, Released
from orchestrix_raft.domain.session import Assignment, ReportMessage
from orchestrix_raft.wire.workers import write_worker_message
from orchestrix_raft.worker import processes
from orchestrix_raft.worker import runner as runner_module
from orchestrix_raft.worker.handlers import DRAINING, Handler, make_handler
from orchestrix_raft.worker.observations import Observations
from orchestrix_raft.worker.runner import Runner
from tests.unit.worker import process_jobs

ID = bytes(range(16))


class Untellable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Bench:
    """A runner and what comes out of it."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self.woken.set)

        self.observations = Observations(wake)
        self.deliveries: list[list[Outcome]] = []
        self.arrived = asyncio.Event()
        self.runner = Runner("w", self.handlers, 4, self.observations, self._ended)

    def _ended(self, outcomes: list[Outcome]) -> None:
        self.deliveries.append(outcomes)
        self.arrived.set()

    def add(
        self,
        function: Callable[..., Any],
        process: bool = False,
        no_retry_on: tuple[type[BaseException], ...] = (),
    ) -> None:
        self.handlers["t"] = make_handler("t", function, process, no_retry_on)

    def start(self, token: int = 1, args: bytes = b"{}", timeout_ms: int = 0, job_type: str = "t") -> None:
        job = Assignment(ID, token, job_type, "q", args, 2, 3, "c", timeout_ms)
        self.runner.start(job)

    async def outcomes(self, count: int = 1) -> list[Outcome]:
        while sum(map(len, self.deliveries)) < count:
            self.arrived.clear()
            await self.arrived.wait()
        return [outcome for outcomes in self.deliveries for outcome in outcomes]

    async def outcome(self, function: Callable[..., Any], args: bytes = b"{}", **options: Any) -> Outcome:
        self.add(function, **options)
        self.start(args=args)
        (outcome,) = await self.outcomes()
        assert len(self.runner) == 0
        return outcome

    async def said(self, text: str) -> None:
        """Wait until a handler has logged it."""
        while True:
            await self.woken.wait()
            self.woken.clear()
            observation = self.observations.take()
            if observation is not None and any(line.message == text for line in observation.lines):
                return


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.runner.close()


async def failure(bench: Bench, function: Callable[..., Any], args: bytes = b"{}", **options: Any) -> Failed:
    outcome = await bench.outcome(function, args, **options)
    assert isinstance(outcome, Failed)
    return outcome


def both(handler: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The same handler as a function and as a coroutine function."""

    async def asynchronous(ctx: JobContext, **arguments: Any) -> Any:
        return handler(ctx, **arguments)

    def synchronous(ctx: JobContext, **arguments: Any) -> Any:
        return handler(ctx, **arguments)

    return [synchronous, asynchronous]


@pytest.mark.parametrize("kind", [0, 1], ids=["thread", "loop"])
class TestEitherKind:
    async def test_arguments_are_keywords_and_what_is_returned_is_the_result(
        self, bench: Bench, kind: int
    ) -> None:
        handler = both(lambda ctx, a, b: {"sum": a + b})[kind]
        outcome = await bench.outcome(handler, b'{"a":1,"b":2}')
        assert isinstance(outcome, Completed)
        assert (outcome.job_id, outcome.token, outcome.result) == (ID, 1, b'{"sum":3}')
        assert 0 < outcome.started_ms <= outcome.finished_ms

    async def test_the_context_says_what_the_job_is(self, bench: Bench, kind: int) -> None:
        def look(ctx: JobContext) -> list[Any]:
            named = [ctx.job_id, ctx.type, ctx.queue, ctx.correlation_id]
            return [*named, ctx.attempt, ctx.max_retries, ctx.fencing_token]

        outcome = await bench.outcome(both(look)[kind])
        assert isinstance(outcome, Completed)
        assert outcome.result == b'["00010203-0405-0607-0809-0a0b0c0d0e0f","t","q","c",2,3,1]'

    async def test_an_exception_is_a_failure_that_says_where(self, bench: Bench, kind: int) -> None:
        def fail(ctx: JobContext) -> None:
            raise ValueError("no such file")

        failed = await failure(bench, both(fail)[kind])
        assert failed.error.startswith("ValueError: no such file\n")
        assert "in fail" in failed.error
        assert "run_here" not in failed.error
        assert (failed.final, failed.cancelled, failed.retry_in_ms) == (False, False, -1)

    async def test_a_handler_may_say_when_to_try_again(self, bench: Bench, kind: int) -> None:
        def again(ctx: JobContext) -> None:
            raise Retry("busy", delay=2.5)

        failed = await failure(bench, both(again)[kind])
        assert (failed.retry_in_ms, failed.final, failed.error) == (2_500, False, "busy")

    async def test_a_handler_may_leave_the_delay_to_the_policy(self, bench: Bench, kind: int) -> None:
        def again(ctx: JobContext) -> None:
            raise Retry

        assert (await failure(bench, both(again)[kind])).retry_in_ms == -1

    async def test_a_handler_may_ask_for_no_further_try(self, bench: Bench, kind: int) -> None:
        def discard(ctx: JobContext) -> None:
            raise Discard("the account is closed")

        failed = await failure(bench, both(discard)[kind])
        assert (failed.final, failed.error) == (True, "the account is closed")

    async def test_listed_exceptions_are_not_tried_again(self, bench: Bench, kind: int) -> None:
        def fail(ctx: JobContext) -> None:
            raise KeyError("x")

        failed = await failure(bench, both(fail)[kind], no_retry_on=(LookupError,))
        assert failed.final

    async def test_leaving_the_program_is_a_failure_of_the_job_only(self, bench: Bench, kind: int) -> None:
        def leave(ctx: JobContext) -> None:
            raise SystemExit(3)

        assert (await failure(bench, both(leave)[kind])).error.startswith("SystemExit: 3")

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), BaseException("?")], ids=repr)
    async def test_whatever_is_raised_ends_the_attempt(
        self, bench: Bench, kind: int, error: BaseException
    ) -> None:
        def fail(ctx: JobContext) -> None:
            raise error

        assert (await failure(bench, both(fail)[kind])).error.startswith(type(error).__name__)

    async def test_an_exception_that_cannot_be_told_is_a_failure(self, bench: Bench, kind: int) -> None:
        def fail(ctx: JobContext) -> None:
            raise Untellable

        assert (await failure(bench, both(fail)[kind])).error.startswith("Untellable: (its text cannot")

    async def test_words_with_no_form_in_utf_8_are_sent_as_escapes(self, bench: Bench, kind: int) -> None:
        """Such as the name of a file that is not UTF-8: one of them must not end the worker."""

        def fail(ctx: JobContext) -> None:
            ctx.log("reading \udcff")
            ctx.progress(1, "\udcff")
            raise ValueError("no file \udcff")

        failed = await failure(bench, both(fail)[kind])
        assert failed.error.startswith("ValueError: no file \\udcff\n")
        observation = bench.observations.take()
        assert observation is not None
        (line,) = observation.lines
        assert (line.level, line.message) == ("info", "reading \\udcff")
        write_worker_message(ReportMessage((failed,)))

    @pytest.mark.parametrize("kind_of_end", [Discard, Retry])
    async def test_reasons_are_sent_as_escapes_too(
        self, bench: Bench, kind: int, kind_of_end: type[Discard | Retry]
    ) -> None:
        def end(ctx: JobContext) -> None:
            raise kind_of_end("\udcff")

        assert (await failure(bench, both(end)[kind])).error == "\\udcff"

    async def test_a_delay_without_end_is_a_mistake_of_the_handler(self, bench: Bench, kind: int) -> None:
        def again(ctx: JobContext) -> None:
            raise Retry(delay=float("inf"))

        assert (await failure(bench, both(again)[kind])).error.startswith("ValueError: delay is inf")

    async def test_a_result_that_is_not_json_is_a_final_failure(self, bench: Bench, kind: int) -> None:
        failed = await failure(bench, both(lambda ctx: object())[kind])
        assert failed.final
        assert "cannot be written as JSON" in failed.error

    async def test_a_number_that_json_does_not_know_fails_the_attempt(self, bench: Bench, kind: int) -> None:
        failed = await failure(bench, both(lambda ctx: {"loss": [0.5, float("nan")]})[kind])
        assert failed.final
        assert failed.error.startswith("the result cannot be written as JSON: nan at ['loss'][1]")

    async def test_a_result_beyond_the_limit_is_a_final_failure(self, bench: Bench, kind: int) -> None:
        failed = await failure(bench, both(lambda ctx: "x" * limits.PAYLOAD_BYTES)[kind])
        assert failed.final
        assert f"at most {limits.PAYLOAD_BYTES}" in failed.error

    async def test_wrong_arguments_are_a_failure(self, bench: Bench, kind: int) -> None:
        failed = await failure(bench, both(lambda ctx, a: a)[kind], b'{"b":1}')
        assert failed.error.startswith("TypeError")

    async def test_giving_up_without_being_asked_is_a_failure(self, bench: Bench, kind: int) -> None:
        def give_up(ctx: JobContext) -> None:
            ctx.raise_if_cancelled()
            raise JobCancelled("of my own")

        failed = await failure(bench, both(give_up)[kind])
        assert not failed.cancelled


async def test_a_task_that_is_cancelled_reports_why(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def wait(ctx: JobContext) -> None:
        await asyncio.Event().wait()

    bench.add(wait)
    bench.start()
    await asyncio.sleep(0)
    bench.runner.cancel(1, "timed_out")
    bench.runner.cancel(1, "cancelled")
    (outcome,) = await bench.outcomes()
    assert isinstance(outcome, Failed)
    assert outcome.cancelled
    assert "timed_out" in outcome.error
    (told,) = caplog.messages
    assert told.endswith("of type t timed out: its handler is asked to stop")


async def test_a_task_may_finish_although_it_was_asked_to_stop(bench: Bench) -> None:
    async def insist(ctx: JobContext) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return ctx.cancel_reason

    bench.add(insist)
    bench.start()
    await asyncio.sleep(0)
    bench.runner.cancel(1, "cancelled")
    (outcome,) = await bench.outcomes()
    assert isinstance(outcome, Completed)
    assert outcome.result == b'"cancelled"'


@pytest.mark.parametrize(("reason", "kind"), [("cancelled", Failed), (DRAINING, Released)])
async def test_a_thread_sees_that_it_should_end(bench: Bench, reason: str, kind: type[Outcome]) -> None:
    running, go_on = threading.Event(), threading.Event()

    def work(ctx: JobContext) -> None:
        running.set()
        go_on.wait()
        assert ctx.cancelled
        ctx.raise_if_cancelled()

    bench.add(work)
    bench.start()
    await asyncio.to_thread(running.wait)
    bench.runner.cancel(1, reason)
    go_on.set()
    (outcome,) = await bench.outcomes()
    assert isinstance(outcome, kind)
    assert not isinstance(outcome, Failed) or outcome.error == "the handler was stopped (cancelled)"


async def test_a_drained_task_gives_its_job_back(bench: Bench) -> None:
    async def wait(ctx: JobContext) -> None:
        await asyncio.Event().wait()

    bench.add(wait)
    bench.start()
    await asyncio.sleep(0)
    bench.runner.cancel(1, DRAINING)
    assert await bench.outcomes() == [Released(ID, 1)]


async def test_what_ends_together_is_handed_over_together(bench: Bench) -> None:
    async def nothing(ctx: JobContext) -> None:
        pass

    bench.add(nothing)
    for token in range(1, 101):
        bench.start(token)
    await bench.outcomes(100)
    assert [len(outcomes) for outcomes in bench.deliveries] == [100]


async def test_threads_that_end_together_wake_the_loop_once(bench: Bench) -> None:
    bench.add(lambda ctx: None)
    bench.runner._woken = True  # as if a first one had woken the loop already
    for token in range(1, 51):
        bench.start(token)
    while len(bench.runner._ended) < 50:
        await asyncio.to_thread(lambda: None)
    assert not bench.deliveries
    bench.runner._deliver()
    assert [len(outcomes) for outcomes in bench.deliveries] == [50]


async def test_more_jobs_than_threads_wait_and_run(bench: Bench) -> None:
    bench.add(lambda ctx: threading.current_thread().name)
    for token in range(1, 101):
        bench.start(token)
    names = {outcome.result for outcome in await bench.outcomes(100) if isinstance(outcome, Completed)}
    assert len(names) <= 8


async def test_a_type_without_handler_fails_to_be_tried_elsewhere(bench: Bench) -> None:
    bench.start(job_type="other")
    (outcome,) = await bench.outcomes()
    assert isinstance(outcome, Failed)
    assert (outcome.error, outcome.final) == ("no handler for type 'other' on worker w", False)


async def test_the_deadline_is_the_start_plus_the_timeout(bench: Bench) -> None:
    seen: list[JobContext] = []

    async def look(ctx: JobContext) -> None:
        seen.append(ctx)

    bench.add(look)
    bench.start(1, timeout_ms=1_500)
    bench.start(2)
    await bench.outcomes(2)
    assert seen[0].deadline is not None
    assert seen[0].deadline.timestamp() * 1_000 == pytest.approx(seen[0].started_ms + 1_500)
    assert seen[1].deadline is None


# ---- processes -------------------------------------------------------------------------------------------


async def test_a_process_handler_runs_elsewhere_and_its_words_come_here(bench: Bench) -> None:
    outcome = await bench.outcome(process_jobs.add, b'{"a":1,"b":2}', process=True)
    assert isinstance(outcome, Completed)
    assert b'"sum":3' in outcome.result
    assert str(os.getpid()).encode() not in outcome.result
    observation = bench.observations.take()
    assert observation is not None
    assert [line.message for line in observation.lines] == ["adding 1 and 2"]


async def test_a_process_is_used_again_for_all_kinds_of_endings(bench: Bench) -> None:
    for function, options in (
        (process_jobs.add, {}),
        (process_jobs.refuse, {"no_retry_on": (LookupError,)}),
        (process_jobs.again, {}),
    ):
        bench.add(function, process=True, **options)
        bench.start(len(bench.deliveries) + 1, b'{"a":1,"b":2}' if function is process_jobs.add else b"{}")
        await bench.outcomes(len(bench.deliveries) + 1)
    added, refused, again = await bench.outcomes(3)
    assert isinstance(added, Completed)
    assert b'"sum":3' in added.result
    assert isinstance(refused, Failed)
    assert (refused.final, refused.error.startswith("LookupError: nothing there")) == (True, True)
    assert isinstance(again, Failed)
    assert again.retry_in_ms == 1_500
    assert len(bench.runner._children._idle) == 1


async def test_a_process_handler_is_asked_to_end(bench: Bench) -> None:
    bench.add(process_jobs.stop_when_asked, process=True)
    bench.start()
    await bench.said("waiting")
    bench.runner.cancel(1, "cancelled")
    (outcome,) = await bench.outcomes()
    assert isinstance(outcome, Failed)
    assert outcome.cancelled


async def test_a_process_that_does_not_end_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "KILL_AFTER_S", 0.01)
    bench.add(process_jobs.hang, process=True)
    bench.start()
    await bench.said("hanging")
    bench.runner.cancel(1, "timed_out")
    (outcome,) = await bench.outcomes()
    assert isinstance(outcome, Failed)
    assert outcome.cancelled
    assert "killed" in outcome.error
    assert not bench.runner._children._idle


async def test_a_process_that_cannot_be_started_is_a_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> None:
        raise BlockingIOError("no process left")

    monkeypatch.setattr(processes, "Child", none_left)
    assert "no process left" in (await failure(bench, process_jobs.add, process=True)).error


async def test_a_process_that_dies_is_a_failure(bench: Bench) -> None:
    failed = await failure(bench, process_jobs.die, process=True)
    assert not failed.cancelled
    assert "exit code -9" in failed.error


def test_a_function_without_a_name_cannot_run_in_a_process() -> None:
    with pytest.raises(ValueError, match="top of its module"):
        make_handler("t", lambda ctx: None, True, ())


async def test_each_attempt_is_a_line_for_who_debugs(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "orchestrix_raft.worker")
    bench.add(lambda ctx: 1)
    bench.start()
    await bench.outcomes()
    begins, ended = [line.message for line in caplog.records if line.levelname == "DEBUG"]
    assert begins == f"attempt 2 of job {format_job_id(ID)} of type t, queue q, begins"
    assert ended == f"attempt 2 of job {format_job_id(ID)} has ended: completed"
    caplog.clear()
    caplog.set_level("INFO", "orchestrix_raft.worker")
    bench.start(2)
    await bench.outcomes(2)
    assert not caplog.records
