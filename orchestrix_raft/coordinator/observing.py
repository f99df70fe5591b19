"""What workers let a node see of running attempts: starts and progress, committed now and then, and lines.

Nothing of it is answered, and all of it may be lost: what matters is in the report.
"""

import logging
from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.port import Outcome
from orchestrix_raft.coordinator.stream_table import StreamTable
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.session import HandlerLine, Observation
from orchestrix_raft.machine.commands import Observe

COMPLAIN_S: Final = 60.0
"""Between two words in the log about refused lines."""

log = logging.getLogger(__name__)


class Observations:
    """Of the streams of `table`.  `keep_lines` keeps what handlers log."""

    def __init__(
        self, table: StreamTable, every_s: float, keep_lines: Callable[[list[HandlerLine]], None]
    ) -> None:
        self._table = table
        self._every_s = every_s
        self._keep_lines = keep_lines
        self._commit_at = 0.0
        self.stale_lines = 0  # refused: not of an attempt that the worker who sent them runs
        self._complain_at = 0.0

    def take(self, stream: Stream, message: Observation, now: float) -> None:
        """An observation arrived."""
        lines = stream.observe(message, self._table.state)
        if len(lines) < len(message.lines):
            self._refuse_lines(stream, len(message.lines) - len(lines), now)
        if lines:
            self._keep_lines(lines)

    def _refuse_lines(self, stream: Stream, count: int, now: float) -> None:
        """Count them, and say so now and then: handlers that outlive their attempt may be talkative."""
        self.stale_lines += count
        if now >= self._complain_at:
            self._complain_at = now + COMPLAIN_S
            log.warning(
                "worker %s sent log lines of attempts that are over or not its own: not kept"
                " (%d lines since this node began)",
                stream.hello.name,
                self.stale_lines,
            )

    def commit(self, now: float) -> bool:
        """Commit what was seen, if it is time; whether it was."""
        if now < self._commit_at:
            return False
        self._commit_at = now + self._every_s
        for stream in self._table.streams.values():
            # One at a time: while nothing can be committed the newer progress takes the place of the older.
            if (stream.started or stream.progress) and not stream.observing:
                self._commit_one(stream)
        return True

    def _commit_one(self, stream: Stream) -> None:
        def answered(outcome: Outcome) -> None:
            del outcome  # what was not committed is told by the report at the latest
            stream.observing = False

        stream.observing = True
        self._table.submit(Observe(stream.session_id, *stream.take_observed()), answered)
