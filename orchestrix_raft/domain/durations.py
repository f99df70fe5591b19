"""Durations and sizes as people write them: `500ms`, `10s`, `1h30m`; `64MiB`.

Readers raise ValueError with one line that says what is wrong and what is expected.
"""

import re
from typing import Final

from orchestrix_raft.domain import limits

_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNIT_BYTES: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_PART: Final = re.compile(r"(\d{1,15})(?:\.(\d{1,9}))?(ms|s|m|h|d)", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,15}) ?([KMGT]iB|B|)", re.ASCII)
_HINT: Final = "write 500ms, 10s, 5m, 2h or 7d"


def parse_duration_ms(text: str) -> int:
    """`500ms`, `10s`, `1.5m`, `2h`, `7d`, `1h30m` as milliseconds, at most a year."""
    total = 0
    end = 0
    for part in _PART.finditer(text):
        if part.start() != end:
            break
        whole, fraction, unit = part[1], part[2] or "", part[3]
        total += int(whole + fraction) * _UNIT_MS[unit] // 10 ** len(fraction)
        end = part.end()
    if text.startswith("-"):
        raise ValueError(f"a duration cannot be negative: {text[:40]!r} ({_HINT})")
    if end == 0 or end != len(text):
        raise ValueError(f"not a duration: {text[:40]!r} ({_HINT})")
    if total > limits.DURATION_MS:
        raise ValueError(f"too long: {text[:40]!r} (at most {limits.DURATION_MS // _UNIT_MS['d']}d)")
    return total


def format_duration(duration_ms: int) -> str:
    """How `parse_duration_ms` would read it back: `1500ms`, `10s`, `1m30s`, `0s`."""
    if duration_ms == 0:
        return "0s"
    if duration_ms % 1_000:
        return f"{duration_ms}ms"
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, duration_ms = divmod(duration_ms, _UNIT_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_size(text: str) -> int:
    """`512`, `64KiB`, `32MiB`, `1GiB` as bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size: {text[:40]!r} (write 512, 64KiB, 32MiB or 1GiB)")
    return int(match[1]) * _UNIT_BYTES[match[2]]
