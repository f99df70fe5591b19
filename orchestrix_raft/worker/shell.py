"""One run of a worker: moves messages between nodes, the session core and the runner.

Holds a stream to one node at a time (two while a node hands the session over), does what the core's
effects say, and drains when told to stop.
"""

import asyncio
import logging
import os
import random
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final

import grpc
import grpc.aio

from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.report import Failed, Outcome
from orchestrix_raft.domain.session import (
    Assignments,
    CoordinatorMessage,
    Observation,
    ReportAck,
    ReportMessage,
    WorkerMessage,
)
from orchestrix_raft.domain.words import counted
from orchestrix_raft.wire.errors import InvalidArgument, PermissionDenied, error_for
from orchestrix_raft.wire.servers import Servers
from orchestrix_raft.wire.status import reason_of
from orchestrix_raft.wire.transport import TlsFiles
from orchestrix_raft.worker.complaints import Complaints
from orchestrix_raft.worker.handlers import DRAINING, Handler
from orchestrix_raft.worker.notes import Notes
from orchestrix_raft.worker.observations import Observations
from orchestrix_raft.worker.runner import Runner
from orchestrix_raft.worker.session import (
    LEASE_LOST,
    Asked,
    Attached,
    Cancel,
    Effect,
    Fatal,
    Learnt,
    Left,
    Moved,
    Reconnect,
    Send,
    SessionCore,
    Settings,
    Start,
)
from orchestrix_raft.worker.stream import Stream, refusal_of

OBSERVE_S: Final = 0.2
WELCOME_S: Final = 8.0  # a node waits 5 s for a leader; one that needs longer is frozen
DRAIN_S: Final = 30.0  # for handlers to end by themselves
STOP_S: Final = 5.0  # for handlers that were told to end
LAST_WORDS_S: Final = 5.0  # for acknowledgements, and for the answer to Goodbye
RECONNECT_S: Final = 0.05  # at least, so that a fault does not become a busy loop
RECONNECT_SPREAD_S: Final = 0.25  # so that not all workers of a dead node come in the same instant ...
RECONNECT_MAX_S: Final = 1.0  # ... doubled with each round over all servers, up to this

_REFUSED: Final = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)
"""Statuses that asking again will not change."""

_ENDS: Final = "the worker ends"
_ELSEWHERE: Final = "the session went on at another node"
_TOLD_AGAIN: Final = "told to go to another node instead"

_log = logging.getLogger("orchestrix_raft.worker")


