"""Cron expressions: from text to the set of naive local times that it names.

Promises: an expression that parses comes due some day; one that does not is refused in one line with the
position of the fault.  Nothing here knows of time zones: `evaluator` puts the local times on the time line.

Two deliberate rules.  Day-of-month and day-of-week: either one matches, unless one of them is exactly `*`
(POSIX); a stepped star restricts like any other value, where Vixie cron takes it for a star.  Hours: a field
that has a step or covers the whole day *follows the clock* through its changes; any other is *fixed*, and
the gap and overlap policies apply to it.
"""

from bisect import bisect_left
from functools import lru_cache
from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.words import counted
from orchestrix_raft.timetable.days import Days, days
from orchestrix_raft.timetable.fields import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    WEEKDAY,
    CronError,
    FieldReader,
    Values,
    Word,
)

DAY_S: Final = 86_400
_FIELDS: Final = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)
_SHORTHANDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_NOT_CRON: Final = {
    "@every": "@every is an interval, not cron: make an interval schedule of it",
    "@reboot": "@reboot is no time of a calendar",
}


class TimesOfDay(msgspec.Struct, frozen=True):
    """The times of one day, in seconds since its midnight: every hour with every minute with every second."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def __getitem__(self, rank: int) -> int:
        """The time with `rank` earlier ones."""
        rest, second = divmod(rank, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return self.hours[hour] * 3_600 + self.minutes[minute] * 60 + self.seconds[second]

    def rank(self, time: int) -> int:
        """How many are earlier than `time`."""
        hour, rest = divmod(time, 3_600)
        minute, second = divmod(rest, 60)
        i = bisect_left(self.hours, hour)
        if i == len(self.hours) or self.hours[i] != hour:
            return i * len(self.minutes) * len(self.seconds)
        j = bisect_left(self.minutes, minute)
        rank = (i * len(self.minutes) + j) * len(self.seconds)
        if j == len(self.minutes) or self.minutes[j] != minute:
            return rank
        return rank + bisect_left(self.seconds, second)


class CronExpression(msgspec.Struct, frozen=True):
    """A set of naive local times.  Times are seconds of a naive clock since 1970-01-01T00:00."""

    text: str
    days: Days
    times: TimesOfDay
    follows_clock: bool  # the hours are `*` or stepped; else they are fixed and the DST policies apply
    hashed: bool  # H was used: the times depend on the schedule's id

    def first(self, low: int, end: int) -> int | None:
        """The first local time in low..end - 1."""
        if low >= end:
            return None
        day, time = divmod(low, DAY_S)
        last_day = (end - 1) // DAY_S
        rank = self.times.rank(time)
        if rank == len(self.times) or day not in self.days:
            found_day = self.days.first(day + 1, last_day) if day < last_day else None
            if found_day is None:
                return None
            day, rank = found_day, 0
        found = day * DAY_S + self.times[rank]
        return found if found < end else None

    def last(self, low: int, end: int) -> int | None:
        """The last local time in low..end - 1."""
        if low >= end:
            return None
        day, time = divmod(end - 1, DAY_S)
        first_day = low // DAY_S
        rank = self.times.rank(time + 1)
        if rank == 0 or day not in self.days:
            found_day = self.days.last(first_day, day - 1) if day > first_day else None
            if found_day is None:
                return None
            day, rank = found_day, len(self.times)
        found = day * DAY_S + self.times[rank - 1]
        return found if found >= low else None

    def count(self, low: int, end: int) -> int:
        """How many local times in low..end - 1; takes as long for a second as for a month."""
        if low >= end:
            return 0
        return self._count_before(end, low // DAY_S) - self._count_before(low, low // DAY_S)

    def _count_before(self, end: int, first_day: int) -> int:
        day, time = divmod(end, DAY_S)
        whole = self.days.count(first_day, day) * len(self.times)
        return whole + (self.times.rank(time) if time and day in self.days else 0)

    def __contains__(self, local: int) -> bool:
        return self.first(local, local + 1) is not None


class CronExpressionParser:
    """Reads one expression.  `seed` is the schedule's id: it decides what H stands for."""

    def __init__(self, text: str, seed: str) -> None:
        self._text = text
        self._seed = seed

    def parse(self) -> CronExpression:
        """CronError with the position of the first fault."""
        if len(self._text) > limits.CRON_CHARS:
            raise CronError(f"longer than {limits.CRON_CHARS} characters", self._text, limits.CRON_CHARS + 1)
        for position, character in enumerate(self._text, 1):
            if not character.isascii():  # case mapping would take some of them for letters
                raise CronError(f"unexpected {character!r}", self._text, position)
        words = self._words()
        second, minute, hour, day, month, weekday = (
            FieldReader(field, word, self._text, self._seed).read()
            for field, word in zip(_FIELDS, words, strict=True)
        )
        alternatives = () if day.star and weekday.star else _alternatives(day, weekday)
        found = days(frozenset(month.numbers), alternatives)
        if not found.exist():
            culprit, at = ("day-of-week", words[5]) if day.star else ("day-of-month", words[3])
            raise CronError(f"{culprit}: there is no such day in these months: never due", self._text, at[1])
        return CronExpression(
            text=self._text,
            days=found,
            times=TimesOfDay(hour.numbers, minute.numbers, second.numbers),
            follows_clock=hour.stepped or len(hour.numbers) == HOUR.size,
            hashed=any(values.hashed for values in (second, minute, hour, day, month, weekday)),
        )

    def _words(self) -> list[Word]:
        """The six fields, seconds first."""
        words = _split(self._text)
        if not words:
            raise CronError("an empty expression (write 5 fields, such as 0 2 * * *)", self._text, 1)
        if words[0].text.upper().startswith(("TZ=", "CRON_TZ=")):
            raise CronError("the time zone stands beside the expression, not in it", self._text, words[0][1])
        if words[0].text.startswith("@"):
            return self._shorthand(words)
        if len(words) == len(_FIELDS) - 1:
            words.insert(0, Word("0", words[0].position))
        if len(words) < len(_FIELDS):
            names = ", ".join(field.name for field in _FIELDS[1:])
            end = words[-1].position + len(words[-1].text)
            raise CronError(f"{counted(len(words), 'field')} where 5 are needed: {names}", self._text, end)
        if len(words) > len(_FIELDS):
            raise CronError("a field too many: there are 5, or 6 with seconds first", self._text, words[6][1])
        return words

    def _shorthand(self, words: list[Word]) -> list[Word]:
        name, position = words[0]
        plain = _SHORTHANDS.get(name.lower())
        if plain is None:
            shown = name if name.isprintable() else repr(name)
            known = f"no such shorthand: {shown} (there are {', '.join(sorted(_SHORTHANDS))})"
            raise CronError(_NOT_CRON.get(name.lower(), known), self._text, position)
        if len(words) > 1:
            raise CronError(f"{name} stands alone", self._text, words[1].position)
        return [Word(text, position) for text in ("0", *plain.split())]


