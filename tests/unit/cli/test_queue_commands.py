"""`queues ...`, and the options of `enqueue` that belong to queues and unique keys."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrix_raft.client.queues import UNCHANGED, Queue, RateLimit
from tests.unit.cli.conftest import ENQUEUED, RecordingClient


def make_queue(**changes: Any) -> Queue:
    """An open queue without limits, less the changes."""
    values: dict[str, Any] = dict.fromkeys(Queue.__struct_fields__, 0)
    values |= dict.fromkeys(("rate", "concurrency", "key_rate", "key_concurrency", "rate_opens_at"))
    return Queue(**(values | {"name": "mail", "paused": False} | changes))


def test_queues_are_listed_with_their_limits(client: RecordingClient, run: Any) -> None:
    opens = datetime(2026, 3, 1, tzinfo=UTC)
    client.answers["queues.list"] = [
        make_queue(name="a", paused=True, pending=7),
        make_queue(rate=RateLimit(100, 60.0), rate_used=100, rate_opens_at=opens, concurrency=5, held=3),
    ]
    done = run("queues", "list")
    assert done.code == 0
    first, second = done.out.splitlines()[-2:]
    assert first.split() == ["a", "paused", "0", "7", "0", "0", "-", "-", "-", "-"]
    for word in ("waits for its rate", "100 of 100/1m", "3/5"):
        assert word in second


def test_queues_list_json_is_an_object(client: RecordingClient, run: Any) -> None:
    client.answers["queues.list"] = [make_queue(rate=RateLimit(1, 0.5))]
    (queue,) = json.loads(run("queues", "list", "--json").out)["queues"]
    assert queue["rate"] == {"count": 1, "seconds": 0.5}
    assert queue["concurrency"] is None


@pytest.mark.parametrize("word", ["pause", "resume"])
def test_pause_and_resume_name_the_queue(client: RecordingClient, run: Any, word: str) -> None:
    client.answers[f"queues.{word}"] = make_queue(paused=word == "pause")
    done = run("queues", word, "mail")
    assert done.code == 0
    assert ("paused" in done.out) == (word == "pause")
    assert client.calls == [(f"queues.{word}", ("mail",), {})]


def test_limit_says_what_was_said_and_nothing_else(client: RecordingClient, run: Any) -> None:
    client.answers["queues.limit"] = make_queue()
    assert run("queues", "limit", "mail", "--rate", "100/1s", "--concurrency", "10").code == 0
    assert run("queues", "limit", "mail", "--key-rate", "5/m", "--rate", "none").code == 0
    assert run("queues", "limit", "mail", "--key-concurrency", "none").code == 0
    nothing = dict.fromkeys(("rate", "concurrency", "key_rate", "key_concurrency"), UNCHANGED)
    assert [options for _, _, options in client.calls] == [
        nothing | {"rate": (100, timedelta(seconds=1)), "concurrency": 10},
        nothing | {"key_rate": (5, timedelta(minutes=1)), "rate": None},
        nothing | {"key_concurrency": None},
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give at least one of --rate"),
        (("--rate", "100"), "--rate: not a rate: '100' (write 100/1s, or none for no limit)"),
        (("--rate", "0/1s"), "not a limit: '0'"),
        (("--rate", "1/0s"), "the window of '1/0s' is from 1ms to 31d"),
        (("--rate", "1/32d"), "the window of '1/32d' is from 1ms to 31d"),
        (("--rate", "1/x"), "not a duration"),
        (("--rate", "none/1s"), "not a rate"),
        (("--concurrency", "0"), "--concurrency: not a limit: '0' (a number from 1 on, or none"),
        (("--key-concurrency", "-1"), "not a limit: '-1'"),
        (("--key-rate", "x/1s"), "not a limit: 'x'"),
    ],
)
def test_bad_limits_are_wrong_usage(
    client: RecordingClient, run: Any, arguments: tuple[str, ...], says: str
) -> None:
    done = run("queues", "limit", "mail", *arguments)
    assert done.code == 2
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not client.calls


def test_purge_tells_how_many(client: RecordingClient, run: Any) -> None:
    client.answers["queues.purge"] = 1
    assert run("queues", "purge", "mail").out == "1 waiting job cancelled\n"
    assert json.loads(run("queues", "purge", "mail", "--json").out) == {"queue": "mail", "purged": 1}


def test_enqueue_passes_key_rule_and_expiry_on(client: RecordingClient, run: Any) -> None:
    client.answers["enqueue_told"] = ENQUEUED
    done = run(
        *("enqueue", "t", "--key", "k", "--expires", "90s", "--unique-key", "u", "--unique-scope", "window"),
        *("--unique-for", "2h", "--on-conflict", "reject"),
    )
    assert done.code == 0
    options = client.calls[0][2]
    wanted = {
        "key": "k",
        "expires": 90.0,
        "unique_key": "u",
        "unique_scope": "window",
        "unique_for": 7_200.0,
        "on_conflict": "reject",
    }
    assert wanted.items() <= options.items()
