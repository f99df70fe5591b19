"""Arguments and results as JSON text.

JSON has no NaN and no infinity, and msgspec writes null in their place: a value that silently became
another one is worse than an error, so here they are refused.  For the SDKs.
"""

import math
from typing import Any, Final

import msgspec

_ENCODE: Final = msgspec.json.Encoder().encode
_PATH_CHARS: Final = 100


def json_text(value: object) -> bytes:
    """`value` as JSON; dates, UUIDs, dataclasses and the like are written as msgspec does.

    ValueError for a number that JSON cannot write, naming its place; TypeError, ValueError, OverflowError or
    RecursionError for whatever else cannot be written.
    """
    text = _ENCODE(value)
    if b"null" in text:  # else no number was lost: looking for one costs more than the writing
        lost = _non_finite(msgspec.to_builtins(value, enc_hook=_raw))
        if lost:
            raise ValueError(lost)
    return text


def _raw(_value: object) -> None:
    """Of what can be written, only `msgspec.Raw`, which is JSON text already, has no plain form."""


def _non_finite(value: object) -> str:
    """Where the first NaN or infinity is; "" if there is none.  No recursion: values may be deep."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, float):
            if not math.isfinite(one):
                return f"{one} at {path[:_PATH_CHARS] or 'the top'} is no JSON number (write None instead)"
        elif isinstance(one, dict):
            waiting += [(f"{path}[{key!r}]", item) for key, item in reversed(one.items()) if _holds(item)]
        elif isinstance(one, list | tuple):
            items = [(f"{path}[{place}]", item) for place, item in enumerate(one) if _holds(item)]
            waiting += reversed(items)
    return ""


def _holds(item: object) -> bool:
    """It is a float or may have one inside."""
    return isinstance(item, float | dict | list | tuple)