class Shell:
    """`run` once."""

    def __init__(
        self,
        settings: Settings,
        servers: tuple[str, ...],
        tls: TlsFiles | None,
        handlers: Mapping[str, Handler],
        draw: random.Random,
        notes: Notes | None = None,
    ) -> None:
        self._notes = notes  # of what runs; None: nobody wants them
        self._loop = asyncio.get_running_loop()
        self._tls = tls
        self._draw = draw
        self._servers = Servers(servers, draw.randrange(len(servers)))
        self._core = SessionCore(settings, lambda: os.urandom(16))
        self._observations = Observations(self._observe_soon)
        self._runner = Runner(settings.name, handlers, settings.capacity, self._observations, self._ended)
        self._failures = 0  # streams in a row that were not welcomed
        self._complaints = Complaints(self._loop.time())
        self._current: Stream | None = None
        self._streams: dict[Stream, asyncio.Task[str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._observing: asyncio.TimerHandle | None = None
        self._observe_now = False
        self._fault: BaseException | None = None
        self._broken = asyncio.Event()
        self._hurry = asyncio.Event()
        self._asked = asyncio.Event()  # to drain, by the cluster
        self._idle = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._left = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set or the cluster asks for it, then drain.  Raises what no node will change
        its mind about."""
        connecting = self._loop.create_task(self._keep_connected())
        connecting.add_done_callback(self._watch)
        try:
            await self._first_of(stop.wait(), self._asked.wait(), self._broken.wait())
            if self._fault is None:
                await self._drain()
        finally:
            connecting.cancel()
            for stream in self._streams:
                stream.close(_ENDS)
            await asyncio.wait([connecting, *self._streams.values()])
            for timer in (self._timer, self._observing):
                if timer is not None:
                    timer.cancel()
            self._runner.close()
        if self._fault is not None:
            raise self._fault

    def hurry(self) -> None:
        """Do not wait for handlers any longer."""
        self._hurry.set()

    # ---- streams ---------------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        while True:
            stream = Stream(self._servers.current, self._tls, self._received, self._pull)
            task = self._loop.create_task(self._run_stream(stream))
            self._streams[stream] = task
            task.add_done_callback(self._watch)
            moved = self._loop.create_task(stream.moved.wait())
            try:
                await asyncio.wait({task, moved}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                moved.cancel()
            if not stream.moved.is_set():
                rounds = min(self._failures // len(self._servers), 8)
                spread_s = min(RECONNECT_MAX_S, RECONNECT_SPREAD_S * 2.0**rounds)
                await asyncio.sleep(self._draw.uniform(RECONNECT_S, spread_s))

    async def _run_stream(self, stream: Stream) -> str:
        """Runs it to its end and returns why it ended."""
        giving_up = self._loop.call_later(WELCOME_S, self._not_welcomed, stream)
        try:
            reason = why = await stream.run(lambda: self._core.hello(self._loop.time()))
        except grpc.aio.AioRpcError as error:
            why = f"{stream.address}: {refusal_of(error)}"
            reason = error.code().name  # the text may differ each time
            if error.code() in _REFUSED:
                trailers: Any = error.trailing_metadata()
                self._fail(error_for(error.code().value[0], reason_of(trailers), why))
        finally:
            giving_up.cancel()
            del self._streams[stream]
            if self._current is stream:
                self._current = None
                self._core.closed()
                self._arm()
        self._failures = 0 if stream.welcomed else self._failures + 1
        if not stream.welcomed:
            self._servers.failed(stream.address)
        words = f"{stream.address}: the stream ended: {why}"
        if why in (_ENDS, _ELSEWHERE):
            _log.info("%s", words)
        else:
            self._complaints.say(f"{stream.address} {reason}", words, self._loop.time())
        return why

    def _not_welcomed(self, stream: Stream) -> None:
        if not stream.welcomed:
            stream.close(f"no Welcome within {WELCOME_S:g} s")

    def _watch(self, task: "asyncio.Task[Any]") -> None:
        """A task that fails ends the worker: what it did is not done any more."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._fault = self._fault or error
        self._broken.set()

    # ---- messages --------------------------------------------------------------------------------------

    def _received(self, stream: Stream, message: CoordinatorMessage) -> None:
        if stream.why:
            return  # closed by us: it may speak of a session that is over
        self._apply(self._core.receive(message, self._loop.time()), stream)
        if isinstance(message, ReportAck):
            if self._notes is not None:
                self._notes.acknowledged(message)
            if not self._core.unacknowledged:
                self._acknowledged.set()
        elif not isinstance(message, Assignments):
            self._arm()

    def _apply(self, effects: Iterable[Effect], stream: Stream | None) -> None:
        stopped = 0
        for effect in effects:
            match effect:
                case Start(job):
                    self._idle.clear()
                    if self._notes is not None:
                        self._notes.started(job)
                    self._runner.start(job)
                case Cancel(token, reason):
                    self._runner.cancel(token, reason)
                    stopped += reason == LEASE_LOST
                case Send(message):
                    if self._current is not None:
                        self._current.send(message)
                case Attached(welcome):
                    self._attached(stream, welcome.node_id)
                    self._servers.learn(welcome.servers)
                case Reconnect(elsewhere, why, afresh):
                    if afresh:
                        _log.warning("the session is lost: %s; handlers told to stop: %d", why, stopped)
                    for one in list(self._streams) if afresh or stream is None else [stream]:
                        self._leave(one, elsewhere, why)
                case Moved(servers):
                    self._move(stream, servers)
                case Asked():
                    _log.info("told by the cluster to drain and end")
                    self._asked.set()
                case Fatal(reason, message):
                    kind = InvalidArgument if reason == "INVALID_ARGUMENT" else PermissionDenied
                    self._fail(kind(message, reason))
                case Left():
                    self._left.set()
                case Learnt(servers):
                    self._servers.learn(servers)
        if stream is not None and stream is self._current:
            stream.wake()

    def _attached(self, stream: Stream | None, node_id: str) -> None:
        before, self._current = self._current, stream
        if stream is not None:
            stream.welcomed = True
            gap = self._complaints.over(self._loop.time())
            _log.info("attached to node %s at %s%s", node_id, stream.address, gap)
        if before is not None and before is not stream:
            before.close(_ELSEWHERE)
        self._observations.again(self._core.held)

    def _move(self, stream: Stream | None, servers: Iterable[str]) -> None:
        others = [server for server in servers if stream is not None and server != stream.address]
        if stream is not None and others:
            self._servers.prefer(others)
            for one in self._streams:  # told again: where it was told to go before is not answering
                if stream.moved.is_set() and not one.welcomed:
                    one.close(_TOLD_AGAIN)
            stream.moved.set()

    def _leave(self, stream: Stream, elsewhere: bool, why: str) -> None:
        if elsewhere:
            self._servers.failed(stream.address)
        stream.close(why)

    def _pull(self, stream: Stream) -> WorkerMessage | None:
        """Observations that are due, lines before the report that ends their job, reports."""
        if stream is not self._current:
            return None
        if self._observe_now or (self._observations.lines_wait and self._core.reports_wait):
            observation = self._take_observation()
            if observation is not None:
                return observation
        outcomes = self._core.take_reports()
        return ReportMessage(outcomes) if outcomes else None

    def _take_observation(self) -> Observation | None:
        observation = self._observations.take()
        self._observe_now = self._observations.lines_wait
        return observation

    # ---- handlers --------------------------------------------------------------------------------------

    def _ended(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Failed) and not outcome.cancelled:
                _tell_failure(outcome)
            if self._notes is not None:
                self._notes.ended(outcome)
            self._core.ended(outcome)
        if self._core.unacknowledged:
            self._acknowledged.clear()
        if not len(self._runner):
            self._idle.set()
        if self._current is not None:
            self._current.wake()

    def _observe_soon(self) -> None:
        """Called from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._arm_observing)
        except RuntimeError:
            return  # the loop is closed: nobody ships what a left-over handler says

    def _arm_observing(self) -> None:
        self._observing = self._loop.call_later(OBSERVE_S, self._observe)

    def _observe(self) -> None:
        if self._current is None:
            self._arm_observing()  # nobody to tell it to yet
            return
        self._observe_now = True
        self._current.wake()

    # ---- time ------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._core.due()
        self._timer = self._loop.call_at(due, self._poll) if due != float("inf") else None

    def _poll(self) -> None:
        self._apply(self._core.poll(self._loop.time()), self._current)
        self._arm()

    # ---- the end ---------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Finish what runs, give back the rest, say goodbye."""
        _log.info(
            "draining: %s to end", counted(len(self._runner), "handler") if len(self._runner) else "nothing"
        )
        self._apply(self._core.drain(), self._current)
        await self._handlers_end(DRAIN_S, self._hurry.wait())
        for token in self._runner.tokens:
            self._runner.cancel(token, DRAINING)
        await self._handlers_end(STOP_S)
        if self._notes is not None:
            self._notes.released(self._core.held)
        self._core.release_all()
        if self._core.unacknowledged:
            self._acknowledged.clear()
            if self._current is not None:
                self._current.wake()
            await self._first_of(self._acknowledged.wait(), self._broken.wait(), timeout_s=LAST_WORDS_S)
        if self._core.attached:
            self._apply(self._core.goodbye(), self._current)
            await self._first_of(self._left.wait(), self._broken.wait(), timeout_s=LAST_WORDS_S)

    async def _handlers_end(self, timeout_s: float, *or_else: Coroutine[Any, Any, Any]) -> None:
        if len(self._runner):
            await self._first_of(self._idle.wait(), *or_else, timeout_s=timeout_s)
        else:
            for waiting in or_else:
                waiting.close()

    @staticmethod
    async def _first_of(*waiting: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> None:
        tasks = [asyncio.ensure_future(one) for one in waiting]
        try:
            await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def _tell_failure(outcome: Failed) -> None:
    """For whoever watches the worker; the whole of it is kept with the attempt."""
    words, _, where = outcome.error.partition("\n")
    _log.warning("an attempt of job %s failed: %s", format_job_id(outcome.job_id), words)
    if where:
        _log.debug("%s", where.strip())
