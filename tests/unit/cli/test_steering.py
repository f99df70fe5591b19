"""`jobs cancel / retry / purge / explain` on the command line, with a client that records."""

import json
from typing import Any

import pytest

from orchestrix_raft import InvalidArgument, JobNotFound, OutcomeUnknown, Reason, RetryPolicy, Unavailable
from tests.unit.cli.conftest import ENQUEUED, JOB_ID, RecordingClient, Turns, make_job

OTHER_ID = JOB_ID[:-1] + "2"


@pytest.mark.parametrize(
    ("arguments", "method", "asked", "told"),
    [
        (
            ("retry", "--state", "dead", "--queue", "q", "--type", "t", "--older-than", "90m"),
            "retry_where",
            {"state": "dead", "queue": "q", "type": "t", "older_than": 5_400.0},
            "3 jobs retried",
        ),
        (
            ("retry", "--all"),
            "retry_where",
            {"state": "dead", "queue": None, "type": None, "older_than": None},
            "3 jobs retried",
        ),
        (
            ("purge", "--state", "completed"),
            "purge_where",
            {"state": "completed", "queue": None, "type": None, "older_than": None},
            "3 jobs purged",
        ),
        (
            ("cancel", "--queue", "q", "--reason", "why"),
            "cancel_where",
            {
                "state": ("scheduled", "pending"),
                "queue": "q",
                "type": None,
                "older_than": None,
                "reason": "why",
            },
            "3 jobs cancelled",
        ),
    ],
)
def test_a_filter_is_passed_on_and_the_count_told(
    client: RecordingClient,
    run: Any,
    arguments: tuple[str, ...],
    method: str,
    asked: dict[str, Any],
    told: str,
) -> None:
    client.answers[method] = 3
    done = run("jobs", *arguments)
    assert (done.code, done.out) == (0, told + "\n")
    assert client.calls == [(method, (), asked)]
    assert json.loads(run("jobs", *arguments, "--json").out) == {"count": 3}


@pytest.mark.parametrize("command", ["cancel", "retry", "purge"])
@pytest.mark.parametrize("arguments", [(), (JOB_ID, "--queue", "q"), (JOB_ID, "--all")])
def test_either_ids_or_a_filter_must_be_given(
    client: RecordingClient, run: Any, command: str, arguments: tuple[str, ...]
) -> None:
    done = run("jobs", command, *arguments)
    assert (done.code, client.calls) == (2, [])
    assert f"{command} what?" in done.err


def test_an_id_that_is_none_is_wrong_usage(client: RecordingClient, run: Any) -> None:
    done = run("jobs", "retry", JOB_ID, "x")
    assert (done.code, client.calls) == (2, [])
    assert "not a UUID" in done.err


def test_several_ids_are_done_one_after_the_other(client: RecordingClient, run: Any) -> None:
    client.answers["purge"] = Turns(["purged", "still_running", "purged", "still_running"])
    done = run("jobs", "purge", JOB_ID, OTHER_ID)
    assert (done.code, done.out) == (1, f"{JOB_ID}  purged\n{OTHER_ID}  still running\n")
    assert f"job {OTHER_ID} is still running" in done.err
    assert json.loads(run("jobs", "purge", JOB_ID, OTHER_ID, "--json").out) == {
        "jobs": [{"id": JOB_ID, "result": "purged"}, {"id": OTHER_ID, "result": "still_running"}]
    }


def test_one_that_is_not_there_does_not_keep_the_others_waiting(client: RecordingClient, run: Any) -> None:
    gone = JobNotFound(f"no job {JOB_ID}", "JOB_NOT_FOUND")
    client.answers["cancel"] = Turns([gone, "cancelled", gone, "cancelled", gone])
    done = run("jobs", "cancel", JOB_ID, OTHER_ID)
    assert (done.code, done.out) == (1, f"{JOB_ID}  not there\n{OTHER_ID}  cancelled\n")
    assert f"job {JOB_ID} is not there" in done.err
    assert json.loads(run("jobs", "cancel", JOB_ID, OTHER_ID, "--json").out) == {
        "jobs": [{"id": JOB_ID, "result": "not_found"}, {"id": OTHER_ID, "result": "cancelled"}]
    }
    alone = run("jobs", "cancel", JOB_ID, "--json")
    assert (alone.code, alone.out) == (1, "")
    assert f"no job {JOB_ID}" in alone.err


LAST_ID = JOB_ID[:-1] + "3"


