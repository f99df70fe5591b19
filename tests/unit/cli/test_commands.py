"""Commands: what they ask of the cluster, what they print, how they end."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrix_raft import (
    Attempt,
    DeadlineExceeded,
    JobNotFound,
    LogLine,
    LogLines,
    RetryPolicy,
    Unavailable,
)
from orchestrix_raft.cli import commands
from orchestrix_raft.version import VERSION
from tests.unit.cli.conftest import ENQUEUED, JOB_ID, RecordingClient, Turns, make_job

CERTS = Path(__file__).parents[1] / "coordinator" / "certs"


def test_enqueue_passes_every_option_on_and_prints_the_id(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = ENQUEUED
    done = run(
        *("enqueue", "mail", "--args", '{"to": "a"}', "--queue", "q", "--priority", "5", "--delay", "1500ms"),
        *("--timeout", "2m", "--max-retries", "7", "--unique-key", "k", "--id", JOB_ID),
    )
    assert (done.code, done.out, done.err) == (0, JOB_ID + "\n", "")
    assert client.calls == [
        (
            "enqueue_told",
            ("mail", {"to": "a"}),
            {
                "queue": "q",
                "priority": 5,
                "delay": 1.5,
                "run_at": None,
                "timeout": 120.0,
                "retry": RetryPolicy(max_retries=7),
                "retry_for": None,
                "unique_key": "k",
                "unique_scope": None,
                "unique_for": None,
                "on_conflict": None,
                "key": None,
                "expires": None,
                "labels": None,
                "correlation_id": None,
                "job_id": JOB_ID,
            },
        )
    ]
    assert client.closed


def test_enqueue_leaves_defaults_to_the_cluster(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = ENQUEUED
    assert run("enqueue", "mail", "--at", "2026-03-01").code == 0
    options = client.calls[0][2]
    assert options["retry"] is None
    assert options["delay"] is None
    assert options["run_at"] == datetime(2026, 3, 1, tzinfo=UTC)


def test_enqueue_wait_prints_the_result(client: RecordingClient, run: Any) -> None:
    client.answers |= {"enqueue_told": ENQUEUED, "wait": make_job(result={"umlaut": "\u00e4"})}
    done = run("enqueue", "echo", "--wait")
    assert (done.code, done.out) == (0, '{"umlaut": "\u00e4"}\n')


def test_enqueue_wait_fails_when_the_job_did(client: RecordingClient, run: Any) -> None:
    client.answers |= {
        "enqueue_told": ENQUEUED,
        "wait": make_job(state="dead", error="ValueError: no\n  at x"),
    }
    done = run("enqueue", "echo", "--wait")
    assert done.code == 1
    assert done.out == ""
    assert done.err == f"orchestrix-raft: job {JOB_ID} is dead: ValueError: no\n"


def test_enqueue_wait_json_shows_a_failed_job_too(client: RecordingClient, run: Any) -> None:
    client.answers |= {"enqueue_told": ENQUEUED, "wait": make_job(state="dead", reason="poison")}
    done = run("enqueue", "echo", "--wait", "--json")
    assert done.code == 1
    assert json.loads(done.out)["reason"] == "poison"


def test_enqueue_json_is_one_document(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = ENQUEUED
    assert json.loads(run("enqueue", "echo", "--json").out) == {"id": JOB_ID, "outcome": "created"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("enqueue", "echo", "--delay", "10"), "'--delay': not a duration: '10' (write 500ms"),
        (("enqueue", "echo", "--at", "noon"), "'--at': not a time"),
        (("enqueue", "echo", "--args", "[]"), "'--args': arguments are a JSON object"),
        (("enqueue", "echo", "--delay", "1s", "--at", "2026-03-01"), "give --delay or --at, not both"),
        (("enqueue", "echo", "--max-retries", "-1"), "--max-retries"),
        (("enqueue",), "TYPE"),
        (("jobs", "list", "--limit", "0"), "--limit"),
        (("jobs", "shw", JOB_ID), "shw"),
        (("jobs", "show", "7"), "ID: not a UUID: 7"),
        (("enqueue", "echo", "--id", "7"), "--id: not a UUID: 7"),
        (("jobs", "list", "--state", "lost"), "--state: no such state: lost (there are scheduled"),
        (("jobs", "list", "--servers", "nowhere"), "'--servers': not a server address"),
        (("nothing",), "nothing"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_wrong_usage_is_one_line_with_exit_code_2(
    client: RecordingClient, run: Any, arguments: tuple[str, ...], says: str
) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert says.replace("'", "") in done.err.replace("'", "")
    assert done.err.startswith("orchestrix-raft: ")
    assert "--help)" in done.err
    assert done.err.count("\n") == 1
    assert client.calls == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("enqueue", "echo", "--priority", "high"), "--priority: it must be a whole number ("),
        (("enqueue", "echo", "--max-retries", "-1"), "--max-retries: it must be greater than or equal to 0"),
        (("jobs", "show", "7"), "ID: not a UUID: '7'"),
    ],
)
def test_wrong_usage_names_the_option_first(run: Any, arguments: tuple[str, ...], says: str) -> None:
    assert run(*arguments).err.startswith(f"orchestrix-raft: {says}")


@pytest.mark.parametrize("arguments", [(), ("jobs",), ("workers",), ("cluster",)])
def test_no_command_shows_the_help_as_wrong_usage(run: Any, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Usage: orchestrix-raft" in done.err
    assert "Commands:" in done.err


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_program_lists_the_first_line_of_each_commands_own_help(name: str, run: Any) -> None:
    assert commands.load(name).help.partition("\n")[0] == commands.COMMANDS[name].help
    shown = run(name, "-h").out
    assert shown.startswith(f"Usage: orchestrix-raft {name} ")
    assert "completion" not in shown
    assert "--tls-" not in shown or name == "node"


def test_the_files_of_a_node_are_not_those_of_a_client(run: Any) -> None:
    done = run("--tls-ca", str(CERTS / "ca.pem"), "node")
    assert done.code == 2
    assert "write --tls-... after the command: those before it are for clients" in done.err


def test_a_misspelt_command_is_answered_with_the_nearest_one(run: Any) -> None:
    done = run("enqeue", "t")
    assert done.code == 2
    assert "No such command 'enqeue'. Did you mean 'enqueue', " in done.err


def test_help_and_wrong_usage_load_no_grpc() -> None:
    """Most of the time of a short command went into modules that it does not use."""
    code = (
        "import sys; from orchestrix_raft.cli import app; code = app.run(sys.argv[1:]); "
        "print(sorted({'grpc', 'lmdb', 'pysyncobj', 'rich'} & sys.modules.keys()))"
    )
    for arguments in (
        ["--help"],
        ["jobs", "--help"],
        ["schedules", "preview", "@daily"],
        ["jobs", "show", "7"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]", arguments


def test_version(run: Any) -> None:
    done = run("--version")
    assert (done.code, done.out) == (0, f"orchestrix-raft {VERSION}\n")


@pytest.mark.parametrize("command", ["list", "show", "cancel", "retry", "wait", "history", "logs"])
def test_a_refusal_is_one_line_with_exit_code_1(client: RecordingClient, run: Any, command: str) -> None:
    refusal = Unavailable("no server\nanswered")
    for name in ("list_jobs", "get", "cancel", "retry", "wait", "history", "logs"):
        client.answers[name] = refusal
    done = run("jobs", command, *([] if command == "list" else [JOB_ID]))
    assert (done.code, done.out) == (1, "")
    assert done.err == "orchestrix-raft: no server answered\n"


def test_an_interrupt_ends_with_130_and_no_traceback(client: RecordingClient, run: Any) -> None:
    client.answers["list_jobs"] = KeyboardInterrupt()
    done = run("jobs", "list")
    assert (done.code, done.out, done.err) == (130, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--servers", "a:1,b:2", "jobs", "list"),
        ("jobs", "--servers", "a:1,b:2", "list"),
        ("jobs", "list", "--servers", "a:1,b:2"),
        ("--servers", "c:3", "jobs", "--servers", "d:4", "list", "--servers=a:1,b:2"),
    ],
)
def test_servers_go_before_or_after_the_command_and_win_over_the_environment(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ORCHESTRIX_SERVERS", "e:5")
    client.answers["list_jobs"] = []
    assert run(*arguments).code == 0
    assert client.servers == ("a:1", "b:2")


def test_servers_come_from_the_environment_or_are_the_default(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answers["list_jobs"] = []
    run("jobs", "list")
    assert client.servers == ("127.0.0.1:7400",)
    monkeypatch.setenv("ORCHESTRIX_SERVERS", "e:5")
    run("jobs", "list")
    assert client.servers == ("e:5",)


def test_tls_files_come_from_the_environment(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answers["list_jobs"] = []
    run("jobs", "list")
    assert not client.tls
    monkeypatch.setenv("ORCHESTRIX_TLS_CA", str(CERTS / "ca.pem"))
    run("jobs", "list")
    assert client.tls.ca == str(CERTS / "ca.pem")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_tls_flags_go_before_or_after_the_command_and_win_over_the_environment(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setenv("ORCHESTRIX_TLS_CA", "no-such.pem")
    monkeypatch.setenv("ORCHESTRIX_TLS_CERT", str(CERTS / "node.pem"))
    client.answers["list_jobs"] = []
    words = ["jobs", "list"]
    words[place:place] = ["--tls-ca", str(CERTS / "ca.pem"), "--tls-key", str(CERTS / "node-key.pem")]
    assert run(*words).code == 0
    assert client.tls == tuple(str(CERTS / f"{name}.pem") for name in ("ca", "node", "node-key"))


@pytest.mark.parametrize("command", ["status", "worker", "enqueue", "jobs", "schedules", "queues", "cluster"])
def test_a_tls_flag_that_names_no_file_is_wrong_usage_everywhere(run: Any, command: str) -> None:
    arguments = {
        "worker": ("json:tool",),
        "enqueue": ("t",),
        "jobs": ("list",),
        "schedules": ("list",),
        "queues": ("list",),
        "cluster": ("transfer",),
    }
    done = run(command, *arguments.get(command, ()), "--tls-ca", "no-such.pem")
    assert (done.code, done.out) == (2, "")
    assert "--tls-ca: cannot read no-such.pem" in done.err


def test_tls_files_that_cannot_work_are_wrong_usage(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRIX_TLS_CERT", str(CERTS / "node.pem"))
    done = run("jobs", "list")
    assert done.code == 2
    assert "a certificate and its key go together" in done.err


def test_a_tls_file_that_cannot_be_read_is_named(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRIX_TLS_KEY", "no-such.pem")
    done = run("jobs", "list")
    assert done.code == 2
    assert "ORCHESTRIX_TLS_KEY: cannot read no-such.pem" in done.err


def test_jobs_list_asks_with_its_filters_and_aligns_plain_columns(client: RecordingClient, run: Any) -> None:
    client.answers["list_jobs"] = [make_job(worker="w1"), make_job(type="longer-type", state="dead")]
    done = run("jobs", "list", "--state", "dead", "--queue", "q", "--type", "t", "--limit", "2")
    asked = {"state": "dead", "queue": "q", "type": "t", "limit": 2, "owner": None, "worker": None}
    assert client.calls[0][2] == asked
    lines = done.out.splitlines()
    assert lines[0].split() == ["ID", "TYPE", "QUEUE", "STATE", "FAILURES/LOSSES", "CREATED", "WORKER"]
    assert [line.index("default") for line in lines[1:]] == [lines[0].index("QUEUE")] * 2
    assert "2026-03-01 12:00:00Z" in lines[1]


def test_jobs_list_json_has_the_fields_of_the_sdk(client: RecordingClient, run: Any) -> None:
    client.answers["list_jobs"] = [make_job()]
    (job,) = json.loads(run("jobs", "list", "--json").out)["jobs"]
    assert job["id"] == JOB_ID
    assert job["result"] == {"a": 1}
    assert job["created_at"] == "2026-03-01T12:00:00Z"
    assert job["finished_at"] is None


def test_an_empty_listing_says_so_to_people_and_is_empty_for_programs(
    client: RecordingClient, run: Any
) -> None:
    client.answers["list_jobs"] = []
    assert run("jobs", "list").out == "no such jobs\n"
    assert json.loads(run("jobs", "list", "--json").out) == {"jobs": []}


def test_jobs_show_keeps_the_lines_of_the_error_and_disarms_escapes(
    client: RecordingClient, run: Any
) -> None:
    client.answers["get"] = make_job(state="dead", error="Traceback\n  line\x1b[2J\nValueError: no")
    out = run("jobs", "show", JOB_ID).out
    assert "state" in out
    assert "  line\\x1b[2J\nValueError: no\n" in out


def test_an_unknown_job_is_refused(client: RecordingClient, run: Any) -> None:
    client.answers["get"] = JobNotFound(f"no job {JOB_ID}")
    done = run("jobs", "show", JOB_ID, "--json")
    assert (done.code, done.out, done.err) == (1, "", f"orchestrix-raft: no job {JOB_ID}\n")


@pytest.mark.parametrize(
    ("command", "word", "code", "out"),
    [
        ("cancel", "cancelled", 0, "cancelled\n"),
        ("cancel", "requested", 0, "its handler was asked to stop\n"),
        ("cancel", "already_dead", 1, ""),
        ("retry", "retried", 0, "retried\n"),
        ("retry", "already_running", 1, ""),
    ],
)
def test_steering_tells_what_became_of_it(
    client: RecordingClient, run: Any, command: str, word: str, code: int, out: str
) -> None:
    client.answers[command] = word
    done = run("jobs", command, JOB_ID)
    assert (done.code, done.out) == (code, out)
    assert (f"is {word.removeprefix('already_')} already" in done.err) == bool(code)
    assert json.loads(run("jobs", command, JOB_ID, "--json").out) == {"id": JOB_ID, "result": word}


def test_jobs_wait_gives_up_after_its_timeout(client: RecordingClient, run: Any) -> None:
    client.answers["wait"] = DeadlineExceeded("job x is running after 2 s")
    done = run("jobs", "wait", JOB_ID, "--timeout", "2s")
    assert client.calls[0] == ("wait", (JOB_ID,), {"timeout": 2.0})
    assert (done.code, done.err) == (1, "orchestrix-raft: job x is running after 2 s\n")


def _line(number: int, message: str) -> LogLine:
    return LogLine(
        attempt=1, number=number, at=datetime(2026, 3, 1, tzinfo=UTC), level="info", message=message
    )


def test_logs_are_fetched_page_by_page(client: RecordingClient, run: Any) -> None:
    pages = [LogLines([_line(1, "a"), _line(2, "b")]), LogLines([_line(3, "c")]), LogLines([])]
    client.answers |= {"get": make_job(), "logs": Turns(pages)}
    assert [line.split()[-1] for line in run("jobs", "logs", JOB_ID).out.splitlines()] == ["a", "b", "c"]
    asked = [call[2]["after"] for call in client.calls if call[0] == "logs"]
    assert asked == [None, _line(2, "b"), _line(3, "c")]


def test_logs_say_which_nodes_did_not_answer(client: RecordingClient, run: Any) -> None:
    pages = [LogLines([_line(1, "a")], ["n2"]), LogLines([], ["n3"])]
    client.answers |= {"get": make_job(), "logs": Turns(pages)}
    done = run("jobs", "logs", JOB_ID, "--json")
    assert [line["message"] for line in json.loads(done.out)["lines"]] == ["a"]
    assert json.loads(done.out)["silent_nodes"] == ["n2", "n3"]
    assert done.err == (
        "orchestrix-raft: n2, n3 did not answer: lines that are kept nowhere else are missing\n"
    )


def test_logs_follow_prints_lines_as_they_come(client: RecordingClient, run: Any) -> None:
    client.answers["logs"] = iter([_line(1, "a"), _line(2, "b")])
    done = run("jobs", "logs", JOB_ID, "--follow", "--json")
    assert [json.loads(line)["message"] for line in done.out.splitlines()] == ["a", "b"]
    assert client.calls == [("logs", (JOB_ID,), {"after": None, "follow": True})]


def test_history_gives_one_line_an_attempt_with_reason_and_error(client: RecordingClient, run: Any) -> None:
    values: dict[str, Any] = dict.fromkeys(Attempt.__struct_fields__, "")
    values |= {"attempt": 1, "state": "failed", "started_at": None, "finished_at": None}
    values |= {"error": "ValueError: no\n\nTraceback\n  x", "reason": "retries_exhausted"}
    client.answers["history"] = [Attempt(**values)]
    out = run("jobs", "history", JOB_ID).out
    assert out.endswith("retries_exhausted; ValueError: no\n")
    assert out.count("\n") == 2
    (attempt,) = json.loads(run("jobs", "history", JOB_ID, "--json").out)["attempts"]
    assert attempt["error"].startswith("ValueError: no\n")
