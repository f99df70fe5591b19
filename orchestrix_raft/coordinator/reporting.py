"""What workers report, on its way to a commit and back as an acknowledgement.

A worker keeps its reports until they are acknowledged, and they may be repeated: so they are committed
however long it takes, and what may wait is bounded by `room`.
"""

from typing import Final

from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.coordinator.room import ReportRoom, size_of
from orchestrix_raft.coordinator.stream_table import StreamTable
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.session import ReportAck, ReportMessage
from orchestrix_raft.machine.commands import Report, ReportResult

UNANSWERED: Final = 2 * limits.CAPACITY
"""Outcomes of one worker under way: no honest one comes near."""


class Reports:
    """Of the streams of `table`."""

    def __init__(self, table: StreamTable) -> None:
        self._table = table
        self.room = ReportRoom()

    def take(self, stream: Stream, message: ReportMessage) -> None:
        """A report arrived."""
        if not stream.epoch:
            return  # about to be attached again: the worker repeats its reports behind that Welcome
        stream.unanswered += len(message.outcomes)
        if stream.unanswered > UNANSWERED or not self.room.open_to(stream):
            self._table.drop(stream, "TOO_MANY_REPORTS", "far more reports than slots: wait for acks")
            return
        size = size_of(message.outcomes)
        self.room.take(stream, size)
        self._commit(stream, message, size)

    def _commit(self, stream: Stream, message: ReportMessage, size: int) -> None:
        for outcome in message.outcomes:
            stream.started.pop(outcome.token, None)
            stream.progress.pop(outcome.token, None)
        command = Report(stream.session_id, message.outcomes)
        self._table.submit(command, lambda outcome: self._committed(stream, message, size, outcome))

    def _committed(self, stream: Stream, message: ReportMessage, size: int, outcome: Outcome) -> None:
        if not (isinstance(outcome, Done) or stream.over):
            # Reports may be repeated: go on until it is known, or the worker is elsewhere.
            self._commit(stream, message, size)
            return
        self.room.give_back(stream, size)
        if not isinstance(outcome, Done):
            return
        stream.unanswered -= len(message.outcomes)
        match outcome.result:
            case Rejected(reason=reason, message=why):
                self._table.drop(stream, reason, why)
            case ReportResult(stale):
                _acknowledge(stream, message, stale)
            case other:
                raise TypeError(f"a report was answered with {other!r}")


def _acknowledge(stream: Stream, message: ReportMessage, stale: dict[int, str]) -> None:
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