@pytest.mark.parametrize(
    ("error", "word", "told", "then"),
    [
        (InvalidArgument("not like this"), "refused", "refused: not like this", "cancelled"),
        (Unavailable("nobody", "NO_SERVER"), "unavailable", "no node answered: nobody", "not tried"),
        (OutcomeUnknown("lost", "OUTCOME_UNKNOWN"), "unknown", "outcome unknown: lost", "not tried"),
    ],
)
def test_what_became_of_each_is_told_when_one_fails(
    client: RecordingClient, run: Any, error: Exception, word: str, told: str, then: str
) -> None:
    turns = ["already_dead", error, *(["cancelled"] if then == "cancelled" else [])]
    client.answers["cancel"] = Turns(turns * 2)
    ids = (JOB_ID, OTHER_ID, LAST_ID)
    done = run("jobs", "cancel", *ids)
    assert done.code == 1
    assert done.out == f"{JOB_ID}  dead already\n{OTHER_ID}  {told}\n{LAST_ID}  {then}\n"
    others = 2 if then == "not tried" else 1
    assert done.err.startswith(f"orchestrix-raft: job {OTHER_ID}: {error} (and {others} more)")
    assert done.err.count("\n") == 1
    again = run("jobs", "cancel", *ids, "--json")
    assert again.code == 1
    assert json.loads(again.out)["jobs"] == [
        {"id": JOB_ID, "result": "already_dead"},
        {"id": OTHER_ID, "result": word, "error": str(error)},
        {"id": LAST_ID, "result": then.replace(" ", "_")},
    ]


def test_who_breaks_off_is_told_what_was_done(client: RecordingClient, run: Any) -> None:
    client.answers["cancel"] = Turns(["cancelled", KeyboardInterrupt()])
    done = run("jobs", "cancel", JOB_ID, OTHER_ID)
    assert (done.code, done.out) == (130, f"{JOB_ID}  cancelled\n")


def test_a_retry_that_a_rule_forbids_fails(client: RecordingClient, run: Any) -> None:
    client.answers["retry"] = "unique_conflict"
    done = run("jobs", "retry", JOB_ID)
    assert (done.code, done.out) == (1, "")
    assert "unique_conflict" in done.err


def test_explain_tells_every_reason(client: RecordingClient, run: Any) -> None:
    client.answers["get"] = make_job(state="pending")
    client.answers["explain"] = [
        Reason(code="queue_paused", text="its queue 'q' is paused", facts={"queue": "q"}),
        Reason(code="no_worker", text="no worker serves it", facts={}),
    ]
    out = run("jobs", "explain", JOB_ID).out
    assert out == f"job {JOB_ID} is pending:\n- its queue 'q' is paused\n- no worker serves it\n"
    told = json.loads(run("jobs", "explain", JOB_ID, "--json").out)
    assert (told["id"], told["state"]) == (JOB_ID, "pending")
    assert told["reasons"][0] == {
        "code": "queue_paused",
        "text": "its queue 'q' is paused",
        "facts": {"queue": "q"},
    }


def test_presets_and_the_age_limit_are_passed_on(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = ENQUEUED
    assert run("enqueue", "t", "--retry", "patient", "--retry-for", "2d").code == 0
    options = client.calls[0][2]
    assert options["retry"] == RetryPolicy(preset="patient")
    assert options["retry_for"] == 2 * 86_400
    done = run("enqueue", "t", "--retry", "eager")
    assert done.code == 2
    assert "default, fast, patient" in done.err


def test_a_list_of_dead_letters_says_why_they_are_dead(client: RecordingClient, run: Any) -> None:
    client.answers["list_jobs"] = [
        make_job(state="dead", reason="discarded", error="no such customer\nTraceback"),
        make_job(state="completed"),
    ]
    header, dead, completed = run("jobs", "list", "--state", "dead").out.splitlines()
    assert header.endswith("WHY")
    assert dead.endswith("discarded; no such customer")
    assert completed.endswith("-")


def test_a_job_is_shown_in_the_words_of_its_options(client: RecordingClient, run: Any) -> None:
    client.answers["get"] = make_job(timeout=90.0, retry_for=172_800.0, expires=None)
    out = run("jobs", "show", JOB_ID).out.splitlines()
    shown = dict(line.split(maxsplit=1) for line in out)
    assert (shown["timeout"], shown["retry_for"]) == ("1m30s", "2d")
    assert not {"expires", "missed_count"} & shown.keys()
    client.answers["get"] = make_job(schedule="nightly", missed_count=2)
    assert any(line.split() == ["missed_count", "2"] for line in run("jobs", "show", JOB_ID).out.splitlines())
