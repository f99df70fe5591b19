"""What a final observation asks for: the jobs that a history names, and the kinds of events it needs."""

from collections.abc import Iterable
from typing import Final

from orchestrix_raft.history.records import Event, Invoke, Line, Return, Start

EVENT_KINDS: Final = (
    "job_enqueued",
    "job_assigned",
    "job_completed",
    "attempt_ended",
    "job_released",
    "job_forgotten",
    "slot_freed",
    "session_ended",
    "queue_configured",
    "schedule_put",
    "schedule_paused",
    "schedule_resumed",
    "schedule_deleted",
    "schedule_advanced",
    "slot_fired",
    "slot_skipped",
    "slot_buffered",
)
"""The kinds that a check looks at."""


def named_jobs(lines: Iterable[Line]) -> set[str]:
    """The ids of all jobs that clients asked for or were told of, that workers ran, and of runs."""
    found: set[str] = set()
    for line in lines:
        match line.record:
            case Invoke(job=job, jobs=jobs):
                found.add(job)
                found.update(spec.id for spec in jobs)
            case Return(placed=placed):
                found.update(one.id for one in placed)
            case Start(job=job):
                found.add(job)
            case Event(kind="slot_fired", job=job):
                found.add(job)
            case _:
                pass
    found.discard("")
    return found
