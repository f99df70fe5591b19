"""`schedules ...`: what the commands ask of the client, and what they say."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrix_raft import RetryPolicy, Schedule, ScheduleNotFound
from orchestrix_raft.client.schedule_model import Triggered
from tests.unit.cli.conftest import JOB_ID, RecordingClient

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_schedule(**changes: Any) -> Schedule:
    """An active interval, less the changes."""
    values: dict[str, Any] = dict.fromkeys(Schedule.__struct_fields__, "")
    numbers = "version priority max_retries pause_on_failure max_runs active_runs fired skipped triggered"
    values |= dict.fromkeys((*numbers.split(), "failures", "jitter"), 0)
    moments = "anchor run_at timeout start end created_at changed_at next_slot last_slot last_fired_at"
    values |= dict.fromkeys((*moments.split(), "last_skip"))
    values |= {"labels": [], "active_jobs": [], "buffered": [], "args": {}}
    given = {"id": "s", "kind": "interval", "state": "active", "every": 30.0, "type": "t", "next_run": AT}
    return Schedule(**(values | given | {"outcome": "created"} | changes))


def test_cron_hands_on_everything_it_was_given(client: RecordingClient, run: Any) -> None:
    client.answers["schedules.cron"] = make_schedule()
    done = run(
        *("schedules", "cron", "nightly", "0 2 * * *", "report", "--args", '{"kind": "full"}'),
        *("--timezone", "Europe/Berlin", "--dst-gap", "skip", "--dst-overlap", "both", "--cursor", "keep"),
        *("--queue", "q", "--priority", "5", "--timeout", "90s", "--max-retries", "1", "--key", "k"),
        *("--retry", "patient", "--retry-for", "2d", "--expires", "1h"),
        *("--misfire", "all", "--overlap", "allow", "--jitter", "1m30s", "--pause-on-failure", "3"),
        *("--start", "2026-03-01", "--end", "2026-03-01T12:00:00Z", "--max-runs", "9"),
    )
    assert (done.code, done.out) == (0, "s created: next run 2026-03-01 12:00:00Z\n")
    ((_, positional, options),) = client.calls
    assert positional == ("nightly", "0 2 * * *", "report", {"kind": "full"})
    assert options == {
        "timezone": "Europe/Berlin",
        "dst_gap": "skip",
        "dst_overlap": "both",
        "cursor": "keep",
        "queue": "q",
        "priority": 5,
        "timeout": 90.0,
        "retry": RetryPolicy.patient(max_retries=1),
        "retry_for": 172_800.0,
        "expires": 3_600.0,
        "key": "k",
        "misfire": "all",
        "overlap": "allow",
        "jitter": 90.0,
        "pause_on_failure": 3,
        "start": datetime(2026, 3, 1, tzinfo=UTC),
        "end": AT,
        "max_runs": 9,
    }


def test_what_is_left_out_is_left_to_the_sdk(client: RecordingClient, run: Any) -> None:
    for name in ("cron", "every", "at"):
        client.answers[f"schedules.{name}"] = make_schedule()
    run("schedules", "cron", "s", "@daily", "t")
    run("schedules", "every", "s", "1h30m", "t", "--anchor", "2026-03-01")
    run("schedules", "at", "s", "2026-03-01T12:00:00Z", "t")
    anchor = datetime(2026, 3, 1, tzinfo=UTC)
    assert client.calls == [
        ("schedules.cron", ("s", "@daily", "t", {}), {}),
        ("schedules.every", ("s", timedelta(minutes=90), "t", {}), {"anchor": anchor}),
        ("schedules.at", ("s", AT, "t", {}), {}),
    ]


def test_update_names_only_what_changes(client: RecordingClient, run: Any) -> None:
    client.answers["schedules.update"] = make_schedule(outcome="updated", cursor="reset")
    done = run("schedules", "update", "s", "--every", "5m", "--misfire", "skip", "--type", "u")
    assert done.out == "s updated, begun anew: next run 2026-03-01 12:00:00Z\n"
    assert client.calls == [
        ("schedules.update", ("s",), {"every": timedelta(minutes=5), "type": "u", "misfire": "skip"})
    ]
    run("schedules", "update", "s", "--key", "")
    assert client.calls[1:] == [("schedules.update", ("s",), {"key": ""})], "it is taken away"
    nothing = run("schedules", "update", "s")
    assert nothing.code == 2
    assert "name something to change" in nothing.err


def test_what_follows_is_said_for_paused_and_finished_ones(client: RecordingClient, run: Any) -> None:
    client.answers["schedules.every"] = make_schedule(outcome="unchanged", state="paused", next_run=None)
    assert run("schedules", "every", "s", "1h", "t").out == "s unchanged: it is paused\n"
    client.answers["schedules.every"] = make_schedule(outcome="updated", state="finished", next_run=None)
    assert run("schedules", "every", "s", "1h", "t").out == "s updated: no further run\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("every", "s", "soon", "t"), "not a duration: 'soon'"),
        (("every", "s", "-5s", "t"), "a negative value is not possible here: -5s ("),
        (("update", "s", "--every", "-5s"), "a duration cannot be negative: '-5s'"),
        (("every", "s", "1h", "t", "--retry", "never"), "default, fast, patient"),
        (("cron", "s", "@daily", "t", "--dst-overlap", "no"), "first, last, both"),
        (("every", "s", "1h", "t", "--misfire", "never"), "latest, skip, all"),
        (("every", "s", "1h", "t", "--overlap", "no"), "skip, allow, buffer_one, buffer_all, cancel_running"),
        (("cron", "s", "@daily", "t", "--dst-gap", "no"), "shift, skip"),
        (("cron", "s", "@daily", "t", "--cursor", "no"), "auto, keep, reset"),
        (("cron", "s", "@daily", "t", "--start", "tomorrow"), "not a time: 'tomorrow'"),
        (("cron", "s", "@daily", "t", "--args", "["), "not JSON"),
        (("cron", "s", "@daily", "t", "--max-runs", "-1"), "--max-runs"),
        (("at", "s", "2026-13-01", "t"), "not a time"),
        (("list", "--state", "asleep"), "active, paused, finished"),
    ],
)
def test_wrong_usage_is_one_line_with_what_is_allowed(
    run: Any, arguments: tuple[str, ...], words: str
) -> None:
    done = run("schedules", *arguments)
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1


def test_list_and_show(client: RecordingClient, run: Any) -> None:
    zoned = {"kind": "cron", "cron": "0 2 * * *", "timezone": "Asia/Tokyo", "every": None}
    once = {"kind": "one_shot", "every": None, "run_at": AT, "state": "finished", "next_run": None}
    client.answers["schedules.list"] = [
        make_schedule(fired=7, skipped=1, last_outcome="dead"),
        make_schedule(id="z", **zoned),
        make_schedule(id="o", **once),
    ]
    out = run("schedules", "list", "--prefix", "x", "--state", "paused").out
    for words in ("every 30s", "dead", "0 2 * * * (Asia/Tokyo)", "at 2026-03-01 12:00:00Z", "finished"):
        assert words in out
    assert client.calls[-1] == ("schedules.list", (), {"prefix": "x", "state": "paused", "limit": 1_000})
    listed = json.loads(run("schedules", "list", "--json").out)["schedules"]
    assert [one["id"] for one in listed] == ["s", "z", "o"]
    client.answers["schedules.get"] = make_schedule(args={"a": 1}, pause_reason="why")
    shown = run("schedules", "show", "s").out
    assert '{"a": 1}' in shown
    assert "pause_reason" in shown
    assert json.loads(run("schedules", "show", "s", "--json").out)["every"] == 30.0


def test_pause_resume_and_delete(client: RecordingClient, run: Any) -> None:
    client.answers |= {"schedules.pause": "paused", "schedules.resume": "resumed", "schedules.delete": None}
    assert run("schedules", "pause", "s", "--reason", "why").out == "paused\n"
    assert client.calls[-1] == ("schedules.pause", ("s", "why"), {})
    assert run("schedules", "resume", "s").out == "resumed\n"
    assert run("schedules", "delete", "s", "--json").out == '{\n  "id": "s",\n  "result": "deleted"\n}\n'
    client.answers |= {"schedules.pause": "already_paused", "schedules.resume": "not_paused"}
    for word in ("pause", "resume"):
        done = run("schedules", word, "s")
        assert done.code == 1
        assert "nothing to do" in done.err
    client.answers["schedules.delete"] = ScheduleNotFound("no schedule 's'", "SCHEDULE_NOT_FOUND")
    assert run("schedules", "delete", "s").code == 1


def test_trigger_prints_the_job_or_says_why_there_is_none(client: RecordingClient, run: Any) -> None:
    client.answers["schedules.trigger"] = Triggered("fired", JOB_ID)
    assert run("schedules", "trigger", "s").out == f"{JOB_ID}\n"
    client.answers["schedules.trigger"] = Triggered("buffered", None)
    assert "has ended" in run("schedules", "trigger", "s").out
    client.answers["schedules.trigger"] = Triggered("skipped_overlap", None)
    skipped = run("schedules", "trigger", "s")
    assert (skipped.code, skipped.out) == (1, "")
    assert "active run" in skipped.err
    assert json.loads(run("schedules", "trigger", "s", "--json").out)["result"] == "skipped_overlap"
    client.answers["schedules.trigger"] = Triggered("skipped_buffer_full", None)
    assert "its buffer is full" in run("schedules", "trigger", "s").err
