"""A schedule as the client hands it out, a plain value, and how options become a message."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

import msgspec

from orchestrix_raft.client.building import encode_args, policy_of
from orchestrix_raft.client.model import RetryPolicy, at
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.schedule import (
    AnyChoice,
    Cursor,
    DstGap,
    DstOverlap,
    Misfire,
    Overlap,
    parse_choice,
)
from orchestrix_raft.wire import schedules as wire
from orchestrix_raft.wire.arguments import milliseconds, moment_ms, names, shown, text, whole

Seconds = float | timedelta

NO_SCHEDULE: Final = ("this is no schedule: ", "INVALID_SCHEDULE")
"""How a mistake in a schedule is told, and its reason."""
_COUNT_MAX: Final = (1 << 32) - 1  # what the message can hold; the node has limits of its own
_MISFIRES: Final = {choice - 1: choice.word for choice in Misfire}
_OVERLAPS: Final = {choice - 1: choice.word for choice in Overlap}
_DST_GAPS: Final = {choice - 1: choice.word for choice in DstGap}
_DST_OVERLAPS: Final = {choice - 1: choice.word for choice in DstOverlap}


class ScheduleOptions(TypedDict, total=False):
    """What a schedule may be given besides its times and its job; what is left out has its default."""

    queue: str
    priority: int
    timeout: Seconds | None  # of an attempt
    retry: RetryPolicy | None
    retry_for: Seconds | None
    expires: Seconds | None
    key: str | None
    correlation_id: str | None
    labels: Iterable[str] | None
    misfire: str  # latest, skip, all
    overlap: str  # skip, allow, buffer_one, buffer_all, cancel_running
    jitter: Seconds | None  # a run starts up to this much later
    pause_on_failure: int  # so many runs in a row that end dead pause it; 0: never
    start: datetime | None  # no slot before
    end: datetime | None  # no slot after
    max_runs: int  # 0: no limit


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the cluster had it when asked.  Durations are seconds."""

    id: str
    kind: str  # cron, interval, one_shot
    state: str  # active, paused, finished
    pause_reason: str
    version: int  # raised by every change, pause and resume
    outcome: str  # created, updated, unchanged; "" unless it was just put
    cursor: str  # kept or reset by the update
    cron: str
    timezone: str
    dst_gap: str
    dst_overlap: str
    every: float | None
    anchor: datetime | None  # None: the start of the schedule, or else its creation
    run_at: datetime | None
    type: str
    args: dict[str, Any]
    queue: str
    priority: int
    timeout: float | None
    max_retries: int
    retry_for: float | None
    expires: float | None
    key: str
    correlation_id: str
    labels: list[str]
    misfire: str
    overlap: str
    jitter: float
    pause_on_failure: int
    start: datetime | None
    end: datetime | None
    max_runs: int
    created_at: datetime | None
    changed_at: datetime | None
    next_slot: datetime | None
    next_run: datetime | None  # that slot and its jitter
    active_runs: int  # unfinished jobs
    active_jobs: list[str]  # the first 100 of them
    buffered: list[datetime]  # slots that wait for a run to end
    fired: int
    skipped: int
    triggered: int
    failures: int  # runs that ended dead since one completed
    last_slot: datetime | None
    last_fired_at: datetime | None
    last_job: str
    last_outcome: str  # completed, cancelled or dead
    last_skip: datetime | None  # the newest slot without a run
    last_skip_reason: str


class PreviewedRun(msgspec.Struct, frozen=True):
    """One time of a cron expression."""

    at: datetime
    local: str  # RFC 3339 with the offset of the zone
    note: str  # changes of the clocks since the run before, and what they did to this one; often empty


class Triggered(msgspec.Struct, frozen=True):
    """What became of a run asked for by hand."""

    outcome: str  # fired, buffered, skipped_overlap, skipped_buffer_full
    job_id: str | None  # of the run, if it was started


def schedule_of(m: wire.ScheduleMessage, outcome: str = "", cursor: str = "") -> Schedule:
    """From the wire."""
    spec, job = m.spec, m.spec.job
    kind = spec.WhichOneof("timing") or "unknown"
    return Schedule(
        id=spec.id,
        kind=kind,
        state=wire.STATES[m.state - 1] if 0 < m.state <= len(wire.STATES) else "unknown",
        pause_reason=m.pause_reason,
        version=m.version,
        outcome=outcome,
        cursor=cursor,
        cron=spec.cron.expression,
        timezone=spec.cron.timezone,
        dst_gap=_DST_GAPS.get(spec.cron.dst_gap, "unknown") if kind == "cron" else "",
        dst_overlap=_DST_OVERLAPS.get(spec.cron.dst_overlap, "unknown") if kind == "cron" else "",
        every=spec.interval.period_ms / 1_000 if kind == "interval" else None,
        anchor=at(spec.interval.anchor_ms),
        run_at=at(spec.one_shot.run_at_ms),
        type=job.type,
        args=msgspec.json.decode(job.args) if job.args else {},
        queue=job.queue,
        priority=job.priority,
        timeout=_seconds_of(job.timeout_ms),
        max_retries=job.retry.max_retries,
        retry_for=_seconds_of(job.retry_for_ms),
        expires=_seconds_of(job.expires_ms),
        key=job.key,
        correlation_id=job.correlation_id,
        labels=list(job.labels),
        misfire=_MISFIRES.get(spec.misfire, "unknown"),
        overlap=_OVERLAPS.get(spec.overlap, "unknown"),
        jitter=spec.jitter_ms / 1_000,
        pause_on_failure=spec.pause_on_failure,
        start=at(spec.start_ms),
        end=at(spec.end_ms),
        max_runs=spec.max_runs,
        created_at=at(m.created_ms),
        changed_at=at(m.changed_ms),
        next_slot=at(m.next_slot_ms),
        next_run=at(m.next_run_ms),
        active_runs=m.active_runs,
        active_jobs=[format_job_id(job_id) for job_id in m.active_job_ids],
        buffered=[moment for ms in m.buffered_ms if (moment := at(ms)) is not None],
        fired=m.fired,
        skipped=m.skipped,
        triggered=m.triggered,
        failures=m.failures,
        last_slot=at(m.last_slot_ms),
        last_fired_at=at(m.last_fired_ms),
        last_job=format_job_id(m.last_job_id) if m.last_job_id else "",
        last_outcome=m.last_outcome,
        last_skip=at(m.last_skip_ms),
        last_skip_reason=m.last_skip,
    )


