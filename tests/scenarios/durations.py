"""Durations as the scenario files write them."""

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


def duration_ms(text: str) -> int:
    """`500ms`, `10s`, `5m`, `2h`."""
    number = text.rstrip("hms")
    return int(number) * _UNITS[text[len(number) :]]


def duration_text(ms: int) -> str:
    """The inverse, in the largest unit that fits."""
    unit = next(unit for unit in ("h", "m", "s", "ms") if ms % _UNITS[unit] == 0)
    return f"{ms // _UNITS[unit]}{unit}"
