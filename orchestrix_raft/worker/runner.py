"""Runs handlers: asynchronous ones as tasks, synchronous ones in threads, others in processes.

All methods are called on the loop.  What ended since the last pass of the loop is handed over together,
so that many short jobs cost one wake-up.
"""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.report import Outcome
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.worker.child import now_ms
from orchestrix_raft.worker.context import JobCancelled, JobContext
from orchestrix_raft.worker.handlers import (
    TIMED_OUT,
    Handler,
    arguments,
    completed,
    failed,
    no_handler,
    run_here,
    stopped,
)
from orchestrix_raft.worker.observations import Observations
from orchestrix_raft.worker.processes import Children
from orchestrix_raft.worker.threads import Threads

_log = logging.getLogger("orchestrix_raft.worker")

KILL_AFTER_S: Final = limits.FORCED_END_MS / 1_000
"""From the soft cancel of a handler in a process to its kill."""


class _Run:
    __slots__ = ("context", "handler", "job", "kill", "task")

    def __init__(self, handler: Handler, job: Assignment, context: JobContext) -> None:
        self.handler = handler
        self.job = job
        self.context = context
        self.task: asyncio.Task[None] | None = None
        self.kill: asyncio.TimerHandle | None = None


class Runner:
    """`on_ended` gets the outcomes of one pass of the loop, in the order in which handlers ended."""

    def __init__(
        self,
        name: str,
        handlers: Mapping[str, Handler],
        concurrency: int,
        observations: Observations,
        on_ended: Callable[[list[Outcome]], None],
    ) -> None:
        self._name = name
        self._handlers = handlers
        self._observations = observations
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        # Twice: handlers that do not end when their session is lost keep their threads.
        self._threads = Threads(2 * concurrency)
        self._children = Children()
        self._runs: dict[int, _Run] = {}  # by token
        self._ended: deque[Outcome] = deque()
        self._woken = False

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def tokens(self) -> list[int]:
        """Of the handlers that run."""
        return list(self._runs)

    def start(self, job: Assignment) -> None:
        """Run the handler of the job's type; without one the job fails, to be tried elsewhere."""
        handler = self._handlers.get(job.type)
        if handler is None:
            self._hand_over(no_handler(job, self._name, now_ms()))
            return
        context = JobContext(job, self._observations, now_ms)
        run = self._runs[job.token] = _Run(handler, job, context)
        if _log.isEnabledFor(logging.DEBUG):  # asked first: an id costs more to write than most lines here
            told = job.attempt, format_job_id(job.job_id), job.type, job.queue
            _log.debug("attempt %d of job %s of type %s, queue %s, begins", *told)
        self._observations.started(job, context.started_ms)
        if handler.process:
            self._threads.submit(functools.partial(self._in_process, run))
        elif handler.asynchronous:
            run.task = self._loop.create_task(self._on_loop(run))
        else:
            self._threads.submit(functools.partial(self._in_thread, run))

    def cancel(self, token: int, reason: str) -> None:
        """Ask a handler to end: a task is cancelled, a thread sees it in its context, a process is killed in
        the end."""
        run = self._runs.get(token)
        if run is None or run.context.cancel_reason:
            return
        run.context.cancel_reason = reason
        if reason == TIMED_OUT:
            told = format_job_id(run.job.job_id), run.job.type
            _log.warning("an attempt of job %s of type %s timed out: its handler is asked to stop", *told)
        if run.task is not None:
            run.task.cancel()
        elif run.handler.process:
            self._children.stop(token, reason)
            run.kill = self._loop.call_later(KILL_AFTER_S, self._children.kill, token)

    def close(self) -> None:
        """Kill processes and let go of threads; what still runs in one ends with this process."""
        self._children.close()
        self._threads.stop()

    # ---- handlers --------------------------------------------------------------------------------------

    async def _on_loop(self, run: _Run) -> None:
        job, context = run.job, run.context
        started_ms = context.started_ms
        try:
            result = await run.handler.function(context, **arguments(job))
        except (asyncio.CancelledError, JobCancelled) as error:
            outcome = stopped(job, context, error, started_ms, now_ms())
        except BaseException as error:  # whatever a handler raises is an outcome; Ctrl-C comes as a signal
            outcome = failed(job, error, started_ms, now_ms(), run.handler.no_retry_on)
        else:
            outcome = completed(job, result, started_ms, now_ms())
        self._hand_over(outcome)

    def _in_thread(self, run: _Run) -> None:
        self._from_thread(run_here(run.handler, run.job, run.context, now_ms))

    def _in_process(self, run: _Run) -> None:
        self._from_thread(self._children.run(run.handler, run.job, run.context, self._observations))

    # ---- outcomes --------------------------------------------------------------------------------------

    def _from_thread(self, outcome: Outcome) -> None:
        self._ended.append(outcome)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                return  # the loop is closed: the job was given back before

    def _hand_over(self, outcome: Outcome) -> None:
        self._ended.append(outcome)
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before looking: an outcome that comes meanwhile wakes again
        outcomes: list[Outcome] = []
        while self._ended:
            outcome = self._ended.popleft()
            outcomes.append(outcome)
            run = self._runs.pop(outcome.token, None)
            if run is None:
                continue
            if _log.isEnabledFor(logging.DEBUG):
                told = run.job.attempt, format_job_id(run.job.job_id), type(outcome).__name__.lower()
                _log.debug("attempt %d of job %s has ended: %s", *told)
            self._observations.ended(outcome.token)
            if run.task is None:
                self._threads.done()
                if run.kill is not None:
                    run.kill.cancel()
        if outcomes:
            self._on_ended(outcomes)
