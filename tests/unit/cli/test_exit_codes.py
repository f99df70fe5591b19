"""Every command, given what it cannot use: its exit code, one line on stderr, nothing on stdout.

2: the command line is wrong, which can be seen without asking anybody; nobody was asked.  1: it was refused.
"""

from typing import Any

import pytest

from orchestrix_raft import InvalidArgument, Unavailable
from orchestrix_raft.cli import commands
from tests.unit.cli.conftest import JOB_ID, RecordingClient

WRONG_USAGE = [
    ("node", "--node-dead", "5"),
    ("node", "extra"),
    ("node", "--data-dir", ""),
    ("dev", "--listen", "nowhere"),
    ("dev", "--listen", "a:1,b:2"),
    ("dev", "--data-dir", ""),
    ("status", "--servers", "nowhere"),
    ("status", "--servers", ","),
    ("status", "extra"),
    ("check-history",),
    ("check-history", ""),
    ("check-history", "file", "--steps", "0"),
    ("check-history", "file", "--forgets"),
    ("check-history", "file", "--servers", "nowhere"),
    ("enqueue",),
    ("enqueue", ""),
    ("enqueue", "a type"),
    ("enqueue", "t", "--queue", ""),
    ("enqueue", "t", "--queue", "a b"),
    ("enqueue", "t", "--unique-key", ""),
    ("enqueue", "t", "--key", ""),
    ("enqueue", "t", "--priority", "1000000000"),
    ("enqueue", "t", "--priority", "high"),
    ("enqueue", "t", "--unique-key", "k", "--unique-scope", "ever"),
    ("enqueue", "t", "--unique-key", "k", "--on-conflict", "ask"),
    ("enqueue", "t", "--retry", "eager"),
    ("enqueue", "t", "--args", "@no-such-file"),
    ("enqueue", "t", "--args", "@"),
    ("enqueue", "t", "--timeout", "0s"),
    ("enqueue", "t", "--tls-cert", __file__),
    ("worker",),
    ("worker", "module"),
    ("worker", "module:name", "--queues", "a b"),
    ("worker", "module:name", "--concurrency", "none"),
    ("jobs",),
    ("jobs", "list", "--limit", "0"),
    ("jobs", "list", "--queue", ""),
    ("jobs", "list", "--type", ""),
    ("jobs", "show"),
    ("jobs", "show", ""),
    ("jobs", "explain", "7"),
    ("jobs", "history", "7"),
    ("jobs", "logs", "7"),
    ("jobs", "wait", "7"),
    ("jobs", "wait", JOB_ID, "--timeout", "soon"),
    ("jobs", "cancel"),
    ("jobs", "cancel", "7"),
    ("jobs", "retry", "--state", "lost"),
    ("jobs", "purge", "--older-than", "1"),
    ("jobs", "purge", "--queue", ""),
    ("jobs", "purge", "--queue", "a b"),
    ("jobs", "list", "--queue", "a b"),
    ("jobs", "list", "--type", "a b"),
    ("schedules", "list", "--state", "lost"),
    ("schedules", "show"),
    ("schedules", "show", ""),
    ("schedules", "delete", "a b"),
    ("schedules", "every", "", "5s", "t"),
    ("schedules", "cron", "s", "@daily"),
    ("schedules", "cron", "s", "@daily", "t", "--args", "[]"),
    ("schedules", "cron", "s", "@daily", "t", "--priority", "1000000000"),
    ("schedules", "every", "s", "often", "t"),
    ("schedules", "at", "s", "noon", "t"),
    ("schedules", "every", "s", "5s", ""),
    ("schedules", "every", "s", "5s", "t", "--queue", "a b"),
    ("schedules", "cron", "s", "@daily", "t", "--timezone", ""),
    ("schedules", "every", "s", "5s", "t", "--key", ""),
    ("schedules", "update", "s"),
    ("schedules", "update", "s", "--queue", ""),
    ("schedules", "update", "s", "--type", "a b"),
    ("schedules", "update", "s", "--misfire", "never"),
    ("schedules", "preview", "61 * * * *"),
    ("schedules", "preview", "@daily", "--timezone", "Nowhere"),
    ("schedules", "pause"),
    ("schedules", "trigger"),
    ("queues", "pause"),
    ("queues", "pause", ""),
    ("queues", "resume", "a b"),
    ("queues", "purge", "a b"),
    ("queues", "limit", "q"),
    ("queues", "limit", "q", "--rate", "fast"),
    ("queues", "purge"),
    ("workers", "list", "extra"),
    ("workers", "lst"),
    ("workers", "drain"),
    ("workers", "drain", ""),
    ("cluster", "add"),
    ("cluster", "add", "a:1", "b:1"),
    ("cluster", "add", ""),
    ("cluster", "add", "nohost"),
    ("cluster", "add", "a:1,b:1"),
    ("cluster", "add", "a:1,"),
    ("cluster", "add", "a:1,a:1"),
    ("cluster", "remove"),
    ("cluster", "remove", ""),
    ("cluster", "undrain", ""),
    ("cluster", "transfer", ""),
    ("cluster", "backup"),
    ("cluster", "backup", "a", "b"),
    ("cluster", "backup", ""),
    ("cluster", "backup", "", "--check"),
    ("cluster", "restore", "a"),
    ("cluster", "restore", "a", "--data-dir", "b", "--node-id", "a b"),
    ("cluster", "restore", "", "--data-dir", "b"),
    ("cluster", "restore", "a", "--data-dir", ""),
    ("cluster", "restore", "a", "--data-dir", "b", "--node-id", ""),
    ("cluster", "recover"),
    ("cluster", "recover", "--data-dir", ""),
    ("cluster", "verify", "--timeout", "soon"),
    ("cluster", "verify", "--timeout", "0s"),
    ("cluster", "transfer", "a", "b"),
    ("cluster", "drain"),
    ("cluster", "drain", ""),
    ("cluster", "undrain", "a", "b"),
    ("cluster", "events", "--job", "7"),
    ("cluster", "events", "--since", "yesterday"),
    ("cluster", "events", "--queue", "a b"),
    ("cluster", "events", "--type", ""),
    ("cluster", "events", "--kind", ""),
    ("check-history", "--no-such-option"),
    ("no-such-command",),
    ("--no-such-option",),
]

