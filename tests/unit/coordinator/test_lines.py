"""Job logs of a node: kept for a day after the last line, forgotten in bounded steps."""

from orchestrix_raft.coordinator import lines
from orchestrix_raft.coordinator.lines import JobLines
from orchestrix_raft.coordinator.settings import Clocks
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.session import HandlerLine
from orchestrix_raft.storage.memory import MemoryDisk

START_MS = 1_700_000_000_000


def test_lines_go_a_day_after_the_last_one_a_bounded_number_of_jobs_at_a_time() -> None:
    wall_ms = START_MS
    local = MemoryDisk("d").open_local_store()
    kept = JobLines(local, Clocks(lambda: 0.0, lambda: wall_ms))
    ids = [number.to_bytes(16, "big") for number in range(lines.AT_ONCE + 1)]
    kept.keep([HandlerLine(job_id, 1, START_MS, "info", "first") for job_id in ids])
    wall_ms += 1_000
    kept.keep([HandlerLine(ids[0], 1, START_MS, "info", "second")])

    def left() -> int:
        return sum(1 for job_id in ids if local.lines(job_id, 0, 10))

    wall_ms = START_MS + limits.KEEP_LINES_MS
    kept.tick(10.0)
    assert left() == len(ids)
    wall_ms += 1
    kept.tick(11.0)
    assert left() == len(ids), "it does not look all the time"
    kept.tick(10.0 + lines.LOOK_S)
    assert left() == 1, "the one with a younger line"
    wall_ms += 1_000
    kept.tick(10.0 + lines.LOOK_S + lines.PAUSE_S)
    assert left() == 0
