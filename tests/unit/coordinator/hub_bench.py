"""The hub of one node over a real machine, and the workers at the other ends of its streams."""

from collections.abc import Callable

from orchestrix_raft.coordinator.hub import SessionHub
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.coordinator.proposer import unavailable
from orchestrix_raft.coordinator.pulse import HubLimits
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.report import Completed
from orchestrix_raft.domain.session import (
    Assignments,
    CoordinatorMessage,
    HandlerLine,
    Hello,
    Refused,
    ReportMessage,
    Welcome,
)
from orchestrix_raft.machine.commands import (
    Command,
)
from orchestrix_raft.machine.events import (
    JobAssigned,
    SessionAttached,
    SessionDetached,
    SessionEnded,
    SessionResumed,
    StopRequested,
)
from tests.scenarios.driver import Driver, job, key

OnDone = Callable[[Outcome], None] | None


class Worker:
    """The other end of one stream."""

    def __init__(self) -> None:
        self.heard: list[CoordinatorMessage] = []
        self.stream: Stream

    def last(self, kind: type) -> CoordinatorMessage:
        return [message for message in self.heard if isinstance(message, kind)][-1]

    def count(self, kind: type) -> int:
        return sum(isinstance(message, kind) for message in self.heard)

    @property
    def assigned(self) -> list[tuple[bytes, int]]:
        given = [message for message in self.heard if isinstance(message, Assignments)]
        return [(one.job_id, one.token) for message in given for one in message.jobs]

    @property
    def refusal(self) -> str:
        last = self.heard[-1] if self.heard else None
        return last.reason if isinstance(last, Refused) else ""


class Bench:
    """The hub of node n1 over a real machine; what it submits waits until the test commits it."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.driver.start_node("n1")
        self.driver.start_node("n2")
        self.now = 1_000.0
        self.contact_s = 0.0
        self.servers: tuple[str, ...] = ("n1:1", "n2:1")
        self.waiting: list[tuple[Command, OnDone]] = []
        self.committed: list[Command] = []
        self.lines: list[HandlerLine] = []
        self.overloaded: Rejected | None = None
        self.hub = SessionHub(
            "n1",
            HubLimits(),
            self.driver.machine.state,
            lambda command, done: self.waiting.append((command, done)),
            lambda: self.overloaded,
            self.lines.extend,
            lambda job: b"large",
            lambda: self.servers,
        )
        self.step()

    # ---- workers

    def hello(
        self, name: str = "w", *, epoch: int = 0, capacity: int = 2, held: tuple[tuple[bytes, int], ...] = ()
    ) -> Worker:
        worker = Worker()
        hello = Hello(key(name), name, ("default",), capacity, (), epoch, held)
        worker.stream = self.hub.open(hello, worker.heard.append, self.now)
        return worker

    def worker(self, name: str = "w", **options: int) -> Worker:
        """One that is welcome already."""
        worker = self.hello(name, **options)  # type: ignore[arg-type]  # capacity and epoch
        self.commit()
        assert worker.count(Welcome) == 1
        return worker

    # ---- the cluster

    def commit(self, count: int = 99) -> list[Command]:
        """Commit what waits, and what follows from it."""
        done_now: list[Command] = []
        while self.waiting and count:
            count -= 1
            command, done = self.waiting.pop(0)
            result = self.driver.do(command, node="n1")
            done_now.append(command)
            self.follow()
            if done is not None:
                done(Done(self.driver.index, result))
        self.committed += done_now
        self.hub.flush()
        return done_now

    def refuse(self) -> list[Command]:
        """Nothing that waits is committed: its callers hear that it certainly will not be."""
        return self._answer(NotApplied(unavailable(False)))

    def _answer(self, outcome: Outcome) -> list[Command]:
        waiting, self.waiting = self.waiting, []
        for _, done in waiting:
            if done is not None:
                done(outcome)
        return [command for command, _ in waiting]

    def lose_answers(self) -> None:
        """Everything is committed, but the answers say that nobody knows."""
        waiting, self.waiting = self.waiting, []
        for command, done in waiting:
            self.driver.do(command, node="n1")
            if done is not None:
                done(Unknown("?"))
            self.follow()

    def elsewhere(self, command: Command, node: str = "n2") -> None:
        """A command of another node."""
        self.driver.do(command, node=node)
        self.follow()
        self.hub.flush()

    def follow(self) -> None:
        for event in self.driver.events:
            match event:
                case JobAssigned():
                    if event.node_id == "n1":
                        self.hub.assigned(event)
                case StopRequested():
                    self.hub.stop_requested(event)
                case SessionAttached() | SessionResumed():
                    self.hub.attached(event)
                case SessionDetached():
                    self.hub.detached(event)
                case SessionEnded():
                    self.hub.ended(event)
                case _:
                    pass

    def run(self, milliseconds: int) -> None:
        """Log time passes."""
        self.driver.tick(milliseconds)
        self.follow()
        self.hub.flush()

    def enqueue(self, *names: str, **fields: object) -> None:
        self.driver.enqueue(*(job(name, **fields) for name in names))
        self.follow()
        self.hub.flush()

    def step(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.hub.tick(self.now, self.contact_s)

    def session(self, name: str = "w") -> tuple[str, int]:
        session = self.driver.machine.state.sessions[key(name)]
        return session.node_id, session.epoch


def token_of(bench: Bench, name: str) -> int:
    return bench.driver.job(name).token


def report(bench: Bench, worker: Worker, name: str, token: int = 0) -> None:
    outcome = Completed(key(name), token or token_of(bench, name), b"1", 0, 1)
    worker.stream.receive(ReportMessage((outcome,)))
