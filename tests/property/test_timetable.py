"""Random cron expressions against brute force, against croniter, and against themselves backwards."""

import calendar
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable.cron import CronExpression, parse
from orchestrix_raft.timetable.evaluator import cron_evaluator, slots_between
from orchestrix_raft.timetable.fields import DAY, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, CronError, Field

DAY_S = 86_400


@st.composite
def items(draw: st.DrawFn, field: Field, ranges: bool) -> tuple[str, frozenset[int]]:
    """One item of a field, and the values it must mean."""
    low = draw(st.integers(field.low, field.high))
    high = draw(st.integers(low, field.high))
    step = draw(st.integers(1, field.high - field.low + 1))
    single = [
        ("*", frozenset(range(field.low, field.high + 1))),
        (f"*/{step}", frozenset(range(field.low, field.high + 1, step))),
        (f"{low}", frozenset({low})),
        (f"{low}/{step}", frozenset(range(low, field.high + 1, step))),
    ]
    ranged = [
        (f"{low}-{high}", frozenset(range(low, high + 1))),
        (f"{low}-{high}/{step}", frozenset(range(low, high + 1, step))),
    ]
    return draw(st.sampled_from(single + ranged if ranges else single))


@st.composite
def expressions(draw: st.DrawFn, ranges: bool = True) -> tuple[str, tuple[frozenset[int], ...]]:
    """Six fields and what each of them means."""
    texts, meanings = [], []
    for field in (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY):
        several = draw(st.lists(items(field, ranges), min_size=1, max_size=2))
        texts.append(",".join(text for text, _ in several))
        meanings.append(frozenset().union(*(values for _, values in several)))
    return " ".join(texts), tuple(meanings)


def parsed(text: str) -> CronExpression:
    try:
        return parse(text, seed="")
    except CronError as refusal:
        event(str(refusal).partition(" (")[0])  # nothing but days that never come
        assume("never due" not in str(refusal))
        raise


def matches(text: str, meanings: tuple[frozenset[int], ...], at: datetime) -> bool:
    """POSIX, said again."""
    _, _, _, day_text, _, weekday_text = text.split()
    day, weekday = at.day in meanings[3], at.isoweekday() % 7 in meanings[5]
    if day_text == "*" or weekday_text == "*":
        right_day = day and weekday
    else:
        right_day = day or weekday
    times = (
        at.second in meanings[0],
        at.minute in meanings[1],
        at.hour in meanings[2],
        at.month in meanings[4],
    )
    return right_day and all(times)


def seconds(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)).map(lambda at: at.replace(microsecond=0))


@given(expressions(), MOMENTS)
def test_a_time_is_named_if_its_fields_match(
    case: tuple[str, tuple[frozenset[int], ...]], at: datetime
) -> None:
    text, meanings = case
    expression = parsed(text)
    near = expression.first(seconds(at), seconds(at) + 400 * DAY_S)
    probes = [at + timedelta(seconds=s) for s in (*range(5), 60, 3_600, DAY_S)]
    probes += [datetime.fromtimestamp(near, UTC).replace(tzinfo=None)] if near is not None else []
    for probe in probes:
        assert (seconds(probe) in expression) == matches(text, meanings, probe)


@given(expressions(), MOMENTS, st.integers(1, 70 * DAY_S))
def test_first_last_and_count_agree(
    case: tuple[str, tuple[frozenset[int], ...]], at: datetime, length: int
) -> None:
    expression = parsed(case[0])
    low, end = seconds(at), seconds(at) + length
    first, last, count = expression.first(low, end), expression.last(low, end), expression.count(low, end)
    assert (first is None) == (last is None) == (count == 0)
    if first is None or last is None:
        return
    assert low <= first <= last < end
    assert expression.count(low, first) == 0
    assert expression.count(first, first + 1) == 1
    assert expression.count(last + 1, end) == 0
    middle = (low + end) // 2
    assert expression.count(low, middle) + expression.count(middle, end) == count


