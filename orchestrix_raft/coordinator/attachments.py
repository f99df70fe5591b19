"""How a session comes to a node and leaves it: attach, resume, drain, close, each a committed command.

Once attached, what the state has is compared with what the worker says it holds: what a lost push or a dead
node left behind is made good here.
"""

from collections.abc import Callable

from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome
from orchestrix_raft.coordinator.pulse import HubLimits
from orchestrix_raft.coordinator.pushes import Pushes
from orchestrix_raft.coordinator.stream_table import StreamTable
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import ASSIGNED
from orchestrix_raft.domain.report import Released
from orchestrix_raft.domain.session import DrainAsked, Farewell, StopJob, Welcome
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.commands import (
    AttachSession,
    CloseSession,
    Command,
    DrainSession,
    Report,
    ResumeSession,
)


class Attachments:
    """Of the streams of `table`.  `servers`: API addresses of all nodes, told to workers."""

    def __init__(
        self,
        table: StreamTable,
        pushes: Pushes,
        bounds: HubLimits,
        servers: Callable[[], tuple[str, ...]],
    ) -> None:
        self._table = table
        self._pushes = pushes
        self._bounds = bounds
        self._servers = servers

    # ---- coming --------------------------------------------------------------------------------------

    def attach(self, stream: Stream) -> None:
        """Commit that the session is here; the worker is welcomed then."""
        hello = stream.hello
        known = self._table.state.sessions.get(stream.session_id)
        command: Command
        if known is not None:
            command = ResumeSession(stream.session_id, self._table.node_id, known.epoch)
        elif hello.epoch > 0:
            command = ResumeSession(stream.session_id, self._table.node_id, hello.epoch)
        else:
            command = AttachSession(
                hello.session_id,
                self._table.node_id,
                hello.name,
                tuple(sorted(set(hello.queues))),
                hello.capacity,
                tuple(sorted(set(hello.labels))),
            )
        self._table.submit(command, lambda outcome: self._attached(stream, outcome))

    def attach_again(self, stream: Stream) -> None:
        """What was committed for this stream does not hold any more."""
        stream.epoch = 0
        self.attach(stream)

    def _attached(self, stream: Stream, outcome: Outcome) -> None:
        if stream.over:
            return
        if not isinstance(outcome, Done):
            reason = outcome.rejected.reason if isinstance(outcome, NotApplied) else "OUTCOME_UNKNOWN"
            self._table.drop(stream, reason, "the session could not be committed: try another node")
            return
        session = self._table.state.sessions.get(stream.session_id)
        if isinstance(outcome.result, Rejected):
            self._attach_rejected(stream, session, outcome.result)
        elif session is None or session.node_id != self._table.node_id:
            self._table.drop(stream, "SESSION_MOVED", "the session went on elsewhere meanwhile")
        else:
            self._welcome(stream, session)

    def _attach_rejected(self, stream: Stream, session: Session | None, why: Rejected) -> None:
        # What was asked depended on a state that may have been behind; ask again if that was the cause.
        if session is not None and why.reason in ("SESSION_MOVED", "SESSION_EXISTS"):
            self.attach(stream)
        else:
            self._table.drop(stream, why.reason, why.message)

    def _welcome(self, stream: Stream, session: Session) -> None:
        """Attached: say so, then reconcile what the state has with what the worker has."""
        stream.epoch = session.epoch
        stream.welcomed = True
        stream.told = self._servers()
        stream.send(
            Welcome(
                session.epoch,
                self._table.node_id,
                int(self._bounds.heartbeat_s * 1000),
                int(self._bounds.fence_s * 1000),
                stream.told,
            )
        )
        self._reconcile(stream, session)
        if stream.draining:
            self._drain(stream)
        elif session.draining:
            stream.send(DrainAsked())
        if stream.leaving:
            self._close(stream)

    def _reconcile(self, stream: Stream, session: Session) -> None:
        jobs = self._table.state.jobs
        over: list[Released] = []
        for token, job_id in session.slots.items():
            job = jobs.get(job_id)
            if job is None or job.token != token or job.state not in ASSIGNED:
                if token not in stream.held:
                    # The attempt is over and the worker knows nothing of it: its slot is free.
                    over.append(Released(job_id, token))
            else:
                self._pushes.job(stream, job)
                if job.stop is not None:
                    self._pushes.stop(stream, StopJob(job_id, token, job.stop.why))
        if over:
            self._table.insist(Report(stream.session_id, tuple(over)), lambda: not stream.over)
        for job_id, token in stream.hello.held:
            if token not in session.slots:
                self._pushes.stop(stream, StopJob(job_id, token, "lease_lost"))

    # ---- leaving -------------------------------------------------------------------------------------

    def drain(self, stream: Stream) -> None:
        """The worker wants nothing new."""
        if not stream.draining:
            stream.draining = True
            if stream.epoch:
                self._drain(stream)  # else as soon as it is attached again

    def _drain(self, stream: Stream) -> None:
        self._table.insist(DrainSession(stream.session_id), lambda: not stream.over)

    def goodbye(self, stream: Stream) -> None:
        """The worker ends."""
        if not stream.leaving:
            stream.leaving = True
            if stream.epoch:
                self._close(stream)  # else as soon as it is attached

    def _close(self, stream: Stream) -> None:
        self._table.submit(
            CloseSession(stream.session_id, stream.epoch), lambda outcome: self._left(stream, outcome)
        )

    def _left(self, stream: Stream, outcome: Outcome) -> None:
        if stream.over:
            return
        if isinstance(outcome, Done) and not isinstance(outcome.result, Rejected):
            stream.send(Farewell())
            stream.over = True
            self._table.streams.pop(stream.session_id, None)
        elif self._table.state.sessions.get(stream.session_id) is None:
            self._table.drop(stream, "SESSION_UNKNOWN", "the session had ended already")
        elif stream.epoch:
            self._close(stream)  # not committed yet
