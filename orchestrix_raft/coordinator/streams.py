"""One worker stream at this node, from Hello to its end: what it has said and what waits to be told.

Used by the hub, which decides; the shell hands in messages and the end of the connection.
"""

from collections.abc import Callable
from typing import Protocol

from orchestrix_raft.domain.report import ProgressMark, StartedMark
from orchestrix_raft.domain.session import (
    Assignment,
    CoordinatorMessage,
    HandlerLine,
    Hello,
    Observation,
    Refused,
    StopJob,
    WorkerMessage,
)
from orchestrix_raft.machine.state import State

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
        self.epoch = 0  # 0: not attached yet
        self.heard_at = now
        self.held = {token for _, token in hello.held}  # tokens the worker knows of
        self.started: dict[int, StartedMark] = {}
        self.progress: dict[int, ProgressMark] = {}
        self.outbox: list[Assignment] = []
        self.stops: list[StopJob] = []
        self.beats: list[int] = []  # heartbeats to be answered
        self.unanswered = 0  # outcomes reported and not acknowledged yet
        self.leaving = False  # said goodbye
        self.over = False
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
            line
            for line in seen.lines
            if slots.get(line.token) == line.job_id
            and (job := state.jobs.get(line.job_id)) is not None
            and job.token == line.token
        ]

    def closed(self) -> None:
        """The stream ended."""
        if not self.over:
            self.over = True
            self._hub.stream_closed(self)

    def refuse(self, reason: str, message: str) -> None:
        """End it with a last word."""
        self.send(Refused(reason, message))
        self.over = True
