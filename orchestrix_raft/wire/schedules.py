"""schedules.proto: what a schedule is, how it stands, and changes of it."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from orchestrix_raft.domain.schedule import (
    CronSchedule,
    Cursor,
    DstGap,
    DstOverlap,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    Schedule,
    ScheduleSpec,
    Timing,
)
from orchestrix_raft.wire.jobs import EnqueueRequest, job_specs, new_job_message
from orchestrix_raft.wire.v1 import schedules_pb2 as pb

ScheduleSpecMessage = pb.ScheduleSpec
ScheduleMessage = pb.Schedule
PutScheduleRequest = pb.PutScheduleRequest
PutScheduleResponse = pb.PutScheduleResponse
GetScheduleRequest = pb.GetScheduleRequest
GetScheduleResponse = pb.GetScheduleResponse
ListSchedulesRequest = pb.ListSchedulesRequest
ListSchedulesResponse = pb.ListSchedulesResponse
PauseScheduleRequest = pb.PauseScheduleRequest
ResumeScheduleRequest = pb.ResumeScheduleRequest
TriggerScheduleRequest = pb.TriggerScheduleRequest
DeleteScheduleRequest = pb.DeleteScheduleRequest
ScheduleResponse = pb.ScheduleResponse
PreviewScheduleRequest = pb.PreviewScheduleRequest
PreviewScheduleResponse = pb.PreviewScheduleResponse
PreviewedRunMessage = pb.PreviewedRun

STATES: Final = ("active", "paused", "finished")
DEFAULT_ZONE: Final = "UTC"

Choice = TypeVar("Choice", Misfire, Overlap, DstGap, DstOverlap, Cursor)


def read_spec(m: pb.ScheduleSpec) -> ScheduleSpec:
    """What was asked for.  Nothing is checked, but ValueError for a choice that this version does not know
    and for a specification without times."""
    (template,) = job_specs(EnqueueRequest(jobs=[m.job]))
    return ScheduleSpec(
        m.id,
        _read_timing(m),
        template,
        read_choice(Misfire, m.misfire),
        read_choice(Overlap, m.overlap),
        m.jitter_ms,
        m.pause_on_failure,
        m.start_ms,
        m.end_ms,
        m.max_runs,
    )


def _read_timing(m: pb.ScheduleSpec) -> Timing:
    match m.WhichOneof("timing"):
        case "cron":
            return read_cron(m.cron)
        case "interval":
            return IntervalSchedule(m.interval.period_ms, m.interval.anchor_ms)
        case "one_shot":
            return OneShotSchedule(m.one_shot.run_at_ms)
        case _:
            raise ValueError("a schedule needs one of cron, interval and one_shot")


def read_cron(m: pb.CronTiming) -> CronSchedule:
    """The times of a calendar; ValueError for a choice that this version does not know."""
    gap, overlap = read_choice(DstGap, m.dst_gap), read_choice(DstOverlap, m.dst_overlap)
    return CronSchedule(m.expression, m.timezone or DEFAULT_ZONE, gap, overlap)


def read_choice(kind: type[Choice], number: int) -> Choice:
    """The choice that an enum of the protocol means: there the first one is 0."""
    for choice in kind:
        if choice == number + 1:
            return choice
    known = ", ".join(f"{choice - 1} {choice.word}" for choice in kind)
    raise ValueError(f"{kind.__name__} {number} is unknown here (there are {known})")


def read_gap(number: int) -> str:
    """The word of a policy for jumped times."""
    return read_choice(DstGap, number).word


def read_overlap(number: int) -> str:
    """The word of a policy for repeated times."""
    return read_choice(DstOverlap, number).word


def choice_number(choice: Choice) -> int:
    """The inverse."""
    return choice - 1


def write_spec(spec: ScheduleSpec) -> pb.ScheduleSpec:
    """The form for the wire."""
    out = pb.ScheduleSpec(
        id=spec.schedule_id,
        job=new_job_message(spec.template),
        jitter_ms=spec.jitter_ms,
        pause_on_failure=spec.pause_on_failure,
        start_ms=spec.start_ms,
        end_ms=spec.end_ms,
        max_runs=spec.max_runs,
    )
    enums: dict[str, int] = {"misfire": choice_number(spec.misfire), "overlap": choice_number(spec.overlap)}
    for name, number in enums.items():
        setattr(out, name, number)
    match spec.timing:
        case CronSchedule(expression, timezone, gap, overlap):
            out.cron.expression, out.cron.timezone = expression, timezone
            for name, number in (("dst_gap", gap - 1), ("dst_overlap", overlap - 1)):
                setattr(out.cron, name, number)
        case IntervalSchedule(period_ms, anchor_ms):
            out.interval.period_ms, out.interval.anchor_ms = period_ms, anchor_ms
        case OneShotSchedule(run_at_ms):
            out.one_shot.run_at_ms = run_at_ms
    return out


def schedule_message(
    schedule: Schedule, next_slot_ms: int, next_run_ms: int, active: int, job_ids: Iterable[bytes]
) -> pb.Schedule:
    """A schedule as it stands; the next slot as it is to be shown, `active` runs, the first of their ids."""
    return pb.Schedule(
        spec=write_spec(schedule.spec),
        state=f"SCHEDULE_STATE_{schedule.word.upper()}",
        pause_reason=schedule.reason,
        version=schedule.version,
        created_ms=schedule.created_ms,
        changed_ms=schedule.changed_ms,
        next_slot_ms=next_slot_ms,
        next_run_ms=next_run_ms,
        active_runs=active,
        active_job_ids=job_ids,
        buffered_ms=[slot.slot_ms for slot in schedule.buffered],
        fired=schedule.fired,
        skipped=schedule.skipped,
        triggered=schedule.triggers,
        failures=schedule.failures,
        last_slot_ms=schedule.last_slot_ms,
        last_fired_ms=schedule.last_fired_ms,
        last_job_id=schedule.last_job_id,
        last_outcome=schedule.last_outcome,
        last_skip_ms=schedule.last_skip_ms,
        last_skip=schedule.last_skip,
    )


def read_states(numbers: Iterable[int]) -> frozenset[str]:
    """The words of the states that a listing is limited to; ValueError for a number that is none."""
    words: Mapping[int, str] = dict(enumerate(STATES, 1))
    found = set(numbers)
    if found - words.keys():
        known = ", ".join(f"{number} {word}" for number, word in words.items())
        raise ValueError(f"state {min(found - words.keys())} is unknown here (there are {known})")
    return frozenset(words[number] for number in found)


def state_name(word: str) -> str:
    """The name of a state in the .proto file."""
    return f"SCHEDULE_STATE_{word.upper()}"
