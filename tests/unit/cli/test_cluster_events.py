"""`cluster events`: what it asks, what it prints, how it ends."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrix_raft import AuditEntry, CursorTooOld, Event
from orchestrix_raft.cli import events
from tests.unit.cli.conftest import JOB_ID, RecordingClient, Turns


def event(cursor: str = "12-1", **changes: Any) -> Event:
    values: dict[str, Any] = {
        "cursor": cursor,
        "at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "kind": "job_cancelled",
        "actor": "client via n1",
        "reason": "not wanted",
        "job_id": JOB_ID,
        "queue": "mail",
        "type": "send",
        "details": {},
    }
    return Event(**(values | changes))


def test_every_option_is_passed_on(client: RecordingClient, run: Any) -> None:
    client.answers["events"] = iter(())
    done = run(
        *("cluster", "events", "--follow", "--since", "1-2", "--job", JOB_ID, "--queue", "a", "--queue", "b"),
        *("--type", "send", "--kind", "job_ready"),
    )
    assert (done.code, done.out, done.err) == (0, "", "")
    asked = {"since": "1-2", "follow": True, "job": [JOB_ID], "queue": ["a", "b"], "type": ["send"]}
    assert client.calls == [("events", (), asked | {"kind": ["job_ready"]})]


def test_without_options_it_asks_for_all_that_is_known(client: RecordingClient, run: Any) -> None:
    client.answers["events"] = iter(())
    run("cluster", "events")
    assert client.calls[0][2] == dict.fromkeys(("since", "job", "queue", "type", "kind")) | {"follow": False}


def test_an_event_is_a_line_for_people(client: RecordingClient, run: Any) -> None:
    client.answers["events"] = iter(
        [event(), event("13-1", kind="node_joined", job_id="", type="", queue="", actor="node n2", reason="")]
    )
    first, second = run("cluster", "events").out.splitlines()
    assert first.split() == [
        *("12-1", "2026-03-01", "12:00:00Z", "job_cancelled", JOB_ID, "send", "[mail]"),
        *("(client", "via", "n1)", "not", "wanted"),
    ]
    assert second.split() == ["13-1", "2026-03-01", "12:00:00Z", "node_joined", "(node", "n2)"]


def test_an_event_is_a_document_a_line_for_programs(client: RecordingClient, run: Any) -> None:
    client.answers["events"] = iter([event(details={"token": 5}), event("13-1")])
    first, second = [json.loads(line) for line in run("cluster", "events", "--json").out.splitlines()]
    assert (first["cursor"], first["kind"], first["details"]) == ("12-1", "job_cancelled", {"token": 5})
    assert second["cursor"] == "13-1"


def test_events_that_are_gone_are_said(client: RecordingClient, run: Any) -> None:
    client.answers["events"] = CursorTooOld("what is kept begins at 41-0", "CURSOR_TOO_OLD")
    done = run("cluster", "events", "--since", "3-1")
    assert (done.code, done.out) == (1, "")
    assert "41-0" in done.err


def entry(number: int) -> AuditEntry:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return AuditEntry(
        number=number, at=at, actor="alice", action="cancel_jobs", target="jobs x", outcome="done: cancelled"
    )


def test_the_audit_trail_is_told_to_its_end(client: RecordingClient, run: Any) -> None:
    client.answers["audit"] = Turns([[entry(1), entry(2)], [entry(3)], []])
    lines = run("cluster", "events", "--audit").out.splitlines()
    assert lines[0] == "1       2026-03-01 12:00:00Z  alice  cancel_jobs  jobs x  (done: cancelled)"
    assert len(lines) == 3
    assert [call[2]["after"] for call in client.calls] == [0, 2, 3]
    client.answers["audit"] = Turns([[entry(1)], []])
    assert json.loads(run("cluster", "events", "--audit", "--json").out)["action"] == "cancel_jobs"


def asked_for(client: RecordingClient) -> list[dict[str, Any]]:
    return [call[2] for call in client.calls]


def test_the_audit_trail_is_read_page_by_page(client: RecordingClient, run: Any) -> None:
    client.answers["audit"] = Turns([[entry(8), entry(9)]])
    lines = run("cluster", "events", "--audit", "--since", "7", "--limit", "2").out.splitlines()
    assert [line.split()[0] for line in lines] == ["8", "9"]
    assert asked_for(client) == [{"after": 7, "limit": 2}]


def test_without_a_beginning_a_limit_means_the_latest(client: RecordingClient, run: Any) -> None:
    client.answers["audit"] = Turns([[entry(90)], [entry(88), entry(89)], [entry(90)]])
    lines = run("cluster", "events", "--audit", "--limit", "3").out.splitlines()
    assert [line.split()[0] for line in lines] == ["88", "89", "90"]
    assert asked_for(client) == [
        {"limit": 1, "latest": True},
        {"after": 87, "limit": 3},
        {"after": 89, "limit": 1},
    ]


@pytest.mark.parametrize(
    ("options", "answers", "after"),
    [
        ((), [[entry(90)], [], [entry(91)]], [90, 90, 91]),
        (("--limit", "2"), [[entry(90)], [entry(89), entry(90)], [], [entry(91)]], [88, 90, 90, 91]),
        (("--since", "89"), [[entry(90)], [], [entry(91)]], [89, 90, 90, 91]),
        ((), [[], [], [entry(1)]], [0, 0, 1]),
    ],
)
def test_the_audit_trail_is_followed(
    client: RecordingClient,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    answers: list[Any],
    after: list[int],
) -> None:
    monkeypatch.setattr(events, "LOOK_S", 0.0)
    client.answers["audit"] = Turns([*answers, KeyboardInterrupt()])
    done = run("cluster", "events", "--audit", "--follow", *options)
    assert done.code == 130
    assert done.out.splitlines()[-1].split()[0] == str(answers[-1][-1].number)
    assert [asked["after"] for asked in asked_for(client) if "after" in asked] == after


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("--job", "nonsense"), "--job"),
        (("--since",), "--since"),
        (("--limit", "5"), "goes with --audit only"),
        (("--audit", "--kind", "job_completed"), "--kind: is about events"),
        (("--audit", "--since", "12-1"), "'12-1' is no number of a record"),
        (("--audit", "--follow", "--since", "1", "--limit", "1"), "how many of the latest come first"),
    ],
)
def test_wrong_usage(client: RecordingClient, run: Any, wrong: tuple[str, ...], says: str) -> None:
    done = run("cluster", "events", *wrong)
    assert done.code == 2
    assert says in done.err
    assert client.calls == []
