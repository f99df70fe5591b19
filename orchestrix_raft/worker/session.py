"""The worker's side of the session protocol, without I/O and without a clock of its own.

It promises: an assignment is started once, however often it is delivered; the outcome of every handler
is kept and sent again after every Welcome until a node has acknowledged it; when no heartbeat has been
answered for `fence_after_ms` (counted from its *sending*), every handler is told to stop with reason
`lease_lost` and a fresh session begins, because from then on the cluster may give the jobs to others.

The shell calls `hello`, `receive`, `closed`, `ended`, `poll` and does what the returned effects say.
Times are seconds of any monotonic clock.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from orchestrix_raft.domain.report import Completed, Failed, Outcome, Released
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    CoordinatorMessage,
    Drain,
    DrainAsked,
    Farewell,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Redirect,
    Refused,
    ReportAck,
    Stop,
    Welcome,
    WorkerMessage,
)

REPORT_OUTCOMES: Final = 1_000
REPORT_BYTES: Final = 1 << 20  # of results and errors in one message; it may be exceeded by one outcome
FATAL: Final = frozenset({"INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED"})
"""Refusals that will not change by asking again."""
LEASE_LOST: Final = "lease_lost"


class Settings(NamedTuple):
    """What a Hello says about this worker."""

    name: str
    queues: tuple[str, ...]
    capacity: int
    labels: tuple[str, ...]


class Send(NamedTuple):
    """Send this over the current stream."""

    message: WorkerMessage


class Start(NamedTuple):
    """Run the handler."""

    job: Assignment


class Cancel(NamedTuple):
    """Ask the handler to end."""

    token: int
    reason: str


class Attached(NamedTuple):
    """The stream that brought this is the current one from now on."""

    welcome: Welcome


class Reconnect(NamedTuple):
    """This stream is of no use any more.  `elsewhere`: its node should be asked last.  `afresh`: no stream
    is, because a new session has begun: what comes over them belongs to the old one."""

    elsewhere: bool
    why: str
    afresh: bool = False


class Moved(NamedTuple):
    """Open another stream at one of these and stay here until it is welcomed."""

    servers: tuple[str, ...]


class Asked(NamedTuple):
    """The cluster wants this worker to drain and end."""


class Fatal(NamedTuple):
    """No node will have this worker as it is."""

    reason: str
    message: str


class Left(NamedTuple):
    """The session is over, everything is given back."""


class Learnt(NamedTuple):
    """These are the nodes now; for the next connection."""

    servers: tuple[str, ...]


Effect = Send | Start | Cancel | Attached | Reconnect | Moved | Asked | Fatal | Left | Learnt


class SessionCore:
    """One worker process: its session, what it runs, and what it has yet to report."""

    def __init__(self, settings: Settings, new_session_id: Callable[[], bytes]) -> None:
        self._settings = settings
        self._new_session_id = new_session_id
        self.session_id = new_session_id()
        self._epoch = 0
        self._attached = False
        self._running: dict[int, bytes] = {}  # token -> job id
        self._unacknowledged: dict[int, Outcome] = {}
        self._unsent: dict[int, Outcome] = {}  # part of the above, not yet sent over the current stream
        self._draining = False
        self._hello_at = 0.0
        self._welcome: Welcome | None = None
        self._lease_at = 0.0  # when the last answered Hello or heartbeat was sent
        self._heartbeat_at = 0.0  # when the newest heartbeat was sent, or the stream was welcomed
        self._heartbeats: dict[int, float] = {}  # number -> when it was sent
        self._number = 0

    @property
    def attached(self) -> bool:
        """A node has welcomed the current stream."""
        return self._attached

    @property
    def running(self) -> int:
        """Handlers that run for this session."""
        return len(self._running)

    @property
    def unacknowledged(self) -> int:
        """Outcomes that no node has acknowledged."""
        return len(self._unacknowledged)

    @property
    def reports_wait(self) -> bool:
        """`take_reports` has something to give."""
        return self._attached and bool(self._unsent)

    # ---- what happens ----------------------------------------------------------------------------------

    def hello(self, now: float) -> Hello:
        """The first message of a new stream, sent now."""
        self._hello_at = now
        return Hello(
            self.session_id,
            *self._settings,
            self._epoch,
            tuple((job_id, token) for token, job_id in self.held.items()),
        )

    @property
    def held(self) -> dict[int, bytes]:
        """Jobs by token that run, or whose end is not acknowledged."""
        return dict(self._running) | {
            token: outcome.job_id for token, outcome in self._unacknowledged.items()
        }

    def receive(self, message: CoordinatorMessage, now: float) -> list[Effect]:
        """A node said something, over the current stream or over one that has yet to be welcomed."""
        match message:
            case Assignments():
                return [effect for job in message.jobs if (effect := self._assigned(job)) is not None]
            case ReportAck():
                for token in (*message.tokens, *message.stale):
                    self._unacknowledged.pop(token, None)
                    self._unsent.pop(token, None)
                return []
            case HeartbeatAck():
                self._lease_at = max(self._lease_at, self._heartbeats.get(message.number, self._lease_at))
                self._heartbeats = {n: at for n, at in self._heartbeats.items() if n > message.number}
                return [Learnt(message.servers)] if message.servers else []
            case Stop():
                return [Cancel(job.token, job.reason) for job in message.jobs if job.token in self._running]
            case Welcome():
                return self._welcomed(message, now)
            case Refused():
                return self._refused(message)
            case Redirect():
                return [Moved(message.servers)]
            case Farewell():
                return [Left()]
            case DrainAsked():
                return [] if self._draining else [Asked()]
            case _:
                assert_never(message)

    def closed(self) -> None:
        """The current stream is gone; handlers go on."""
        self._attached = False
        self._heartbeats.clear()

    def ended(self, outcome: Outcome) -> None:
        """A handler ended.  One of an earlier session is nobody's business any more."""
        if self._running.pop(outcome.token, None) is not None:
            self._unacknowledged[outcome.token] = outcome
            self._unsent[outcome.token] = outcome

    def take_reports(self) -> tuple[Outcome, ...]:
        """Outcomes for one message; empty when there is nothing to send or nobody to send it to."""
        if not self._attached or not self._unsent:
            return ()
        taken: list[Outcome] = []
        size = 0
        for outcome in self._unsent.values():
            if len(taken) == REPORT_OUTCOMES or size > REPORT_BYTES:
                break
            taken.append(outcome)
            if type(outcome) is Completed:
                size += len(outcome.result)
            elif type(outcome) is Failed:
                size += 4 * len(outcome.error)  # UTF-8 at its widest
        if len(taken) == len(self._unsent):
            self._unsent.clear()
        else:
            for outcome in taken:
                del self._unsent[outcome.token]
        return tuple(taken)

    def release_all(self) -> None:
        """Give back whatever still runs: the process ends before it does."""
        for token, job_id in list(self._running.items()):
            self.ended(Released(job_id, token))

    def drain(self) -> list[Effect]:
        """No new assignments from now on; those that cross this on the way are given back."""
        self._draining = True
        return [Send(Drain())] if self._attached else []

    def goodbye(self) -> list[Effect]:
        """Say that the process ends.  Empty when there is nobody to say it to."""
        return [Send(Goodbye())] if self._attached else []

    # ---- time ------------------------------------------------------------------------------------------

    def poll(self, now: float) -> list[Effect]:
        """What is due: the fence, or a heartbeat."""
        if self._welcome is None or now < self.due():
            return []
        if now >= self._fence_at(self._welcome):
            return [
                *self._start_afresh(),
                Reconnect(True, "no heartbeat was answered in time", afresh=True),
            ]
        oldest = min(self._heartbeats.values(), default=now)
        if now - oldest >= self._interval_s(self._welcome):
            # There is still time to resume at another node before the fence.
            return [Reconnect(True, "heartbeats are not answered")]
        self._number += 1
        self._heartbeats[self._number] = self._heartbeat_at = now
        return [Send(Heartbeat(self._number))]

    def due(self) -> float:
        """When `poll` has something to do; infinity before the first Welcome."""
        welcome = self._welcome
        if welcome is None:
            return float("inf")
        fence_at = self._fence_at(welcome)
        if not self._attached:
            return fence_at
        # An unanswered heartbeat is repeated sooner: the node may have been between two leaders.
        interval_s = self._interval_s(welcome) / (4 if self._heartbeats else 1)
        return min(fence_at, self._heartbeat_at + interval_s)

    @staticmethod
    def _interval_s(welcome: Welcome) -> float:
        return welcome.heartbeat_interval_ms / 1_000

    def _fence_at(self, welcome: Welcome) -> float:
        return self._lease_at + welcome.fence_after_ms / 1_000

    # ---- transitions -----------------------------------------------------------------------------------

    def _assigned(self, job: Assignment) -> Effect | None:
        if job.token in self._running or job.token in self._unacknowledged:
            return None  # delivered again
        self._running[job.token] = job.job_id
        if self._draining:
            self.ended(Released(job.job_id, job.token))
            return None
        return Start(job)

    def _welcomed(self, message: Welcome, now: float) -> list[Effect]:
        self._welcome = message
        self._epoch = message.epoch
        self._attached = True
        self._lease_at = max(self._lease_at, self._hello_at)
        self._heartbeat_at = now
        self._heartbeats.clear()
        self._unsent = dict(self._unacknowledged)
        effects: list[Effect] = [Attached(message)]
        if self._draining:
            effects.append(Send(Drain()))
        return effects

    def _refused(self, message: Refused) -> list[Effect]:
        if message.reason in FATAL:
            return [Fatal(message.reason, message.message)]
        effects: list[Effect] = []
        afresh = message.reason == "SESSION_UNKNOWN"
        if afresh:
            effects = self._start_afresh()
        # After these two the same node is as good as any; all others say that another one is better.
        elsewhere = message.reason not in ("SESSION_UNKNOWN", "SESSION_MOVED")
        return [*effects, Reconnect(elsewhere, f"{message.reason}: {message.message}", afresh)]

    def _start_afresh(self) -> list[Effect]:
        """Whatever this session held is lost to it: stop it all, forget it all."""
        stops: list[Effect] = [Cancel(token, LEASE_LOST) for token in self._running]
        self._running.clear()
        self._unacknowledged.clear()
        self._unsent.clear()
        self._heartbeats.clear()
        self.session_id = self._new_session_id()
        self._epoch = 0
        self._attached = False
        self._welcome = None
        return stops
