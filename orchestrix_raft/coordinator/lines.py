"""What handlers log: kept by the node that owns the job, outside Raft, for a day after the last line."""

from typing import Final

from orchestrix_raft.coordinator.settings import Clocks
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.session import HandlerLine
from orchestrix_raft.storage.port import LocalStore, LogLine

AT_ONCE: Final = 100  # jobs whose lines go in one step: a few ms of the loop
PAUSE_S: Final = 0.05  # before the next step, while there is more
LOOK_S: Final = 60.0  # between two looks, while there is nothing


class JobLines:
    """The job logs of one node."""

    def __init__(self, local: LocalStore, clocks: Clocks) -> None:
        self._local = local
        self._clocks = clocks
        self._look_at = 0.0

    def keep(self, lines: list[HandlerLine]) -> None:
        """Lines that have just come, of any jobs."""
        by_job: dict[bytes, list[LogLine]] = {}
        for line in lines:
            by_job.setdefault(line.job_id, []).append(LogLine(line.at_ms, line.level, line.message))
        self._local.append_lines(by_job, self._clocks.wall_ms())

    def tick(self, now: float) -> None:
        """Forget what is too old, a bounded number of jobs at a time."""
        if now < self._look_at:
            return
        before_ms = self._clocks.wall_ms() - limits.KEEP_LINES_MS
        forgotten = self._local.expire_lines(before_ms, AT_ONCE)
        self._look_at = now + (PAUSE_S if forgotten == AT_ONCE else LOOK_S)
