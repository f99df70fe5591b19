"""`enqueue`: where arguments come from, what it says of jobs that are there already or in doubt."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrix_raft import OutcomeUnknown, Unavailable
from orchestrix_raft.cli import values
from orchestrix_raft.client.model import Enqueued
from tests.unit.cli.conftest import ENQUEUED, JOB_ID, RecordingClient, make_job

EXISTING = Enqueued(id=JOB_ID, created=False)


def _stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_arguments_come_from_a_file_or_from_standard_input(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client.answers["enqueue_told"] = ENQUEUED
    (tmp_path / "args.json").write_text('{\n  "path": "\u00e4"\n}\n', encoding="utf-8")
    _stdin(monkeypatch, b'{"n": 1}')
    assert run("enqueue", "t", "--args", f"@{tmp_path / 'args.json'}").code == 0
    assert run("enqueue", "t", "--args", "-").code == 0
    assert [call[1] for call in client.calls] == [("t", {"path": "\u00e4"}), ("t", {"n": 1})]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[1]", "arguments are a JSON object"),
        (b"\xff{}", "args.json is not text in UTF-8"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice in one object"),
        (b'"' + b"x" * (values.ARGS_BYTES + 1), f"has more than {values.ARGS_BYTES} bytes"),
    ],
)
def test_a_file_that_holds_no_arguments_is_wrong_usage(
    client: RecordingClient, run: Any, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "args.json").write_bytes(content)
    done = run("enqueue", "t", "--args", f"@{tmp_path / 'args.json'}")
    assert (done.code, done.out, client.calls) == (2, "", [])
    assert "--args" in done.err
    assert says in done.err
    assert done.err.count("\n") == 1


def test_labels_and_the_correlation_id_are_passed_on(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = ENQUEUED
    assert run("enqueue", "t", "--label", "gpu", "--label", "eu", "--correlation-id", "order-7").code == 0
    options = client.calls[0][2]
    assert (options["labels"], options["correlation_id"]) == (["gpu", "eu"], "order-7")


def test_a_job_that_is_there_already_is_said_beside_its_id(client: RecordingClient, run: Any) -> None:
    client.answers |= {"enqueue_told": EXISTING, "wait": make_job(result=1)}
    note = f"orchestrix-raft: nothing new was enqueued: job {JOB_ID} is there already\n"
    done = run("enqueue", "t", "--unique-key", "k")
    assert (done.code, done.out, done.err) == (0, JOB_ID + "\n", note)
    done = run("enqueue", "t", "--id", JOB_ID, "--json")
    assert (done.code, json.loads(done.out)) == (0, {"id": JOB_ID, "outcome": "existing"})
    done = run("enqueue", "t", "--id", JOB_ID, "--wait")
    assert (done.code, done.out, done.err) == (0, "1\n", note)


def test_a_job_that_this_command_may_have_made_is_only_named(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = Enqueued(id=JOB_ID, created=None)
    done = run("enqueue", "t", "--id", JOB_ID)
    assert (done.code, done.out, done.err) == (0, JOB_ID + "\n", "")
    assert json.loads(run("enqueue", "t", "--id", JOB_ID, "--json").out) == {"id": JOB_ID, "outcome": None}


def test_in_doubt_it_says_how_to_repeat_safely(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = OutcomeUnknown("no server acknowledged", "OUTCOME_UNKNOWN", (JOB_ID,))
    done = run("enqueue", "t")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"orchestrix-raft: no server acknowledged; it is safe to repeat the command with --id {JOB_ID}\n"
    )


@pytest.mark.parametrize(
    ("told", "hint"),
    [
        (
            "cannot connect to 127.0.0.1:7400: refused",
            "start a node with `orchestrix-raft node`, or name others",
        ),
        ("there is no leader", "`orchestrix-raft status` says how the nodes are"),
    ],
)
def test_when_no_server_answers_it_says_what_to_do(
    client: RecordingClient, run: Any, told: str, hint: str
) -> None:
    client.answers["enqueue_told"] = client.answers["list_jobs"] = Unavailable(told, "NO_SERVER")
    for done in (run("enqueue", "t"), run("jobs", "list")):
        assert (done.code, done.out) == (1, "")
        assert told in done.err
        assert hint in done.err
        assert "--servers" in done.err
        assert done.err.count("\n") == 1


@pytest.mark.parametrize("option", ["--timeout", "--retry-for", "--expires", "--unique-for"])
def test_no_time_at_all_is_refused_where_it_would_mean_for_ever(
    client: RecordingClient, run: Any, option: str
) -> None:
    done = run("enqueue", "t", option, "0s")
    assert (done.code, client.calls) == (2, [])
    assert option in done.err
    assert "write more than 0s, or leave it out for no limit" in done.err


@pytest.mark.parametrize(
    ("words", "names", "wrong"),
    [
        (["--unique-for", "5m"], "--unique-for", "goes with --unique-key"),
        (["--unique-scope", "window"], "--unique-scope", "goes with --unique-key"),
        (["--on-conflict", "replace"], "--on-conflict", "goes with --unique-key"),
        (
            ["--on-conflict", "reject", "--unique-for", "5m", "--unique-scope", "window"],
            "--unique-scope, --unique-for, --on-conflict",
            "go with --unique-key",
        ),
        (["--unique-key", "k", "--unique-for", "5m"], "--unique-for", "goes with --unique-scope window"),
        (
            ["--unique-key", "k", "--unique-for", "5m", "--unique-scope", "until_done"],
            "--unique-for",
            "goes with --unique-scope window",
        ),
    ],
)
def test_how_a_unique_key_is_meant_goes_with_one(
    client: RecordingClient, run: Any, words: list[str], names: str, wrong: str
) -> None:
    done = run("enqueue", "t", *words)
    assert (done.code, done.out, client.calls) == (2, "", [])
    assert done.err.startswith(f"orchestrix-raft: {names}: {wrong} (")
    client.answers["enqueue_told"] = ENQUEUED
    assert (
        run("enqueue", "t", "--unique-key", "k", "--unique-scope", "window", "--unique-for", "5m").code == 0
    )


def test_who_does_not_wait_to_the_end_is_told_the_id(client: RecordingClient, run: Any) -> None:
    client.answers |= {"enqueue_told": ENQUEUED, "wait": KeyboardInterrupt()}
    done = run("enqueue", "t", "--wait")
    assert (done.code, done.out) == (130, "")
    assert f"`orchestrix-raft jobs wait {JOB_ID}`" in done.err
    client.answers["wait"] = Unavailable("no server answered the request to wait for a job", "NO_SERVER")
    done = run("enqueue", "t", "--wait", "--json")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert f"no server answered the request to wait for a job; job {JOB_ID} goes on" in done.err
