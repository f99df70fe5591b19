"""Time zones as offsets and the instants at which they change.  The only importer of zoneinfo.

The rules come from the PyPI package `tzdata` alone, never from the system's files, which `ZoneInfo(name)`
would prefer: every node with the same installation then computes the same slots, on any distribution and
in a container without such files, and a new release of the rules is a package update like any other.

zoneinfo tells the offset at an instant but not when it changes, so changes are found by halving the time
between two daily probes with different offsets.  No zone has changed and changed back within a day since 1970
(the shortest stay is 7 days); a test compares with the transitions listed in the files.
"""

import difflib
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib import resources
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_DAY_S: Final = 86_400
_SECOND: Final = timedelta(seconds=1)
DEFAULT_ZONE: Final = "UTC"


class ZoneError(ValueError):
    """A zone that does not exist: one line with what was meant, as far as it can be guessed."""


class Change(NamedTuple):
    """From the instant `at_s` on (seconds UTC) the offset is `after_s` instead of `before_s`."""

    at_s: int
    before_s: int
    after_s: int


class Zone:
    """One IANA time zone.  Made by `zone` only."""

    def __init__(self, name: str) -> None:
        self.name = name
        with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            self._info = ZoneInfo.from_file(file, key=name)

    def offset_at(self, instant_s: int) -> int:
        """Seconds that local time is ahead of UTC at the instant."""
        offset = datetime.fromtimestamp(instant_s, self._info).utcoffset()
        return 0 if offset is None else offset // _SECOND

    def changes(self, low_s: int, end_s: int) -> list[Change]:
        """The changes at instants in low_s..end_s - 1, in order."""
        found = []
        begin, before = low_s - 1, self.offset_at(low_s - 1)
        while begin < end_s - 1:
            probe = min(begin + _DAY_S, end_s - 1)
            after = self.offset_at(probe)
            if after != before:
                probe = self._first_other(begin, probe, before)
                after = self.offset_at(probe)
                found.append(Change(probe, before, after))
            begin, before = probe, after
        return found

    def _first_other(self, low_s: int, high_s: int, offset_s: int) -> int:
        """The instant after low_s, where `offset_s` holds, at which it ends; at high_s it is over."""
        while high_s - low_s > 1:
            middle = (low_s + high_s) // 2
            if self.offset_at(middle) == offset_s:
                low_s = middle
            else:
                high_s = middle
        return high_s

    def local(self, instant_s: int) -> int:
        """What a naive clock shows, in seconds since 1970-01-01T00:00."""
        return instant_s + self.offset_at(instant_s)

    def local_text(self, instant_ms: int) -> str:
        """RFC 3339 with the zone's offset, to the second or, where there are any, to the millisecond."""
        return _iso(instant_ms, self._info)


def utc_text(instant_ms: int) -> str:
    """RFC 3339 in UTC."""
    return _iso(instant_ms, UTC).replace("+00:00", "Z")


def _iso(instant_ms: int, info: tzinfo) -> str:
    seconds, rest = divmod(instant_ms, 1_000)
    at = datetime.fromtimestamp(seconds, info).replace(microsecond=rest * 1_000)
    return at.isoformat(timespec="milliseconds" if rest else "seconds")


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every name that `zone` takes."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@lru_cache(maxsize=1_024)
def zone(name: str) -> Zone:
    """The zone of that name; ZoneError with likely names if there is none.  Zones are kept."""
    if name not in zone_names():
        raise ZoneError(f"no such time zone: {name[:60]!r} ({_advice(name)})")
    return Zone(name)


def _advice(name: str) -> str:
    """Names that differ in case only, or end like this one, or look like it."""
    wanted = name.strip().casefold().replace(" ", "_")
    by_folded = {known.casefold(): known for known in sorted(zone_names())}
    likely = [by_folded[wanted]] if wanted in by_folded else []
    likely = likely or [known for folded, known in by_folded.items() if folded.endswith(f"/{wanted}")]
    likely = likely or [by_folded[found] for found in difflib.get_close_matches(wanted[:60], by_folded)]
    if likely:
        return f"did you mean {' or '.join(likely[:3])}?"
    return "IANA names, such as UTC, Europe/Berlin, America/New_York"
