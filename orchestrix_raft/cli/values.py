"""What people type as values: times, states, JSON arguments.  Durations are in domain/durations.

Every reader raises ValueError with one line that says what is wrong and what is expected.
"""

import json
import math
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.durations import parse_duration_ms
from orchestrix_raft.domain.job import JobState

ARGS_BYTES: Final = 4 * limits.PAYLOAD_BYTES  # of a file: as people indent it, it may be longer than as sent
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
        raise ValueError(f"no time zone in {text[:40]!r} (add Z for UTC, or an offset such as +02:00)")
    try:
        at = datetime.fromisoformat(f"{date}T{clock or '00:00'}{(offset or 'Z').upper()}")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not a time: {text[:40]!r} ({error})") from error


def parse_state(text: str) -> str:
    """One of `STATES`."""
    if text not in STATES:
        raise ValueError(f"no such state: {text[:40]!r} (there are {', '.join(STATES)})")
    return text


class _KeyTwice(ValueError):
    """An object has a key twice: JSON allows it, and each reader makes something else of it."""


def parse_args(text: str) -> dict[str, object]:
    """The arguments of a job: a JSON object, or `@FILE` that holds one, or `-` for standard input.

    NaN, numbers too large for a double and keys that an object has twice are refused.
    """
    text = _args_text(text)
    try:
        value = json.loads(
            text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_unambiguous
        )
    except _KeyTwice:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError('arguments are a JSON object, such as \'{"path": "a.txt"}\'')
    return value


def _args_text(text: str) -> str:
    """What was typed, or what stands where it points to."""
    if text != "-" and not text.startswith("@"):
        return text
    name = "standard input" if text == "-" else text[1:]
    try:
        if text == "-":
            data = sys.stdin.buffer.read(ARGS_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(ARGS_BYTES + 1)
        if len(data) > ARGS_BYTES:
            raise ValueError(f"{name} has more than {ARGS_BYTES} bytes")
        return data.decode()
    except OSError as error:
        raise ValueError(f"cannot read {name or 'a file without a name'}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not text in UTF-8: {error}") from error


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _KeyTwice(f"the key {twice[:40]!r} is there twice in one object: keep one of them")
    return members


def parse_lasting_ms(text: str) -> int:
    """A duration above zero, in milliseconds."""
    duration_ms = parse_duration_ms(text)
    if not duration_ms:
        raise ValueError(f"{text!r} is no time at all: write more than 0s, or leave it out for no limit")
    return duration_ms


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
