"""One field of a cron expression: from its text to values, or to a refusal that names the character.

Written by hand although croniter reads fields too, because a refusal has to say where the fault is, `H` has
to follow from the schedule's id, and seconds stand first.  For the parser in `cron` only.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NO_NAMES: Final[Mapping[str, int]] = MappingProxyType({})


class CronError(ValueError):
    """A cron expression that is refused: one line with the fault and its position (from 1)."""

    def __init__(self, fault: str, expression: str, position: int) -> None:
        super().__init__(f"{fault} (character {position} of {expression[:80]!r})")
        self.position = position


class Field(NamedTuple):
    """What a field may hold."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = _NO_NAMES
    top: int = 0  # the highest number that may be written, where that is not `high`: 7 is Sunday too
    hash_high: int = 0  # the highest value of a bare H, where that is not `high`: every month has a 28th
    cyclic: bool = True  # a range may run over the end: FRI-MON, 22-2
    special: str = ""  # what else may stand there

    @property
    def written_high(self) -> int:
        return self.top or self.high

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    @property
    def allowed(self) -> str:
        """The values for a refusal: `0-23`, `1-12 or JAN-DEC`."""
        ends = list(self.names)
        names = f" or {ends[0]}-{ends[-1]}" if ends else ""
        return f"{self.low}-{self.written_high}{names}{self.special}"


SECOND: Final = Field("second", 0, 59)
MINUTE: Final = Field("minute", 0, 59)
HOUR: Final = Field("hour", 0, 23)
DAY: Final = Field("day-of-month", 1, 31, hash_high=28, cyclic=False, special=", L, LW, 15W")
MONTH: Final = Field("month", 1, 12, MappingProxyType({name: n for n, name in enumerate(MONTHS, 1)}))
WEEKDAY: Final = Field(
    "day-of-week", 0, 6, MappingProxyType({n: i for i, n in enumerate(WEEKDAYS)}), top=7, special=", 5L, 5#2"
)


class Word(NamedTuple):
    """A field as it was written, and where it begins (from 1)."""

    text: str
    position: int


class Values(NamedTuple):
    """What a field selects."""

    numbers: tuple[int, ...]  # sorted; weekdays with Sunday as 0
    special: tuple[str, ...]  # days that depend on the month, in croniter's words: l, 15w, 5#2, l5
    star: bool  # exactly `*`, or `?`: the field restricts nothing
    stepped: bool  # some item has a step
    hashed: bool  # some item is H


_ITEM: Final = re.compile(r"(\*|\?|[A-Z]+|\d+)(?:-([A-Z]+|\d+))?(?:/(\d+))?", re.ASCII)
_HASH: Final = re.compile(r"H(?:\((\d+)-(\d+)\))?(?:/(\d+))?", re.ASCII)
_NEAREST: Final = re.compile(r"(\d+)W", re.ASCII)
_NTH: Final = re.compile(r"([A-Z]+|\d+)#(\d+)", re.ASCII)
_LAST: Final = re.compile(r"L?([A-Z]{3}|\d+)L?", re.ASCII)


