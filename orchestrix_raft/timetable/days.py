"""Which days of a month a cron expression selects.  The only importer of croniter.

croniter is asked about naive dates only (`0 0 <day> <month> <weekday>`), never about time zones, and never
about both day fields at once: it would *intersect* them where one holds `#` or `W`, while here either one
matches.  Its answer depends on nothing but the month, its length and the weekday of its first day, so a year
is looked up as one of 14 model years and each answer is kept.  That makes what would cost 60 us a call in
the running scheduler a bit mask.

Days are counted from 1970-01-01, which is day 0.
"""

import calendar
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]

EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
YEARS_SEARCHED: Final = 41
"""No day that comes back at all stays away longer: 29 February on one weekday, around a year like 2100."""

_MODEL_YEARS: Final = {
    (calendar.isleap(year), date(year, 1, 1).weekday()): year for year in range(2028, 2000, -1)
}


@lru_cache(maxsize=4_096)
def _model_of(year: int) -> int:
    return _MODEL_YEARS[calendar.isleap(year), date(year, 1, 1).weekday()]


class Days:
    """The days of a calendar: within `months`, those that any of the alternatives selects.

    An alternative is a day-of-month and a day-of-week in croniter's words, one of them `*`; none at all
    stands for every day.
    """

    def __init__(self, months: frozenset[int], alternatives: tuple[str, ...]) -> None:
        self._months = months
        self._alternatives = alternatives
        self._masks: dict[int, int] = {}

    def exist(self) -> bool:
        """Whether there is any such day in the calendar at all: all 14 kinds of year are looked at."""
        return any(
            self._mask(year, month) for year in _MODEL_YEARS.values() for month in sorted(self._months)
        )

    def first(self, low: int, high: int) -> int | None:
        """The first day in low..high, both included."""
        at = date.fromordinal(low + EPOCH_ORDINAL)
        year, month, start = at.year, at.month, low - at.day
        mask = self._mask(year, month) >> at.day << at.day
        while not mask:
            start += calendar.monthrange(year, month)[1]
            if start >= high:
                return None
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            mask = self._mask(year, month)
        found = start + (mask & -mask).bit_length() - 1
        return found if found <= high else None

    def last(self, low: int, high: int) -> int | None:
        """The last day in low..high, both included."""
        at = date.fromordinal(high + EPOCH_ORDINAL)
        year, month, start = at.year, at.month, high - at.day
        mask = self._mask(year, month) & ((2 << at.day) - 1)
        while not mask:
            if start < low:
                return None
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            start -= calendar.monthrange(year, month)[1]
            mask = self._mask(year, month)
        found = start + mask.bit_length() - 1
        return found if found >= low else None

    def count(self, low: int, end: int) -> int:
        """How many days in low..end - 1."""
        total = 0
        while low < end:
            at = date.fromordinal(low + EPOCH_ORDINAL)
            length = min(calendar.monthrange(at.year, at.month)[1] - at.day + 1, end - low)
            total += (self._mask(at.year, at.month) >> at.day & ((1 << length) - 1)).bit_count()
            low += length
        return total

    def __contains__(self, day: int) -> bool:
        at = date.fromordinal(day + EPOCH_ORDINAL)
        return bool(self._mask(at.year, at.month) >> at.day & 1)

    def _mask(self, year: int, month: int) -> int:
        """Bit d is set if day d of the month is selected."""
        if month not in self._months:
            return 0
        year = _model_of(year)
        key = year * 16 + month
        mask = self._masks.get(key)
        if mask is None:
            mask = self._masks[key] = self._ask(year, month)
        return mask

    def _ask(self, year: int, month: int) -> int:
        if not self._alternatives:
            return (2 << calendar.monthrange(year, month)[1]) - 2
        mask = 0
        before = datetime(year, month, 1) - timedelta(seconds=1)
        for alternative in self._alternatives:
            day, weekday = alternative.split()
            search = croniter(
                f"0 0 {day} {month} {weekday}", before, ret_type=datetime, max_years_between_matches=1
            )
            while (found := _next(search)) is not None and (found.year, found.month) == (year, month):
                mask |= 1 << found.day
        return mask


def _next(search: croniter) -> datetime | None:
    try:
        found: datetime = search.get_next()
    except CroniterBadDateError:
        return None
    return found


@lru_cache(maxsize=4_096)
def days(months: frozenset[int], alternatives: tuple[str, ...]) -> Days:
    """The one `Days` for these fields: schedules with the same days share what was looked up."""
    return Days(months, alternatives)
