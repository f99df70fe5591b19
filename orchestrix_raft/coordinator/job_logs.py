"""Lines that handlers log: kept on this node, outside the replicated state.

Losing lines loses no job, so a disk that refuses them is a problem that `status` shows, not a reason to
stop the node or the worker.
"""

from orchestrix_raft.domain.session import HandlerLine
from orchestrix_raft.storage.port import LocalStore, LogLine, StorageError

EXPIRE_EVERY_S = 30.0
EXPIRE_JOBS = 500  # at once: a short piece of work on the loop


class JobLogs:
    """The job logs of one node.  keep_s: from a job's last line."""

    def __init__(self, local: LocalStore, keep_s: float) -> None:
        self._local = local
        self._keep_ms = int(keep_s * 1000)
        self.expire_at = 0.0
        self.problem = ""  # what is wrong at present, one line
        self.lost = 0  # lines that could not be kept

    def keep(self, lines: list[HandlerLine], wall_ms: int) -> None:
        """Append lines, in order, by job."""
        by_job: dict[bytes, list[LogLine]] = {}
        for line in lines:
            by_job.setdefault(line.job_id, []).append(LogLine(line.at_ms, line.level, line.message))
        try:
            self._local.append_lines(by_job, wall_ms)
        except StorageError as error:
            self.lost += len(lines)
            self.problem = f"{self.lost} lines of job logs were not kept: {error}"
        else:
            self.problem = ""

    def expire(self, now: float, wall_ms: int) -> None:
        """Forget old lines, now and then, a bounded number at a time; before `expire_at` it does nothing."""
        if now < self.expire_at:
            return
        try:
            forgotten = self._local.expire_lines(wall_ms - self._keep_ms, EXPIRE_JOBS)
        except StorageError as error:
            self.problem = f"old job logs cannot be removed: {error}"
            forgotten = 0
        self.expire_at = now + (1.0 if forgotten == EXPIRE_JOBS else EXPIRE_EVERY_S)
