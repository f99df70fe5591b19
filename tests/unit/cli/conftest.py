"""A client that records what commands ask of it, in place of a cluster."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self

import pytest

from orchestrix_raft import Job
from orchestrix_raft.cli import app
from orchestrix_raft.client.model import Enqueued

JOB_ID = "0198c0de-0000-7000-8000-000000000001"
ENQUEUED = Enqueued(id=JOB_ID, created=True)


def make_job(**changes: Any) -> Job:
    """A completed job, less the changes."""
    values: dict[str, Any] = dict.fromkeys(Job.__struct_fields__, 0) | {
        "id": JOB_ID,
        "type": "echo",
        "queue": "default",
        "state": "completed",
        "args": {"a": 1},
        "result": {"a": 1},
        "timeout": None,
        "labels": [],
        "abridged": False,
        "schedule": "",
        "scheduled_for": None,
    }
    values |= dict.fromkeys(
        ("error", "reason", "progress_message", "owner", "worker", "key", "unique_key", "correlation_id"), ""
    )
    values |= {name: None for name in Job.__struct_fields__ if name.endswith("_at")}
    values["created_at"] = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return Job(**(values | changes))


class Turns(list[Any]):
    """A different answer for each call."""


_PARTS = ("queues", "schedules", "cluster")


class Part:
    """`client.queues` and the like: its methods are recorded under `queues.pause`."""

    def __init__(self, client: "RecordingClient", name: str) -> None:
        self._client = client
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, f"{self._name}.{name}")


class RecordingClient:
    """Every method records its arguments and returns (or raises) what the test set under its name."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.servers: tuple[str, ...] = ()
        self.tls: Any = None
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Any:
        if name in _PARTS:
            return Part(self, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            answer = self.answers[name]
            if isinstance(answer, Turns):
                answer = answer.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> RecordingClient:
    made = RecordingClient()

    def make(servers: tuple[str, ...], *, deadline: float, tls: Any) -> RecordingClient:
        made.servers, made.tls = servers, tls
        return made

    monkeypatch.setattr("orchestrix_raft.Client", make)
    for name in ("SERVERS", "TLS_CA", "TLS_CERT", "TLS_KEY"):
        monkeypatch.delenv(f"ORCHESTRIX_{name}", raising=False)
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """run("jobs", "list") -> code, out, err."""

    def call(*arguments: str) -> SimpleNamespace:
        code = app.run(list(arguments))
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return call