class FieldReader:
    """Reads the items of one field; `seed` decides what H stands for."""

    def __init__(self, field: Field, word: Word, expression: str, seed: str) -> None:
        self._field = field
        self._word = word
        self._expression = expression
        self._seed = seed
        self._numbers: set[int] = set()
        self._special: list[str] = []
        self._stepped = self._hashed = False

    def read(self) -> Values:
        """CronError at the first fault."""
        text = self._word.text.upper()
        for item, at in _items(text):
            if not item:
                self._refuse("a value is missing", at)
            self._read_item(item, at)
        star = text in ("*", "?")
        numbers = tuple(sorted(self._numbers))
        return Values(numbers, tuple(self._special), star, self._stepped, self._hashed)

    def _read_item(self, item: str, at: int) -> None:
        read: tuple[Callable[[str, int], bool], ...] = (self._hash,)
        if self._field is DAY:
            read += (self._day_of_a_month,)
        elif self._field is WEEKDAY:
            read += (self._weekday_of_a_month,)
        if not any(one(item, at) for one in read):
            self._plain(item, at)

    def _plain(self, item: str, at: int) -> None:
        """`*`, a value, a range, any of them with a step."""
        match = _ITEM.match(item)
        if match is None or match.end() != len(item):
            end = 0 if match is None else match.end()
            self._refuse(f"unexpected {item[end]!r}", at + end)
        first, last, step = match.groups()
        if first == "?":
            self._question_mark(item, at)
        if first in ("*", "?"):
            if last is not None:
                self._refuse("'*' cannot begin a range", at)
            low, high = self._field.low, self._field.high
        else:
            low = self._value(first, at)
            high = low if last is None else self._value(last, at + match.start(2))
            if last is None and step is not None:
                high = max(low, self._field.high)  # 5/15 is 5-59/15
        if low > high and not self._field.cyclic:
            self._refuse(f"the range {first}-{last} runs backwards: months differ in length", at)
        self._add(low, high, 1 if step is None else self._step(step, at + match.start(3)))

    def _question_mark(self, item: str, at: int) -> None:
        if self._field not in (DAY, WEEKDAY):
            self._refuse("'?' is for day-of-month and day-of-week", at)
        if self._word.text != "?":
            self._refuse("'?' stands alone in its field", at)

    def _hash(self, item: str, at: int) -> bool:
        """H, H(0-29), H/15, H(0-29)/10: a value that follows from seed and field, as in Jenkins."""
        if not item.startswith("H"):
            return False
        match = _HASH.match(item)
        if match is None or match.end() != len(item):
            end = 0 if match is None else match.end()
            self._refuse(f"unexpected {item[end]!r} after H (write H, H(1-5), H/15 or H(0-29)/10)", at + end)
        self._hashed = True
        low, high = self._field.low, self._field.hash_high or self._field.high
        if match[1] is not None:
            low = self._value(match[1], at + match.start(1), self._field.high)
            high = self._value(match[2], at + match.start(2), self._field.high)
            if low > high:
                self._refuse(f"the range {low}-{high} runs backwards", at + match.start(1))
        if match[3] is None:
            self._numbers.add(low + self._draw(high - low + 1))
        else:
            step = self._step(match[3], at + match.start(3))
            self._add(low + self._draw(min(step, high - low + 1)), high, step)
        return True

    def _draw(self, size: int) -> int:
        """0 to size - 1, the same for the same seed and field on every machine."""
        digest = blake2b(f"{self._field.name}\0{self._seed}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % size

    def _day_of_a_month(self, item: str, at: int) -> bool:
        """L, the last day; 15W, the weekday (Monday to Friday) nearest to the 15th within the month; LW, the
        last weekday, which croniter has as the one nearest to the last of 31 days or fewer."""
        if item in ("L", "LW"):
            self._special.append("l" if item == "L" else "31w")
        elif match := _NEAREST.fullmatch(item):
            self._special.append(f"{self._value(match[1], at)}w")
        else:
            return False
        return True

    def _weekday_of_a_month(self, item: str, at: int) -> bool:
        """5#2, the second Friday; 5L, the last one (croniter writes it L5, which is read too)."""
        if item == "L":
            self._refuse("L needs its weekday here: 5L is the last Friday", at)
        if match := _NTH.fullmatch(item):
            weekday, nth = self._value(match[1], at), int(match[2])
            if not 1 <= nth <= 5:
                self._refuse(f"{nth} is not within 1-5: the first to fifth of its month", at + match.start(2))
            self._special.append(f"{weekday % 7}#{nth}")
        elif item.startswith("L") != item.endswith("L") and (match := _LAST.fullmatch(item)):
            self._special.append(f"l{self._value(match[1], at + match.start(1)) % 7}")
        else:
            return False
        return True

    def _add(self, low: int, high: int, step: int) -> None:
        """Values from low to high, over the end of the field if low is above high."""
        self._stepped |= step > 1
        field = self._field
        end = high if low <= high else high + field.size
        self._numbers.update((n - field.low) % field.size + field.low for n in range(low, end + 1, step))

    def _value(self, text: str, at: int, high: int | None = None) -> int:
        field = self._field
        if not text.isdigit():
            if text not in field.names:
                self._refuse(f"no such value: {text} (allowed: {field.allowed})", at)
            return field.names[text]
        high = field.written_high if high is None else high
        if len(text) > 4 or not field.low <= int(text) <= high:
            self._refuse(f"{text[:12]} is not allowed (allowed: {field.allowed})", at)
        return int(text)

    def _step(self, text: str, at: int) -> int:
        size = self._field.size
        if len(text) > 4 or not 1 <= int(text) <= size:
            hint = "" if len(text) > 4 or int(text) == 0 else "; a longer period is an interval, not cron"
            self._refuse(f"step {text[:12]} is not allowed (allowed: 1-{size}{hint})", at)
        return int(text)

    def _refuse(self, fault: str, at: int) -> NoReturn:
        raise CronError(f"{self._field.name}: {fault}", self._expression, self._word.position + at)


def _items(text: str) -> Iterator[tuple[str, int]]:
    at = 0
    for item in text.split(","):
        yield item, at
        at += len(item) + 1
