"""The command line: any arguments, with no node to be reached.

The program ends with exit code 0, 1 or 2 and says at most one line on stderr; never a stack, never a hang.
Nothing is started and nobody is asked: what would be is replaced by a refusal.
"""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, Final
from unittest import mock

import orchestrix_raft
from orchestrix_raft.cli import app, commands, dev, node, status, workers
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.wire.errors import Unavailable
from tests.fuzz.journal import ROOM

_OUTSIDE: Final = str.maketrans({"/": "_", "~": "_"})  # files are looked for in an empty folder only
_JOB_ID: Final = b"0198c0de-0000-7000-8000-000000000001"
_NAMES: Final = tuple(commands.COMMANDS)

WORDS = (
    *(name.encode() for name in _NAMES),
    b"\n",
    b"--json\n",
    b"--help\n",
    b"--servers\n",
    b"127.0.0.1:1\n",
    b"\n--",
    b"=",
    b"--args\n{}\n",
    b"@",
    b"-\n",
    b"list\n",
    b"show\n",
    b"cron\n",
    b"every\n",
    b"preview\n",
    b"limit\n",
    b"--timeout\n",
    b"10s\n",
    b"--all\n",
    b"--state\n",
    b"pending\n",
    _JOB_ID,
    b"--tls-ca\n",
    b"--data-dir\n",
)


class Nobody:
    """A client that reaches no node."""

    def __init__(self, *_: object, **__: object) -> None:
        """Whatever it is told."""

    def __enter__(self) -> "Nobody":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was opened."""

    def __getattr__(self, name: str) -> Any:
        if name in ("queues", "schedules", "cluster"):
            return self
        raise Unavailable("no node answers", "NO_SERVER")


def target(data: bytes) -> None:
    """One argument a line."""
    text = data.replace(b"\0", b"").decode(errors="surrogateescape").translate(_OUTSIDE)
    arguments = text.split("\n") if text else []
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8"),
        io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace"),
    )
    with _alone(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _run(arguments)
    assert code in (0, 1, 2), f"exit code {code}"
    told = _text(err)
    assert "Traceback" not in told
    if not told.startswith("Usage: "):  # a group without its command shows its help
        assert told.count("\n") <= 1, f"more than one line: {told!r}"
        assert code == 0 or told.startswith("orchestrix-raft: "), f"exit code {code} without a line: {told!r}"


def _run(arguments: list[str]) -> object:
    try:
        app.main(arguments)
    except SystemExit as leaving:
        return leaving.code
    raise AssertionError("`main` leaves the process")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer: Any = stream.buffer
    return str(buffer.getvalue(), "utf-8")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Without a cluster, without anything of this process's own in reach."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory(dir=ROOM) as folder, contextlib.ExitStack() as stack:
        stack.callback(os.chdir, here)
        os.chdir(folder)
        for name in [name for name in os.environ if name.startswith("ORCHESTRIX_")]:
            stack.enter_context(mock.patch.dict(os.environ))
            del os.environ[name]
        stdin = io.TextIOWrapper(io.BytesIO(b'{"from": "stdin"}'), "utf-8")
        for where, attribute, value in (
            (orchestrix_raft, "Client", Nobody),
            (status, "ask", _refuse),
            (node, "_run", _refuse),
            (dev, "run", _refuse),
            (dev, "_check_free", _refuse),
            (workers, "_imported", _refuse),
            (sys, "stdin", stdin),
        ):
            stack.enter_context(mock.patch.object(where, attribute, value))
        yield


def _refuse(*_: object) -> Any:
    raise Failure("not here")


def examples() -> list[bytes]:
    """A call of each command, with its options as its help has them."""
    lines = (
        "",
        "--version",
        "node\n--data-dir\nd\n--listen\n127.0.0.1:7400",
        "dev\n--listen\n127.0.0.1:7400",
        "status\n--json",
        'enqueue\nt\n--args\n{"a":1}\n--priority\n5\n--delay\n5s',
        "worker\nmodule:name\n--queues\na,b",
        "jobs\nlist\n--state\ndead",
        f"jobs\nwait\n{_JOB_ID.decode()}\n--timeout\n1s",
        "jobs\ncancel\n--all\n--queue\nq",
        "schedules\ncron\ns\n@daily\nt",
        "schedules\nevery\ns\n5s\nt",
        "schedules\nat\ns\n2030-01-01\nt",
        "schedules\npreview\n*/5 * * * *\n--count\n3",
        "schedules\nupdate\ns\n--queue\nq",
        "queues\nlimit\nq\n--rate\n100/1s",
        "workers\ndrain\nw",
        "cluster\nevents\n--since\n1-0",
        "cluster\nbackup\nb\n--check",
        "cluster\nrestore\nb\n--data-dir\nd",
        "cluster\nrecover\n--data-dir\nd",
    )
    return [line.encode() for line in lines]
