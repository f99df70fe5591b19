"""Listings of a node in memory."""

from collections.abc import Iterable

from orchestrix_raft.coordinator.port import JobView, Page
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import Job, JobState


def page_of(
    jobs: Iterable[Job], states: frozenset[JobState], queue: str, job_type: str, limit: int, cursor: bytes
) -> Page | Rejected:
    """A cursor is how many have been listed, in four bytes."""
    if cursor and len(cursor) != 4:
        return Rejected(Code.INVALID_ARGUMENT, "CURSOR_INVALID", "this is no cursor of a listing")
    begin = int.from_bytes(cursor, "big")
    views = [
        JobView(job, job.spec.args, 0)
        for job in jobs
        if (not states or job.state in states)
        and queue in ("", job.spec.queue)
        and job_type in ("", job.spec.type)
    ]
    more = begin + limit < len(views)
    return Page(views[begin : begin + limit], (begin + limit).to_bytes(4, "big") if more else b"")
