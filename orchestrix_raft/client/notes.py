"""What a client writes down of its calls, when it is told to record a history.

A call is noted before it begins and after it ended, with what it asked and was told.  Whoever does not record
has no `Notes`, and its calls go straight through.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.history.recorder import Recorder, asked_job
from orchestrix_raft.history.records import OK, REFUSED, UNKNOWN, AskedJob, Placed
from orchestrix_raft.wire.errors import AlreadyExists, JobNotFound, OrchestrixError, OutcomeUnknown
from orchestrix_raft.wire.jobs import EnqueueRequest, EnqueueResponse, JobsResponse, NewJob, job_specs

Answer = TypeVar("Answer")
Told = dict[str, Any]


class Placement(Protocol):
    """What became of a single job."""

    @property
    def job_id(self) -> bytes: ...
    @property
    def created(self) -> bool | None: ...
    @property
    def applied(self) -> int: ...


Placing = TypeVar("Placing", bound=Placement)

_STATES: Final = {int(state): state.word for state in JobState}
_NOT_FOUND: Final = "not_found"
_KEEPS_A_KEY: Final = "UNIQUE_KEY_TAKEN"


class Notes:
    """Of one client."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    async def call(
        self,
        op: str,
        begin: Callable[[], Awaitable[Answer]],
        told: Callable[[Answer], Told],
        **asked: Any,
    ) -> Answer:
        """`begin`, with a note before and after it.  told: what the answer said, as fields of `Return`."""
        number = self.recorder.invoke(op, **asked)
        try:
            answer = await begin()
        except OrchestrixError as error:
            self._failed(number, error)
            raise
        except BaseException:  # cancelled, or a fault of the program: nobody knows what became of it
            self.recorder.returned(number, UNKNOWN)
            raise
        self.recorder.returned(number, OK, **told(answer))
        return answer

    def _failed(self, number: int, error: OrchestrixError) -> None:
        if isinstance(error, JobNotFound):
            self.recorder.returned(number, OK, word=_NOT_FOUND)
        elif isinstance(error, AlreadyExists) and error.reason == _KEEPS_A_KEY:
            self.recorder.returned(number, OK, placed=(Placed(refused=error.reason),))
        else:
            outcome = UNKNOWN if isinstance(error, OutcomeUnknown) else REFUSED
            self.recorder.returned(number, outcome, reason=error.reason or type(error).__name__)

    async def enqueue(self, job: NewJob, begin: Callable[[], Awaitable[Placing]]) -> Placing:
        """A single job."""
        return await self.call(
            "enqueue",
            begin,
            lambda placed: {
                "placed": (Placed(id=format_job_id(placed.job_id), created=placed.created),),
                "index": placed.applied,
            },
            jobs=asked_jobs(EnqueueRequest(jobs=[job])),
        )

    async def enqueue_many(
        self, request: EnqueueRequest, begin: Callable[[], Awaitable[EnqueueResponse]]
    ) -> EnqueueResponse:
        """A batch, which is applied as a whole."""
        return await self.call(
            "enqueue",
            begin,
            lambda response: {"placed": placed_all(request, response), "index": response.applied_index},
            jobs=asked_jobs(request),
        )

    async def read(self, op: str, request: Any, begin: Callable[[], Awaitable[Any]]) -> Any:
        """GetJob and WaitJob."""
        return await self.call(
            op,
            begin,
            lambda response: {
                "word": _STATES.get(response.job.state, ""),
                "token": response.job.fencing_token,
                "attempt": response.job.attempt,
                "index": response.read.applied_index,
            },
            job=format_job_id(request.job_id),
            min_index=request.read.min_index,
            linearizable=request.read.linearizable,
        )

    async def steer(
        self, op: str, job_id: str, request: Any, begin: Callable[[], Awaitable[JobsResponse]]
    ) -> JobsResponse:
        """CancelJobs, RetryJobs and PurgeJobs, of one job."""
        return await self.call(
            op,
            begin,
            lambda response: {"word": response.results[0], "index": response.applied_index},
            job=job_id,
            request=request.request_id.hex(),
        )

    async def where(self, op: str, where: Any, begin: Callable[[], Awaitable[int]]) -> int:
        """All steps of a command on a filter."""
        states = tuple(_STATES[state] for state in where.states)
        return await self.call(
            op, begin, lambda done: {"done": done}, states=states, queue=where.queue, type=where.type
        )

    async def purge_queue(self, name: str, begin: Callable[[], Awaitable[int]]) -> int:
        """All steps of cancelling what waits in a queue."""
        return await self.call("purge_queue", begin, lambda done: {"done": done}, queue=name)

    async def schedule(self, op: str, schedule_id: str, begin: Callable[[], Awaitable[Any]]) -> Any:
        """A change of a schedule."""
        return await self.call(
            op, begin, lambda response: {"index": response.applied_index}, schedule=schedule_id
        )


def asked_jobs(request: EnqueueRequest) -> tuple[AskedJob, ...]:
    """What a history needs of the jobs of a batch."""
    return tuple(asked_job(spec) for spec in job_specs(request))


def placed_all(request: EnqueueRequest, response: EnqueueResponse) -> tuple[Placed, ...]:
    """What became of each job of a batch.  One that is there under its own id may have come with an earlier
    sending of the same batch."""
    placed = [Placed(id=format_job_id(job.job_id)) for job in request.jobs]
    for existing in response.existing:
        there = format_job_id(existing.job_id)
        own = there == placed[existing.position].id
        placed[existing.position] = Placed(id=there, created=None if own else False)
    for rejected in response.rejected:
        placed[rejected.position] = Placed(refused=rejected.reason)
    return tuple(placed)
