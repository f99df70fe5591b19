"""The history of a simulated run: its clients, workers and events, in the form of real ones.

It is kept in memory and judged by the checker that users have, which knows nothing of the machine.  Whoever
records has a `Pen`; without one, nothing is written.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.coordinator.queries import attempts
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import AttemptState, Job
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.queue import QueueOptions, RateLimitOptions
from orchestrix_raft.domain.report import Completed, Failed, Outcome
from orchestrix_raft.domain.schedule import IntervalSchedule, OneShotSchedule, Slot
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.history.checker import Report, check
from orchestrix_raft.history.recorder import WORKER, Recorder, asked_job
from orchestrix_raft.history.records import (
    OK,
    REFUSED,
    Event,
    FinalJob,
    Line,
    Missing,
    Observed,
    PastAttempt,
    Placed,
    Record,
)
from orchestrix_raft.history.watched import named_jobs
from orchestrix_raft.machine import commands, events
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.world import World

CLOCK: Final = "world"
CALLER: Final = "caller"  # unlike a client of the SDK it says of each read how new it must be

_STEERS: Final = {commands.CancelJobs: "cancel", commands.RetryJobs: "retry", commands.PurgeJobs: "purge"}
_WHERE: Final = {
    commands.CancelWhere: "cancel_where",
    commands.RetryWhere: "retry_where",
    commands.PurgeWhere: "purge_where",
}
_SCHEDULES: Final = {
    commands.PauseSchedule: "pause_schedule",
    commands.ResumeSchedule: "resume_schedule",
    commands.TriggerSchedule: "trigger_schedule",
    commands.DeleteSchedule: "delete_schedule",
}


_Where = commands.CancelWhere | commands.RetryWhere | commands.PurgeWhere


class _Walk:
    """Commands on one filter under way."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.open = 0


