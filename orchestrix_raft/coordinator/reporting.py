"""What workers report, on its way to a commit and back as an acknowledgement.

A worker keeps its reports until they are acknowledged, and they may be repeated: so they are committed
however long it takes, and what may wait is bounded by `room`.
"""

from collections.abc import Callable
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
        if stream.unanswered > UNANSWERED or not self.room.may_read(stream):
            self._table.drop(stream, "TOO_MANY_REPORTS", "far more reports than slots: wait for acks")
            return
        size = size_of(message.outcomes)
        if stream.kept or not self.room.open_to(stream):
            self.room.keep(stream, message, size)
            self._wait(stream)
        else:
            self.room.take(stream, size)
            self._commit(stream, message, size)

    def _wait(self, stream: Stream) -> None:
        self.room.wait(stream, lambda: self._go_on(stream))

    def _go_on(self, stream: Stream) -> None:
        """There may be room for what was kept."""
        while stream.kept and self.room.open_to(stream):
            message, size = self.room.take_kept(stream)
            if stream.epoch and not stream.over:
                self.room.take(stream, size)
                self._commit(stream, message, size)
            else:  # the worker repeats it behind its next Welcome
                stream.unanswered -= len(message.outcomes)
        if stream.kept:
            self._wait(stream)
        else:
            then, stream.after_kept = stream.after_kept, None
            if then is not None and not stream.over:
                then()

    def behind_kept(self, stream: Stream, then: Callable[[], None]) -> None:
        """Call `then` once every report that was read is on its way to a commit."""
        if stream.kept:
            stream.after_kept = then
        else:
            then()

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
