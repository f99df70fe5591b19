"""The part of the scenario language that is about schedules.

    every ID PERIOD | cron ID EXPR | at ID D     make or change one (`overlap=`, `misfire=`, `jitter=`, ...)
    pause_schedule / resume_schedule / trigger / delete ID
    scan [ID ...]                                the leader plans what is due now (or just these), commits it
    scan twice                                   two leaders do, for the same moment

A run is named after its schedule and slot: `s@30s` is the run of s that was due 30 s after the beginning,
`s!1` the first one started by hand.
"""

from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.domain.schedule import (
    NO_SLOT,
    CronSchedule,
    Cursor,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    ScheduleSpec,
    Slot,
    Timing,
    parse_choice,
)
from orchestrix_raft.duties.schedules import JobPlanner, ScheduleScanner
from orchestrix_raft.machine import codec
from orchestrix_raft.machine import events as ev
from orchestrix_raft.machine.commands import (
    Command,
    DeleteSchedule,
    FireSchedule,
    PauseSchedule,
    PutSchedule,
    ResumeSchedule,
    ScheduleResult,
    TriggerSchedule,
)
from orchestrix_raft.machine.port import Result
from orchestrix_raft.machine.state import State
from orchestrix_raft.timetable.jitter import jitter_ms
from orchestrix_raft.timetable.schedule_times import evaluator_of
from tests.scenarios.driver import WALL_START_MS, Driver

PLANNER = JobPlanner(evaluator_of, jitter_ms)
EVENTS = (
    ev.SchedulePut
    | ev.SchedulePaused
    | ev.ScheduleResumed
    | ev.ScheduleDeleted
    | ev.SlotFired
    | ev.SlotSkipped
    | ev.SlotBuffered
    | ev.ScheduleAdvanced
)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def template(**fields: object) -> JobSpec:
    """The job of a schedule's runs: without a retry, unless `fields` say otherwise."""
    given: dict[str, object] = {"type": "t", "queue": "default", "args": b"{}"}
    given["retry"] = RetryPolicy(max_retries=0, jitter_percent=0)
    return JobSpec(b"", **{**given, **fields})  # type: ignore[arg-type]


def interval(schedule_id: str = "s", period_ms: int = 10_000, **fields: object) -> ScheduleSpec:
    """A schedule every so often."""
    return ScheduleSpec(schedule_id, IntervalSchedule(period_ms), template(), **fields)  # type: ignore[arg-type]


def plans(state: State, now_ms: int, only: tuple[str, ...] = ()) -> list[FireSchedule]:
    """What a leader would propose at `now_ms`."""
    found = [schedule for _, schedule in ScheduleScanner.due(state, now_ms, {})]
    return [PLANNER.plan(one, now_ms) for one in found if not only or one.spec.schedule_id in only]


def scan(driver: Driver, *only: str) -> list[FireSchedule]:
    """Plan what is due, and commit it in one entry."""
    commands = plans(driver.machine.state, driver.wall_ms, only)
    driver.apply(codec.unnumbered(*commands))
    return commands


def offset(at_ms: int) -> str:
    """A time as what has passed since the beginning, in units that leave nothing over."""
    left = at_ms - WALL_START_MS
    if left < 0:
        return f"-{offset(2 * WALL_START_MS - at_ms)}"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def slot_text(slot: Slot) -> str:
    """`@10s`, `@10s and 3 before it`, `!1`."""
    name = f"!{slot.trigger}" if slot.trigger else f"@{offset(slot.slot_ms)}"
    return name + (f" and {slot.missed} before it" if slot.missed else "")


