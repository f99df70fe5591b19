"""What `cluster events` says of an event besides its kind: whom or what it is about, and what has changed.

One table by kind; the job, its type, the queue, the actor and the reason have columns of their own.  A node
of another version may tell kinds and details that are not known here, or leave some out: what is missing is
left out of the words as well, and nothing here fails for it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.cli import output
from orchestrix_raft.client.events import Event
from orchestrix_raft.domain.durations import format_duration
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.schedule import NO_SLOT

Details = Mapping[str, Any]
Words = Callable[[Details], str]

_STATES: Final = {int(state): state.word for state in JobState}
ID_CHARS: Final = 12  # of a worker's id, as in `workers list`


def words_of(event: Event) -> str:
    """One line; "": there is nothing to add."""
    said = WORDS.get(event.kind)
    return "" if said is None else " ".join(said(event.details).split())


# ---- parts of it ---------------------------------------------------------------------------------------


def _text(details: Details, name: str, before: str = "") -> str:
    """A detail as text behind a word for it; "" if it is not there or says nothing."""
    value = details.get(name)
    return "" if value is None or value in ("", []) else f"{before} {output.cell(value)}".lstrip()


def _part(details: Details, name: str) -> Details:
    """A detail that has details of its own."""
    value = details.get(name)
    return value if isinstance(value, dict) else {}


def _time(details: Details, name: str, before: str) -> str:
    """Unix milliseconds as a time; "" for none."""
    value = details.get(name)
    if not isinstance(value, int) or value <= 0:
        return ""
    try:
        return f"{before} {output.cell(datetime.fromtimestamp(value / 1_000, UTC))}"
    except (ValueError, OverflowError, OSError):  # the largest number stands for never
        return ""


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _worker(details: Details) -> str:
    found = _text(details, "worker_id")[:ID_CHARS]
    return found and f"worker {found}"


def _node(details: Details) -> str:
    return _text(details, "node_id", "node")


def _at_node(details: Details) -> str:
    return _join(_worker(details), _text(details, "node_id", "at node"))


def _schedule(details: Details) -> str:
    return _text(details, "schedule_id", "schedule")


def _slot(details: Details) -> str:
    """A schedule, and the due time that it is about."""
    slot = _part(details, "slot")
    missed = slot.get("missed", 0)
    stands = f"and {missed} missed before it" if missed else ""
    return _join(_schedule(details), _time(slot, "slot_ms", "slot"), stands)


def _nothing(_: Details) -> str:
    """The columns of the job, or of the queue, say all."""
    return ""


# ---- kinds with more than one part ---------------------------------------------------------------------


def _progressed(details: Details) -> str:
    percent = _text(details, "percent")
    return _join(percent and f"{percent} %", _text(details, "message"))


def _ended(details: Details) -> str:
    return _text(details, "next_state", "then")


def _attached(details: Details) -> str:
    slots = _text(details, "capacity", "slots")
    return _join(_at_node(details), _text(details, "name"), slots, _text(details, "queues", "queues"))


def _joined(details: Details) -> str:
    return _join(_node(details), _text(details, "address", "at"), _text(details, "version", "version"))


def _health(details: Details) -> str:
    return _join(_node(details), _text(details, "health", "is"))


def _draining(details: Details) -> str:
    return _join(_node(details), "ends" if details.get("leaving") else "")


def _asked(details: Details) -> str:
    return _join(_at_node(details), _text(details, "to", "is to go to node"))


def _put(details: Details) -> str:
    spec = _part(details, "spec")
    kind = _text(_part(spec, "template"), "type", "of type")
    return _join(_schedule(spec), kind, _text(details, "version", "version"))


def _advanced(details: Details) -> str:
    none = "has no next slot" if details.get("next_slot_ms") == NO_SLOT else ""
    return _join(_schedule(details), _time(details, "next_slot_ms", "next slot") or none)


def _limits(details: Details) -> str:
    options = _part(details, "options")
    if not options:
        return ""
    said = ["paused" if options.get("paused") else ""]
    for name in ("rate", "key_rate"):
        rate = _part(options, name)
        if isinstance(rate.get("window_ms"), int):
            window = format_duration(rate["window_ms"])
            said.append(f"{name.replace('_', ' ')} {rate.get('count')}/{window}")
    for name in ("concurrency", "key_concurrency"):
        said.append(_text(options, name, name.replace("_", " ")) if options.get(name) else "")
    return ", ".join(part for part in said if part) or "no limits"


def _forgotten(details: Details) -> str:
    return _join(_text(details, "state", "was"), _time(details, "finished_ms", "since"))


def _oldest(details: Details) -> str:
    place = details.get("place")
    if not isinstance(place, int) or "since_ms" not in details:
        return ""
    what = f"{_STATES[place]} jobs" if place in _STATES else "ids of jobs that are gone"
    return _time(details, "since_ms", f"no {what} from before") or f"no {what} are kept"


def _audited(details: Details) -> str:
    record = _part(details, "record")
    outcome = _text(record, "outcome")
    return _join(
        _text(details, "number", "record"),
        _text(record, "actor", "by"),
        _text(record, "action"),
        _text(record, "target"),
        outcome and f"({outcome})",
    )


def _level(details: Details) -> str:
    return _join(_text(details, "level", "machine level"), _text(details, "version", "of version"))


def _migrated(details: Details) -> str:
    said = "records have another form"
    if "cursor" not in details:
        return said
    return f"{said}, {'those were the last' if details['cursor'] is None else 'more follow'}"


# ---- the table -----------------------------------------------------------------------------------------

WORDS: Final = MappingProxyType[str, Words](
    {
        "job_enqueued": lambda d: _text(d, "state"),
        "job_ready": _nothing,
        "job_assigned": lambda d: _join(_at_node(d), _text(d, "attempt", "attempt")),
        "job_started": _nothing,
        "job_progressed": _progressed,
        "job_completed": _nothing,
        "attempt_ended": _ended,
        "job_released": _nothing,
        "stop_requested": _worker,
        "job_cancelled": _nothing,
        "job_retried": _nothing,
        "slot_freed": _worker,
        "stale_token": _worker,
        "session_attached": _attached,
        "session_detached": _at_node,
        "session_resumed": _at_node,
        "session_draining": _worker,
        "session_ended": _worker,
        "node_joined": _joined,
        "node_health_set": _health,
        "timer_set_aside": lambda d: _join(_text(d, "kind", "timer"), _text(d, "key", "of")),
        "schedule_put": _put,
        "schedule_paused": _schedule,
        "schedule_resumed": _schedule,
        "schedule_deleted": _schedule,
        "slot_fired": _slot,
        "slot_skipped": _slot,
        "slot_buffered": _slot,
        "schedule_advanced": _advanced,
        "queue_configured": _limits,
        "window_passed": lambda d: _text(d, "key", "key"),
        "unique_window_ended": lambda d: _join(_text(d, "job_type", "type"), _text(d, "unique_key", "key")),
        "keys_swept": _nothing,
        "job_forgotten": _forgotten,
        "id_forgotten": _nothing,
        "oldest_kept": _oldest,
        "job_given_up": _nothing,
        "node_removed": _node,
        "node_draining": _draining,
        "node_undrained": _node,
        "handoff_asked": _asked,
        "audited": _audited,
        "audit_forgotten": lambda d: _text(d, "first", "the trail begins with record"),
        "generation_raised": lambda d: _text(d, "generation", "generation"),
        "contents_marked": lambda _: "the nodes compare what they hold",
        "level_raised": _level,
        "records_migrated": _migrated,
    }
)
"""By the name of a kind."""
