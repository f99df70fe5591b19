"""Schedules as clients see and steer them: `client.schedules`."""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Unpack

from orchestrix_raft.client.calls import Caller
from orchestrix_raft.client.schedule_model import (
    NO_SCHEDULE,
    PreviewedRun,
    Schedule,
    ScheduleOptions,
    Seconds,
    Triggered,
    cursor_number,
    runs_of,
    schedule_of,
    set_cron,
    set_interval,
    set_job,
    set_options,
)
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.wire import schedules as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import moment_ms, names, refused, text, whole
from orchestrix_raft.wire.common import ReadOptions
from orchestrix_raft.wire.errors import InvalidArgument, OrchestrixError, ScheduleNotFound

_SCHEDULES: Final = services.SCHEDULES.methods
_CHANGED: Final = "SCHEDULE_CHANGED"
_TRIES: Final = 10  # of an update, when others change the same schedule at the same time

Args = Mapping[str, Any]
Runs = list[PreviewedRun]


class AsyncSchedules:
    """Make, look at and steer schedules, as coroutines.

    `cron`, `every` and `at` make a schedule, or change the one that has the id: saying the same again, at
    every start of a program, changes nothing.  What is left out has its default, also in a change; `update`
    changes only what is named.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def cron(
        self,
        id: str,
        expression: str,
        type: str,
        args: Args | None = None,
        *,
        timezone: str = wire.DEFAULT_ZONE,
        dst_gap: str = "shift",
        dst_overlap: str = "first",
        cursor: str = "auto",
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """A run at the times of a cron expression: 5 fields, or 6 with seconds first, or `@daily`.

        `dst_gap`: shift, skip.  `dst_overlap`: first, last, both.  `cursor`: what a change does to the
        schedule's place in time: auto, keep, reset.  Raises `InvalidArgument`, with the position of a fault.
        """

        def timing(m: wire.ScheduleSpecMessage) -> None:
            set_cron(m, expression, timezone, dst_gap, dst_overlap)

        return await self._put(id, timing, type, args, cursor, options)

    async def every(
        self,
        id: str,
        period: Seconds,
        type: str,
        args: Args | None = None,
        *,
        anchor: datetime | None = None,
        cursor: str = "auto",
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """A run every `period` seconds (at least 0.1), counted from `anchor`, `start` or the creation."""
        return await self._put(id, lambda m: set_interval(m, period, anchor), type, args, cursor, options)

    async def at(
        self,
        id: str,
        run_at: datetime,
        type: str,
        args: Args | None = None,
        *,
        cursor: str = "auto",
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """One run."""

        def timing(m: wire.ScheduleSpecMessage) -> None:
            m.one_shot.run_at_ms = moment_ms("run_at", run_at)

        return await self._put(id, timing, type, args, cursor, options)

    async def update(
        self,
        id: str,
        *,
        cron: str | None = None,
        timezone: str | None = None,
        dst_gap: str | None = None,
        dst_overlap: str | None = None,
        every: Seconds | None = None,
        anchor: datetime | None = None,
        run_at: datetime | None = None,
        type: str | None = None,
        args: Args | None = None,
        cursor: str = "auto",
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Change what is named and leave the rest; `ScheduleNotFound` if there is none.

        Changed times make the schedule begin anew at this moment, unless `cursor` says `keep`; other changes
        leave its place in time as it is, unless `cursor` says `reset`.
        """

        def change(m: wire.ScheduleSpecMessage) -> None:
            _change_times(m, cron, timezone, dst_gap, dst_overlap, every, anchor, run_at)
            set_job(m, type, args)
            set_options(m, options)

        for _ in range(_TRIES):
            current = await self._get(id)
            spec = wire.ScheduleSpecMessage()
            spec.CopyFrom(current.spec)
            with refused(*NO_SCHEDULE):
                change(spec)
                number = cursor_number(cursor)
            try:
                return await self._send(spec, number, current.version)
            except OrchestrixError as error:
                if error.reason != _CHANGED:
                    raise
        raise OrchestrixError(f"schedule {id!r} is changed again and again by others: try later", _CHANGED)

    async def get(self, id: str) -> Schedule:
        """One schedule as it stands; `ScheduleNotFound` if there is none."""
        return schedule_of(await self._get(id))

    async def list(
        self, *, prefix: str = "", state: str | Iterable[str] | None = None, limit: int = 1_000
    ) -> "list[Schedule]":
        """Up to `limit` schedules by id: those whose id begins with `prefix`, in one of the states active,
        paused and finished."""
        with refused():
            text("prefix", prefix, empty=True)
            whole("limit", limit, 1)
        return [found async for found in self._walk(prefix, _states(state), limit)]

    async def _walk(self, prefix: str, states: Iterable[str], limit: int) -> AsyncIterator[Schedule]:
        cursor = b""
        while limit > 0:
            request = wire.ListSchedulesRequest(
                prefix=prefix,
                states=states,
                limit=min(limit, limits.PAGE),
                cursor=cursor,
                read=self._read(),
            )
            response: wire.ListSchedulesResponse = await self._caller.call(
                _SCHEDULES["ListSchedules"], request
            )
            for message in response.schedules:
                yield schedule_of(message)
            limit -= len(response.schedules)
            cursor = response.next_cursor
            if not cursor:
                return

    async def pause(self, id: str, reason: str = "") -> str:
        """No run until it is resumed.  Returns `paused` or `already_paused`."""
        with refused():
            text("reason", reason, empty=True)
        request = wire.PauseScheduleRequest(request_id=os.urandom(16), id=_id(id), reason=reason)
        return (await self._steer("PauseSchedule", request)).result

    async def resume(self, id: str) -> str:
        """Runs again, from now on.  Returns `resumed` or `not_paused`."""
        request = wire.ResumeScheduleRequest(request_id=os.urandom(16), id=_id(id))
        return (await self._steer("ResumeSchedule", request)).result

    async def trigger(self, id: str) -> Triggered:
        """A run now, paused or not, under the schedule's overlap policy; its times stay as they are."""
        response = await self._steer(
            "TriggerSchedule", wire.TriggerScheduleRequest(request_id=os.urandom(16), id=_id(id))
        )
        job_id = format_job_id(response.job_id) if response.job_id else None
        return Triggered(response.result, job_id)

    async def delete(self, id: str) -> None:
        """For good; its unfinished runs go on.  `ScheduleNotFound` if there is none."""
        await self._steer("DeleteSchedule", wire.DeleteScheduleRequest(request_id=os.urandom(16), id=_id(id)))

    async def preview(
        self,
        expression: str,
        *,
        timezone: str = wire.DEFAULT_ZONE,
        dst_gap: str = "shift",
        dst_overlap: str = "first",
        start: datetime | None = None,
        count: int = 10,
        id: str = "",
    ) -> Runs:
        """When a cron expression would be due, with what changes of the clocks do to it.

        Up to `count` times (at most 100) from `start` (now) on.  `id`: of the schedule, which decides what
        `H` stands for.
        """
        request = wire.PreviewScheduleRequest()
        with refused(*NO_SCHEDULE):
            request.id = text("id", id, empty=True)
            set_cron(request, expression, timezone, dst_gap, dst_overlap)
            request.from_ms = 0 if start is None else moment_ms("start", start)
            request.count = whole("count", count, 1, limits.PREVIEW_RUNS_ASKED)
        response: wire.PreviewScheduleResponse = await self._caller.call(
            _SCHEDULES["PreviewSchedule"], request
        )
        return runs_of(response)

    async def _put(
        self,
        schedule_id: str,
        timing: Callable[[wire.ScheduleSpecMessage], None],
        job_type: str,
        args: Args | None,
        cursor: str,
        options: ScheduleOptions,
    ) -> Schedule:
        with refused(*NO_SCHEDULE):
            spec = wire.ScheduleSpecMessage(id=_id(schedule_id))
            timing(spec)
            if job_type is None:
                raise TypeError("type is None: it must be text")
            set_job(spec, job_type, args)
            set_options(spec, options)
            number = cursor_number(cursor)
        return await self._send(spec, number, None)

    async def _send(self, spec: wire.ScheduleSpecMessage, cursor: int, version: int | None) -> Schedule:
        request = wire.PutScheduleRequest(request_id=os.urandom(16), spec=spec, version=version)
        setattr(request, "cursor", cursor)  # noqa: B010  its type is an enum of the generated code
        response: wire.PutScheduleResponse = await self._change(
            "put_schedule", "PutSchedule", spec.id, request
        )
        self._caller.wrote(response.applied_index)
        return schedule_of(response.schedule, response.result, response.cursor)

    async def _get(self, schedule_id: str) -> wire.ScheduleMessage:
        request = wire.GetScheduleRequest(id=_id(schedule_id), read=self._read())
        response: wire.GetScheduleResponse = await self._caller.call(_SCHEDULES["GetSchedule"], request)
        return response.schedule

    async def _steer(self, method: str, request: Any) -> wire.ScheduleResponse:
        try:
            op = f"{method.removesuffix('Schedule').lower()}_schedule"
            response: wire.ScheduleResponse = await self._change(op, method, request.id, request)
        except ScheduleNotFound as error:
            raise ScheduleNotFound(f"no schedule {request.id!r}", error.reason) from error
        self._caller.wrote(response.applied_index)
        return response

    async def _change(self, op: str, method: str, schedule_id: str, request: Any) -> Any:
        notes = self._caller.notes
        if notes is None:
            return await self._caller.call(_SCHEDULES[method], request)
        return await notes.schedule(op, schedule_id, lambda: self._caller.call(_SCHEDULES[method], request))

    def _read(self) -> ReadOptions:
        return ReadOptions(min_index=self._caller.index)


