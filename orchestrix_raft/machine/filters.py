"""Commands on a filter, a bounded step at a time: which jobs the next step means.

A walk goes through the live jobs in the order of their ids, then through the finished ones of each state in
the order of their ends.  It begins with a bound: jobs enqueued (or ended) after its first step are not meant,
so it ends although new ones come, and a job that was retried and died again is not retried again.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import TERMINAL, JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.machine.history import FINISHED_BY_TIME, LIVE_JOBS
from orchestrix_raft.machine.records import Records
from orchestrix_raft.machine.state import State

_LIVE: Final = 0  # the part of the walk that goes through live jobs; others are those of a JobState
_BOUND_BYTES: Final = 8


class Cursor(NamedTuple):
    """Where a walk stands."""

    before_ms: int  # wall; the bound
    part: int
    after: bytes  # key within the part: job id, or time and job id; b"": at its beginning

    def encoded(self) -> bytes:
        """As the caller keeps it."""
        return self.before_ms.to_bytes(_BOUND_BYTES, "big") + bytes((self.part,)) + self.after


def read_cursor(data: bytes) -> Cursor | None:
    """The cursor of an earlier step; None: that it is not."""
    after = data[_BOUND_BYTES + 1 :]
    if len(data) <= _BOUND_BYTES or len(after) > 8 + limits.JOB_ID_BYTES:
        return None
    return Cursor(int.from_bytes(data[:_BOUND_BYTES], "big"), data[_BOUND_BYTES], after)


def first_cursor(state: State, where: JobFilter) -> Cursor:
    """The beginning of a walk: with the jobs that there are now."""
    now_ms = state.wall_ms + 1
    return Cursor(min(where.before_ms, now_ms) if where.before_ms else now_ms, _LIVE, b"")


def select(state: State, where: JobFilter, cursor: Cursor, limit: int) -> tuple[list[bytes], bytes]:
    """(jobs that the filter accepts among the next `limit`, cursor of the step after; b"": the end)."""
    found: list[bytes] = []
    left = limit
    for part in _parts(where):
        if part < cursor.part:
            continue
        if part > cursor.part:
            cursor = Cursor(cursor.before_ms, part, b"")
        rows = _rows(state.records, cursor, left)
        for key, _ in rows:
            cursor = cursor._replace(after=key)
            if part != _LIVE and int.from_bytes(key[:8], "big") >= cursor.before_ms:
                break
            if _accepts(state, where, cursor):
                found.append(key[-limits.JOB_ID_BYTES :])
        else:
            left -= len(rows)
            if left <= 0:
                return found, cursor.encoded()
    return found, b""


def _parts(where: JobFilter) -> Iterator[int]:
    if not TERMINAL.issuperset(where.states):
        yield _LIVE
    yield from sorted(TERMINAL.intersection(where.states))


def _rows(records: Records, cursor: Cursor, limit: int) -> list[tuple[bytes, bytes]]:
    """The next rows of the cursor's part; keys without the part's prefix."""
    start = cursor.after + b"\0" if cursor.after else b""
    if cursor.part == _LIVE:
        return records.scan(LIVE_JOBS, start, limit)
    prefix = bytes((cursor.part,))
    rows = records.scan(FINISHED_BY_TIME, prefix + start, limit)
    return [(key[1:], value) for key, value in rows if key[:1] == prefix]


def _accepts(state: State, where: JobFilter, cursor: Cursor) -> bool:
    job_id = cursor.after[-limits.JOB_ID_BYTES :]
    if cursor.part == _LIVE:
        job = state.jobs.get(job_id)
        return job is not None and job.created_ms < cursor.before_ms and where.accepts(job)
    if not where.queue and not where.type:
        return True
    job = state.records.finished_job(job_id)
    return job is not None and where.accepts(job)


def fault_in_where(where: JobFilter, allowed: frozenset[JobState]) -> str:
    """One line saying what is wrong with a filter for a command that acts on jobs in `allowed`, or ""."""
    if not where.states or not allowed.issuperset(where.states):
        words = ", ".join(state.word for state in sorted(allowed))
        return f"the filter must name states among {words}"
    if len(where.queue) > limits.QUEUE_CHARS or len(where.type) > limits.TYPE_CHARS:
        return "no queue or type has a name that long"
    return ""