def runs_of(m: wire.PreviewScheduleResponse) -> list[PreviewedRun]:
    """From the wire."""
    found = ((at(run.at_ms), run) for run in m.runs)
    return [PreviewedRun(moment, run.local, run.note) for moment, run in found if moment is not None]


def _seconds_of(duration_ms: int) -> float | None:
    return duration_ms / 1_000 if duration_ms else None


# ---- options -> message


def set_cron(
    m: wire.ScheduleSpecMessage | wire.PreviewScheduleRequest,
    expression: str,
    timezone: str,
    dst_gap: str,
    dst_overlap: str,
    *,
    name: str = "expression",
) -> None:
    """The times of a cron schedule; `name`: of the argument that has the expression."""
    m.cron.expression, m.cron.timezone = text(name, expression), text("timezone", timezone)
    _set(m.cron, "dst_gap", _number("dst_gap", DstGap, dst_gap))
    _set(m.cron, "dst_overlap", _number("dst_overlap", DstOverlap, dst_overlap))


def set_interval(
    m: wire.ScheduleSpecMessage, period: Seconds, anchor: datetime | None, *, name: str = "period"
) -> None:
    """The times of an interval; `name`: of the argument that has the period."""
    period_ms = milliseconds(name, period)
    if period_ms < limits.INTERVAL_MS_MIN:
        raise ValueError(f"{name} is {shown(period)}: it must be at least {limits.INTERVAL_MS_MIN} ms")
    m.interval.period_ms = period_ms
    m.interval.anchor_ms = 0 if anchor is None else moment_ms("anchor", anchor)


def set_options(m: wire.ScheduleSpecMessage, options: ScheduleOptions) -> None:
    """Write the options that are given; the others stay."""
    for name, value in options.items():
        setter = _SETTERS.get(name)
        if setter is None:
            raise ValueError(f"no such option: {name!r} (there are {', '.join(sorted(_SETTERS))})")
        setter(m, name, value)


def set_job(m: wire.ScheduleSpecMessage, job_type: str | None, args: Mapping[str, Any] | None) -> None:
    """What is run; None stays as it is."""
    if job_type is not None:
        m.job.type = text("type", job_type)
    if args is not None:
        m.job.args = encode_args(args)


def cursor_number(word: str) -> int:
    """`auto`, `keep` or `reset` for the wire."""
    return _number("cursor", Cursor, word)


def _number(name: str, kind: type[AnyChoice], word: str) -> int:
    """A choice for the wire; ValueError with the name of the option and the words there are."""
    text(name, word, empty=True)
    try:
        return parse_choice(kind, word) - 1
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _set(message: Any, name: str, value: Any) -> None:
    setattr(message, name, value)


def _job_name(m: Any, name: str, value: Any) -> None:
    setattr(m.job, name, text(name, value))


def _job_text(m: Any, name: str, value: Any) -> None:
    setattr(m.job, name, "" if value is None else text(name, value, empty=True))


def _job_priority(m: Any, name: str, value: Any) -> None:
    m.job.priority = whole(name, value, -limits.PRIORITY_MAX, limits.PRIORITY_MAX)


def _job_duration(m: Any, name: str, value: Any) -> None:
    setattr(m.job, f"{name}_ms", 0 if value is None else milliseconds(name, value, zero=False))


def _job_retry(m: Any, name: str, value: Any) -> None:
    m.job.ClearField("retry")
    if value is not None:
        m.job.retry.CopyFrom(policy_of(value).message())


def _job_labels(m: Any, name: str, value: Any) -> None:
    found = () if value is None else names(name, value)
    del m.job.labels[:]
    m.job.labels.extend(found)


def _choice(m: Any, name: str, value: Any) -> None:
    kinds: Any = {"misfire": Misfire, "overlap": Overlap}
    setattr(m, name, _number(name, kinds[name], value))


def _count(m: Any, name: str, value: Any) -> None:
    setattr(m, name, whole(name, value, 0, _COUNT_MAX))


def _jitter(m: Any, name: str, value: Any) -> None:
    m.jitter_ms = 0 if value is None else milliseconds(name, value)


def _moment(m: Any, name: str, value: Any) -> None:
    setattr(m, f"{name}_ms", 0 if value is None else moment_ms(name, value))


_SETTERS: Final = {
    "queue": _job_name,
    "priority": _job_priority,
    "timeout": _job_duration,
    "retry": _job_retry,
    "retry_for": _job_duration,
    "expires": _job_duration,
    "key": _job_text,
    "correlation_id": _job_text,
    "labels": _job_labels,
    "misfire": _choice,
    "overlap": _choice,
    "jitter": _jitter,
    "pause_on_failure": _count,
    "start": _moment,
    "end": _moment,
    "max_runs": _count,
}
