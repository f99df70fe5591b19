"""What `cluster events` says of each kind of event: a line of which one can tell whom it is about."""

import types
import typing
from enum import Enum
from typing import Any

import msgspec
import pytest

from orchestrix_raft.cli import event_words
from orchestrix_raft.cli.events import _show
from orchestrix_raft.client.events import Event, event_of
from orchestrix_raft.coordinator.event_view import KINDS, Cursor, job_of, queue_of, view
from orchestrix_raft.domain.durations import format_duration
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.worker import worker_id
from orchestrix_raft.wire.events import event_message

AT_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z


def sample(kind: Any, name: str = "") -> Any:
    """A value of that type in which every text tells where it stands."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return sample(typing.get_args(kind)[0], name)
    if origin is tuple:
        return (sample(typing.get_args(kind)[0], name),)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return kind(**{field: sample(hints[field], field) for field in kind.__struct_fields__})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    values = {bytes: (name.encode() * 16)[:16], str: f"the-{name}", bool: True}
    return values.get(kind, AT_MS if name.endswith("_ms") else 7)


def told(kind: str) -> Event:
    """A sample of the kind as a client has it, from a node's own view of it."""
    event = sample(KINDS[kind])
    job_id = job_of(event)
    names = ("the-queue", "the-type") if job_id else (queue_of(event), "")
    shown = view(event, Cursor(12, 1), (AT_MS, 5), None, names)
    return event_of(
        event_message(
            str(shown.cursor),
            shown.at_ms,
            shown.kind,
            shown.actor,
            shown.reason,
            shown.job_id,
            shown.queue,
            shown.job_type,
            shown.details,
            shown.elapsed_ms,
        )
    )


SUBJECTS = {
    "timer_set_aside": "of 6b65796b",
    "unique_window_ended": "type the-job_type key the-unique_key",
    "oldest_kept": "no dead jobs from before 2026-03-01 12:00:00Z",
    "audited": "record 7 by the-actor the-action the-target (the-outcome)",
    "audit_forgotten": "the trail begins with record 7",
    "generation_raised": "generation 7",
    "contents_marked": "the nodes compare what they hold",
    "level_raised": "machine level 7 of version the-version",
    "records_migrated": "records have another form, more follow",
}
"""Of kinds that are about neither a job nor a worker, node, schedule or queue."""


def subject(kind: str) -> str:
    """Whom an event of the kind is about, as its line must say."""
    event: Any = sample(KINDS[kind])
    fields = event.__struct_fields__
    if kind in SUBJECTS:
        return SUBJECTS[kind]
    if job_of(event):
        return format_job_id(job_of(event))
    if "session_id" in fields:
        return f"worker {worker_id(event.session_id).hex()[:12]}"
    if "schedule_id" in fields or "spec" in fields:
        return "schedule the-schedule_id"
    return "node the-node_id" if "node_id" in fields else f"[{queue_of(event)}]"


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_says_whom_an_event_is_about(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    _show(told(kind))
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    before, _, after = line.partition(f"  {kind:<18}")
    assert before == "12-1          2026-03-01 12:00:00Z"
    assert subject(kind) in after


def test_the_table_has_every_kind_and_no_other() -> None:
    assert set(event_words.WORDS) == set(KINDS)
    assert set(SUBJECTS) < set(KINDS)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("job_enqueued", "scheduled"),
        ("job_assigned", "worker {worker} at node the-node_id attempt 7"),
        ("job_progressed", "7 % the-message"),
        ("attempt_ended", "then scheduled"),
        ("session_attached", "worker {worker} at node the-node_id the-name slots 7 queues the-queues"),
        ("node_joined", "node the-node_id at the-address version the-version"),
        ("node_health_set", "node the-node_id is alive"),
        ("node_draining", "node the-node_id ends"),
        ("schedule_put", "schedule the-schedule_id of type the-type version 7"),
        ("slot_skipped", "schedule the-schedule_id slot 2026-03-01 12:00:00Z and 7 missed before it"),
        ("schedule_advanced", "schedule the-schedule_id next slot 2026-03-01 12:00:00Z"),
        (
            "queue_configured",
            "paused, rate 7/{window}, key rate 7/{window}, concurrency 7, key concurrency 7",
        ),
        ("job_forgotten", "was scheduled since 2026-03-01 12:00:00Z"),
        ("handoff_asked", "worker {worker} at node the-node_id is to go to node the-to"),
    ],
)
def test_what_has_changed_is_said(kind: str, words: str) -> None:
    event: Any = sample(KINDS[kind])
    worker = worker_id(event.session_id).hex()[:12] if hasattr(event, "session_id") else ""
    assert event_words.words_of(told(kind)) == words.format(worker=worker, window=format_duration(AT_MS))


@pytest.mark.parametrize("kind", [*KINDS, "of_a_later_version"])
@pytest.mark.parametrize("details", [{}, {"spec": 1, "slot": "x", "options": [], "record": None}])
def test_a_node_of_another_version_may_tell_less(kind: str, details: dict[str, Any]) -> None:
    event = msgspec.structs.replace(told("job_started"), kind=kind, details=details)
    said = {"contents_marked": "the nodes compare what they hold"}
    said["records_migrated"] = "records have another form"
    assert event_words.words_of(event) == said.get(kind, "")


def test_what_is_missing_is_not_made_up() -> None:
    event = msgspec.structs.replace(told("job_progressed"), details={"message": "half of it"})
    assert event_words.words_of(event) == "half of it"
    event = msgspec.structs.replace(told("oldest_kept"), details={"place": [1], "since_ms": -1})
    assert event_words.words_of(event) == ""
    event = msgspec.structs.replace(told("queue_configured"), details={"options": {"paused": False}})
    assert event_words.words_of(event) == "no limits"
