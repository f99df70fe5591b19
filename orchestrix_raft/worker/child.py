"""The process in which handlers with `process=True` run, and its end of the pipe.

Parent to child: `Run`, `StopRun`.  Child to parent: `Said` (lines and progress) and, once per Run, an
`Ended`.  When the pipe closes the process ends.
"""

import importlib
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import msgspec

from orchestrix_raft.domain.report import Outcome
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.worker.context import JobContext, Line
from orchestrix_raft.worker.handlers import Handler, failed, run_here


class Run(msgspec.Struct, tag=1, frozen=True):
    """Run this function for this job.  Exceptions not to retry on travel as "module:qualified name"."""

    module: str
    name: str
    no_retry_on: tuple[str, ...]
    job: Assignment


class StopRun(msgspec.Struct, tag=2, frozen=True):
    """Ask the running handler to end."""

    reason: str


class Said(msgspec.Struct, tag=3, frozen=True):
    """A line (percent -1) or progress."""

    at_ms: int
    level: str
    message: str
    percent: int = -1


class Ended(msgspec.Struct, tag=4, frozen=True):
    """What became of the job."""

    outcome: Outcome


ENCODER = msgspec.msgpack.Encoder()
FROM_PARENT = msgspec.msgpack.Decoder(Run | StopRun)
FROM_CHILD = msgspec.msgpack.Decoder(Said | Ended)


def reference(thing: Any) -> str:
    """A function or class as "module:qualified name"."""
    return f"{thing.__module__}:{thing.__qualname__}"


def resolve(text: str) -> Any:
    """What `reference` named."""
    module, _, name = text.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class _Pipe:
    """The sink of the child's contexts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # a handler may log from threads of its own

    def send(self, message: Said | Ended) -> None:
        with self._lock:
            self._connection.send_bytes(ENCODER.encode(message))

    def line(self, job: Assignment, line: Line) -> None:
        self.send(Said(line.at_ms, line.level, line.message))

    def progress(self, job: Assignment, percent: int, message: str) -> None:
        self.send(Said(0, "", message, percent))


def main(connection: Connection) -> None:
    """Run jobs one after the other until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which drains
    pipe = _Pipe(connection)
    runs: SimpleQueue[tuple[Run, JobContext]] = SimpleQueue()
    threading.Thread(target=_listen, args=(connection, pipe, runs), daemon=True).start()
    while True:
        run, context = runs.get()
        pipe.send(Ended(_outcome(run, context)))


def _listen(connection: Connection, pipe: _Pipe, runs: "SimpleQueue[tuple[Run, JobContext]]") -> None:
    context: JobContext | None = None
    while True:
        try:
            message = FROM_PARENT.decode(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(1)  # the parent is gone: nobody waits for what the handler does
        if isinstance(message, Run):
            context = JobContext(message.job, pipe, now_ms)
            runs.put((message, context))
        elif context is not None:
            context.cancel_reason = message.reason


def _outcome(run: Run, context: JobContext) -> Outcome:
    started_ms = now_ms()
    try:
        function = resolve(f"{run.module}:{run.name}")
        no_retry_on = tuple(resolve(text) for text in run.no_retry_on)
    except (ImportError, AttributeError) as error:
        return failed(run.job, error, started_ms, now_ms(), ())
    return run_here(Handler(run.job.type, function, False, True, no_retry_on), run.job, context, now_ms)
