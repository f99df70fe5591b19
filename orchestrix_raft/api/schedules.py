"""ScheduleService: make, look at and steer schedules."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from msgspec.structs import astuple, replace

from orchestrix_raft.api import checks
from orchestrix_raft.api.calls import handlers
from orchestrix_raft.api.errors import Handlers, Refusal, invalid
from orchestrix_raft.api.service import Service
from orchestrix_raft.coordinator.port import Done, Freshness, ScheduleView
from orchestrix_raft.domain import limits, names
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.schedule import (
    Cursor,
    OneShotSchedule,
    ScheduleSpec,
    fault_in_schedule,
)
from orchestrix_raft.machine.commands import (
    Auditable,
    DeleteSchedule,
    PauseSchedule,
    PutSchedule,
    ResumeSchedule,
    ScheduleResult,
    TriggerSchedule,
)
from orchestrix_raft.timetable.evaluator import cron_evaluator
from orchestrix_raft.timetable.preview import preview
from orchestrix_raft.timetable.schedule_times import evaluator_of
from orchestrix_raft.timetable.zones import ZoneError, utc_text
from orchestrix_raft.wire import schedules as wire
from orchestrix_raft.wire.common import ReadOptions, read_info
from orchestrix_raft.wire.services import SCHEDULES

LIST_DEFAULT: Final = 100
PREVIEW_DEFAULT: Final = 10
_ANY_ID: Final = bytes(limits.JOB_ID_BYTES)


class ScheduleService(Service):
    """One per server; holds nothing but the node."""

    def handlers(self) -> Handlers:
        """For `Server.add_generic_rpc_handlers`."""
        return handlers(
            SCHEDULES,
            {
                "PutSchedule": self.put_schedule,
                "GetSchedule": self.get_schedule,
                "ListSchedules": self.list_schedules,
                "PauseSchedule": self.pause_schedule,
                "ResumeSchedule": self.resume_schedule,
                "TriggerSchedule": self.trigger_schedule,
                "DeleteSchedule": self.delete_schedule,
                "PreviewSchedule": self.preview_schedule,
            },
            self._notes.turned_away,
        )

    async def put_schedule(self, request: wire.PutScheduleRequest) -> wire.PutScheduleResponse:
        """The schedule as it is afterwards."""
        request_id = checks.request_id(request.request_id)
        try:
            spec = wire.read_spec(request.spec)
            cursor = wire.read_choice(Cursor, request.cursor)
        except ValueError as error:
            raise invalid("INVALID_SCHEDULE", str(error)) from error
        _check(spec, self._node.wall_ms)
        known = self._node.find_schedule(spec.schedule_id)
        if known is None or known.schedule.spec != spec:  # who declares it again and again may go on to
            _check_times(spec, self._node.wall_ms)
        version = request.version if request.HasField("version") else -1
        done, result = await self._submit(PutSchedule(request_id, spec, cursor, version))
        view = self._node.find_schedule(spec.schedule_id)
        return wire.PutScheduleResponse(
            schedule=None if view is None else _message(view),  # None: deleted since
            result=result.word,
            cursor=result.cursor,
            applied_index=done.index,
        )

    async def get_schedule(self, request: wire.GetScheduleRequest) -> wire.GetScheduleResponse:
        """One schedule; its absence is confirmed with the leader first."""
        schedule_id, read = _id(request.id), request.read
        fresh = await self._fresh(read)
        view = self._node.find_schedule(schedule_id)
        if view is None and not read.linearizable:
            fresh = await self._fresh(ReadOptions(min_index=read.min_index, linearizable=True))
            view = self._node.find_schedule(schedule_id)
        if view is None:
            _not_found(schedule_id)
        return wire.GetScheduleResponse(schedule=_message(view), read=read_info(*fresh))

    async def list_schedules(self, request: wire.ListSchedulesRequest) -> wire.ListSchedulesResponse:
        """One page, by id."""
        limit = checks.page(request.limit, LIST_DEFAULT)
        prefix = checks.name_filter(_wrong_id, request.prefix)
        try:
            states = wire.read_states(request.states)
        except ValueError as error:
            raise invalid("STATE_INVALID", str(error)) from error
        fresh = await self._fresh(request.read)
        page = await self._node.list_schedules(prefix, states, limit, request.cursor)
        if isinstance(page, Rejected):
            raise Refusal(page)
        listed = [_message(view) for view in page.schedules]
        return wire.ListSchedulesResponse(schedules=listed, next_cursor=page.cursor, read=read_info(*fresh))

    async def pause_schedule(self, request: wire.PauseScheduleRequest) -> wire.ScheduleResponse:
        """Until it is resumed."""
        reason = checks.text("reason", request.reason)
        return await self._steer(
            PauseSchedule(checks.request_id(request.request_id), _id(request.id), reason)
        )

    async def resume_schedule(self, request: wire.ResumeScheduleRequest) -> wire.ScheduleResponse:
        """From now on."""
        return await self._steer(ResumeSchedule(checks.request_id(request.request_id), _id(request.id)))

    async def trigger_schedule(self, request: wire.TriggerScheduleRequest) -> wire.ScheduleResponse:
        """Now."""
        return await self._steer(TriggerSchedule(checks.request_id(request.request_id), _id(request.id)))

    async def delete_schedule(self, request: wire.DeleteScheduleRequest) -> wire.ScheduleResponse:
        """For good."""
        return await self._steer(DeleteSchedule(checks.request_id(request.request_id), _id(request.id)))

    async def preview_schedule(self, request: wire.PreviewScheduleRequest) -> wire.PreviewScheduleResponse:
        """Computed here, in a thread: what is due once in years takes a while to find."""
        schedule_id = _id(request.id) if request.id else ""
        count = request.count or PREVIEW_DEFAULT
        if count > limits.PREVIEW_RUNS_ASKED:
            message = f"count is {count}: at most {limits.PREVIEW_RUNS_ASKED}"
            raise invalid("LIMIT_OUT_OF_RANGE", message)
        if request.from_ms >= limits.WALL_MS_MAX:
            raise invalid("RUN_AT_OUT_OF_RANGE", "from_ms is not a time from 1970 to 9999")
        try:
            cron = wire.read_cron(request.cron)
        except ValueError as error:
            raise invalid("INVALID_SCHEDULE", str(error)) from error
        with _calendar_faults():
            evaluator = cron_evaluator(*astuple(cron), seed=schedule_id)
        runs = await asyncio.to_thread(preview, evaluator, request.from_ms or self._node.wall_ms, count)
        return wire.PreviewScheduleResponse(
            runs=[wire.PreviewedRunMessage(at_ms=run.at_ms, local=run.local, note=run.note) for run in runs]
        )

    async def _steer(self, command: Auditable) -> wire.ScheduleResponse:
        done, result = await self._submit(command)
        return wire.ScheduleResponse(result=result.word, job_id=result.job_id, applied_index=done.index)

    async def _submit(self, command: Auditable) -> tuple[Done, ScheduleResult]:
        done = await self._asked(command)
        assert isinstance(done.result, ScheduleResult)
        return done, done.result

    async def _fresh(self, read: ReadOptions) -> Freshness:
        fresh = await self._node.fresh(read.min_index, read.linearizable)
        if isinstance(fresh, Rejected):
            raise Refusal(fresh)
        return fresh


def _message(view: ScheduleView) -> wire.ScheduleMessage:
    return wire.schedule_message(*view)


def _wrong_id(text: str) -> Rejected | None:
    fault = names.fault_in_schedule_id(text)
    return Rejected(Code.INVALID_ARGUMENT, "SCHEDULE_ID_INVALID", fault) if fault else None


def _id(text: str) -> str:
    wrong = _wrong_id(text)
    if wrong is not None:
        raise Refusal(wrong)
    return text


def _not_found(schedule_id: str) -> NoReturn:
    message = f"no schedule {schedule_id!r}"
    raise Refusal(Rejected(Code.NOT_FOUND, "SCHEDULE_NOT_FOUND", message))


def _check(spec: ScheduleSpec, now_ms: int) -> None:
    """Raise `Refusal` for what the state machine would refuse, and for what is no calendar."""
    _id(spec.schedule_id)
    wrong = checks.job(replace(spec.template, job_id=_ANY_ID))
    if wrong is not None:
        raise Refusal(wrong)
    fault = fault_in_schedule(spec)
    if fault:
        raise invalid("INVALID_SCHEDULE", fault)
    with _calendar_faults():
        evaluator_of(spec, now_ms)


@contextmanager
def _calendar_faults() -> Iterator[None]:
    """What is wrong with an expression or a zone becomes a refusal."""
    try:
        yield
    except ZoneError as error:
        raise invalid("TIMEZONE_INVALID", str(error)) from error
    except ValueError as error:
        raise invalid("CRON_INVALID", str(error)) from error


def _check_times(spec: ScheduleSpec, now_ms: int) -> None:
    """Raise `Refusal` for a schedule that will never be due."""
    timing = spec.timing
    if isinstance(timing, OneShotSchedule):
        run_at_ms, what = timing.run_at_ms, f"never due: {utc_text(timing.run_at_ms)}"
        if run_at_ms < now_ms - limits.MISFIRE_WINDOW_MS:
            raise invalid("INVALID_SCHEDULE", f"{what} is more than a day ago")
        if run_at_ms < spec.start_ms:
            raise invalid("INVALID_SCHEDULE", f"{what} is before start, {utc_text(spec.start_ms)}")
        if 0 < spec.end_ms < run_at_ms:
            raise invalid("INVALID_SCHEDULE", f"{what} is after end, {utc_text(spec.end_ms)}")
    elif spec.end_ms:
        first_ms = evaluator_of(spec, now_ms).next_after(max(now_ms, spec.start_ms - 1))
        if first_ms is None or first_ms > spec.end_ms:
            raise invalid("INVALID_SCHEDULE", f"never due: nothing from now until {utc_text(spec.end_ms)}")
