"""One worker stream at this node, from Hello to its end: what it has said and what waits to be told.

Used by the hub, which decides; the shell hands in messages and the end of the connection.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from orchestrix_raft.domain.report import ProgressMark, StartedMark
from orchestrix_raft.domain.session import (
    Assignment,
    CoordinatorMessage,
    HandlerLine,
    Hello,
    Observation,
    Refused,
    ReportMessage,
    StopJob,
    WorkerMessage,
)
from orchestrix_raft.machine.state import State

OBSERVED_BYTES: Final = 1 << 20  # of one worker in one command: a log entry must hold it

Deliver = Callable[[CoordinatorMessage], None]


class Owner(Protocol):
    """Who is told of what happens on a stream: the hub."""

    def received(self, stream: "Stream", message: WorkerMessage) -> None: ...
    def stream_closed(self, stream: "Stream") -> None: ...


class Stream:
    """One worker stream, from Hello to its end."""

    def __init__(self, hub: Owner, hello: Hello, deliver: Deliver, now: float) -> None:
        self.hello = hello
        self.session_id = hello.session_id
        self.epoch = 0  # 0: not attached yet, or about to be attached again
        self.welcomed = False  # it has been attached
        self.heard_at = now
        self.told: tuple[str, ...] = ()  # addresses of all nodes, as it was told last
        self.held = {token for _, token in hello.held}  # tokens the worker knows of
        self.started: dict[int, StartedMark] = {}
        self.progress: dict[int, ProgressMark] = {}
        self.observing = False  # what was seen earlier is still to be committed
        self.outbox: list[Assignment] = []
        self.stops: list[StopJob] = []
        self.unanswered = 0  # outcomes reported and not acknowledged yet
        self.unanswered_bytes = 0  # of those that are on their way to a commit
        self.kept: deque[tuple[ReportMessage, int]] = deque()  # reports without room yet, and their bytes
        self.kept_bytes = 0
        self.after_kept: Callable[[], None] | None = None  # said behind them
        self.draining = False  # said that it wants nothing new
        self.leaving = False  # said goodbye
        self.over = False
        self._lines = 0  # that the worker did not count
        self._hub = hub
        self._deliver = deliver

    def send(self, message: CoordinatorMessage) -> None:
        """To the worker, in order; nothing after the end."""
        if not self.over:
            self._deliver(message)

    def receive(self, message: WorkerMessage) -> None:
        """From the worker."""
        if not self.over:
            self._hub.received(self, message)

    def observe(self, seen: Observation, state: State) -> list[HandlerLine]:
        """Note starts and progress, and return the lines to keep.

        Only of attempts whose slots the session holds, which also bounds what is kept: a worker may send
        whatever it likes, and tokens can be guessed.
        """
        session = state.sessions.get(self.session_id)
        slots = {} if session is None else session.slots
        for started in seen.started:
            if slots.get(started.token) == started.job_id:
                self.started[started.token] = started
        for progress in seen.progress:
            if slots.get(progress.token) == progress.job_id:
                self.progress[progress.token] = progress
        return [
            line if line.number else self._counted(line)
            for line in seen.lines
            if slots.get(line.token) == line.job_id
            and (job := state.jobs.get(line.job_id)) is not None
            and job.token == line.token
        ]

    def _counted(self, line: HandlerLine) -> HandlerLine:
        """Of a worker that does not count its lines: the epoch makes numbers grow from owner to owner."""
        self._lines += 1
        return msgspec.structs.replace(line, number=(self.epoch << 32) + self._lines)

    def take_observed(self) -> tuple[tuple[StartedMark, ...], tuple[ProgressMark, ...]]:
        """What is to be committed next of it; progress beyond OBSERVED_BYTES is left for the next time."""
        started, self.started = tuple(self.started.values()), {}
        progress: list[ProgressMark] = []
        size = 0
        for mark in self.progress.values():
            if size >= OBSERVED_BYTES:
                break
            progress.append(mark)
            size += 4 * len(mark.message) + 64  # UTF-8 at its widest
        for mark in progress:
            del self.progress[mark.token]
        return started, tuple(progress)

    def closed(self) -> None:
        """The stream ended."""
        if not self.over:
            self.over = True
            self._hub.stream_closed(self)

    def refuse(self, reason: str, message: str) -> None:
        """End it with a last word."""
        self.send(Refused(reason, message))
        self.over = True
