"""What the policies do where clocks change: known cases, and a sample of zones against a slow walk."""

from datetime import datetime

import pytest

from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable.evaluator import cron_evaluator, slots_between
from orchestrix_raft.timetable.zones import zone
from tests.unit.timetable.walking import BEGIN, END, compare, load, turns

SAMPLE = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Caracas",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
    "UTC",
)
CHANGES_OF_A_ZONE = 5


@pytest.mark.parametrize("name", SAMPLE)
def test_slots_around_changes_are_those_of_a_slow_walk(name: str) -> None:
    """Evenly chosen changes of the sample; `make prove-B` takes every zone and every change."""
    known = load(name)
    found = list(turns(known))
    assert [change.at_s for change in zone(name).changes(BEGIN, END)] == [turn.at for turn in found]
    stride = max(len(found) // CHANGES_OF_A_ZONE, 1)
    compared = [compare(name, known, turn) for turn in found[::stride]]
    assert all(count > 200 for count in compared)


def local_slots(
    expression: str, name: str, begin: str, end: str, gap: DstGap, overlap: DstOverlap
) -> list[str]:
    """Local times with offset of the slots after `begin` up to `end`, which are RFC 3339."""
    low, high = (int(datetime.fromisoformat(text).timestamp()) * 1_000 for text in (begin, end))
    evaluator = cron_evaluator(expression, name, gap, overlap, seed="")
    return [zone(name).local_text(slot) for slot in slots_between(evaluator, low, high, 1_000)]


SHIFT, SKIP = DstGap.SHIFT, DstGap.SKIP
FIRST, LAST, BOTH = DstOverlap.FIRST, DstOverlap.LAST, DstOverlap.BOTH

SPRING = ("2026-03-29T00:00+01:00", "2026-03-29T23:00+02:00")
AUTUMN = ("2026-10-25T00:00+02:00", "2026-10-25T23:00+01:00")


@pytest.mark.parametrize(
    ("expression", "gap", "times"),
    [
        ("30 2 * * *", SHIFT, ["03:00"]),
        ("30 2 * * *", SKIP, []),
        ("0 2,3 * * *", SHIFT, ["03:00"]),  # merged with the run there
        ("0 2,3 * * *", SKIP, ["03:00"]),
        ("0,30 2 * * *", SHIFT, ["03:00"]),
        ("30 1,2,3 * * *", SHIFT, ["01:30", "03:00", "03:30"]),
        ("30 1-3 * * *", SHIFT, ["01:30", "03:00", "03:30"]),
        ("30 1-4/1 * * *", SHIFT, ["01:30", "03:00", "03:30", "04:30"]),  # a step of one is a plain range
        ("30 0-4/2 * * *", SHIFT, ["00:30", "04:30"]),  # stepped hours follow the clock
        ("0 */8 * * *", SHIFT, ["08:00", "16:00"]),
        ("59 59 2 * * *", SHIFT, ["03:00"]),
        ("0 3 * * *", SHIFT, ["03:00"]),
    ],
)
def test_a_gap_in_berlin(expression: str, gap: DstGap, times: list[str]) -> None:
    found = local_slots(expression, "Europe/Berlin", *SPRING, gap, FIRST)
    assert [text[11:16] for text in found] == times


@pytest.mark.parametrize(
    ("expression", "overlap", "times"),
    [
        ("30 2 * * *", FIRST, ["02:30:00+02:00"]),
        ("30 2 * * *", LAST, ["02:30:00+01:00"]),
        ("30 2 * * *", BOTH, ["02:30:00+02:00", "02:30:00+01:00"]),
        ("30 1-3 * * *", FIRST, ["01:30:00+02:00", "02:30:00+02:00", "03:30:00+01:00"]),
        ("30 1-3 * * *", LAST, ["01:30:00+02:00", "02:30:00+01:00", "03:30:00+01:00"]),
        ("30 2-2/2 * * *", FIRST, ["02:30:00+02:00", "02:30:00+01:00"]),
        ("0 2,3 * * *", LAST, ["02:00:00+01:00", "03:00:00+01:00"]),
    ],
)
def test_an_overlap_in_berlin(expression: str, overlap: DstOverlap, times: list[str]) -> None:
    found = local_slots(expression, "Europe/Berlin", *AUTUMN, SHIFT, overlap)
    assert [text[11:] for text in found] == times


@pytest.mark.parametrize("expression", ["30 * * * *", "30 */1 * * *", "30 0-23 * * *"])
@pytest.mark.parametrize("overlap", DstOverlap)
@pytest.mark.parametrize("gap", DstGap)
def test_every_hour_is_every_real_hour(expression: str, gap: DstGap, overlap: DstOverlap) -> None:
    evaluator = cron_evaluator(expression, "Europe/Berlin", gap, overlap, seed="")
    for begin, end in (SPRING, AUTUMN):
        low, high = (int(datetime.fromisoformat(text).timestamp()) * 1_000 for text in (begin, end))
        slots = slots_between(evaluator, low, high, 100)
        assert slots == list(range(low + 1_800_000, high, 3_600_000))


@pytest.mark.parametrize(
    ("name", "expression", "begin", "end", "slots"),
    [
        (
            "America/Sao_Paulo",  # no midnight that day
            "0 0 * * *",
            "2018-11-03T12:00-03:00",
            "2018-11-05T12:00-02:00",
            ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"],
        ),
        (
            "Australia/Lord_Howe",  # half an hour
            "15 2 * * *",
            "2026-10-03T12:00+10:30",
            "2026-10-04T12:00+11:00",
            ["2026-10-04T02:30:00+11:00"],
        ),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2026-04-04T12:00+11:00",
            "2026-04-05T12:00+10:30",
            ["2026-04-05T01:45:00+11:00"],
        ),
        (
            "Pacific/Apia",  # no 30 December: its runs are the first instant of the 31st
            "0 9 * * *",
            "2011-12-29T12:00-10:00",
            "2011-12-31T12:00+14:00",
            ["2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"],
        ),
        (
            "Pacific/Apia",
            "0 0 * * FRI",  # the Friday that was skipped
            "2011-12-29T12:00-10:00",
            "2011-12-31T12:00+14:00",
            ["2011-12-31T00:00:00+14:00"],
        ),
        (
            "Antarctica/Troll",  # two hours
            "30 1,2 * * *",
            "2026-03-28T12:00+00:00",
            "2026-03-29T12:00+02:00",
            ["2026-03-29T03:00:00+02:00"],
        ),
        (
            "Africa/Monrovia",  # 44 minutes 30 seconds
            "10 0 * * *",
            "1972-01-06T12:00+00:00",
            "1972-01-07T12:00+00:00",
            ["1972-01-07T00:44:30+00:00"],
        ),
    ],
)
def test_changes_that_are_no_hour_or_not_at_two(
    name: str, expression: str, begin: str, end: str, slots: list[str]
) -> None:
    assert local_slots(expression, name, begin, end, SHIFT, FIRST) == slots
