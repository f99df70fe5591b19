"""`cluster events`: what it asks, what it prints, how it ends."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrix_raft import AuditEntry, CursorTooOld, Event, OrchestrixError, QuotaExceeded, Unavailable
from orchestrix_raft.cli import events
from orchestrix_raft.client.events import AuditPage
from orchestrix_raft.client.model import LogLine
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


@pytest.mark.parametrize("follow", [False, True])
def test_since_now_is_offered_and_asked_for(client: RecordingClient, run: Any, follow: bool) -> None:
    client.answers["events"] = iter(())
    done = run("cluster", "events", "--since", "now", *(["--follow"] if follow else []))
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (client.calls[0][2]["since"], client.calls[0][2]["follow"]) == ("now", follow)
    assert "now: what has not happened yet" in " ".join(run("cluster", "events", "--help").out.split())


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
    client.answers["events"] = iter([event(details={"token": 5}, elapsed_ms=7), event("13-1")])
    first, second = [json.loads(line) for line in run("cluster", "events", "--json").out.splitlines()]
    assert (first["cursor"], first["kind"], first["details"]) == ("12-1", "job_cancelled", {"token": 5})
    assert second["cursor"] == "13-1"
    assert (first["elapsed_ms"], second["elapsed_ms"]) == (7, None)


def test_events_that_are_gone_are_said(client: RecordingClient, run: Any) -> None:
    client.answers["events"] = CursorTooOld("what is kept begins at 41-0", "CURSOR_TOO_OLD")
    done = run("cluster", "events", "--since", "3-1")
    assert (done.code, done.out) == (1, "")
    assert "41-0" in done.err


def test_that_another_cluster_answers_is_one_line(client: RecordingClient, run: Any) -> None:
    words = "another cluster answers: c2. Cursor 12-1 was the last one told: begin without one"
    error = OrchestrixError(words, "ANOTHER_CLUSTER")
    error.cursor = "12-1"
    client.answers["events"] = error
    done = run("cluster", "events", "--follow")
    assert (done.code, done.out, done.err) == (1, "", f"orchestrix-raft: {words}\n")


class Pages(Turns):
    """Lists as the client returns them."""

    def pop(self, *at: Any) -> Any:
        told = super().pop(*at)
        return AuditPage(told, "c1") if type(told) is list else told


def entry(number: int) -> AuditEntry:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return AuditEntry(
        number=number, at=at, actor="alice", action="cancel_jobs", target="jobs x", outcome="done: cancelled"
    )


def test_the_audit_trail_is_told_to_its_end(client: RecordingClient, run: Any) -> None:
    client.answers["audit"] = Pages([[entry(1), entry(2)], [entry(3)], []])
    lines = run("cluster", "events", "--audit").out.splitlines()
    assert lines[0] == "1       2026-03-01 12:00:00Z  alice  cancel_jobs  jobs x  (done: cancelled)"
    assert len(lines) == 3
    assert [call[2]["after"] for call in client.calls] == [0, 2, 3]
    client.answers["audit"] = Pages([[entry(1)], []])
    assert json.loads(run("cluster", "events", "--audit", "--json").out)["action"] == "cancel_jobs"


def asked_for(client: RecordingClient) -> list[dict[str, Any]]:
    return [call[2] for call in client.calls]


def test_the_audit_trail_is_read_page_by_page(client: RecordingClient, run: Any) -> None:
    client.answers["audit"] = Pages([[entry(8), entry(9)]])
    lines = run("cluster", "events", "--audit", "--since", "7", "--limit", "2").out.splitlines()
    assert [line.split()[0] for line in lines] == ["8", "9"]
    assert asked_for(client) == [{"after": 7, "limit": 2}]


def test_without_a_beginning_a_limit_means_the_latest(client: RecordingClient, run: Any) -> None:
    client.answers["audit"] = Pages([[entry(90)], [entry(88), entry(89)], [entry(90)]])
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
    client.answers["audit"] = Pages([*answers, KeyboardInterrupt()])
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


def test_a_trail_of_another_cluster_ends_the_following(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK_S", 0.0)
    restored = AuditPage([entry(8)], "c2")
    client.answers["audit"] = Pages([[entry(7)], [], [], restored])
    done = run("cluster", "events", "--audit", "--follow")
    assert (done.code, done.out) == (1, "")
    assert "another cluster answers: c2" in done.err
    assert "Record 7 was the last one told" in done.err


def test_a_follower_outlasts_a_time_without_any_node(client: RecordingClient, run: Any) -> None:
    nobody = Unavailable("no server answered", "NO_SERVER")
    nobody.cursor = "13-0"
    client.answers["events"] = Turns([_then(event("12-1"), nobody), nobody, nobody, KeyboardInterrupt()])
    done = run("cluster", "events", "--follow")
    assert done.code == 130
    assert done.out.startswith("12-1")
    assert done.err.count("goes on when a node answers") == 1
    assert [call[2]["since"] for call in client.calls] == [None, "13-0", "13-0", "13-0"]


def _then(told: Any, error: Exception) -> Any:
    yield told
    raise error


def test_the_trail_s_follower_outlasts_it_too(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK_S", 0.0)
    nobody = Unavailable("no server answered", "NO_SERVER")
    answers = [nobody, nobody, [entry(7)], nobody, nobody, [entry(8)], KeyboardInterrupt()]
    client.answers["audit"] = Pages(answers)
    done = run("cluster", "events", "--audit", "--follow")
    assert done.code == 130
    assert done.out.startswith("8 ")
    assert done.err.count("goes on when a node answers") == 2, "once at the start, once later"


def test_what_is_not_followed_ends_without_a_node(client: RecordingClient, run: Any) -> None:
    for name, options in (("events", ()), ("audit", ("--audit",))):
        client.answers[name] = Unavailable("no server answered", "NO_SERVER")
        assert run("cluster", "events", *options).code == 1


def test_a_follower_that_ends_says_where_to_go_on(client: RecordingClient, run: Any) -> None:
    client.answers["events"] = _then(event("12-1"), QuotaExceeded("too many readers", "TOO_MANY_FOLLOWERS"))
    done = run("cluster", "events", "--follow")
    assert done.code == 1
    assert "--since 12-1 goes on" in done.err


def test_the_lines_of_a_job_are_followed_across_it(client: RecordingClient, run: Any) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    line = LogLine(attempt=1, number=3, at=at, level="info", message="half", fencing_token=9)
    nobody = Unavailable("no server answered", "NO_SERVER")
    client.answers["logs"] = Turns([_then(line, nobody), nobody, iter(())])
    done = run("jobs", "logs", JOB_ID, "--follow")
    assert done.code == 0
    assert "half" in done.out
    assert done.err.count("goes on when a node answers") == 1
    assert [call[2]["after"] for call in client.calls] == [None, line, line]
