"""The worker sessions whose streams end at this node.

Everything that binds is a committed command: attach, resume, detach, close, reports.  What is pushed
to a worker follows committed events; what a push may have lost (a broken stream, a dead node) is made
good when the session is attached again, by comparing what the state says with what the worker says it
holds.  What a worker may make this node hold is bounded: see `room`.
"""

import logging
from collections.abc import Callable
from typing import assert_never

from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome
from orchestrix_raft.coordinator.pulse import HubLimits, Pulse
from orchestrix_raft.coordinator.room import ReportRoom, size_of
from orchestrix_raft.coordinator.streams import Deliver, Stream
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import ASSIGNED, Job
from orchestrix_raft.domain.report import Released
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    Drain,
    DrainAsked,
    Farewell,
    Goodbye,
    HandlerLine,
    Heartbeat,
    Hello,
    Observation,
    Redirect,
    ReportAck,
    ReportMessage,
    Stop,
    StopJob,
    Welcome,
    WorkerMessage,
)
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.commands import (
    AttachSession,
    CloseSession,
    Command,
    DetachSession,
    DrainSession,
    Observe,
    Report,
    ReportResult,
    ResumeSession,
)
from orchestrix_raft.machine.events import (
    JobAssigned,
    SessionAttached,
    SessionDetached,
    SessionDraining,
    SessionEnded,
    SessionResumed,
    StopRequested,
)
from orchestrix_raft.machine.state import State

NOT_HERE = ("NODE_STOPPING", "this node is going down or hands over its workers: use another one")
UNANSWERED = 2 * limits.CAPACITY  # outcomes of one worker under way: no honest one comes near
COMPLAIN_S = 60.0  # between two words in the log about refused lines

log = logging.getLogger(__name__)

Submit = Callable[[Command, Callable[[Outcome], None] | None], None]


