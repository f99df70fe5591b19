"""The worker sessions whose streams end at this node.

Everything that binds is a committed command: attach, resume, detach, close, reports.  What is pushed
to a worker follows committed events; what a push may have lost (a broken stream, a dead node) is made
good when the session is attached again, by comparing what the state says with what the worker says it
holds.  What a worker may make this node hold is bounded: see `room`.

The hub hands each message and each event to its part: `attachments`, `pushes`, `reports`, `observations`,
`pulse`.
"""

from collections.abc import Callable
from typing import Final, assert_never

from orchestrix_raft.coordinator.attachments import Attachments
from orchestrix_raft.coordinator.observing import Observations
from orchestrix_raft.coordinator.pulse import HubLimits, Pulse
from orchestrix_raft.coordinator.pushes import Pushes
from orchestrix_raft.coordinator.reporting import Reports
from orchestrix_raft.coordinator.stream_table import StreamTable, Submit
from orchestrix_raft.coordinator.streams import Deliver, Stream
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import Job
from orchestrix_raft.domain.session import (
    Drain,
    DrainAsked,
    Goodbye,
    HandlerLine,
    Heartbeat,
    Hello,
    Observation,
    Redirect,
    ReportMessage,
    WorkerMessage,
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

NOT_HERE: Final = ("NODE_STOPPING", "this node is going down or hands over its workers: use another one")


class SessionHub:
    """All streams of this node.  `submit` commits a command; `refusal`: why this node can take no further one
    from outside now, if so; `keep_lines` keeps what handlers log."""

    def __init__(
        self,
        node_id: str,
        bounds: HubLimits,
        state: State,
        submit: Submit,
        refusal: Callable[[], Rejected | None],
        keep_lines: Callable[[list[HandlerLine]], None],
        payload: Callable[[Job], bytes],
        servers: Callable[[], tuple[str, ...]],
    ) -> None:
        self._node_id = node_id
        self._servers = servers
        self._refusal = refusal
        self.table = StreamTable(node_id, state, submit)
        self._pushes = Pushes(self.table, payload)
        self._attachments = Attachments(self.table, self._pushes, bounds, servers)
        self.reports = Reports(self.table)
        self.observations = Observations(self.table, bounds.observe_s, keep_lines)
        self._pulse = Pulse(bounds, self.table.streams, self.table.drop, servers)
        self._stopping = False  # no new streams

    def __len__(self) -> int:
        return len(self.table.streams)

    @property
    def state(self) -> State:
        """As the core has it."""
        return self.table.state

    def holds(self, session_id: bytes) -> bool:
        """A stream of this session is open here."""
        return session_id in self.table.streams

    # ---- streams -------------------------------------------------------------------------------------

    def open(self, hello: Hello, deliver: Deliver, now: float) -> Stream:
        """A worker says Hello.  It is welcomed when its attachment is committed."""
        stream = Stream(self, hello, deliver, now)
        if self._stopping or self._node_id in self.state.board.closed_nodes:
            # Before anything else: the stream that the session has here may be of use until it has moved.
            stream.refuse(*NOT_HERE)
            return stream
        overloaded = self._refusal()
        if overloaded is not None:
            stream.refuse(overloaded.reason, overloaded.message)
            return stream
        before = self.table.get(hello.session_id)
        if before is not None:
            before.refuse("SESSION_MOVED", "a newer stream of this session was opened")
        self.table.streams[hello.session_id] = stream
        self._attachments.attach(stream)
        return stream

    def stream_closed(self, stream: Stream) -> None:
        """The connection ended."""
        self.table.ended(stream)

    def received(self, stream: Stream, message: WorkerMessage) -> None:
        """Any message is a sign of life; only heartbeats are answered as such."""
        stream.heard_at = self._pulse.now
        if not (stream.welcomed or isinstance(message, Heartbeat | Goodbye)):
            self.table.drop(
                stream, "INVALID_ARGUMENT", "before Welcome only Heartbeat and Goodbye may be said"
            )
            return
        match message:
            case ReportMessage():
                self.reports.take(stream, message)
            case Heartbeat():
                self._pulse.beat(stream, message.number)
            case Observation():
                self.observations.take(stream, message, self._pulse.now)
            case Drain():
                self._attachments.drain(stream)
            case Goodbye():
                self.reports.behind_kept(stream, lambda: self._attachments.goodbye(stream))
            case Hello():
                self.table.drop(
                    stream, "INVALID_ARGUMENT", "Hello must be the first message, and the only one"
                )
            case _:
                assert_never(message)

    # ---- committed events ----------------------------------------------------------------------------

    def assigned(self, event: JobAssigned) -> None:
        """A job was given to a session of this node."""
        self._pushes.assigned(event)

    def stop_requested(self, event: StopRequested) -> None:
        """A running attempt is asked to end."""
        self._pushes.stop_requested(event)

    def attached(self, event: SessionAttached | SessionResumed) -> None:
        """The session is attached.  If elsewhere, a stream here is the older one; if here, and its stream
        ended before this was committed, nobody else will ever detach it."""
        stream = self.table.get(event.session_id)
        if event.node_id != self._node_id:
            if stream is not None and stream.epoch:
                self.table.drop(stream, "SESSION_MOVED", "the session went on at another node")
        elif stream is None:
            self.table.detach_if_mine(event.session_id)

    def detached(self, event: SessionDetached) -> None:
        """The cluster gave this node up for dead, wrongly: its streams live, so attach them again."""
        stream = self.table.get(event.session_id)
        if stream is not None and stream.epoch and not stream.over:
            self._attachments.attach_again(stream)

    def ended(self, event: SessionEnded) -> None:
        """Expired: whatever the worker still runs is no longer its own."""
        stream = self.table.get(event.session_id)
        if stream is not None and event.expired:
            self.table.drop(stream, "SESSION_UNKNOWN", "the session expired; its jobs were given to others")

    def state_replaced(self, state: State) -> None:
        """A snapshot was installed: attach every stream again, as if it had just connected."""
        self.table.state = state
        for session in state.sessions_of(self._node_id):
            if session.session_id not in self.table.streams:
                self.table.detach_if_mine(session.session_id)
        for stream in list(self.table.streams.values()):
            self._attachments.attach_again(stream)

    # ---- time ----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Push what this step's events left behind, one message a stream."""
        self._pushes.flush()

    @property
    def beating(self) -> bool:
        """A worker waits for the answer to its heartbeat."""
        return self._pulse.beating

    def tick(self, now: float, contact_s: float) -> None:
        """Observations that are due, silent streams, loss of contact with the cluster."""
        self._pulse.look(now)
        if self.observations.commit(now):
            self._pulse.drop_silent()
        self._pulse.answer(contact_s)

    # ---- handing over --------------------------------------------------------------------------------

    def redirect_all(self) -> None:
        """The node is a member no more: ask every worker to go on elsewhere."""
        self._stopping = True
        others = tuple(server for server in self._servers()[1:])
        for stream in self.table.streams.values():
            stream.send(Redirect(others))

    def stop_taking(self) -> None:
        """The node is going down: no new streams."""
        self._stopping = True

    def redirect(self, session_id: bytes, servers: tuple[str, ...]) -> None:
        """Ask a worker to go on at one of these, best first; its stream stays of use until it has."""
        stream = self.table.get(session_id)
        if stream is not None and stream.epoch:
            stream.send(Redirect(servers))

    def drain_asked(self, event: SessionDraining) -> None:
        """A worker gets nothing new: tell it, unless it said so itself."""
        stream = self.table.get(event.session_id)
        if stream is not None and stream.epoch and not stream.draining:
            stream.send(DrainAsked())

    def give_up(self, session_id: bytes) -> None:
        """A worker does not go where it was told: close its stream, leave its session to its deadline."""
        stream = self.table.get(session_id)
        if stream is None:
            self.table.detach_if_mine(session_id)
        else:
            self.table.drop(stream, *NOT_HERE)

    def close_streams(self) -> None:
        """Close what is left; sessions are detached as far as that can be committed."""
        for session_id in list(self.table.streams):
            self.give_up(session_id)

    def close_all(self) -> None:
        """End what is left, and let nothing begin."""
        self._stopping = self.table.closed = True
        for stream in list(self.table.streams.values()):
            stream.refuse(*NOT_HERE)
        self.table.streams.clear()
