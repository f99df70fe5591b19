"""Job logs of a cluster: each line at its owner and at one other node, each log readable from any node.

What the loss of one node takes, another has.  Lines under an old fencing token are refused, by the owner and
by the keeper of the copy: a handler that was given up must not speak into the log of the attempt after it.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from orchestrix_raft.coordinator.job_logs import JobLogs
from orchestrix_raft.coordinator.line_copies import LineCopies
from orchestrix_raft.coordinator.line_reader import LineReader, OnPage, Part
from orchestrix_raft.coordinator.messages import (
    LinesAnswer,
    LinesMessage,
    LinesRequest,
    LinesShared,
    LinesTaken,
    PeerMessage,
    SharedLine,
)
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.session import HandlerLine
from orchestrix_raft.machine.state import State
from orchestrix_raft.storage.port import LinePlace, StorageError


class Others(NamedTuple):
    """The other members as they are now."""

    members: tuple[str, ...]  # in the order of their ids, beginning behind this node's
    connected: frozenset[str]


class LogExchange:
    """Of one node.  state, others: as of now; send: to a node."""

    def __init__(
        self,
        logs: JobLogs,
        state: Callable[[], State],
        others: Callable[[], Others],
        send: Callable[[str, PeerMessage], None],
    ) -> None:
        self._logs = logs
        self._state = state
        self._others = others
        self._send = send
        self.copies = LineCopies(send, self._keeper)
        self.reader = LineReader(send)

    @property
    def problem(self) -> str:
        """What is wrong at present, one line."""
        return self._logs.problem

    # ---- keeping -------------------------------------------------------------------------------------

    def keep(self, lines: Iterable[HandlerLine], wall_ms: int) -> None:
        """Lines of running attempts whose sessions are attached here."""
        jobs = self._state().jobs
        kept = [
            SharedLine(x.job_id, x.token, job.attempt, x.number, x.at_ms, x.level, x.message)
            for x in lines
            if (job := jobs.get(x.job_id)) is not None and job.token == x.token
        ]
        self._logs.keep(kept, wall_ms)
        self.copies.add(kept)

    @property
    def busy(self) -> bool:
        """Lines are on their way, or are asked for."""
        return bool(self.copies) or bool(self.reader)

    def tick(self, now: float, wall_ms: int) -> None:
        """Send copies, give up late members, forget old lines."""
        self._logs.expire(now, wall_ms)
        if len(self.reader):
            self.reader.expire(now)
        if len(self.copies):
            if self._others().members:
                self.copies.pump(now)
            else:
                self.copies.nobody()

    def _keeper(self) -> str:
        """The next member that is alive and in reach."""
        nodes = self._state().nodes
        members, connected = self._others()
        for member in members:
            node = nodes.get(member)
            if member in connected and node is not None and node.health is Health.ALIVE:
                return member
        return ""

    # ---- messages ------------------------------------------------------------------------------------

    def receive(self, peer: str, message: LinesMessage, wall_ms: int) -> None:
        """From a member."""
        match message:
            case LinesShared():
                jobs = self._state().jobs
                lines = [
                    x for x in message.lines if (job := jobs.get(x.job_id)) is None or job.token <= x.token
                ]
                self._logs.keep(lines, wall_ms)
                self._send(peer, LinesTaken(message.batch))
            case LinesTaken():
                self.copies.taken(peer, message.batch)
            case LinesRequest():
                self._answer(peer, message)
            case LinesAnswer():
                self.reader.answered(peer, message)

    def _answer(self, peer: str, asked: LinesRequest) -> None:
        try:
            lines, more = self._logs.page(asked.job_id, (asked.after_token, asked.after_number), asked.limit)
        except StorageError as error:  # not answered: the asker names this node as silent
            self._logs.problem = f"job logs cannot be read: {error}"
        else:
            self._send(peer, LinesAnswer(asked.number, tuple((*line,) for line in lines), more))

    def lost(self, peer: str) -> None:
        """The connection to a member is gone."""
        self.copies.lost(peer)
        self.reader.lost(peer)

    # ---- reading -------------------------------------------------------------------------------------

    def read(self, job_id: bytes, after: LinePlace, limit: int, now: float, done: OnPage) -> None:
        """The page of a job's log behind a place, from all that keep it; `done` is called once, within
        ANSWER_S of the next ticks.  StorageError: this node cannot read its own."""
        others = self._others()
        own = Part(*self._logs.page(job_id, after, limit))
        self.reader.ask(own, job_id, after, limit, others.members, others.connected, now, done)
