"""Job logs of a node: kept while the disk takes them, forgotten in time, never a reason to stop."""

from collections.abc import Mapping

from orchestrix_raft.coordinator.job_logs import EXPIRE_JOBS, JobLogs
from orchestrix_raft.coordinator.messages import SharedLine
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.memory_feed import FeedOnDisk, MemoryFeed
from orchestrix_raft.storage.port import DiskFull, LinePlace, LogLine

HOUR_MS = 3_600_000


PAGE = ((0, 0), 10, 1 << 20)


def line(job: bytes, text: str, number: int = 1) -> SharedLine:
    return SharedLine(job.ljust(16), 1, 1, number, 5, "info", text)


class FullDisk:
    """A local store that takes nothing."""

    feed = MemoryFeed(FeedOnDisk(), lambda: None)

    def append_lines(self, lines: Mapping[bytes, list[LogLine]], now_ms: int) -> None:
        raise DiskFull("no room")

    def lines(self, job_id: bytes, after: LinePlace, limit: int, bytes_max: int) -> list[LogLine]:
        return []

    def dropped(self, job_id: bytes) -> int:
        return 0

    def expire_lines(self, before_ms: int, limit: int) -> int:
        raise DiskFull("no room")

    def close(self) -> None:
        pass


def test_lines_are_kept_by_job_in_order() -> None:
    local = MemoryDisk().open_local_store()
    logs = JobLogs(local, keep_s=60.0)
    logs.keep([line(b"a", "1"), line(b"b", "x"), line(b"a", "2", 2)], 5)
    assert [kept.message for kept in local.lines(b"a".ljust(16), *PAGE)] == ["1", "2"]
    assert logs.problem == ""


def test_old_jobs_are_forgotten_a_bounded_number_at_a_time() -> None:
    local = MemoryDisk().open_local_store()
    logs = JobLogs(local, keep_s=60.0)
    for number in range(EXPIRE_JOBS + 10):
        logs.keep([line(str(number).encode(), "x")], 0)
    logs.expire(now=0.0, wall_ms=HOUR_MS)
    left = [n for n in range(EXPIRE_JOBS + 10) if local.lines(str(n).encode().ljust(16), *PAGE)]
    assert len(left) == 10
    logs.expire(now=0.5, wall_ms=HOUR_MS)
    assert any(local.lines(str(n).encode().ljust(16), *PAGE) for n in left), "not yet"
    logs.expire(now=1.5, wall_ms=HOUR_MS)
    assert not any(local.lines(str(n).encode().ljust(16), *PAGE) for n in left)


def test_young_jobs_are_kept() -> None:
    local = MemoryDisk().open_local_store()
    logs = JobLogs(local, keep_s=60.0)
    logs.keep([line(b"a", "x")], HOUR_MS)
    logs.expire(now=0.0, wall_ms=HOUR_MS + 59_000)
    assert local.lines(b"a".ljust(16), *PAGE)


def test_a_disk_that_takes_no_lines_is_a_problem_and_not_the_end() -> None:
    logs = JobLogs(FullDisk(), keep_s=60.0)
    logs.keep([line(b"a", "1"), line(b"a", "2")], 5)
    assert "2 lines" in logs.problem
    assert "no room" in logs.problem
    logs.expire(now=0.0, wall_ms=HOUR_MS)
    assert "cannot be removed" in logs.problem
