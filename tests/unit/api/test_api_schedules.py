"""ScheduleService over a real gRPC connection: what is refused, in one line, and what is answered."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from orchestrix_raft.domain.schedule import (
    CronSchedule,
    DstGap,
    DstOverlap,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
)
from orchestrix_raft.machine.commands import PutSchedule
from orchestrix_raft.wire import schedules as wire
from orchestrix_raft.wire.services import SCHEDULES
from orchestrix_raft.wire.status import reason_of
from tests.unit.api.fake_node import WALL_MS, FakeNode, serving

REQUEST = bytes(range(16))
_FRESH = itertools.count(1)
CRON = {"expression": "0 2 * * *", "timezone": "Europe/Berlin"}


class Stub:
    """Methods of ScheduleService by name."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        method = SCHEDULES.methods[name]
        make: Any = self._channel.unary_unary
        return make(method.path, method.request.SerializeToString, method.response.FromString)


@pytest.fixture
async def stub(node: FakeNode) -> AsyncIterator[Stub]:
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        yield Stub(channel)


def spec(**fields: Any) -> dict[str, Any]:
    """A specification, less the changes; None takes a field away."""
    given = {"id": "s", "job": {"type": "t"}} | fields
    if not given.keys() & {"cron", "interval", "one_shot"}:
        given["interval"] = {"period_ms": 1_000}
    return {name: value for name, value in given.items() if value is not None}


def put(
    request_id: bytes | None = None, cursor: Any = None, version: int | None = None, **fields: Any
) -> wire.PutScheduleRequest:
    """A request of its own, unless it is given an id."""
    if request_id is None:
        request_id = next(_FRESH).to_bytes(16, "big")
    return wire.PutScheduleRequest(request_id=request_id, spec=spec(**fields), cursor=cursor, version=version)


