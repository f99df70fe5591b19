"""`client.schedules`, synchronous and not, against the API of a node in memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrix_raft import (
    AsyncClient,
    Client,
    InvalidArgument,
    OrchestrixError,
    RetryPolicy,
    ScheduleNotFound,
)
from orchestrix_raft.client.schedule_model import _SETTERS, ScheduleOptions
from orchestrix_raft.client.schedules import AsyncSchedules
from orchestrix_raft.client.sync import Schedules
from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.domain.schedule import CronSchedule, DstGap, IntervalSchedule, Misfire, OneShotSchedule
from orchestrix_raft.machine.commands import Command, PutSchedule
from orchestrix_raft.machine.schedules import CHANGED
from tests.unit.api.fake_node import WALL_MS, FakeNode, serving

NOW = datetime.fromtimestamp(WALL_MS / 1_000, UTC)


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
async def client(node: FakeNode) -> AsyncIterator[AsyncClient]:
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        yield client


async def test_the_three_kinds(client: AsyncClient, node: FakeNode) -> None:
    nightly = await client.schedules.cron(
        "nightly", "0 2 * * *", "report", {"kind": "full"}, timezone="Europe/Berlin", dst_gap="skip"
    )
    assert node.schedules["nightly"].spec.timing == CronSchedule("0 2 * * *", "Europe/Berlin", DstGap.SKIP)
    assert (nightly.outcome, nightly.kind, nightly.state) == ("created", "cron", "active")
    assert (nightly.type, nightly.args, nightly.timezone) == ("report", {"kind": "full"}, "Europe/Berlin")
    assert nightly.next_slot == datetime(2023, 11, 15, 1, tzinfo=UTC)
    ping = await client.schedules.every("ping", 30.0, "ping")
    assert (ping.every, ping.next_slot) == (30.0, NOW + timedelta(seconds=30))
    await client.schedules.every("ping", timedelta(minutes=1), "ping", anchor=NOW)
    assert node.schedules["ping"].spec.timing == IntervalSchedule(60_000, WALL_MS)
    once = await client.schedules.at("once", NOW + timedelta(hours=1), "t")
    assert node.schedules["once"].spec.timing == OneShotSchedule(WALL_MS + 3_600_000)
    assert once.run_at == once.next_run == NOW + timedelta(hours=1)


async def test_every_option_arrives(client: AsyncClient, node: FakeNode) -> None:
    made = await client.schedules.every(
        "s",
        10,
        "t",
        queue="mail",
        priority=5,
        timeout=timedelta(seconds=9),
        retry=RetryPolicy(max_retries=1),
        retry_for=60,
        expires=30,
        key="k",
        correlation_id="c",
        labels=["eu"],
        misfire="all",
        overlap="buffer_one",
        jitter=2.5,
        pause_on_failure=3,
        start=NOW,
        end=NOW + timedelta(days=1),
        max_runs=8,
    )
    spec = node.schedules["s"].spec
    job = spec.template
    assert (job.queue, job.priority, job.timeout_ms, job.retry.max_retries) == ("mail", 5, 9_000, 1)
    assert (job.retry_for_ms, job.expires_ms, job.key) == (60_000, 30_000, "k")
    assert (job.correlation_id, job.labels) == ("c", ("eu",))
    assert (spec.jitter_ms, spec.pause_on_failure, spec.max_runs) == (2_500, 3, 8)
    assert (spec.start_ms, spec.end_ms) == (WALL_MS, WALL_MS + 86_400_000)
    assert (made.misfire, made.overlap, made.jitter) == ("all", "buffer_one", 2.5)
    assert (made.retry_for, made.expires) == (60, 30)
    assert (made.key, made.correlation_id) == ("k", "c")
    assert (made.start, made.end, made.max_runs) == (NOW, NOW + timedelta(days=1), 8)
    assert ScheduleOptions.__annotations__.keys() == _SETTERS.keys()


async def test_saying_the_same_again_changes_nothing(client: AsyncClient) -> None:
    for outcome in ("created", "unchanged", "unchanged"):
        made = await client.schedules.every("s", 10, "t", {"a": 1}, misfire="all")
        assert (made.outcome, made.version) == (outcome, 1)
    changed = await client.schedules.every("s", 10, "t", {"a": 2})
    assert (changed.outcome, changed.cursor, changed.misfire) == ("updated", "kept", "latest")
    assert (await client.schedules.every("s", 20, "t")).cursor == "reset"
    assert (await client.schedules.every("s", 30, "t", cursor="keep")).cursor == "kept"


async def test_update_changes_what_is_named_and_nothing_else(client: AsyncClient, node: FakeNode) -> None:
    await client.schedules.cron("s", "0 2 * * *", "t", {"a": 1}, timezone="Asia/Tokyo", jitter=5, queue="q")

    def timing() -> object:
        return node.schedules["s"].spec.timing

    before = node.schedules["s"].spec
    changed = await client.schedules.update("s", misfire="skip", args={"b": 2}, timeout=3)
    after = node.schedules["s"].spec
    assert (changed.outcome, changed.cursor, changed.version) == ("updated", "kept", 2)
    assert (after.timing, after.jitter_ms) == (before.timing, before.jitter_ms)
    assert (after.misfire, after.template.args, after.template.queue) == (Misfire.SKIP, b'{"b":2}', "q")
    await client.schedules.update("s", cron="0 3 * * *")
    assert timing() == CronSchedule("0 3 * * *", "Asia/Tokyo")
    await client.schedules.update("s", timezone="UTC", dst_gap="skip", timeout=None)
    assert timing() == CronSchedule("0 3 * * *", "UTC", DstGap.SKIP)
    assert node.schedules["s"].spec.template.timeout_ms == 0
    await client.schedules.update("s", every=6, anchor=NOW)
    assert timing() == IntervalSchedule(6_000, WALL_MS)
    with pytest.raises(ScheduleNotFound):
        await client.schedules.update("nobody", max_runs=1)


async def test_an_update_that_another_one_overtook_is_made_again(client: AsyncClient, node: FakeNode) -> None:
    await client.schedules.every("s", 10, "t")
    overtaken = [True, True]

    def answer(command: Command) -> Outcome | None:
        return (
            Done(1, CHANGED) if isinstance(command, PutSchedule) and overtaken and overtaken.pop() else None
        )

    node.answer = answer
    assert (await client.schedules.update("s", max_runs=3)).max_runs == 3
    node.answer = lambda command: Done(1, CHANGED)
    with pytest.raises(OrchestrixError, match="again and again"):
        await client.schedules.update("s", max_runs=4)


async def test_steering(client: AsyncClient) -> None:
    schedules = client.schedules
    await schedules.every("s", 10, "t")
    assert await schedules.pause("s", "why") == "paused"
    assert await schedules.pause("s") == "already_paused"
    assert (await schedules.get("s")).pause_reason == "why"
    assert await schedules.resume("s") == "resumed"
    assert await schedules.resume("s") == "not_paused"
    run = await schedules.trigger("s")
    assert run.outcome == "fired"
    assert (await schedules.get("s")).active_jobs == [run.job_id]
    skipped = await schedules.trigger("s")
    assert (skipped.outcome, skipped.job_id) == ("skipped_overlap", None)
    await schedules.delete("s")
    for call in (schedules.get("s"), schedules.delete("s"), schedules.pause("s"), schedules.trigger("s")):
        with pytest.raises(ScheduleNotFound):
            await call


async def test_listings_follow_the_cursor(client: AsyncClient) -> None:
    for number in range(7):
        await client.schedules.every(f"s{number}", 10, "t")
    await client.schedules.pause("s3")
    assert [one.id for one in await client.schedules.list(limit=5)] == [f"s{n}" for n in range(5)]
    assert [one.id for one in await client.schedules.list(state=("paused",))] == ["s3"]
    assert len(await client.schedules.list(prefix="s", state="active")) == 6
    with pytest.raises(InvalidArgument, match="active, paused, finished"):
        await client.schedules.list(state="asleep")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"misfire": "never"}, "misfire: no such choice: 'never'"),
        ({"overlap": "maybe"}, "skip, allow, buffer_one, buffer_all, cancel_running"),
        ({"cursor": "back"}, "cursor: no such choice: 'back' .there are auto, keep, reset"),
        ({"misfire": None}, "misfire: no such choice"),
        ({"max_runs": "many"}, "max_runs is 'many'"),
        ({"start": "tomorrow"}, "start is 'tomorrow': it must be a datetime"),
        ({"end": datetime(1960, 1, 1, tzinfo=UTC)}, "end is .*after 1970"),
        ({"jitter": -1}, "jitter is -1"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"max_runs": -1}, "max_runs is -1"),
        ({"colour": "red"}, "no such option: 'colour'"),
    ],
)
async def test_bad_options_are_refused_here(client: AsyncClient, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        await client.schedules.every("s", 10, "t", **options)


@pytest.mark.parametrize("period", [-1, 0, 0.05, float("nan"), timedelta(milliseconds=99), 1e12])
async def test_bad_intervals_are_refused_here(client: AsyncClient, node: FakeNode, period: Any) -> None:
    with pytest.raises(
        InvalidArgument, match=r"this is no schedule: period .*(at least 100 ms|0 seconds or more|at most)"
    ):
        await client.schedules.every("s", period, "t")
    assert not node.submitted


@pytest.mark.parametrize("option", ["dst_gap", "dst_overlap"])
async def test_a_bad_policy_for_clock_changes_is_named(client: AsyncClient, option: str) -> None:
    wrong: dict[str, Any] = {option: "leap"}
    with pytest.raises(InvalidArgument, match=f"{option}: no such choice: 'leap'"):
        await client.schedules.cron("s", "@daily", "t", **wrong)


async def test_what_the_node_refuses_has_the_position(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument, match="character 3"):
        await client.schedules.cron("s", "0 25 * * *", "t")


async def test_updates_must_fit_the_kind(client: AsyncClient) -> None:
    await client.schedules.every("s", 10, "t")
    for wrong in ({"timezone": "UTC"}, {"every": 5, "cron": "* * * * *"}):
        with pytest.raises(InvalidArgument):
            await client.schedules.update("s", **wrong)
    await client.schedules.cron("s", "* * * * *", "t")
    with pytest.raises(InvalidArgument, match="anchor is for intervals"):
        await client.schedules.update("s", anchor=NOW)


async def test_a_preview_shows_the_runs_and_what_clocks_do(client: AsyncClient, node: FakeNode) -> None:
    start = datetime(2026, 3, 29, tzinfo=UTC)
    runs = await client.schedules.preview("30 2 * * *", timezone="Europe/Berlin", start=start, count=2)
    assert [run.at.isoformat() for run in runs] == ["2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]
    assert runs[0].local == "2026-03-29T03:00:00+02:00"
    assert "02:30 does not exist: shifted to 03:00" in runs[0].note
    assert runs[1].note == ""
    assert len(await client.schedules.preview("H H * * *", id="s")) == 10
    assert (await client.schedules.preview("* * * * *", count=1))[0].at > NOW
    for wrong in ({"count": 0}, {"dst_gap": "leap"}, {"start": "now"}, {"timezone": "Mars"}):
        options: dict[str, Any] = wrong
        with pytest.raises(InvalidArgument):
            await client.schedules.preview("@daily", **options)
    assert not node.submitted


async def test_the_synchronous_face_has_every_method(node: FakeNode) -> None:
    names = {name for name in vars(AsyncSchedules) if not name.startswith("_")}
    assert names == {name for name in vars(Schedules) if not name.startswith("_")}

    def work(address: str) -> None:
        with Client(address, deadline=5.0) as client:
            assert client.schedules.every("s", 10, "t").outcome == "created"
            assert [one.id for one in client.schedules.list()] == ["s"]
            client.schedules.delete("s")

    async with serving(node) as address:
        await asyncio.get_running_loop().run_in_executor(None, work, address)


async def test_one_that_is_not_there_is_named(client: AsyncClient) -> None:
    schedules = client.schedules
    for call in (schedules.get, schedules.pause, schedules.resume, schedules.trigger, schedules.delete):
        with pytest.raises(ScheduleNotFound, match="no schedule 'nope'"):
            await call("nope")


async def test_a_period_that_is_too_short_is_told_in_seconds(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument, match=r"period is 0.05 s: it must be at least 100 ms"):
        await client.schedules.every("s", timedelta(milliseconds=50), "t")