def _id(schedule_id: str) -> str:
    with refused(reason="SCHEDULE_ID_INVALID"):
        return text("id", schedule_id)


def _states(state: str | Iterable[str] | None) -> list[str]:
    with refused(reason="STATE_INVALID"):
        words = () if state is None else (state,) if isinstance(state, str) else names("state", state)
    for word in words:
        if word not in wire.STATES:
            known = ", ".join(wire.STATES)
            raise InvalidArgument(f"no such state: {word!r} (there are {known})", "STATE_INVALID")
    return [wire.state_name(word) for word in words]


def _change_times(
    m: wire.ScheduleSpecMessage,
    cron: str | None,
    timezone: str | None,
    dst_gap: str | None,
    dst_overlap: str | None,
    every: Seconds | None,
    anchor: datetime | None,
    run_at: datetime | None,
) -> None:
    """At most one kind of times; what belongs to a kind needs a schedule of that kind."""
    if sum(value is not None for value in (cron, every, run_at)) > 1:
        raise ValueError("give one of cron, every and run_at")
    if cron is not None or (timezone, dst_gap, dst_overlap) != (None, None, None):
        if cron is None and m.WhichOneof("timing") != "cron":
            raise ValueError("timezone, dst_gap and dst_overlap are for cron")
        was = m.cron
        set_cron(
            m,
            was.expression if cron is None else cron,
            was.timezone or wire.DEFAULT_ZONE if timezone is None else timezone,
            wire.read_gap(was.dst_gap) if dst_gap is None else dst_gap,
            wire.read_overlap(was.dst_overlap) if dst_overlap is None else dst_overlap,
            name="cron",
        )
    if every is not None or anchor is not None:
        if every is None and m.WhichOneof("timing") != "interval":
            raise ValueError("anchor is for intervals")
        period = m.interval.period_ms / 1_000 if every is None else every
        set_interval(m, period, anchor, name="every")
    if run_at is not None:
        m.one_shot.run_at_ms = moment_ms("run_at", run_at)