REFUSED = [
    (("enqueue", "t"), "enqueue_told"),
    (("worker", "no_such_module:worker"), ""),
    (("jobs", "list"), "list_jobs"),
    (("jobs", "show", JOB_ID), "get"),
    (("jobs", "explain", JOB_ID), "get"),
    (("jobs", "history", JOB_ID), "history"),
    (("jobs", "logs", JOB_ID), "get"),
    (("jobs", "wait", JOB_ID), "wait"),
    (("jobs", "cancel", JOB_ID), "cancel"),
    (("jobs", "cancel", "--all"), "cancel_where"),
    (("jobs", "retry", JOB_ID), "retry"),
    (("jobs", "retry", "--all"), "retry_where"),
    (("jobs", "purge", JOB_ID), "purge"),
    (("jobs", "purge", "--all"), "purge_where"),
    (("schedules", "list"), "schedules.list"),
    (("schedules", "show", "s"), "schedules.get"),
    (("schedules", "cron", "s", "@daily", "t"), "schedules.cron"),
    (("schedules", "every", "s", "5s", "t"), "schedules.every"),
    (("schedules", "at", "s", "2030-01-01", "t"), "schedules.at"),
    (("schedules", "update", "s", "--queue", "q"), "schedules.update"),
    (("schedules", "pause", "s"), "schedules.pause"),
    (("schedules", "resume", "s"), "schedules.resume"),
    (("schedules", "trigger", "s"), "schedules.trigger"),
    (("schedules", "delete", "s"), "schedules.delete"),
    (("queues", "list"), "queues.list"),
    (("queues", "pause", "q"), "queues.pause"),
    (("queues", "resume", "q"), "queues.resume"),
    (("queues", "limit", "q", "--concurrency", "1"), "queues.limit"),
    (("queues", "purge", "q"), "queues.purge"),
    (("workers", "list"), "status"),
    (("workers", "drain", "w"), "status"),
    (("cluster", "add", "h4:7400"), "cluster.add"),
    (("cluster", "remove", "n3"), "cluster.remove"),
    (("cluster", "transfer"), "transfer_leadership"),
    (("cluster", "drain", "n1"), "cluster.drain"),
    (("cluster", "undrain", "n1"), "cluster.undrain"),
    (("cluster", "events"), "events"),
    (("jobs", "logs", JOB_ID, "--follow"), "logs"),
    (("cluster", "backup", "no-such-directory/b"), "backup"),
    (("cluster", "verify"), "verify"),
]


def _words(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else ""


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=_words)
def test_wrong_usage_is_2_and_asks_nobody(
    client: RecordingClient, run: Any, arguments: tuple[str, ...]
) -> None:
    done = run(*arguments)
    assert (done.code, done.out, client.calls) == (2, "", [])
    if len(arguments) > 1 or arguments[0] not in ("jobs",):  # whose help is what it says
        assert done.err.startswith("orchestrix-raft: ")
        assert done.err.endswith(" --help)\n")
        assert done.err.count("\n") == 1


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(
    ("arguments", "method", "error"),
    [
        (arguments, method, error)
        for arguments, method in REFUSED
        for error in (InvalidArgument("refused\nfor a reason"), Unavailable("refused for a reason"))
        # What is followed outlasts a time without nodes: test_cluster_events.py.
        if not ("--follow" in arguments and isinstance(error, Unavailable))
    ],
    ids=_words,
)
def test_a_refusal_is_1(
    client: RecordingClient,
    run: Any,
    arguments: tuple[str, ...],
    method: str,
    error: Exception,
    as_json: bool,
) -> None:
    client.answers[method] = error
    done = run(*arguments, *(["--json"] if as_json and method else []))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("orchestrix-raft: " + ("refused for a reason" if method else "no module"))
    assert done.err.count("\n") == 1


def test_no_command_is_left_out() -> None:
    """Of those of a client: whoever adds one adds its lines above."""
    there: set[tuple[str, ...]] = set()
    for name in commands.COMMANDS:
        children = getattr(commands.load(name), "commands", {})
        there |= {(name, child) for child in children} if children else {(name,)}
    wrong = {arguments[:length] for arguments in WRONG_USAGE for length in (1, 2)}
    refused = {arguments[:length] for arguments, _ in REFUSED for length in (1, 2)}
    local = {("node",), ("dev",), ("status",), ("schedules", "preview")}
    local |= {("cluster", "restore"), ("cluster", "recover")}  # on files: test_backup_commands.py
    local |= {("check-history",)}  # on files: test_check_history.py
    assert there - refused - local == set()
    assert {one[:1] for one in there} - {one[:1] for one in wrong} == set()
