"""What people type as one value: durations, times, rates, addresses, ids, cursors and so on.

Each reader gives a value within its bounds, or raises ValueError with one line; written again it is the same.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from orchestrix_raft.cli import values
from orchestrix_raft.coordinator.addresses import parse_address
from orchestrix_raft.coordinator.event_view import parse_cursor
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.durations import format_duration, parse_duration_ms, parse_size
from orchestrix_raft.domain.ids import format_job_id, parse_job_id
from orchestrix_raft.timetable import zones
from orchestrix_raft.wire.endpoint import parse_servers
from tests.fuzz.pieces import Pieces

WORDS = (
    b"500ms",
    b"1h30m",
    b"1.5m",
    b"64MiB",
    b"2026-03-01T12:00:00Z",
    b"+02:00",
    b"100/1s",
    b"none",
    b"[::1]:1",
    b"127.0.0.1:7400",
    b"Europe/Berlin",
    b"7-0",
    b'{"a":',
    b"1e999",
    b"NaN",
    b"\\ud800",
    b"@",
    b"0001-01-01",
    b"9999-12-31",
)


def target(data: bytes) -> None:
    """The reader in a byte, then the text."""
    pieces = Pieces(data)
    read, check = pieces.choose(READERS)
    text = pieces.rest().decode(errors="surrogateescape")
    try:
        found = read(text)
    except ValueError as error:
        _refusal(str(error))
        return
    check(found)


def _refusal(text: str) -> None:
    assert "\n" not in text, f"more than one line: {text!r}"
    assert len(text) < 1_000, "a refusal does not repeat whatever was typed"


def _duration(found: int) -> None:
    assert 0 <= found <= limits.DURATION_MS
    assert parse_duration_ms(format_duration(found)) == found


def _size(found: int) -> None:
    assert found >= 0
    assert found >= 10**15 or parse_size(str(found)) == found


def _time(found: datetime) -> None:
    assert found.tzinfo is UTC
    assert values.parse_time(found.isoformat()) == found


def _rate(found: tuple[int, int] | values.Removed) -> None:
    if isinstance(found, tuple):
        count, window_ms = found
        assert count > 0
        assert 0 < window_ms <= limits.RATE_WINDOW_MS


def _count(found: int | values.Removed) -> None:
    assert found is values.Removed.NONE or found > 0


def _address(found: Any) -> None:
    assert parse_address(str(found)) == found
    assert str(found).isprintable()
    assert 1 <= found.port <= 65_535


def _servers(found: tuple[str, ...]) -> None:
    assert parse_servers(found) == found
    assert parse_servers(",".join(found)) == found


def _job_id(found: bytes) -> None:
    assert len(found) == limits.JOB_ID_BYTES
    assert parse_job_id(format_job_id(found)) == found


def _cursor(found: Any) -> None:
    if found is not None:
        assert parse_cursor(str(found)) == found


def _args(found: dict[str, object]) -> None:
    assert isinstance(found, dict)


def _zone(found: zones.Zone) -> None:
    found.local_text(0)


def _state(found: str) -> None:
    assert found in values.STATES


def _arguments(text: str) -> dict[str, object]:
    """Only what is typed itself, not what it points to."""
    return values.parse_args(text) if text[:1] not in ("@", "-") else {}


READERS: Final[tuple[tuple[Callable[[str], Any], Callable[[Any], None]], ...]] = (
    (parse_duration_ms, _duration),
    (parse_size, _size),
    (values.parse_time, _time),
    (values.parse_rate, _rate),
    (values.parse_count, _count),
    (values.parse_lasting_ms, _duration),
    (values.parse_state, _state),
    (_arguments, _args),
    (parse_address, _address),
    (parse_servers, _servers),
    (parse_job_id, _job_id),
    (parse_cursor, _cursor),
    (zones.zone, _zone),
)


def examples() -> list[bytes]:
    """A good one for each."""
    good = (
        "1h30m",
        "64MiB",
        "2026-03-01T12:00:00.5+02:00",
        "100/1s",
        "7",
        "5s",
        "pending",
        '{"a": [1, null]}',
        "[::1]:7400",
        "a:1,b:2",
        "0198c0de-0000-7000-8000-000000000001",
        "12-3",
        "Europe/Berlin",
    )
    return [bytes((place,)) + text.encode() for place, text in enumerate(good)]
