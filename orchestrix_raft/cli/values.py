"""What people type as values: times, states, JSON arguments.  Durations are in domain/durations.

Every reader raises ValueError with one line that says what is wrong and what is expected.
"""

import json
import math
import re
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.durations import parse_duration_ms
from orchestrix_raft.domain.job import JobState

STATES: Final = tuple(state.word for state in JobState)

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)


def parse_time(text: str) -> datetime:
    """RFC 3339 with its offset, or a bare date for midnight UTC; the result is in UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text[:40]!r} (write 2026-03-01T12:00:00Z, or a date: midnight UTC)")
    date, clock, offset = match.groups()
    if clock is not None and offset is None:
        raise ValueError(f"no time zone in {text!r} (add Z for UTC, or an offset such as +02:00)")
    try:
        at = datetime.fromisoformat(f"{date}T{clock or '00:00'}{(offset or 'Z').upper()}")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not a time: {text!r} ({error})") from error


def parse_state(text: str) -> str:
    """One of `STATES`."""
    if text not in STATES:
        raise ValueError(f"no such state: {text[:40]!r} (there are {', '.join(STATES)})")
    return text


def parse_args(text: str) -> dict[str, object]:
    """The arguments of a job: a JSON object.  NaN and numbers too large for a double are refused."""
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError('arguments are a JSON object, such as \'{"path": "a.txt"}\'')
    return value


class Removed(Enum):
    """The word that takes a limit away."""

    NONE = "none"


def parse_rate(text: str) -> tuple[int, int] | Removed:
    """`100/1s` as (count, window in milliseconds); `100/s` is the same; `none`."""
    if text == Removed.NONE.value:
        return Removed.NONE
    count, slash, window = text.partition("/")
    if not slash:
        raise ValueError(f"not a rate: {text[:40]!r} (write 100/1s, or none for no limit)")
    number = parse_count(count)
    if isinstance(number, Removed):
        raise ValueError(f"not a rate: {text[:40]!r} (write 100/1s, or none for no limit)")
    window_ms = parse_duration_ms(window if window[:1].isdigit() else f"1{window}")
    if not 0 < window_ms <= limits.RATE_WINDOW_MS:
        raise ValueError(f"the window of {text[:40]!r} is from 1ms to 31d")
    return number, window_ms


def parse_count(text: str) -> int | Removed:
    """A limit from 1 on; `none`."""
    if text == Removed.NONE.value:
        return Removed.NONE
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not int(text):
        raise ValueError(
            f"not a limit: {text[:40]!r} (a number from 1 on, or none for no limit; `queues pause` stops"
            " a queue)"
        )
    return int(text)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number
