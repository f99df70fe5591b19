"""What a caller of the SDKs may give: each check takes the name of the argument, so that the one line that
comes of a mistake says where it is, what was given and what belongs there.

They raise TypeError for the wrong kind of value and ValueError for one out of range.  Constructors let both
through; calls to a cluster make an `InvalidArgument` of them.  Imported by the SDKs.
"""

import math
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.wire.errors import InvalidArgument

_SHOWN_CHARS: Final = 80
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S: Final = 86_400


@contextmanager
def refused(before: str = "", reason: str = "INVALID_ARGUMENT") -> Iterator[None]:
    """In a call to a cluster: what is wrong with its arguments, as `InvalidArgument`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{before}{error}", reason) from error


def shown(value: object) -> str:
    """What was given, on one line and not too long."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    told = " ".join(repr(value).split())
    return told if len(told) <= _SHOWN_CHARS else f"{told[:_SHOWN_CHARS]}..."


def text(name: str, value: object, *, empty: bool = False) -> str:
    """Text that can be sent; "" only if `empty`."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {shown(value)}: it must be text")
    if not value and not empty:
        raise ValueError(f"{name} is empty: give at least one character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{name} is {shown(value)}: it has characters that no UTF-8 can say") from error
    return value


def optional_text(name: str, value: object) -> str:
    """The same, and "" for None: an empty one is more likely a variable that is not set."""
    if value is None:
        return ""
    if value == "":
        raise ValueError(f"{name} is empty: give one, or leave it out")
    return text(name, value)


def names(name: str, value: object) -> tuple[str, ...]:
    """Names, in the order given; one that stands alone is no list of them."""
    if isinstance(value, str):
        raise TypeError(f"{name} is {shown(value)}: it must be a list of names, such as [{shown(value)}]")
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray):
        raise TypeError(f"{name} is {shown(value)}: it must be a list of names")
    return tuple(text(f"each of {name}", one) for one in value)


def flag(name: str, value: object) -> bool:
    """True or False itself: `"no"` would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {shown(value)}: it must be True or False")
    return value


def whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number within bounds; True is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {shown(value)}: it must be a whole number")
    if value < least:
        raise ValueError(f"{name} is {shown(value)}: it must be {least:,} or more")
    if most is not None and value > most:
        raise ValueError(f"{name} is {shown(value)}: it must be {most:,} or less")
    return value


def number(name: str, value: object, least: float, most: float) -> float:
    """A finite number within bounds; True is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {shown(value)}: it must be a number")
    if not least <= value <= most:  # also refuses NaN
        raise ValueError(f"{name} is {shown(value)}: it must be within {least:,g} to {most:,g}")
    return float(value)


def seconds(name: str, value: object, *, zero: bool = True) -> float:
    """A length of time, as seconds or a timedelta: finite, not negative, not more than 366 days."""
    if isinstance(value, timedelta):
        found = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = value
    else:
        raise TypeError(f"{name} is {shown(value)}: it must be a number of seconds or a timedelta")
    if not found >= 0:  # also refuses NaN
        raise ValueError(f"{name} is {_told(value)}: it must be 0 seconds or more")
    if found == math.inf or found * 1_000 > limits.DURATION_MS:
        days = limits.DURATION_MS // 1_000 // _DAY_S
        raise ValueError(f"{name} is {_told(value)}: it must be at most {days} days")
    if not found and not zero:
        raise ValueError(f"{name} is {_told(value)}: it must be more than 0 seconds")
    return found


def _told(value: object) -> str:
    return str(value) if isinstance(value, timedelta) else shown(value)


def milliseconds(name: str, value: object, *, zero: bool = True) -> int:
    """The same in milliseconds; what is more than nothing does not become nothing."""
    found = seconds(name, value, zero=zero)
    return round(found * 1_000) or (1 if found else 0)


def moment_ms(name: str, value: object) -> int:
    """A datetime as Unix milliseconds; one without a zone is taken as local time, as datetime does."""
    if not isinstance(value, datetime):
        hint = " (a date has no time of day)" if isinstance(value, date) else ""
        raise TypeError(f"{name} is {shown(value)}: it must be a datetime{hint}")
    try:
        aware = value if value.tzinfo is not None else value.astimezone(UTC)
        at_ms = round((aware - _EPOCH) / timedelta(milliseconds=1))
    except (OverflowError, ValueError, OSError) as error:  # whatever the platform says of its local time
        raise ValueError(f"{name} is {value}: it must be after 1970 and before the year 10000") from error
    if at_ms <= 0:
        raise ValueError(f"{name} is {value}: it must be after 1970")
    return at_ms


def pair(name: str, value: object, what: str) -> tuple[object, object]:
    """Two values; `what` says which, with an example."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or not isinstance(value, Sized):
        raise TypeError(f"{name} is {shown(value)}: it must be {what}")
    if len(value) != 2:
        raise ValueError(f"{name} is {shown(value)}: it must be {what}")
    first, second = value
    return first, second
