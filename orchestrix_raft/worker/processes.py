"""Handlers in processes: each runs in a child that a thread of this process talks to.

Children are started with the `spawn` method, kept for the next job, and killed when a handler does not
end in time; then the job has failed and the next one gets a new child.
"""

import multiprocessing
import threading
from multiprocessing.connection import Connection
from typing import Final

from orchestrix_raft.domain.report import Failed, Outcome
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.worker import child
from orchestrix_raft.worker.child import ENCODER, FROM_CHILD, Ended, Run, StopRun, now_ms, reference
from orchestrix_raft.worker.context import JobContext, Line, Sink
from orchestrix_raft.worker.handlers import Handler, stopped

_SPAWN: Final = multiprocessing.get_context("spawn")


class Child:
    """One process and our end of its pipe."""

    def __init__(self) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=child.main, args=(theirs,), name="orchestrix-job", daemon=True)
        self._process.start()
        theirs.close()  # so that its end is seen here as the end of the pipe
        self._lock = threading.Lock()

    @property
    def connection(self) -> "Connection[bytes, bytes]":
        """Read by the thread that runs the job."""
        return self._connection

    def send(self, message: Run | StopRun) -> None:
        """OSError when the child is gone."""
        with self._lock:
            self._connection.send_bytes(ENCODER.encode(message))

    def kill(self) -> None:
        """End it now; the thread that waits for it sees the pipe close."""
        self._process.kill()

    def reap(self) -> int | None:
        """Wait for the end of a process that has closed its pipe; its exit code."""
        self._connection.close()
        self._process.join()
        return self._process.exitcode


class Children:
    """The children of one worker: idle ones wait for the next job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: dict[int, Child] = {}  # token -> child
        self._killed: set[int] = set()
        self._closed = False

    def run(self, handler: Handler, job: Assignment, context: JobContext, sink: Sink) -> Outcome:
        """Run the handler in a child, to its end; called in a thread of its own."""
        started_ms = now_ms()
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None:
            try:
                process = Child()
            except OSError as error:
                text = f"no process could be started for the handler: {error}"
                return Failed(job.job_id, job.token, text, started_ms, now_ms())
        with self._lock:
            self._busy[job.token] = process
        try:
            outcome = self._converse(process, handler, job, context, sink)
        except (EOFError, OSError):
            outcome = self._broken(process, job, context, started_ms)
        else:
            self._keep(process)
        finally:
            with self._lock:
                del self._busy[job.token]
                self._killed.discard(job.token)
        return outcome

    def stop(self, token: int, reason: str) -> None:
        """Ask the handler to end."""
        with self._lock:
            process = self._busy.get(token)
        if process is not None:
            try:
                process.send(StopRun(reason))
            except OSError:
                return  # it has just ended; its thread reports that

    def kill(self, token: int) -> None:
        """End the handler, whatever it is at."""
        with self._lock:
            process = self._busy.get(token)
            if process is None:
                return  # it has just ended
            self._killed.add(token)
        process.kill()

    def close(self) -> None:
        """End all children."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy.values())
        for process in (*idle, *busy):
            process.kill()
        for process in idle:
            process.reap()

    def _keep(self, process: Child) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(process)
                return
        process.kill()
        process.reap()

    @staticmethod
    def _converse(
        process: Child, handler: Handler, job: Assignment, context: JobContext, sink: Sink
    ) -> Outcome:
        function = handler.function
        no_retry_on = tuple(reference(kind) for kind in handler.no_retry_on)
        process.send(Run(function.__module__, function.__qualname__, no_retry_on, job))
        if context.cancel_reason:
            process.send(StopRun(context.cancel_reason))  # it came before there was a child to tell
        while True:
            message = FROM_CHILD.decode(process.connection.recv_bytes())
            if isinstance(message, Ended):
                return message.outcome
            if message.percent < 0:
                sink.line(job, Line(message.at_ms, message.level, message.message))
            else:
                sink.progress(job, message.percent, message.message)

    def _broken(self, process: Child, job: Assignment, context: JobContext, started_ms: int) -> Outcome:
        exit_code = process.reap()
        with self._lock:
            killed = job.token in self._killed
        if killed:
            error = RuntimeError(
                f"its process was killed: it did not end when asked ({context.cancel_reason})"
            )
            return stopped(job, context, error, started_ms, now_ms())
        text = f"the handler's process ended unexpectedly, exit code {exit_code}"
        return Failed(job.job_id, job.token, text, started_ms, now_ms())