class SessionHub:
    """All streams of this node.  `submit` commits a command; `keep_lines` keeps what handlers log."""

    def __init__(
        self,
        node_id: str,
        bounds: HubLimits,
        submit: Submit,
        keep_lines: Callable[[list[HandlerLine]], None],
        payload: Callable[[Job], bytes],
        servers: Callable[[], tuple[str, ...]],
    ) -> None:
        self._node_id = node_id
        self._bounds = bounds
        self._submit = submit
        self._keep_lines = keep_lines
        self._payload = payload
        self._servers = servers
        self._streams: dict[bytes, Stream] = {}
        self._touched: dict[Stream, None] = {}  # with something to push after this step, in order
        self._pulse = Pulse(bounds, self._streams, self._drop)
        self._observe_at = 0.0
        self._stopping = False  # no new streams
        self._closed = False  # nothing is committed any more
        self.state: State  # set by the core, again whenever the state is replaced
        self.stale_lines = 0  # refused: not of an attempt that the worker who sent them runs
        self._complain_at = 0.0
        self.room = ReportRoom()

    def __len__(self) -> int:
        return len(self._streams)

    def holds(self, session_id: bytes) -> bool:
        """A stream of this session is open here."""
        return session_id in self._streams

    # ---- streams -------------------------------------------------------------------------------------

    def open(self, hello: Hello, deliver: Deliver, now: float) -> Stream:
        """A worker says Hello.  It is welcomed when its attachment is committed."""
        stream = Stream(self, hello, deliver, now)
        if self._stopping or self._node_id in self.state.board.closed_nodes:
            # Before anything else: the stream that the session has here may be of use until it has moved.
            stream.refuse(*NOT_HERE)
            return stream
        before = self._streams.get(hello.session_id)
        if before is not None:
            before.refuse("SESSION_MOVED", "a newer stream of this session was opened")
        self._streams[hello.session_id] = stream
        self._attach(stream)
        return stream

    def _attach(self, stream: Stream) -> None:
        hello = stream.hello
        known = self.state.sessions.get(stream.session_id)
        command: Command
        if known is not None:
            command = ResumeSession(stream.session_id, self._node_id, known.epoch)
        elif hello.epoch > 0:
            command = ResumeSession(stream.session_id, self._node_id, hello.epoch)
        else:
            command = AttachSession(
                hello.session_id,
                self._node_id,
                hello.name,
                tuple(sorted(set(hello.queues))),
                hello.capacity,
                tuple(sorted(set(hello.labels))),
            )
        self._submit(command, lambda outcome: self._attached(stream, outcome))

    def _attached(self, stream: Stream, outcome: Outcome) -> None:
        if stream.over:
            return
        if not isinstance(outcome, Done):
            reason = outcome.rejected.reason if isinstance(outcome, NotApplied) else "OUTCOME_UNKNOWN"
            self._drop(stream, reason, "the session could not be committed: try another node")
            return
        session = self.state.sessions.get(stream.session_id)
        if isinstance(outcome.result, Rejected):
            self._attach_rejected(stream, session, outcome.result)
        elif session is None or session.node_id != self._node_id:
            self._drop(stream, "SESSION_MOVED", "the session went on elsewhere meanwhile")
        else:
            self._welcome(stream, session)

    def _attach_rejected(self, stream: Stream, session: Session | None, why: Rejected) -> None:
        # What was asked depended on a state that may have been behind; ask again if that was the cause.
        if session is not None and why.reason in ("SESSION_MOVED", "SESSION_EXISTS"):
            self._attach(stream)
        else:
            self._drop(stream, why.reason, why.message)

    def _welcome(self, stream: Stream, session: Session) -> None:
        """Attached: say so, then reconcile what the state has with what the worker has."""
        stream.epoch = session.epoch
        stream.welcomed = True
        stream.send(
            Welcome(
                session.epoch,
                self._node_id,
                int(self._bounds.heartbeat_s * 1000),
                int(self._bounds.fence_s * 1000),
                self._servers(),
            )
        )
        jobs = self.state.jobs
        over: list[Released] = []
        for token, job_id in session.slots.items():
            job = jobs.get(job_id)
            if job is None or job.token != token or job.state not in ASSIGNED:
                if token not in stream.held:
                    # The attempt is over and the worker knows nothing of it: its slot is free.
                    over.append(Released(job_id, token))
            else:
                self._push(stream, job)
                if job.stop is not None:
                    stream.stops.append(StopJob(job_id, token, job.stop.why))
        if over:
            self._insist(Report(stream.session_id, tuple(over)), lambda: not stream.over)
        for job_id, token in stream.hello.held:
            if token not in session.slots:
                stream.stops.append(StopJob(job_id, token, "lease_lost"))
        self._touched[stream] = None
        if stream.draining:
            self._drain(stream)
        elif session.draining:
            stream.send(DrainAsked())
        if stream.leaving:
            self._close(stream)

    def _insist(self, command: Command, wanted: Callable[[], bool]) -> None:
        """Commit it however long that takes, for as long as it is wanted; again and again does no harm."""

        def answered(outcome: Outcome) -> None:
            if not isinstance(outcome, Done) and not self._closed and wanted():
                self._insist(command, wanted)

        self._submit(command, answered)

    def _drop(self, stream: Stream, reason: str, message: str) -> None:
        """End a stream from this side."""
        stream.refuse(reason, message)
        self.stream_closed(stream)

    def stream_closed(self, stream: Stream) -> None:
        """The connection ended: from now on the session has a deadline, unless it is elsewhere already.  If
        its attachment is still to be committed, `attached` will see that nobody is here for it."""
        if self._streams.get(stream.session_id) is stream:
            del self._streams[stream.session_id]
            self.detach(stream.session_id)

    def detach(self, session_id: bytes) -> None:
        """A session that stayed attached without a stream would keep its jobs for ever, so this is
        committed however long it takes; one that was resumed since has another epoch."""
        session = self.state.sessions.get(session_id)
        if session is not None and session.node_id == self._node_id:
            self._insist(DetachSession(session_id, session.epoch), lambda: True)

    # ---- messages of workers -------------------------------------------------------------------------

    def received(self, stream: Stream, message: WorkerMessage) -> None:
        """Any message is a sign of life; only heartbeats are answered as such."""
        stream.heard_at = self._pulse.now
        if not (stream.welcomed or isinstance(message, Heartbeat | Goodbye)):
            self._drop(stream, "INVALID_ARGUMENT", "before Welcome only Heartbeat and Goodbye may be said")
            return
        match message:
            case ReportMessage():
                self._take_report(stream, message)
            case Heartbeat():
                self._pulse.beat(stream, message.number)
            case Observation():
                self._observe(stream, message)
            case Drain():
                if not stream.draining:
                    stream.draining = True
                    if stream.epoch:
                        self._drain(stream)  # else as soon as it is attached again
            case Goodbye():
                self._goodbye(stream)
            case Hello():
                self._drop(stream, "INVALID_ARGUMENT", "Hello must be the first message, and the only one")
            case _:
                assert_never(message)

    def _drain(self, stream: Stream) -> None:
        self._insist(DrainSession(stream.session_id), lambda: not stream.over)

    def _take_report(self, stream: Stream, message: ReportMessage) -> None:
        if not stream.epoch:
            return  # about to be attached again: the worker repeats its reports behind that Welcome
        stream.unanswered += len(message.outcomes)
        if stream.unanswered > UNANSWERED or not self.room.open_to(stream):
            self._drop(stream, "TOO_MANY_REPORTS", "far more reports than slots: wait for acks")
            return
        size = size_of(message.outcomes)
        self.room.take(stream, size)
        self._report(stream, message, size)

    def _report(self, stream: Stream, message: ReportMessage, size: int) -> None:
        for outcome in message.outcomes:
            stream.started.pop(outcome.token, None)
            stream.progress.pop(outcome.token, None)
        command = Report(stream.session_id, message.outcomes)
        self._submit(command, lambda outcome: self._reported(stream, message, size, outcome))

    def _reported(self, stream: Stream, message: ReportMessage, size: int, outcome: Outcome) -> None:
        if not (isinstance(outcome, Done) or stream.over):
            # Reports may be repeated: go on until it is known, or the worker is elsewhere.
            self._report(stream, message, size)
            return
        self.room.give_back(stream, size)
        if not isinstance(outcome, Done):
            return
        stream.unanswered -= len(message.outcomes)
        match outcome.result:
            case Rejected(reason=reason, message=why):
                self._drop(stream, reason, why)
            case ReportResult(stale):
                self._acknowledge(stream, message, stale)
            case other:
                raise TypeError(f"a report was answered with {other!r}")

    def _acknowledge(self, stream: Stream, message: ReportMessage, stale: dict[int, str]) -> None:
        outcomes = message.outcomes
        for reported in outcomes:
            stream.held.discard(reported.token)
        if stale:
            stream.send(
                ReportAck(
                    tuple(o.token for i, o in enumerate(outcomes) if i not in stale),
                    tuple(o.token for i, o in enumerate(outcomes) if i in stale),
                )
            )
        else:
            stream.send(ReportAck(tuple([o.token for o in outcomes]), ()))

    def _observe(self, stream: Stream, message: Observation) -> None:
        lines = stream.observe(message, self.state)
        if len(lines) < len(message.lines):
            self._refuse_lines(stream, len(message.lines) - len(lines))
        if lines:
            self._keep_lines(lines)

    def _refuse_lines(self, stream: Stream, count: int) -> None:
        """Count them, and say so now and then: handlers that outlive their attempt may be talkative."""
        self.stale_lines += count
        if self._pulse.now >= self._complain_at:
            self._complain_at = self._pulse.now + COMPLAIN_S
            log.warning(
                "worker %s sent log lines of attempts that are over or not its own: not kept"
                " (%d lines since this node began)",
                stream.hello.name,
                self.stale_lines,
            )

    def _goodbye(self, stream: Stream) -> None:
        if not stream.leaving:
            stream.leaving = True
            if stream.epoch:
                self._close(stream)  # else as soon as it is attached

    def _close(self, stream: Stream) -> None:
        self._submit(
            CloseSession(stream.session_id, stream.epoch), lambda outcome: self._left(stream, outcome)
        )

    def _left(self, stream: Stream, outcome: Outcome) -> None:
        if stream.over:
            return
        if isinstance(outcome, Done) and not isinstance(outcome.result, Rejected):
            stream.send(Farewell())
            stream.over = True
            self._streams.pop(stream.session_id, None)
        elif self.state.sessions.get(stream.session_id) is None:
            self._drop(stream, "SESSION_UNKNOWN", "the session had ended already")
        elif stream.epoch:
            self._close(stream)  # not committed yet

    # ---- committed events ----------------------------------------------------------------------------

    def assigned(self, event: JobAssigned) -> None:
        """A job was given to a session of this node."""
        stream = self._streams.get(event.session_id)
        if stream is None or not stream.epoch or event.token in stream.held:
            return
        job = self.state.jobs.get(event.job_id)
        if job is not None and job.token == event.token and job.state in ASSIGNED:
            self._push(stream, job)
            self._touched[stream] = None
        else:
            # This node stood still for so long that the attempt is over: the worker never hears of it, so
            # its slot is free, and nobody else will say so.
            unheard = Report(stream.session_id, (Released(event.job_id, event.token),))
            self._insist(unheard, lambda: not stream.over)

    def _push(self, stream: Stream, job: Job) -> None:
        token = job.token
        if token in stream.held:
            return
        stream.held.add(token)
        spec = job.spec
        left = spec.timeout_ms
        if left and job.timer is not None:
            left = max(1, job.timer.due_ms - self.state.elapsed_ms)
        stream.outbox.append(
            Assignment(
                spec.job_id,
                token,
                spec.type,
                spec.queue,
                self._payload(job) if job.args_stored else spec.args,
                job.attempt,
                spec.retry.max_retries,
                spec.correlation_id,
                left,
                spec.firing,
            )
        )

    def stop_requested(self, event: StopRequested) -> None:
        """A running attempt is asked to end."""
        stream = self._streams.get(event.session_id)
        if stream is not None and stream.epoch:
            stream.stops.append(StopJob(event.job_id, event.token, event.why))
            self._touched[stream] = None

    def attached(self, event: SessionAttached | SessionResumed) -> None:
        """The session is attached.  If elsewhere, a stream here is the older one; if here, and its stream
        ended before this was committed, nobody else will ever detach it."""
        stream = self._streams.get(event.session_id)
        if event.node_id != self._node_id:
            if stream is not None and stream.epoch:
                self._drop(stream, "SESSION_MOVED", "the session went on at another node")
        elif stream is None:
            self.detach(event.session_id)

    def detached(self, event: SessionDetached) -> None:
        """The cluster gave this node up for dead, wrongly: its streams live, so attach them again."""
        stream = self._streams.get(event.session_id)
        if stream is not None and stream.epoch and not stream.over:
            stream.epoch = 0
            self._attach(stream)

    def ended(self, event: SessionEnded) -> None:
        """Expired: whatever the worker still runs is no longer its own."""
        stream = self._streams.get(event.session_id)
        if stream is not None and event.expired:
            self._drop(stream, "SESSION_UNKNOWN", "the session expired; its jobs were given to others")

    def state_replaced(self, state: State) -> None:
        """A snapshot was installed: attach every stream again, as if it had just connected."""
        self.state = state
        for session in state.sessions_of(self._node_id):
            if session.session_id not in self._streams:
                self.detach(session.session_id)
        for stream in list(self._streams.values()):
            stream.epoch = 0
            self._attach(stream)

    # ---- time ----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Push what this step's events left behind, one message a stream."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for stream in touched:
            if stream.outbox:
                jobs, stream.outbox = tuple(stream.outbox), []
                stream.send(Assignments(jobs))
            if stream.stops:
                stops, stream.stops = tuple(stream.stops), []
                stream.send(Stop(stops))

    def tick(self, now: float, contact_s: float) -> None:
        """Observations that are due, silent streams, loss of contact with the cluster."""
        self._pulse.look(now)
        if now >= self._observe_at:
            self._observe_at = now + self._bounds.observe_s
            self._commit_observations()
            self._pulse.drop_silent()
        self._pulse.answer(contact_s)

    def _commit_observations(self) -> None:
        for stream in self._streams.values():
            # One at a time: while nothing can be committed the newer progress takes the place of the older.
            if (stream.started or stream.progress) and not stream.observing:
                self._commit_observed(stream)

    def _commit_observed(self, stream: Stream) -> None:
        def answered(outcome: Outcome) -> None:
            del outcome  # what was not committed is told by the report at the latest
            stream.observing = False

        stream.observing = True
        self._submit(Observe(stream.session_id, *stream.take_observed()), answered)

    # ---- handing over --------------------------------------------------------------------------------

    def stop_taking(self) -> None:
        """The node is going down: no new streams."""
        self._stopping = True

    def redirect(self, session_id: bytes, servers: tuple[str, ...]) -> None:
        """Ask a worker to go on at one of these, best first; its stream stays of use until it has."""
        stream = self._streams.get(session_id)
        if stream is not None and stream.epoch:
            stream.send(Redirect(servers))

    def drain_asked(self, event: SessionDraining) -> None:
        """A worker gets nothing new: tell it, unless it said so itself."""
        stream = self._streams.get(event.session_id)
        if stream is not None and stream.epoch and not stream.draining:
            stream.send(DrainAsked())

    def give_up(self, session_id: bytes) -> None:
        """A worker does not go where it was told: close its stream, leave its session to its deadline."""
        stream = self._streams.get(session_id)
        if stream is None:
            self.detach(session_id)
        else:
            self._drop(stream, *NOT_HERE)

    def close_streams(self) -> None:
        """Close what is left; sessions are detached as far as that can be committed."""
        for session_id in list(self._streams):
            self.give_up(session_id)

    def close_all(self) -> None:
        """End what is left, and let nothing begin."""
        self._stopping = self._closed = True
        for stream in list(self._streams.values()):
            stream.refuse(*NOT_HERE)
        self._streams.clear()
