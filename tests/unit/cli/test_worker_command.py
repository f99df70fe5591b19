"""`worker MODULE:NAME`: finding the object, and options that win over the code."""

import sys
from pathlib import Path
from typing import Any

import pytest

import orchestrix_raft

SOURCE = """
from orchestrix_raft import Worker
worker = Worker("a:1", queues=["code"], concurrency=3)
number = 7
empty = Worker("a:1")


@worker.job("echo")
def echo(ctx):
    return 1


@worker.job
def another(ctx):
    return 2
"""

BROKEN = {
    "no_syntax": "def f():\n    return (1,\n",
    "no_import": "\nimport no_such_module_at_all\n",
    "no_luck": "def f():\n    return 1 / 0\n\n\nf()\n",
    "by_another": "\n\nimport no_luck\n",
    "of_a_library": "import json\n\njson.loads('{')\n",
}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """A module `jobs_here` in the current directory, and the workers that would have run."""
    (tmp_path / "jobs_here.py").write_text(SOURCE)
    for name, source in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "jobs_here", raising=False)
    monkeypatch.delenv("ORCHESTRIX_SERVERS", raising=False)
    ran: list[Any] = []
    monkeypatch.setattr(orchestrix_raft.Worker, "run", lambda self: ran.append(self))
    monkeypatch.setattr("orchestrix_raft.telemetry.logs.configure", lambda level: None)
    return ran


def _settings(worker: Any) -> tuple[Any, ...]:
    return worker._servers, worker._settings.queues, worker._settings.capacity


def test_it_runs_as_the_code_says(started: list[Any], run: Any) -> None:
    assert run("worker", "jobs_here:worker").code == 0
    assert _settings(started[0]) == (("a:1",), ("code",), 3)


def test_the_first_line_says_what_it_serves(
    started: list[Any], run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "orchestrix_raft")
    run("worker", "jobs_here:worker", "--queues", "b,a")
    assert f"worker {started[0].name} serves queues a, b with handlers for another, echo" in caplog.messages


def test_options_win_over_the_code(started: list[Any], run: Any) -> None:
    options = ("--queues", "x, y", "--concurrency", "9", "--servers", "b:2,c:3")
    assert run("worker", "jobs_here:worker", *options).code == 0
    assert _settings(started[0]) == (("b:2", "c:3"), ("x", "y"), 9)


def test_servers_of_the_environment_win_over_the_code(
    started: list[Any], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRIX_SERVERS", "d:4")
    run("worker", "jobs_here:worker")
    assert _settings(started[0])[0] == ("d:4",)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("jobs_here",), 2, "is not MODULE:NAME"),
        ((":worker",), 2, "is not MODULE:NAME"),
        (("nowhere_at_all:worker",), 1, "no module 'nowhere_at_all'"),
        (("jobs_here:missing",), 1, "jobs_here:missing: no such name; Workers in jobs_here: worker, empty"),
        (("json:missing",), 1, "no such name; name the Worker object that the handlers are registered with"),
        (("jobs_here:number",), 1, "it is of type int, not a Worker"),
        (("jobs_here:empty",), 1, "jobs_here:empty has no handlers: put @empty.job before a function in"),
        (("jobs_here:worker", "--queues", ","), 2, "at least one"),
        (("jobs_here:worker", "--queues", "a b"), 2, "queue 'a b': only letters, digits and"),
        (
            ("jobs_here:worker", "--queues", "a," + "b" * 101),
            2,
            "--queues: queue has 101 characters: at most 100",
        ),
        (("jobs_here:worker", "--concurrency", "0"), 2, "--concurrency"),
        (("jobs_here:worker", "--log-level", "loud"), 2, "'loud' is none of debug, info, warning, error"),
        (("no_syntax:worker",), 1, "no_syntax.py, line 2: '(' was never closed"),
        (("no_import:worker",), 1, "no_import.py, line 2: ModuleNotFoundError: No module named 'no_such_mod"),
        (("no_luck:worker",), 1, "no_luck.py, line 2: ZeroDivisionError: division by zero"),
        (("by_another:worker",), 1, "cannot import by_another: "),
        (("by_another:worker",), 1, "no_luck.py, line 2: ZeroDivisionError"),
        (("of_a_library:worker",), 1, "of_a_library.py, line 3: JSONDecodeError: Expecting property name"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(
    started: list[Any], run: Any, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = run("worker", *arguments)
    assert (done.code, done.out) == (code, "")
    assert says.replace("'", "") in done.err.replace("'", "")
    assert done.err.count("\n") == 1
    assert not started