class Pen:
    """Of one simulated client or worker."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._walks: dict[tuple[type, JobFilter], _Walk] = {}

    # ---- clients

    def asks(self, command: commands.Command) -> int:
        """The number of the operation; 0: it is none that a history has."""
        if isinstance(command, commands.Asked):
            command = command.command
        invoke, kind = self._recorder.invoke, type(command)
        if isinstance(command, commands.Enqueue):
            return invoke("enqueue", jobs=tuple(asked_job(spec) for spec in command.jobs))
        if isinstance(command, commands.CancelJobs | commands.RetryJobs | commands.PurgeJobs):
            return invoke(_STEERS[kind], job=format_job_id(command.job_ids[0]))
        if isinstance(command, commands.CancelWhere | commands.RetryWhere | commands.PurgeWhere):
            return self._walks_on(command)
        if kind in _SCHEDULES:
            return invoke(_SCHEDULES[kind], schedule=getattr(command, "schedule_id", ""))
        return 0

    def _walks_on(self, command: _Where) -> int:
        """All steps of a walk are one operation; walks that are the same at the same time are one, too."""
        kind, where = type(command), command.where
        walk = self._walks.get((kind, where))
        if walk is None:
            states = tuple(state.word for state in where.states)
            number = self._recorder.invoke(_WHERE[kind], states=states, queue=where.queue, type=where.type)
            walk = self._walks[(kind, where)] = _Walk(number)
        walk.open += not command.cursor
        return walk.number

    def _walked(self, command: _Where, result: commands.WhereResult) -> None:
        key = type(command), command.where
        walk = self._walks[key]
        walk.open -= not result.cursor
        if not walk.open:
            del self._walks[key]
            self._recorder.returned(walk.number, OK)

    def told(self, number: int, command: commands.Command, done: Done, again: bool) -> None:
        """The answer.  again: it was asked more than once, and an earlier asking may have been applied."""
        result = done.result
        if isinstance(result, commands.EnqueueResult):
            assert isinstance(command, commands.Enqueue)
            placed = tuple(_placed(spec.job_id, i, result, again) for i, spec in enumerate(command.jobs))
            self._recorder.returned(number, OK, placed=placed, index=done.index)
        elif isinstance(result, commands.WhereResult):
            assert isinstance(command, commands.CancelWhere | commands.RetryWhere | commands.PurgeWhere)
            self._walked(command, result)
        elif isinstance(result, commands.JobsResult):
            self._recorder.returned(number, OK, word=result.words[0], index=done.index)
        else:
            self._recorder.returned(number, OK, index=done.index)

    def refused(self, number: int) -> None:
        """It was certainly not applied, and is given up."""
        self._recorder.returned(number, REFUSED)

    def reads(self, job_id: bytes, min_index: int, linearizable: bool) -> int:
        """A read begins."""
        job = format_job_id(job_id)
        return self._recorder.invoke("get", job=job, min_index=min_index, linearizable=linearizable)

    def saw(self, number: int, job: Job | None, index: int, linearizable: bool) -> None:
        """What a read saw.  That there is no job, only a linearizable one can say."""
        if job is not None:
            self._recorder.returned(
                number, OK, word=job.state.word, token=job.token, attempt=job.attempt, index=index
            )
        elif linearizable:
            self._recorder.returned(number, OK, word="not_found")
        else:
            self._recorder.returned(number, REFUSED)

    # ---- workers

    def starts(self, job: Assignment) -> None:
        """A handler is about to begin."""
        firing = job.firing
        self._recorder.started(
            format_job_id(job.job_id),
            job.token,
            job.attempt,
            queue=job.queue,
            schedule="" if firing is None else firing.schedule_id,
            slot_ms=0 if firing is None else firing.slot_ms,
        )

    def ends(self, outcome: Outcome) -> None:
        """A handler has ended."""
        word = "completed" if isinstance(outcome, Completed) else "released"
        if isinstance(outcome, Failed):
            word = "cancelled" if outcome.cancelled else "failed"
        self._recorder.ended(format_job_id(outcome.job_id), outcome.token, word)

    def gives_back(self, job_id: bytes, token: int) -> None:
        """A handler is cut short by a goodbye."""
        self._recorder.ended(format_job_id(job_id), token, "released")

    def heard(self, tokens: Iterable[int], stale: Iterable[int]) -> None:
        """Reports were answered."""
        for token in tokens:
            self._recorder.acknowledged(token, accepted=True)
        for token in stale:
            self._recorder.acknowledged(token, accepted=False)


def _placed(job_id: bytes, position: int, result: commands.EnqueueResult, again: bool) -> Placed:
    if position in result.rejected:
        return Placed(refused=result.rejected[position].reason, created=None if again else True)
    there = result.existing.get(position)
    if there is None:
        return Placed(id=format_job_id(job_id), created=True)
    return Placed(id=format_job_id(there), created=None if again else False)


class Recorded(Protocol):
    """Who has a pen."""

    name: str
    pen: Pen | None


class _Entry(NamedTuple):
    at: int  # log index
    elapsed_ms: int
    wall_ms: int
    events: list[events.Event]


class SimHistory:
    """Everything that is recorded in one run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._records: list[Record] = []
        self._entries: list[_Entry] = []

    def attach(self, clients: Iterable[Recorded], workers: Iterable[Recorded]) -> None:
        """They record from now on."""
        for role, those in ((CALLER, clients), (WORKER, workers)):
            for one in those:
                recorder = Recorder(self._records.append, self._now_ns, one.name, CLOCK, role, one.name)
                one.pen = Pen(recorder)

    def entry(self, index: int, elapsed_ms: int, wall_ms: int, happened: list[events.Event]) -> None:
        """What a committed entry did."""
        self._entries.append(_Entry(index, elapsed_ms, wall_ms, happened))

    def judge(self, nodes: Iterable[SimNode], violation: Callable[[str], None]) -> Report:
        """At the end, when all is at rest: against the state of a node."""
        core = next(node.core for node in nodes if node.counts and node.core is not None)
        report = check(self._lines(core))
        for verdict in report.verdicts:
            for found in verdict.violations[:1]:
                violation(f"history: {verdict.check}: {found.what}\n  " + "\n  ".join(found.lines))
        return report

    def _now_ns(self) -> int:
        return int(self._world.now * 1e9)

    def _lines(self, core: Core) -> list[Line]:
        at_ns = self._now_ns()
        Recorder(self._records.append, self._now_ns, "end", CLOCK)
        for entry in self._entries:
            for ordinal, event in enumerate(entry.events, 1):
                record = event_record(event, entry.at, ordinal, entry.elapsed_ms, entry.wall_ms)
                if record is not None:
                    self._records.append(record)
        lines = [Line(f"#{number}", record) for number, record in enumerate(self._records)]
        index = core.consensus.applied_index
        ends: list[Record] = [
            _final(core, bytes.fromhex(job_id.replace("-", "")), at_ns, index)
            for job_id in sorted(named_jobs(lines))
        ]
        ends.append(Observed(p="end", t=at_ns, at_ms=core.state.wall_ms, events_after=0))
        return lines + [Line(f"end:{number}", record) for number, record in enumerate(ends)]


def _final(core: Core, job_id: bytes, at_ns: int, index: int) -> FinalJob | Missing:
    job, name = core.replica.job(job_id), format_job_id(job_id)
    if job is None:
        return Missing(p="end", t=at_ns, id=name)
    firing, past = job.spec.firing, attempts(core, job_id)
    return FinalJob(
        p="end",
        t=at_ns,
        id=name,
        type=job.spec.type,
        queue=job.spec.queue,
        state=job.state.word,
        token=job.token,
        attempt=job.attempt,
        failures=job.failures,
        losses=job.losses,
        index=index,
        schedule="" if firing is None else firing.schedule_id,
        slot_ms=0 if firing is None else firing.slot_ms,
        attempts=tuple(
            PastAttempt(attempt=a.attempt, token=a.token, state=_word(a.state), reason=a.reason) for a in past
        ),
        cut=bool(past) and past[0].attempt > 1,
    )