def _split(text: str) -> list[Word]:
    """Words between blanks and tabs; any other white space is left to be refused."""
    words = []
    start = None
    for at, character in enumerate(f"{text} "):
        if character in " \t":
            if start is not None:
                words.append(Word(text[start:at], start + 1))
            start = None
        elif start is None:
            start = at
    return words


def _alternatives(day: Values, weekday: Values) -> tuple[str, ...]:
    """The two day fields as a union of what croniter can be asked."""
    found = []
    if not day.star:
        found += [f"{one} *" for one in (*_together(day), *day.special)]
    if not weekday.star:
        found += [f"* {one}" for one in (*_together(weekday), *weekday.special)]
    return tuple(sorted(found))


def _together(values: Values) -> tuple[str, ...]:
    return (",".join(map(str, values.numbers)),) if values.numbers else ()


@lru_cache(maxsize=1 << 17)
def _parse(expression: str, seed: str) -> CronExpression:
    return CronExpressionParser(expression, seed).parse()


def parse(expression: str, *, seed: str) -> CronExpression:
    """The times that `expression` names for the schedule with the id `seed`.

    Raises CronError, a ValueError of one line, with the position of the fault.  What was parsed is kept.
    """
    return _parse(expression, seed_used(expression, seed))


def seed_used(expression: str, seed: str) -> str:
    """The seed, or "" if the times of `expression` do not depend on it: H is not in it."""
    return seed if "h" in expression or "H" in expression else ""