async def refusal(call: Any) -> tuple[str, str, str]:
    """(code, reason, message) of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    trailers: Any = error.trailing_metadata()
    return error.code().name, reason_of(trailers), error.details() or ""


async def test_a_schedule_arrives_as_it_was_asked_for(stub: Stub, node: FakeNode) -> None:
    cron = CRON | {"dst_gap": "DST_GAP_SKIP", "dst_overlap": "DST_OVERLAP_BOTH"}
    job = {
        "type": "report",
        "queue": "q",
        "args": b'{"a":1}',
        "priority": 3,
        "timeout_ms": 5_000,
        "labels": ["b", "a"],
    }
    bounds: dict[str, Any] = {"start_ms": WALL_MS, "end_ms": WALL_MS + 10**9}
    counts: dict[str, Any] = {"max_runs": 7, "pause_on_failure": 2}
    response = await stub.PutSchedule(
        put(
            cron=cron,
            job=job,
            misfire="MISFIRE_ALL",
            overlap="OVERLAP_CANCEL_RUNNING",
            jitter_ms=9,
            **bounds,
            **counts,
        )
    )
    kept = node.schedules["s"].spec
    assert kept.timing == CronSchedule("0 2 * * *", "Europe/Berlin", DstGap.SKIP, DstOverlap.BOTH)
    assert (kept.misfire, kept.overlap) == (Misfire.ALL, Overlap.CANCEL_RUNNING)
    assert (kept.jitter_ms, kept.pause_on_failure, kept.max_runs) == (9, 2, 7)
    assert (kept.start_ms, kept.end_ms) == (WALL_MS, WALL_MS + 10**9)
    template = kept.template
    assert (template.type, template.queue, template.args) == ("report", "q", b'{"a":1}')
    assert (template.priority, template.timeout_ms, template.labels) == (3, 5_000, ("a", "b"))
    assert (response.result, response.cursor, response.schedule.version) == ("created", "", 1)
    assert wire.read_spec(response.schedule.spec) == kept, "what is shown can be put again"


async def test_the_other_kinds_and_the_defaults(stub: Stub, node: FakeNode) -> None:
    await stub.PutSchedule(put(interval={"period_ms": 100, "anchor_ms": 5}))
    kept = node.schedules["s"].spec
    assert kept.timing == IntervalSchedule(100, 5)
    assert (kept.misfire, kept.overlap, kept.template.queue) == (Misfire.LATEST, Overlap.SKIP, "default")
    await stub.PutSchedule(put(id="o", one_shot={"run_at_ms": WALL_MS}))
    assert node.schedules["o"].spec.timing == OneShotSchedule(WALL_MS)
    await stub.PutSchedule(put(id="c", cron={"expression": "@daily"}))
    assert node.schedules["c"].spec.timing == CronSchedule("@daily", "UTC")


async def test_the_answer_shows_the_next_slot_before_the_leader_has_planned_it(stub: Stub) -> None:
    response = await stub.PutSchedule(put(interval={"period_ms": 60_000}, jitter_ms=50_000))
    shown = response.schedule
    assert shown.next_slot_ms == WALL_MS + 60_000
    assert 0 <= shown.next_run_ms - shown.next_slot_ms <= 50_000


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"id": ""}, "SCHEDULE_ID_INVALID", "at least one"),
        ({"id": "a b"}, "SCHEDULE_ID_INVALID", "only letters"),
        ({"id": "x" * 201}, "SCHEDULE_ID_INVALID", "at most 200"),
        ({"cron": {"expression": "0 25 * * *"}}, "CRON_INVALID", "character 3"),
        ({"cron": {"expression": "0 0 31 2 *"}}, "CRON_INVALID", "never due"),
        ({"cron": {"expression": ""}}, "INVALID_SCHEDULE", "cron expression"),
        ({"cron": CRON | {"timezone": "Europe/Berlni"}}, "TIMEZONE_INVALID", "did you mean Europe/Berlin"),
        ({"cron": CRON | {"dst_gap": 7}}, "INVALID_SCHEDULE", "0 shift, 1 skip"),
        ({"interval": {"period_ms": 99}}, "INVALID_SCHEDULE", "at least 100 ms"),
        ({"interval": {"period_ms": 0}}, "INVALID_SCHEDULE", "at least 100 ms"),
        ({"one_shot": {"run_at_ms": WALL_MS - 86_400_001}}, "INVALID_SCHEDULE", "more than a day ago"),
        ({"one_shot": {"run_at_ms": WALL_MS}, "start_ms": WALL_MS + 1}, "INVALID_SCHEDULE", "before start"),
        ({"one_shot": {"run_at_ms": WALL_MS}, "end_ms": WALL_MS - 1}, "INVALID_SCHEDULE", "after end"),
        ({"misfire": 9}, "INVALID_SCHEDULE", "0 latest, 1 skip, 2 all"),
        ({"overlap": 9}, "INVALID_SCHEDULE", "4 cancel_running"),
        ({"start_ms": 10, "end_ms": 9}, "INVALID_SCHEDULE", "end is before start"),
        ({"end_ms": WALL_MS}, "INVALID_SCHEDULE", "never due"),
        ({"cron": CRON, "end_ms": WALL_MS + 1_000}, "INVALID_SCHEDULE", "never due"),
        ({"jitter_ms": 2_000}, "INVALID_SCHEDULE", "less than the interval"),
        ({"job": {"type": ""}}, "TYPE_INVALID", "type is empty"),
        ({"job": {"type": "t", "args": b"{"}}, "ARGS_NOT_JSON", "not JSON"),
        ({"job": {"type": "t", "delay_ms": 5}}, "INVALID_SCHEDULE", "delay and run_at"),
        ({"job": {"type": "t", "unique_key": "k"}}, "INVALID_SCHEDULE", "overlap says"),
        ({"request_id": b"short"}, "REQUEST_ID_INVALID", "16 random ones"),
        ({"cursor": 9}, "INVALID_SCHEDULE", "0 auto, 1 keep, 2 reset"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    stub: Stub, node: FakeNode, fields: dict[str, Any], reason: str, words: str
) -> None:
    code, told, message = await refusal(stub.PutSchedule(put(**fields)))
    assert (code, told) == ("INVALID_ARGUMENT", reason)
    assert words in message
    assert "\n" not in message
    assert not node.submitted, "it did not reach the log"


async def test_a_schedule_whose_time_is_over_may_be_declared_again_but_not_anew(
    stub: Stub, node: FakeNode
) -> None:
    once: dict[str, Any] = {"one_shot": {"run_at_ms": WALL_MS + 1_000}}
    bounded: dict[str, Any] = {"id": "b", "end_ms": WALL_MS + 5_000}
    for fields in (once, bounded):
        await stub.PutSchedule(put(**fields))
    node.schedules.wall_ms = WALL_MS + 3 * 86_400_000
    for fields in (once, bounded):
        assert (await stub.PutSchedule(put(**fields))).result == "unchanged"
        assert "never due" in (await refusal(stub.PutSchedule(put(max_runs=3, **fields))))[2]


async def test_without_times_there_is_no_schedule(stub: Stub) -> None:
    request = wire.PutScheduleRequest(request_id=REQUEST, spec={"id": "s", "job": {"type": "t"}})
    assert (await refusal(stub.PutSchedule(request)))[
        2
    ] == "a schedule needs one of cron, interval and one_shot"


async def test_versions_guard_against_lost_updates(stub: Stub, node: FakeNode) -> None:
    await stub.PutSchedule(put(version=0))
    command = node.submitted[-1]
    assert isinstance(command, PutSchedule)
    assert command.version == 0
    other: dict[str, Any] = {"max_runs": 5}
    assert (await refusal(stub.PutSchedule(put(version=0, **other))))[:2] == (
        "ALREADY_EXISTS",
        "SCHEDULE_EXISTS",
    )
    assert (await refusal(stub.PutSchedule(put(version=9, **other))))[:2] == ("ABORTED", "SCHEDULE_CHANGED")
    response = await stub.PutSchedule(put(version=1, **other))
    assert (response.result, response.cursor, response.schedule.version) == ("updated", "kept", 2)


async def test_pause_resume_trigger_delete(stub: Stub, node: FakeNode) -> None:
    await stub.PutSchedule(put())

    def ask(kind: Any, number: int, **fields: Any) -> Any:
        return kind(request_id=bytes([number]) * 16, id="s", **fields)

    triggered = await stub.TriggerSchedule(ask(wire.TriggerScheduleRequest, 1))
    assert triggered.result == "fired"
    assert triggered.job_id == node.schedules["s"].last_job_id
    assert (await stub.TriggerSchedule(ask(wire.TriggerScheduleRequest, 1))).job_id == triggered.job_id
    again = await stub.TriggerSchedule(ask(wire.TriggerScheduleRequest, 2))
    assert (again.result, again.job_id) == ("skipped_overlap", b"")
    paused = await stub.PauseSchedule(ask(wire.PauseScheduleRequest, 3, reason="why"))
    assert paused.result == "paused"
    shown = (await stub.GetSchedule(wire.GetScheduleRequest(id="s"))).schedule
    assert (shown.state, shown.pause_reason, shown.next_slot_ms) == (2, "why", 0)
    assert (shown.active_runs, list(shown.active_job_ids)) == (1, [triggered.job_id])
    assert (shown.triggered, shown.skipped, shown.last_skip) == (1, 1, "overlap")
    assert (await stub.ResumeSchedule(ask(wire.ResumeScheduleRequest, 4))).result == "resumed"
    assert (await stub.DeleteSchedule(ask(wire.DeleteScheduleRequest, 5))).result == "deleted"
    code, reason, _ = await refusal(stub.GetSchedule(wire.GetScheduleRequest(id="s")))
    assert (code, reason) == ("NOT_FOUND", "SCHEDULE_NOT_FOUND")
    assert node.fresh_calls[-1] == (0, True), "absence is confirmed with the leader"
    code, reason, _ = await refusal(stub.PauseSchedule(ask(wire.PauseScheduleRequest, 6)))
    assert (code, reason) == ("NOT_FOUND", "SCHEDULE_NOT_FOUND")


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"cron": {"expression": "61 * * * *"}}, "CRON_INVALID", "character 1"),
        ({}, "CRON_INVALID", "empty"),
        ({"cron": CRON | {"timezone": "Mars"}}, "TIMEZONE_INVALID", "IANA"),
        ({"cron": CRON | {"dst_overlap": 7}}, "INVALID_SCHEDULE", "2 both"),
        ({"cron": CRON, "count": 101}, "LIMIT_OUT_OF_RANGE", "at most 100"),
        ({"cron": CRON, "from_ms": 1 << 62}, "RUN_AT_OUT_OF_RANGE", "9999"),
        ({"cron": CRON, "id": "a b"}, "SCHEDULE_ID_INVALID", "only letters"),
    ],
)
async def test_what_is_wrong_with_a_preview_is_said(
    stub: Stub, fields: dict[str, Any], reason: str, words: str
) -> None:
    _, told, message = await refusal(stub.PreviewSchedule(wire.PreviewScheduleRequest(**fields)))
    assert told == reason
    assert words in message


async def test_listings_go_by_id_in_pages(stub: Stub, node: FakeNode) -> None:
    for name in ("b", "a2", "c", "a1", "a3"):
        await stub.PutSchedule(put(id=name))
    await stub.PauseSchedule(wire.PauseScheduleRequest(request_id=bytes(16), id="a2"))

    async def ids(**fields: Any) -> tuple[list[str], bytes]:
        response = await stub.ListSchedules(wire.ListSchedulesRequest(**fields))
        return [one.spec.id for one in response.schedules], response.next_cursor

    assert await ids() == (["a1", "a2", "a3", "b", "c"], b"")
    first, cursor = await ids(limit=2)
    assert first == ["a1", "a2"]
    assert await ids(limit=2, cursor=cursor) == (["a3", "b"], b"Ib")
    assert await ids(limit=3, cursor=cursor) == (["a3", "b", "c"], b"")
    assert await ids(prefix="a", states=["SCHEDULE_STATE_ACTIVE"]) == (["a1", "a3"], b"")
    for fields, reason in (
        ({"limit": 1_001}, "LIMIT_OUT_OF_RANGE"),
        ({"states": [9]}, "STATE_INVALID"),
        ({"cursor": b"no"}, "CURSOR_INVALID"),
        ({"prefix": "a b"}, "SCHEDULE_ID_INVALID"),
    ):
        call = stub.ListSchedules(wire.ListSchedulesRequest(**fields))
        assert (await refusal(call))[1] == reason
