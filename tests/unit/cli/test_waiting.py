"""The bar of what takes long: on a terminal only, never with --json, and gone at the end."""

import io
import itertools
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrix_raft import DeadlineExceeded, Unavailable
from orchestrix_raft.cli import app, options
from tests.unit.cli.conftest import ENQUEUED, JOB_ID, RecordingClient, Turns, make_job
from tests.unit.cli.test_draining import Status, node, progress

RUNNING = make_job(state="running", progress=42, progress_message="hashing\n\x1b[2J")
SHOWS_CURSOR = "\x1b[?25h"
ERASES_LINE = "\x1b[2K"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """on_terminal("jobs", "wait", ID) -> code, out, err, with a terminal as stderr."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: str) -> SimpleNamespace:
        with monkeypatch.context() as patch:
            terminal = _Terminal()
            patch.setattr(sys, "stderr", terminal)
            code = app.run(list(arguments))
        return SimpleNamespace(code=code, out=capsys.readouterr().out, err=terminal.getvalue())

    return call


def _goes_on_once(client: RecordingClient) -> None:
    client.answers |= {
        "enqueue_told": ENQUEUED,
        "wait": Turns([DeadlineExceeded("not yet"), make_job(result="done")]),
        "get": RUNNING,
    }


@pytest.mark.parametrize("arguments", [("jobs", "wait", JOB_ID), ("enqueue", "t", "--wait")])
def test_a_terminal_sees_how_far_the_job_is(
    client: RecordingClient, on_terminal: Any, arguments: tuple[str, ...]
) -> None:
    _goes_on_once(client)
    done = on_terminal(*arguments)
    assert (done.code, done.out) == (0, '"done"\n')
    for word in (JOB_ID, "42%", "running", "hashing \\x1b[2J"):
        assert word in done.err
    assert done.err.endswith(ERASES_LINE)
    assert SHOWS_CURSOR in done.err


@pytest.mark.parametrize("arguments", [("jobs", "wait", JOB_ID), ("enqueue", "t", "--wait")])
def test_nobody_else_does(
    client: RecordingClient, on_terminal: Any, run: Any, arguments: tuple[str, ...]
) -> None:
    client.answers |= {"enqueue_told": ENQUEUED, "wait": make_job(result="done")}
    assert on_terminal(*arguments, "--json").err == ""
    assert run(*arguments).err == ""
    assert "get" not in [name for name, *_ in client.calls]


@pytest.mark.parametrize(
    ("arguments", "method", "says"),
    [
        (("jobs", "purge", "--all"), "purge_where", "purging jobs"),
        (("jobs", "retry", "--queue", "q"), "retry_where", "retrying jobs"),
        (("jobs", "cancel", "--queue", "q"), "cancel_where", "cancelling jobs"),
        (("queues", "purge", "q"), "queues.purge", "cancelling jobs"),
    ],
)
def test_commands_on_many_jobs_move_too(
    client: RecordingClient, on_terminal: Any, run: Any, arguments: tuple[str, ...], method: str, says: str
) -> None:
    client.answers[method] = 1
    done = on_terminal(*arguments)
    assert done.code == 0
    assert "1 job " in done.out or "1 waiting job " in done.out
    assert says in done.err
    assert done.err.endswith(ERASES_LINE)
    assert on_terminal(*arguments, "--json").err == ""
    assert run(*arguments).err == ""


def test_a_drain_moves_on_a_terminal_and_says_no_more_than_its_end(
    client: RecordingClient, on_terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrix_raft.cli.draining.LOOK_S", 0.0)
    on_its_way, done = progress(asked=4, acknowledged=1), progress(asked=4, acknowledged=4)
    client.answers |= {
        "cluster.drain": progress(),
        "status": Turns([Status((node(3, on_its_way),)), Status((node(0, done),))]),
    }
    said = on_terminal("cluster", "drain", "n2")
    assert said.out == "4 workers handed over, 4 acknowledged with 0 jobs, 0 orphaned\n"
    for words in ("node n2", "25%", "3 workers left, 4 handed over, 1 acknowledged"):
        assert words in said.err
    assert said.err.endswith(ERASES_LINE)


def test_the_limit_of_the_wait_is_kept_and_told(
    client: RecordingClient, on_terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 1.0, 1.25, 2.5])
    monkeypatch.setattr("orchestrix_raft.cli.waiting.time", SimpleNamespace(monotonic=lambda: next(clock)))
    client.answers |= {"wait": DeadlineExceeded("after a slice"), "get": RUNNING}
    done = on_terminal("jobs", "wait", JOB_ID, "--timeout", "2s")
    assert (done.code, done.out) == (1, "")
    assert f"job {JOB_ID} is running after 2 s" in done.err
    assert [call[2]["timeout"] for call in client.calls if call[0] == "wait"] == [1.0, 0.75]


def test_the_limit_of_the_wait_is_kept_without_nodes(
    client: RecordingClient, on_terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0.0, 0.5)
    monkeypatch.setattr("orchestrix_raft.cli.waiting.time", SimpleNamespace(monotonic=lambda: next(clock)))
    client.answers["wait"] = Unavailable("no server answered the request to wait for a job", "NO_SERVER")
    assert on_terminal("jobs", "wait", JOB_ID, "--timeout", "2s").code == 1
    assert next(clock) == 2.5, "the last look at the clock was at 2 s"


def test_a_change_of_leaders_does_not_end_the_wait(
    client: RecordingClient, on_terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answers |= {
        "wait": Turns([Unavailable("no leader"), DeadlineExceeded("not yet"), make_job()]),
        "get": RUNNING,
    }
    done = on_terminal("jobs", "wait", JOB_ID)
    assert done.code == 0
    assert "no node answers at the moment" in done.err
    monkeypatch.setattr(options, "PATIENCE_S", -1.0)
    client.answers["wait"] = Unavailable("no leader for long")
    assert on_terminal("jobs", "wait", JOB_ID).code == 1
