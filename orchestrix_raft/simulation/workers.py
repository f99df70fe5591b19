"""Simulated worker processes: they speak the worker protocol by its document, not by the SDK's code.

A worker keeps results until they are acknowledged, resumes its session elsewhere when a connection
breaks, drops assignments it knows, fences itself without answered heartbeats, goes where it is told, and
now and then says goodbye or dies.
"""

from random import Random
from typing import Any, NamedTuple

from orchestrix_raft.domain.report import Completed, Failed, Outcome, ProgressMark, StartedMark
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    Drain,
    DrainAsked,
    Farewell,
    Goodbye,
    HandlerLine,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Observation,
    Redirect,
    Refused,
    ReportAck,
    ReportMessage,
    Stop,
    StopJob,
    Welcome,
    WorkerMessage,
)
from orchestrix_raft.simulation.histories import Pen
from orchestrix_raft.simulation.network import Network, Pipe
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.story import FAULT
from orchestrix_raft.simulation.world import START_WALL_MS, World

HEARTBEAT_S = 10.0
FENCE_S = 25.0
BACK_S = 8.0  # after it has left in good order, somebody starts it again
LOOK_S = 0.5  # how often it looks whether it must fence itself


class Execution(NamedTuple):
    """One run of a handler."""

    job_id: bytes
    token: int
    attempt: int
    worker: str
    started: float


class Running:
    """A handler at work."""

    def __init__(self, assignment: Assignment, started: float, rng: Random) -> None:
        self.assignment = assignment
        self.started = started
        self.rng = rng
        self.stopped = ""


