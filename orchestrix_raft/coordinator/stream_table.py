"""The worker streams that are open at this node, and the commands that are committed for their sessions.

Shared by those who attach, push, take reports and observe; what they decide differs, how a stream ends and
how something is committed does not.
"""

from collections.abc import Callable

from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.machine.commands import Command, DetachSession
from orchestrix_raft.machine.state import State

Submit = Callable[[Command, Callable[[Outcome], None] | None], None]


class StreamTable:
    """By session id.  `submit` commits a command; `state` is replaced with an installed snapshot."""

    def __init__(self, node_id: str, state: State, submit: Submit) -> None:
        self.node_id = node_id
        self.state = state
        self.submit = submit
        self.streams: dict[bytes, Stream] = {}
        self.closed = False  # nothing is committed any more

    def get(self, session_id: bytes) -> Stream | None:
        """The stream of that session, if it is open here."""
        return self.streams.get(session_id)

    def insist(self, command: Command, wanted: Callable[[], bool]) -> None:
        """Commit it however long that takes, for as long as it is wanted; again and again does no harm."""

        def answered(outcome: Outcome) -> None:
            if not isinstance(outcome, Done) and not self.closed and wanted():
                self.insist(command, wanted)

        self.submit(command, answered)

    def drop(self, stream: Stream, reason: str, message: str) -> None:
        """End a stream from this side."""
        stream.refuse(reason, message)
        self.ended(stream)

    def ended(self, stream: Stream) -> None:
        """The connection ended: from now on the session has a deadline, unless it is elsewhere already.  If
        its attachment is still to be committed, the event of it will find that nobody is here for it."""
        if self.streams.get(stream.session_id) is stream:
            del self.streams[stream.session_id]
            self.detach_if_mine(stream.session_id)

    def detach_if_mine(self, session_id: bytes) -> None:
        """A session that stayed attached without a stream would keep its jobs for ever, so this is
        committed however long it takes; one that was resumed since has another epoch."""
        session = self.state.sessions.get(session_id)
        if session is not None and session.node_id == self.node_id:
            self.insist(DetachSession(session_id, session.epoch), lambda: True)
