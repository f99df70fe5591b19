"""Lines that handlers log: kept on this node, outside the replicated state.

Losing lines loses no job, so a disk that refuses them is a problem that `status` shows, not a reason to
stop the node or the worker.
"""

from collections.abc import Iterable
from typing import Final

from orchestrix_raft.coordinator.messages import SharedLine
from orchestrix_raft.storage.port import LinePlace, LocalStore, LogLine, StorageError

EXPIRE_EVERY_S = 30.0
EXPIRE_JOBS = 500  # at once: a short piece of work on the loop
PAGE_BYTES: Final = 1 << 20  # of one node's lines in one answer


class JobLogs:
    """The job logs of one node.  keep_s: from a job's last line."""

    def __init__(self, local: LocalStore, keep_s: float) -> None:
        self._local = local
        self._keep_ms = int(keep_s * 1000)
        self._expire_at = 0.0
        self.problem = ""  # what is wrong at present, one line
        self.lost = 0  # lines that could not be kept

    def keep(self, lines: Iterable[SharedLine], wall_ms: int) -> None:
        """Keep lines, each once."""
        by_job: dict[bytes, list[LogLine]] = {}
        count = 0
        for line in lines:
            kept = LogLine(line.token, line.number, line.at_ms, line.level, line.message, line.attempt)
            by_job.setdefault(line.job_id, []).append(kept)
            count += 1
        try:
            self._local.append_lines(by_job, wall_ms)
        except StorageError as error:
            self.lost += count
            self.problem = f"{self.lost} lines of job logs were not kept: {error}"
        else:
            self.problem = ""

    def page(self, job_id: bytes, after: LinePlace, limit: int) -> tuple[list[LogLine], bool]:
        """Lines behind a place, and whether there are more.  StorageError: this node cannot say."""
        lines = self._local.lines(job_id, after, limit, PAGE_BYTES)
        return lines, bool(lines and self._local.lines(job_id, lines[-1].place, 1, 1))

    def expire(self, now: float, wall_ms: int) -> None:
        """Forget old lines, now and then, a bounded number at a time."""
        if now < self._expire_at:
            return
        try:
            forgotten = self._local.expire_lines(wall_ms - self._keep_ms, EXPIRE_JOBS)
        except StorageError as error:
            self.problem = f"old job logs cannot be removed: {error}"
            forgotten = 0
        self._expire_at = now + (1.0 if forgotten == EXPIRE_JOBS else EXPIRE_EVERY_S)