class SimWorker:
    """One worker machine; a process on it has a session id of its own."""

    pen: Pen | None = None  # for its history

    def __init__(
        self, world: World, network: Network, name: str, nodes: list[SimNode], capacity: int
    ) -> None:
        self.world = world
        self.network = network
        self.name = name
        self.rng = world.stream(name)
        self.capacity = capacity
        self.queues = ("default", "mail") if name == "w1" or self.rng.random() < 0.5 else ("default",)
        self.executions: list[Execution] = []
        self.acknowledged: set[int] = set()
        self.ended: set[int] = set()  # tokens whose handlers have ended, reported or given back
        self.alive = False
        self.poison = 0.0  # chance that a job kills whoever runs it
        self.deaf = 0.1  # chance that it does not do what it is told by a redirect
        self.troubled_at = 0.0  # when it was last hindered: a loss soon after is no surprise
        self._nodes = nodes
        self._life = 0
        self._reset()

    def _reset(self) -> None:
        self.session_id = self.rng.randbytes(16)
        self._epoch = 0
        self._pipe: Pipe | None = None
        self._next: Pipe | None = None  # to where it was told to go; not welcomed yet
        self._welcome = False
        self._running: dict[int, Running] = {}
        self._results: dict[int, Outcome] = {}
        self._reporting = False
        self._beat = 0
        self._sent: dict[int, float] = {}
        self._hello_at = 0.0
        self._answered_at = self.world.now  # when the last answered Hello or heartbeat was sent
        self._leaving = False
        self._given_back: set[int] = set()  # tokens of handlers ended by a goodbye
        self._avoid = ""  # the node that asked it to go elsewhere

    @property
    def busy(self) -> bool:
        """Handlers run, or results wait to be acknowledged."""
        return bool(self._running or self._results)

    @property
    def running(self) -> int:
        """Handlers at work."""
        return len(self._running)

    # ---- life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """A fresh process."""
        if self.alive:
            return
        self.alive = True
        self._life += 1
        self._reset()
        self._connect()
        self._later(HEARTBEAT_S, self._heartbeat)
        self._later(LOOK_S, self._look_at_lease)

    def leave(self) -> None:
        """SIGTERM: nothing new, finish what runs, not for too long; say goodbye."""
        if self.alive and not self._leaving:
            self.world.tell(f"{self.name} leaves")
            self._leaving = True
            self._say(Drain())
            self._later(self.rng.uniform(0.1, 5.0), self._goodbye)

    def _goodbye(self) -> None:
        """What still runs is given back by the goodbye itself."""
        if self._welcome:
            self.world.tell(f"{self.name} says goodbye with {len(self._running)} handlers running")
            self._given_back.update(self._running)
            self.ended.update(self._running)
            for token, running in self._running.items():
                if self.pen:
                    self.pen.gives_back(running.assignment.job_id, token)
            self._running.clear()
            self._say(Goodbye())
        self._later(2.0, self._goodbye)

    def _say(self, message: WorkerMessage) -> None:
        if self._pipe is not None and self._welcome:
            self._pipe.send(self.name, message)

    def crash(self) -> None:
        """SIGKILL: handlers end without a trace."""
        if self.alive:
            self.world.tell(f"{self.name} dies with {len(self._running)} handlers running")
            self.alive = False
            self._life += 1
            self._hang_up()

    def _hang_up(self) -> None:
        for pipe in (self._pipe, self._next):
            if pipe is not None:
                pipe.close(by=self.name)

    def _later(self, delay: float, action: Any) -> None:
        life = self._life
        self.world.after(delay, lambda: action() if self._life == life else None)

    # ---- the connection ------------------------------------------------------------------------------

    def _connect(self) -> None:
        if self._pipe is not None:
            return
        elsewhere = [node for node in self._nodes if node.name != self._avoid]
        node = self.rng.choice(elsewhere or self._nodes)
        self._avoid = ""
        pipe = self.network.connect((self.name, node.name), (self, node)) if node.up else None
        if pipe is None:
            self._later(self.rng.uniform(0.05, 0.5), self._connect)
            return
        self._pipe = pipe
        self._welcome = False
        self._say_hello(pipe)

    def _say_hello(self, pipe: Pipe) -> None:
        self._hello_at = self.world.now
        held = [(r.assignment.job_id, token) for token, r in self._running.items()]
        held += [(outcome.job_id, token) for token, outcome in self._results.items()]
        pipe.send(
            self.name,
            Hello(self.session_id, self.name, self.queues, self.capacity, (), self._epoch, tuple(held)),
        )
        self._later(3.0, lambda: self._give_up(pipe))

    def _give_up(self, pipe: Pipe) -> None:
        if (self._pipe is pipe and not self._welcome) or self._next is pipe:
            pipe.close(by=self.name)
            self.broken(pipe)

    def broken(self, pipe: Pipe) -> None:
        """The connection ended: go on with another node."""
        if self._next is pipe:
            self._next = None
        elif self._pipe is pipe:
            self._pipe, self._next = self._next, None
            self._welcome = False
            if self.alive and self._pipe is None:
                self._later(self.rng.uniform(0.01, 0.2), self._connect)

    def received(self, pipe: Pipe, payload: Any) -> None:
        """From the node."""
        if not self.alive:
            return
        if pipe is self._next and isinstance(payload, Welcome | Refused):
            before, self._pipe, self._next = self._pipe, pipe, None
            self._welcome = False
            if before is not None:
                before.close(by=self.name)
        if pipe is not self._pipe:
            return
        match payload:
            case Welcome():
                self._epoch = payload.epoch
                self._answered_at = max(self._answered_at, self._hello_at)
                self._welcome = True
                if self._leaving:
                    self._say(Drain())
                self._report()
            case Assignments():
                for assignment in payload.jobs:
                    self._run(assignment)
            case ReportAck():
                for token in payload.tokens + payload.stale:
                    self._results.pop(token, None)
                self.acknowledged.update(payload.tokens)
                if self.pen:
                    self.pen.heard(payload.tokens, payload.stale)
            case Stop():
                for stop in payload.jobs:
                    self._stop(stop)
            case HeartbeatAck():
                self._answered_at = max(self._answered_at, self._sent.pop(payload.number, 0.0))
            case Refused():
                self._refused(pipe, payload)
            case Redirect():
                self._redirected(pipe, payload)
            case DrainAsked():
                self.leave()
            case Farewell():
                self.world.tell(f"{self.name} is gone")
                self.alive = False
                self._life += 1
                pipe.close(by=self.name)
                self.world.after(BACK_S, self.start)
            case _:
                raise AssertionError(f"unexpected {payload!r}")

    def _redirected(self, pipe: Pipe, redirect: Redirect) -> None:
        """Mostly it opens a stream there before it lets go of this one; some just hang up and go anywhere,
        some do not listen."""
        manners = self.rng.random()
        if manners < self.deaf or self._next is not None:
            return
        if manners > 0.9:
            self._avoid = pipe.names[1]
            pipe.close(by=self.name)
            self.broken(pipe)
            return
        named = [server.partition(":")[0] for server in redirect.servers]
        for node in sorted((n for n in self._nodes if n.name in named), key=lambda n: named.index(n.name)):
            other = self.network.connect((self.name, node.name), (self, node)) if node.up else None
            if other is not None:
                self.world.tell(f"{self.name} goes from {pipe.names[1]} to {node.name}")
                self._next = other
                self._say_hello(other)
                return

    def _refused(self, pipe: Pipe, refused: Refused) -> None:
        self.world.tell(f"{self.name} refused: {refused.reason}")
        pipe.close(by=self.name)
        if self._next is not None and refused.reason != "SESSION_UNKNOWN":
            self._pipe, self._next = self._next, None  # it goes on there already
            self._welcome = False
            return
        if refused.reason == "SESSION_UNKNOWN":
            self._begin_again()
        self._pipe = None
        self._later(self.rng.uniform(0.05, 0.3), self._connect)

    def _begin_again(self) -> None:
        """Everything of the old session is lost: end its handlers, be somebody new."""
        self.troubled_at = self.world.now
        self._life += 1
        executions, acknowledged = self.executions, self.acknowledged
        self._reset()
        self.executions, self.acknowledged = executions, acknowledged
        self._later(HEARTBEAT_S, self._heartbeat)
        self._later(LOOK_S, self._look_at_lease)

    def _heartbeat(self) -> None:
        self._later(HEARTBEAT_S, self._heartbeat)
        self._beat += 1
        self._sent[self._beat] = self.world.now
        self._say(Heartbeat(self._beat))

    def _look_at_lease(self) -> None:
        self._later(LOOK_S, self._look_at_lease)
        if self.world.now - self._answered_at > FENCE_S:
            self.world.tell(f"{self.name} fences itself")
            self._hang_up()
            self._begin_again()
            self._connect()

    # ---- handlers ------------------------------------------------------------------------------------

    def _run(self, assignment: Assignment) -> None:
        token = assignment.token
        if token in self._running or token in self._results or token in self._given_back:
            return
        if len(self._running) >= self.capacity:
            raise AssertionError(f"{self.name} was given more than its capacity")
        job_id = assignment.job_id
        rng = self.world.stream(f"handler of {job_id.hex()}, attempt {assignment.attempt}")
        self._running[token] = Running(assignment, self.world.now, rng)
        self.executions.append(Execution(job_id, token, assignment.attempt, self.name, self.world.now))
        if self.pen:
            self.pen.starts(assignment)
        duration = rng.uniform(0.001, 0.05) if rng.random() < 0.7 else rng.uniform(0.5, 15.0)
        if self.poison and self.world.stream(f"poison {job_id.hex()}").random() < self.poison:
            self._later(min(duration, 1.0), lambda: self._poisoned(token))
            return
        self._later(duration, lambda: self._finish(token))
        if duration > 0.5:
            self._later(rng.uniform(0.1, 0.5), lambda: self._observe(token, duration))

    def _poisoned(self, token: int) -> None:
        """The handler takes its process with it."""
        if token in self._running:
            self.world.tell(f"{self.name} is killed by the handler of token {token}", FAULT)
            self.crash()
            self.world.after(self.rng.uniform(0.1, 3.0), self.start)

    def _observe(self, token: int, pause: float) -> None:
        """Say that it runs, how far it is, and a line."""
        running = self._running.get(token)
        if running is None:
            return
        job_id = running.assignment.job_id
        at_ms = START_WALL_MS + int(self.world.now * 1000)
        started = StartedMark(job_id, token, START_WALL_MS + int(running.started * 1000))
        line = HandlerLine(job_id, token, at_ms, "info", "still at it")
        self._say(Observation((started,), (ProgressMark(job_id, token, 50, "half way"),), (line,)))
        self._later(pause / 2, lambda: self._observe(token, pause))

    def _finish(self, token: int) -> None:
        running = self._running.pop(token, None)
        if running is None:
            return
        self.ended.add(token)
        job_id = running.assignment.job_id
        started = START_WALL_MS + int(running.started * 1000)
        finished = START_WALL_MS + int(self.world.now * 1000)
        if running.stopped:
            outcome: Outcome = Failed(job_id, token, "told to stop", started, finished, cancelled=True)
        elif running.rng.random() < 0.1:
            outcome = Failed(job_id, token, "boom", started, finished)
        else:
            outcome = Completed(job_id, token, b'"ok"', started, finished)
        self._results[token] = outcome
        if self.pen:
            self.pen.ends(outcome)
        if not self._reporting:
            self._reporting = True
            self._later(0.001, self._report)

    def _report(self) -> None:
        self._reporting = False
        if self._pipe is not None and self._welcome and self._results:
            self._pipe.send(self.name, ReportMessage(tuple(self._results.values())))

    def _stop(self, stop: StopJob) -> None:
        running = self._running.get(stop.token)
        if running is not None and not running.stopped:
            running.stopped = stop.reason
            if running.rng.random() < 0.9:  # the others hang on until they are done
                self._later(running.rng.uniform(0.0, 0.5), lambda: self._finish(stop.token))
