"""The schedule: what its owner asked for, the choices that are left to him, and where it stands.

What each choice does to a calendar is computed in `timetable`; what it does to jobs, in the state machine.
"""

from enum import IntEnum
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobSpec, fault_in_spec


class _Choice(IntEnum):
    @property
    def word(self) -> str:
        """The lower-case word used in JSON, Python, the command line and docs."""
        return self.name.lower()


class Misfire(_Choice):
    """What becomes of slots that passed while nobody could fire them."""

    LATEST = 1  # one run, for the latest of them; it carries how many there were
    SKIP = 2
    ALL = 3  # each of them, oldest first


class Overlap(_Choice):
    """What becomes of a slot while a run of the same schedule is still active."""

    SKIP = 1
    ALLOW = 2
    BUFFER_ONE = 3
    BUFFER_ALL = 4
    CANCEL_RUNNING = 5


class DstGap(_Choice):
    """What becomes of a fixed local time that clocks jump over."""

    SHIFT = 1  # to the first instant after the gap, where it merges with a run that is there already
    SKIP = 2


class DstOverlap(_Choice):
    """Which occurrence of a fixed local time counts when clocks show it more than once."""

    FIRST = 1
    LAST = 2
    BOTH = 3  # every occurrence


AnyChoice = TypeVar("AnyChoice", bound=_Choice)


def parse_choice(kind: type[AnyChoice], text: str) -> AnyChoice:
    """The member of `kind` that `text` names; ValueError with the allowed words."""
    for choice in kind:
        if choice.word == text:
            return choice
    raise ValueError(f"no such choice: {str(text)[:40]!r} (there are {', '.join(one.word for one in kind)})")


class Cursor(_Choice):
    """What becomes of a schedule's place in time when it is changed."""

    AUTO = 1  # kept; begun anew at the moment of the change if its times changed, or it had finished
    KEEP = 2  # slots that the new times name since the last decided one count as missed
    RESET = 3


UNPLANNED: Final = -1
"""As a next slot: still to be computed, by the leader."""

NO_SLOT: Final = 0
"""As a next slot: there is none any more; the schedule has finished."""

WINDOW: Final = "misfire_window"  # slots older than limits.MISFIRE_WINDOW_MS
MISFIRE: Final = "misfire"  # passed while nobody could fire them, and the policy is `skip`
LIMIT: Final = "misfire_limit"  # beyond limits.MISFIRES_MADE_UP
OVERLAP: Final = "overlap"  # a run was active, and the policy is `skip`
BUFFER_FULL: Final = "buffer_full"
SUPERSEDED: Final = "superseded"  # waited for cancelled runs to end when the next slot came
PAUSED: Final = "paused"  # waited for a run to end when the schedule was paused
JOB_EXISTS: Final = "job_exists"  # somebody took the id of the run's job
REFUSED: Final = "refused"  # the run's job was, by a limit of its queue
"""Reasons for a slot without a run, as events and answers name them."""

PLANNED_SKIPS: Final = frozenset({WINDOW, MISFIRE, LIMIT})
"""Those that a plan may give; the others are found when it is applied."""


class _Closed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    pass


class CronSchedule(_Closed, frozen=True, tag=1):
    """Due at the times of a calendar."""

    expression: str
    timezone: str
    gap: DstGap = DstGap.SHIFT
    overlap: DstOverlap = DstOverlap.FIRST


class IntervalSchedule(_Closed, frozen=True, tag=2):
    """Due at anchor + k x period, in UTC, without drift."""

    period_ms: int
    anchor_ms: int = 0  # wall; 0: the start of the schedule, or else the moment of its creation


class OneShotSchedule(_Closed, frozen=True, tag=3):
    """Due once."""

    run_at_ms: int  # wall


Timing = CronSchedule | IntervalSchedule | OneShotSchedule


class ScheduleSpec(_Closed, frozen=True):
    """What its owner asked for."""

    schedule_id: str
    timing: Timing
    template: JobSpec  # of the job of each run; without id, delay, run_at, unique key
    misfire: Misfire = Misfire.LATEST
    overlap: Overlap = Overlap.SKIP
    jitter_ms: int = 0  # a run starts up to this much later than its slot
    pause_on_failure: int = 0  # runs that end dead one after the other before it pauses; 0: never
    start_ms: int = 0  # wall: no slot before; 0: none
    end_ms: int = 0  # wall: no slot after; 0: none
    max_runs: int = 0  # runs of slots, not those triggered by hand; 0: no limit


class Slot(_Closed, frozen=True):
    """A due time, and the ones before it that it stands for: fired as one run, or skipped together."""

    slot_ms: int  # wall
    missed: int = 0  # slots before this one, since the last decided one
    skipped: str = ""  # why there is no run; "": there is one
    trigger: int = 0  # started by hand, the so-manieth time; 0: its time had come