def _word(state: AttemptState) -> str:
    return state.word


# ---- events


def event_record(
    event: events.Event, index: int, ordinal: int, elapsed_ms: int, wall_ms: int
) -> Event | None:
    """The event as a record, with the details that the checks look at; None: they look at none of it."""
    told = _TOLD.get(type(event))
    if told is None:
        return None
    kind, details = told
    job_id = event.spec.job_id if isinstance(event, events.JobEnqueued) else getattr(event, "job_id", b"")
    return Event(
        index=index,
        ordinal=ordinal,
        at_ms=wall_ms,
        elapsed_ms=elapsed_ms,
        kind=kind,
        job=format_job_id(job_id) if job_id else "",
        d=details(event),
    )


def _enqueued(event: events.JobEnqueued) -> dict[str, Any]:
    return {"spec": {"queue": event.spec.queue, "key": event.spec.key}}


def _assigned(event: events.JobAssigned) -> dict[str, Any]:
    return {"token": event.token, "worker_id": event.session_id.hex()}


def _ended(event: events.AttemptEnded) -> dict[str, Any]:
    return {"token": event.token, "reported": event.reported}


def _token(event: Any) -> dict[str, Any]:
    return {"token": event.token}


def _session(event: events.SessionEnded) -> dict[str, Any]:
    return {"worker_id": event.session_id.hex()}


def _nothing(event: Any) -> dict[str, Any]:
    return {}


def _configured(event: events.QueueConfigured) -> dict[str, Any]:
    return {"name": event.name, "options": _options(event.options)}


def _options(options: QueueOptions) -> dict[str, Any]:
    return {
        "paused": options.paused,
        "rate": _rate(options.rate),
        "concurrency": options.concurrency,
        "key_rate": _rate(options.key_rate),
        "key_concurrency": options.key_concurrency,
    }


def _rate(rate: RateLimitOptions | None) -> dict[str, int] | None:
    return None if rate is None else {"count": rate.count, "window_ms": rate.window_ms}


def _put(event: events.SchedulePut) -> dict[str, Any]:
    timing: dict[str, int] = {}
    if isinstance(event.spec.timing, IntervalSchedule):
        timing = {"period_ms": event.spec.timing.period_ms}
    elif isinstance(event.spec.timing, OneShotSchedule):
        timing = {"run_at_ms": event.spec.timing.run_at_ms}
    spec = event.spec
    return {"spec": {"schedule_id": spec.schedule_id, "timing": timing, "max_runs": spec.max_runs}}


def _schedule(event: Any) -> dict[str, Any]:
    return {"schedule_id": event.schedule_id}


def _advanced(event: events.ScheduleAdvanced) -> dict[str, Any]:
    return {
        "schedule_id": event.schedule_id,
        "after_ms": event.after_ms,
        "next_slot_ms": event.next_slot_ms,
        "due_ms": event.due_ms,
    }


def _slot(event: Any) -> dict[str, Any]:
    slot: Slot = event.slot
    return {
        "schedule_id": event.schedule_id,
        "slot": {
            "slot_ms": slot.slot_ms,
            "missed": slot.missed,
            "skipped": slot.skipped,
            "trigger": slot.trigger,
        },
        "buffered": getattr(event, "buffered", False),
    }


_TOLD: Final[dict[type, tuple[str, Callable[[Any], dict[str, Any]]]]] = {
    events.JobEnqueued: ("job_enqueued", _enqueued),
    events.JobAssigned: ("job_assigned", _assigned),
    events.JobCompleted: ("job_completed", _token),
    events.AttemptEnded: ("attempt_ended", _ended),
    events.JobReleased: ("job_released", _token),
    events.JobForgotten: ("job_forgotten", _nothing),
    events.SlotFreed: ("slot_freed", _token),
    events.SessionEnded: ("session_ended", _session),
    events.QueueConfigured: ("queue_configured", _configured),
    events.SchedulePut: ("schedule_put", _put),
    events.SchedulePaused: ("schedule_paused", _schedule),
    events.ScheduleResumed: ("schedule_resumed", _schedule),
    events.ScheduleDeleted: ("schedule_deleted", _schedule),
    events.ScheduleAdvanced: ("schedule_advanced", _advanced),
    events.SlotFired: ("slot_fired", _slot),
    events.SlotSkipped: ("slot_skipped", _slot),
    events.SlotBuffered: ("slot_buffered", _slot),
}