@given(expressions(ranges=False), MOMENTS)
@settings(max_examples=50)
def test_croniter_names_the_same_next_time(
    case: tuple[str, tuple[frozenset[int], ...]], at: datetime
) -> None:
    """Where croniter has the same rules: to it a range from a value to itself is the whole field, and a day
    field that comes to all days is a star."""
    text, meanings = case
    for word, values, field in zip(text.split()[3:6:2], meanings[3:6:2], (DAY, WEEKDAY), strict=True):
        assume(word == "*" or len(values) < field.size)
    expression = parsed(text)
    search = croniter(text, at, ret_type=datetime, second_at_beginning=True, max_years_between_matches=9)
    try:
        wanted = search.get_next()
    except CroniterBadDateError:
        return
    assert expression.first(seconds(at) + 1, seconds(at) + 3_660 * DAY_S) == seconds(wanted)


SPECIAL: dict[str, Callable[[int, int, int], list[int]]] = {}
"""Days that depend on the month -> (year, month, days in it) -> the days, computed from the calendar."""
SPECIAL["0 0 L * *"] = lambda year, month, length: [length]
SPECIAL["0 0 LW * *"] = lambda year, month, length: [
    max(d for d in range(1, length + 1) if calendar.weekday(year, month, d) < 5)
]
for _day in (1, 2, 15, 28, 30):
    SPECIAL[f"0 0 {_day}W * *"] = lambda year, month, length, day=_day: [  # type: ignore[misc]
        min(
            (d for d in range(1, length + 1) if calendar.weekday(year, month, d) < 5),
            key=lambda d: (abs(d - min(day, length)), d),
        )
    ]
for _weekday in range(7):
    SPECIAL[f"0 0 * * {_weekday}L"] = lambda year, month, length, weekday=_weekday: [  # type: ignore[misc]
        [d for d in range(1, length + 1) if (calendar.weekday(year, month, d) + 1) % 7 == weekday][-1]
    ]
    for _nth in range(1, 6):
        SPECIAL[f"0 0 * * {_weekday}#{_nth}"] = lambda year, month, length, weekday=_weekday, nth=_nth: [  # type: ignore[misc]
            d
            for d in range(7 * nth - 6, min(7 * nth, length) + 1)
            if (calendar.weekday(year, month, d) + 1) % 7 == weekday
        ]


@given(st.sampled_from(sorted(SPECIAL)), st.integers(1970, 2110), st.integers(1, 12))
@example("0 0 LW * *", 2026, 2)
@example("0 0 1W * *", 2026, 8)
def test_days_that_depend_on_the_month(text: str, year: int, month: int) -> None:
    length = calendar.monthrange(year, month)[1]
    expression = parse(text, seed="")
    days = [d for d in range(1, length + 1) if seconds(datetime(year, month, d)) in expression]
    assert days == SPECIAL[text](year, month, length)


@given(
    expressions(),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
    st.sampled_from(DstGap),
    st.sampled_from(DstOverlap),
    MOMENTS,
)
def test_slots_are_the_same_backwards(
    case: tuple[str, tuple[frozenset[int], ...]], name: str, gap: DstGap, overlap: DstOverlap, at: datetime
) -> None:
    parsed(case[0])
    evaluator = cron_evaluator(case[0], name, gap, overlap, seed="")
    begin = seconds(at) * 1_000 + 7
    slots = slots_between(evaluator, begin, begin + 10**14, 20)
    assert slots == sorted(set(slots))
    assert all(slot > begin for slot in slots)
    for before, after in pairwise(slots):
        assert evaluator.previous_at_or_before(after) == after
        assert evaluator.previous_at_or_before(after - 1) == before
        assert evaluator.next_after(after - 1) == after
    if slots and slots[-1] - begin < 400 * DAY_S * 1_000:
        assert evaluator.count_between(begin, slots[-1]) == len(slots)


@given(st.text(alphabet="0123456789*/,-?LWH#@()aMONJuly \t", max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    refusal = None
    try:
        expression = parse(text, seed="x")
    except CronError as error:
        refusal = error
    if refusal is None:
        assert expression.first(0, 41 * 366 * DAY_S) is not None
    else:
        assert "\n" not in str(refusal)
        assert 1 <= refusal.position <= len(text) + 1
