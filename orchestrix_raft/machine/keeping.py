"""What is kept of jobs that have ended, and when it goes: by their age, by their number, or purged by hand.

The id of a job that goes earlier than KEEP_IDS_MS after its end stays known until then: a slim record takes
the job's place, so that enqueueing it again is still the same job.  `State.oldest` says without a look at the
disk from when on there may be something to do; it may be too early, never too late.
"""

from collections.abc import Iterator
from heapq import merge
from typing import Final, NamedTuple

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import Kept
from orchestrix_raft.machine.commands import Forget
from orchestrix_raft.machine.events import Event, IdForgotten, JobForgotten, OldestKept
from orchestrix_raft.machine.history import ATTEMPTS, FINISHED, FINISHED_BY_TIME
from orchestrix_raft.machine.records import attempt_key, finished_key, known_key
from orchestrix_raft.machine.state import State

STATES_OF: Final = {
    Kept.FINISHED: (JobState.COMPLETED, JobState.CANCELLED),
    Kept.DEAD: (JobState.DEAD,),
}
IDS: Final = 0  # the place of ids of jobs that are gone, among those of JobState
PLACES_OF: Final[dict[Kept, tuple[int, ...]]] = {**STATES_OF, Kept.IDS: (IDS,)}


class Record(NamedTuple):
    """One row of FINISHED_BY_TIME; they order by time."""

    at_ms: int  # when the job ended; of a job that is gone, when its id is free
    place: int  # JobState, or IDS
    job_id: bytes
    attempts: int


def record_of(row: tuple[bytes, bytes]) -> Record:
    """The row, read."""
    key, value = row
    return Record(int.from_bytes(key[1:9], "big"), key[0], key[9:], int.from_bytes(value, "big"))


def count_of(state: State, what: Kept) -> int:
    """How many records of a kind there are."""
    return sum([state.counts[place] for place in PLACES_OF[what]])


def oldest_of(state: State, what: Kept) -> int:
    """No record of a kind is older than this (wall); -1: there is none."""
    oldest_ms = -1
    for place in PLACES_OF[what]:
        since_ms = state.oldest[place]
        if since_ms >= 0 and (oldest_ms < 0 or since_ms < oldest_ms):
            oldest_ms = since_ms
    return oldest_ms


# ---- decide


def decide_forget(state: State, command: Forget) -> tuple[Event, ...]:
    """The oldest records that are over time or over number, at most `limit`."""
    limit = max(1, min(command.limit, limits.FORGET_AT_ONCE))
    if command.what is Kept.IDS:
        return _decide_ids(state, limit)
    rows: dict[int, list[Record]] = {
        place: _oldest_records(state, place, limit + 1) for place in STATES_OF[command.what]
    }
    surplus = count_of(state, command.what) - command.keep
    gone: list[Record] = []
    for record in merge(*rows.values()):
        over = record.at_ms < command.before_ms or surplus > len(gone)
        if len(gone) == limit or not over:
            break
        gone.append(record)
    return (*(forgotten(state, record) for record in gone), *_edges(state, rows, gone))


def _decide_ids(state: State, limit: int) -> tuple[Event, ...]:
    rows = _oldest_records(state, IDS, limit + 1)
    gone = [record for record in rows[:limit] if record.at_ms <= state.wall_ms]
    events = (IdForgotten(record.job_id, record.at_ms) for record in gone)
    return (*events, *_edges(state, {IDS: rows}, gone))


def _oldest_records(state: State, place: int, limit: int) -> list[Record]:
    """The oldest records of one state, up to `limit`."""
    since_ms = state.oldest[place]
    if since_ms < 0:
        return []
    rows = state.records.scan(FINISHED_BY_TIME, finished_key(place, since_ms, b""), limit)
    return [record_of(row) for row in rows if row[0][0] == place]


def _edges(state: State, rows: dict[int, list[Record]], gone: list[Record]) -> Iterator[OldestKept]:
    """Where the next look begins."""
    for place, found in rows.items():
        left = found[sum(1 for record in gone if record.place == place) :]
        since_ms = left[0].at_ms if left else -1
        if since_ms != state.oldest[place]:
            yield OldestKept(place, since_ms)


def forgotten(state: State, record: Record) -> JobForgotten:
    """What becomes of a finished job that goes now."""
    known_until_ms = record.at_ms + limits.KEEP_IDS_MS
    if known_until_ms <= state.wall_ms:
        known_until_ms = 0
    final = JobState(record.place)
    return JobForgotten(record.job_id, final, record.at_ms, record.attempts, known_until_ms)


def decide_purge(state: State, job_id: bytes) -> tuple[str, JobForgotten | None]:
    """The word for the caller and what happens."""
    job = state.jobs.get(job_id)
    if job is not None:
        return f"still_{job.state.word}", None
    job = state.records.finished_job(job_id)
    if job is None:
        return "not_found", None
    return "purged", forgotten(state, Record(job.finished_ms, job.state, job_id, job.attempt))


# ---- evolve


def evolve_forgotten(state: State, event: JobForgotten) -> None:
    """The job and all that hangs on it are gone."""
    job_id, known_until_ms = event.job_id, event.known_until_ms
    put = state.records.put
    put(FINISHED_BY_TIME, finished_key(event.state, event.finished_ms, job_id), None)
    for number in range(max(1, event.attempts - limits.ATTEMPTS_KEPT + 1), event.attempts + 1):
        put(ATTEMPTS, attempt_key(job_id, number), None)
    state.counts[event.state] -= 1
    if not known_until_ms:
        put(FINISHED, job_id, None)
        return
    put(FINISHED, job_id, b"")
    put(FINISHED_BY_TIME, known_key(known_until_ms, job_id), b"")
    state.counts[IDS] += 1
    oldest_ms = state.oldest[IDS]
    state.oldest[IDS] = known_until_ms if oldest_ms < 0 else min(oldest_ms, known_until_ms)


def evolve_id_forgotten(state: State, event: IdForgotten) -> None:
    """Whoever enqueues it makes a new job."""
    state.records.put(FINISHED, event.job_id, None)
    state.records.put(FINISHED_BY_TIME, known_key(event.known_until_ms, event.job_id), None)
    state.counts[IDS] -= 1


def evolve_oldest(state: State, event: OldestKept) -> None:
    """Nothing is older."""
    state.oldest[event.place] = event.since_ms
