"""The end of a history: what the cluster says of every job that the history names, and its feed of events.

To be called when the jobs are over, or will be soon.  Each job is read as freshly as anything acknowledged
before, so what is missing is lost.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final

from orchestrix_raft.client import building
from orchestrix_raft.client.aio import AsyncClient
from orchestrix_raft.client.events import Event as ClientEvent
from orchestrix_raft.client.model import Attempt, Job, attempt_of, job_of
from orchestrix_raft.history.recorder import OBSERVER, Recorder
from orchestrix_raft.history.records import Event, FinalJob, Line, Missing, Observed, PastAttempt, Record
from orchestrix_raft.history.watched import EVENT_KINDS, named_jobs
from orchestrix_raft.recording.reading import read_history
from orchestrix_raft.recording.writing import Target, machine_clock, recorder_of
from orchestrix_raft.wire import services
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.errors import JobNotFound, Unavailable
from orchestrix_raft.wire.jobs import GetHistoryRequest, GetHistoryResponse, GetJobRequest, GetJobResponse

PARALLEL: Final = 50  # reads under way
TRIES: Final = 10  # of a job that changes while it is read

_GET_JOB: Final = services.JOBS.methods["GetJob"]
_GET_HISTORY: Final = services.JOBS.methods["GetHistory"]


async def observe(
    client: AsyncClient,
    history: Target,
    job_ids: Iterable[str] | None = None,
    *,
    events: bool = True,
    forgets: bool = False,
) -> None:
    """Write the final observation to `history`.

    job_ids: what to ask for besides the runs of schedules; None: every job that the file names.  events: also
    the feed, as far back as a node has it.  forgets: nodes keep ended jobs for so short that some may have
    been forgotten meanwhile.

    Raises Unreadable, and what reads raise.
    """
    if job_ids is None:
        if isinstance(history, Recorder):
            raise TypeError("job_ids is needed with a Recorder: it cannot be read")
        job_ids = sorted(named_jobs(read_history([history])))
    recorder = recorder_of(history, OBSERVER)
    assert recorder is not None
    async for record in observation(client, recorder, job_ids, events=events, forgets=forgets):
        recorder.write(record)


async def observed_lines(client: AsyncClient, lines: Iterable[Line], *, forgets: bool = False) -> list[Line]:
    """The final observation of a history that was read, as lines to be checked with it."""
    found: list[Line] = []

    def keep(record: Record) -> None:
        found.append(Line(f"cluster:{len(found) + 1}", record))

    recorder = Recorder(keep, time.monotonic_ns, "observer", machine_clock(), OBSERVER)
    async for record in observation(client, recorder, sorted(named_jobs(lines)), forgets=forgets):
        keep(record)
    return found


async def observation(
    client: AsyncClient,
    recorder: Recorder,
    job_ids: Iterable[str],
    *,
    events: bool = True,
    forgets: bool = False,
) -> AsyncIterator[Record]:
    """The records of it.  recorder: its process and clock are those of the records; nothing is written to
    it."""
    wanted = dict.fromkeys(job_ids)
    first, at_ms = -1, 0
    if events:
        first = 0
        async for event in _events(client):
            first = first or event.index
            at_ms = event.at_ms
            if event.kind == "slot_fired":
                wanted[event.job] = None
            yield event
    ids = list(wanted)
    for begin in range(0, len(ids), PARALLEL):
        some = ids[begin : begin + PARALLEL]
        for record in await asyncio.gather(*(_final(client, recorder, job_id) for job_id in some)):
            yield record
    yield Observed(
        p=recorder.process,
        t=recorder.now(),
        at_ms=at_ms,
        events_after=max(0, first - 1) if events else -1,
        forgets=forgets,
    )


async def _events(client: AsyncClient) -> AsyncIterator[Event]:
    async for event in client.events(kind=EVENT_KINDS):
        yield _event_record(event)


def _event_record(event: ClientEvent) -> Event:
    index, _, ordinal = event.cursor.partition("-")
    return Event(
        index=int(index),
        ordinal=int(ordinal),
        at_ms=0 if event.at is None else round(event.at.timestamp() * 1_000),
        kind=event.kind,
        job=event.job_id,
        queue=event.queue,
        type=event.type,
        elapsed_ms=-1 if event.elapsed_ms is None else event.elapsed_ms,
        d=event.details,
    )


async def _final(client: AsyncClient, recorder: Recorder, job_id: str) -> Record:
    """A job, and its attempts as of the same moment."""
    for _ in range(TRIES):
        asked_ns = recorder.now()
        try:
            job, index = await _job(client, job_id)
            attempts = await _attempts(client, job_id, index)
            again = job if job.finished else (await _job(client, job_id))[0]
        except JobNotFound:
            return Missing(p=recorder.process, t=asked_ns, id=job_id)
        if (again.state, again.fencing_token) == (job.state, job.fencing_token):
            return _record(recorder.process, asked_ns, job, index, attempts)
    raise Unavailable(f"job {job_id} changed {TRIES} times while it was read: observe when jobs are over")


async def _job(client: AsyncClient, job_id: str) -> tuple[Job, int]:
    request = GetJobRequest(job_id=building.id_bytes(job_id), read=ReadOptions(linearizable=True))
    response: GetJobResponse = await client._caller.call(_GET_JOB, request)
    return job_of(response.job), response.read.applied_index


async def _attempts(client: AsyncClient, job_id: str, index: int) -> list[Attempt]:
    request = GetHistoryRequest(job_id=building.id_bytes(job_id), read=ReadOptions(min_index=index))
    response: GetHistoryResponse = await client._caller.call(_GET_HISTORY, request)
    return [attempt_of(message) for message in response.attempts]


def _record(process: str, asked_ns: int, job: Job, index: int, attempts: list[Attempt]) -> FinalJob:
    return FinalJob(
        p=process,
        t=asked_ns,
        id=job.id,
        type=job.type,
        queue=job.queue,
        state=job.state,
        token=job.fencing_token,
        attempt=job.attempt,
        failures=job.failures,
        losses=job.losses,
        index=index,
        schedule=job.schedule,
        slot_ms=0 if job.scheduled_for is None else round(job.scheduled_for.timestamp() * 1_000),
        attempts=tuple(
            PastAttempt(
                attempt=one.attempt,
                token=one.fencing_token,
                state=one.state,
                worker=one.worker,
                reason=one.reason,
            )
            for one in attempts
        ),
        cut=bool(attempts) and attempts[0].attempt > 1,
    )