class Schedule(msgspec.Struct, array_like=True, gc=False):
    """A schedule as the state holds it.  Times are wall milliseconds, 0 where it has not happened.

    Its place in time is `next_slot_ms`: all slots up to `after_ms` are decided, this one is the next.  Its
    active runs are the unfinished jobs that name it; they are not kept here.
    """

    spec: ScheduleSpec
    incarnation: int  # from the state's counter at its creation: no other schedule ever has it
    version: int  # raised by every change, pause and resume; a plan names the one it saw
    created_ms: int
    changed_ms: int
    anchor_ms: int  # of an interval
    after_ms: int
    next_slot_ms: int = UNPLANNED
    due_ms: int = 0  # the slot and its jitter
    due_seq: int = 0  # place in line among the due ones; 0: waits for nothing (paused or finished)
    paused: bool = False
    reason: str = ""  # why it is paused
    buffered: tuple[Slot, ...] = ()  # wait until no run is active, oldest first
    triggers: int = 0  # runs started by hand so far, buffered ones included
    fired: int = 0  # runs of slots so far, without those started by hand
    skipped: int = 0  # slots without a run so far
    failures: int = 0  # runs that ended dead since one completed
    last_slot_ms: int = 0  # of the newest run
    last_fired_ms: int = 0
    last_job_id: bytes = b""
    last_outcome: str = ""  # how the run that ended last ended: completed, cancelled, dead
    last_skip_ms: int = 0  # the newest slot without a run, and why
    last_skip: str = ""

    @property
    def word(self) -> str:
        """How it stands: active, paused or finished."""
        if self.paused:
            return "paused"
        return "finished" if self.next_slot_ms == NO_SLOT else "active"


def run_id(schedule_id: str, incarnation: int, slot_ms: int, trigger: int = 0) -> bytes:
    """The id of the job of a slot, a UUIDv8: 48 bits of the slot's time, then a hash of all arguments.

    Whoever fires the slot makes the same id.  `trigger` counts runs started by hand, from 1.
    """
    text = f"{schedule_id}\0{incarnation}\0{slot_ms}\0{trigger}".encode()
    mark = int.from_bytes(blake2b(text, digest_size=10).digest(), "big")
    number = slot_ms << 80 | 0x8 << 76 | (mark >> 68) << 64 | 0x2 << 62 | mark & ((1 << 62) - 1)
    return number.to_bytes(limits.JOB_ID_BYTES, "big")


def fault_in_schedule(spec: ScheduleSpec) -> str:
    """One line saying what is wrong with `spec`, or "".  Expressions and zones are read by the API, before;
    here their shape counts."""
    if not 0 < len(spec.schedule_id) <= limits.SCHEDULE_ID_CHARS:
        return f"schedule id must have 1 to {limits.SCHEDULE_ID_CHARS} characters"
    template = spec.template
    if template.job_id or template.firing is not None:
        return "the job of a schedule gets its id from the slot"
    if template.delay_ms or template.run_at_ms:
        return "delay and run_at are not for the job of a schedule: the slot says when it runs"
    if template.unique_key or template.unique is not None:
        return "unique_key is not for the job of a schedule: overlap says how runs keep apart"
    if len(template.args) > limits.SCHEDULE_ARGS_BYTES:
        return (
            f"arguments have {len(template.args)} bytes, a schedule may have {limits.SCHEDULE_ARGS_BYTES}:"
            " keep them elsewhere and pass a reference"
        )
    return (
        _fault_in_timing(spec)
        or _fault_in_numbers(spec)
        or fault_in_spec(msgspec.structs.replace(template, job_id=bytes(limits.JOB_ID_BYTES)))
    )


def _fault_in_timing(spec: ScheduleSpec) -> str:
    timing = spec.timing
    if isinstance(timing, CronSchedule):
        if not 0 < len(timing.expression) <= limits.CRON_CHARS:
            return f"a cron expression has 1 to {limits.CRON_CHARS} characters"
        if not 0 < len(timing.timezone) <= limits.TIMEZONE_CHARS:
            return f"a time zone has 1 to {limits.TIMEZONE_CHARS} characters"
    elif isinstance(timing, IntervalSchedule):
        return _fault_in_interval(timing, spec.jitter_ms)
    elif not 0 < timing.run_at_ms < limits.WALL_MS_MAX:
        return "run_at is not a time from 1970 to 9999"
    return ""


def _fault_in_interval(timing: IntervalSchedule, jitter_ms: int) -> str:
    if timing.period_ms < limits.INTERVAL_MS_MIN:
        return f"an interval of {timing.period_ms} ms is too short (at least {limits.INTERVAL_MS_MIN} ms)"
    if timing.period_ms > limits.DURATION_MS:
        return f"an interval of {timing.period_ms} ms is too long (at most {limits.DURATION_MS} ms)"
    if not 0 <= timing.anchor_ms < limits.WALL_MS_MAX:
        return "anchor is not a time from 1970 to 9999"
    if jitter_ms >= timing.period_ms:
        return f"jitter of {jitter_ms} ms must be less than the interval of {timing.period_ms} ms"
    return ""


def _fault_in_numbers(spec: ScheduleSpec) -> str:
    if not 0 <= spec.jitter_ms <= limits.JITTER_MS:
        return f"jitter of {spec.jitter_ms} ms: it must be within 0..{limits.JITTER_MS} ms"
    if not 0 <= spec.pause_on_failure <= limits.RETRIES_MAX:
        return f"pause_on_failure {spec.pause_on_failure}: it must be within 0..{limits.RETRIES_MAX}"
    if not 0 <= spec.max_runs <= limits.RUNS_MAX:
        return f"max_runs {spec.max_runs}: it must be within 0..{limits.RUNS_MAX}"
    for name, at_ms in (("start", spec.start_ms), ("end", spec.end_ms)):
        if not 0 <= at_ms < limits.WALL_MS_MAX:
            return f"{name} is not a time from 1970 to 9999"
    if spec.end_ms and spec.end_ms < spec.start_ms:
        return "end is before start"
    return ""