class Scheduling:
    """Commands and events of schedules, for `Scenario`."""

    driver: Driver

    def _every(self, names: list[str], options: dict[str, str]) -> Result:
        anchor_ms = WALL_START_MS + _ms(options["anchor"]) if "anchor" in options else 0
        return self._put(names[0], IntervalSchedule(_ms(names[1]), anchor_ms), options)

    def _cron(self, names: list[str], options: dict[str, str]) -> Result:
        return self._put(names[0], CronSchedule(names[1], options.get("timezone", "UTC")), options)

    def _at(self, names: list[str], options: dict[str, str]) -> Result:
        return self._put(names[0], OneShotSchedule(WALL_START_MS + _ms(names[1])), options)

    def _put(self, schedule_id: str, timing: Timing, options: dict[str, str]) -> Result:
        retry = RetryPolicy(max_retries=int(options.get("retries", "0")), jitter_percent=0)
        retry_for_ms, expires_ms = _ms(options.get("retry_for", "0s")), _ms(options.get("expires", "0s"))
        spec = ScheduleSpec(
            schedule_id,
            timing,
            template(
                type=options.get("type", "t"), retry=retry, retry_for_ms=retry_for_ms, expires_ms=expires_ms
            ),
            parse_choice(Misfire, options.get("misfire", "latest")),
            parse_choice(Overlap, options.get("overlap", "skip")),
            _ms(options.get("jitter", "0s")),
            int(options.get("pause_on_failure", "0")),
            WALL_START_MS + _ms(options["start"]) if "start" in options else 0,
            WALL_START_MS + _ms(options["end"]) if "end" in options else 0,
            int(options.get("max_runs", "0")),
        )
        cursor = parse_choice(Cursor, options.get("cursor", "auto"))
        request = options.get("request", "").encode()
        return self.driver.do(PutSchedule(request, spec, cursor, int(options.get("version", "-1"))))

    def _pause_schedule(self, names: list[str], options: dict[str, str]) -> Result:
        return self._steer(PauseSchedule(b"", names[0], options.get("reason", "")))

    def _resume_schedule(self, names: list[str], options: dict[str, str]) -> Result:
        return self._steer(ResumeSchedule(b"", names[0]))

    def _trigger(self, names: list[str], options: dict[str, str]) -> Result:
        return self._steer(TriggerSchedule(options.get("request", "").encode(), names[0]))

    def _delete(self, names: list[str], options: dict[str, str]) -> Result:
        return self._steer(DeleteSchedule(b"", names[0]))

    def _steer(self, command: Command) -> Result:
        return self.driver.do(command)

    def _scan(self, names: list[str], options: dict[str, str]) -> Result:
        if names == ["twice"]:
            found = plans(self.driver.machine.state, self.driver.wall_ms)
            self.driver.apply(codec.unnumbered(*found), codec.unnumbered(*found))
        else:
            scan(self.driver, *names)
        return None

    def _scheduling(self, event: EVENTS) -> str:
        match event:
            case ev.SchedulePut(spec=spec, version=version, after_ms=after_ms):
                after = f", slots after {offset(after_ms)}" if after_ms else ""
                return f"{spec.schedule_id} put: version {version}{after}"
            case ev.SchedulePaused(schedule_id=schedule_id, reason=reason):
                return f"{schedule_id} paused" + (f" ({reason})" if reason else "")
            case ev.ScheduleResumed(schedule_id=schedule_id, after_ms=after_ms):
                return f"{schedule_id} resumed: slots after {offset(after_ms)}"
            case ev.ScheduleDeleted(schedule_id=schedule_id):
                return f"{schedule_id} deleted"
            case ev.SlotFired(schedule_id=schedule_id, slot=slot, buffered=buffered):
                return f"{schedule_id} fired {slot_text(slot)}" + (", from the buffer" if buffered else "")
            case ev.SlotSkipped(schedule_id=schedule_id, slot=slot, buffered=buffered):
                where = ", from the buffer" if buffered else ""
                return f"{schedule_id} skipped {slot_text(slot)} ({slot.skipped}){where}"
            case ev.SlotBuffered(schedule_id=schedule_id, slot=slot):
                return f"{schedule_id} buffered {slot_text(slot)}"
            case ev.ScheduleAdvanced(schedule_id=schedule_id, next_slot_ms=next_ms, due_ms=due_ms):
                if next_ms == NO_SLOT:
                    return f"{schedule_id} finished"
                late = f", due at {offset(due_ms)}" if due_ms != next_ms else ""
                return f"{schedule_id} next @{offset(next_ms)}{late}"
        raise AssertionError(event)


def answer_text(result: ScheduleResult) -> str:
    """`created, version 1`."""
    cursor = f", {result.cursor}" if result.cursor else ""
    return f"{result.word}, version {result.version}{cursor}"


def _ms(text: str) -> int:
    number = text.rstrip("dhms")
    return int(number) * _UNITS[text[len(number) :]]
