"""Expressions from the documentation of other cron implementations, with the times they must give."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrix_raft.timetable.cron import CronExpressionParser
from orchestrix_raft.timetable.evaluator import cron_evaluator
from orchestrix_raft.timetable.fields import CronError
from tests.unit.timetable.walking import load, shown


class Row(NamedTuple):
    """One line of expressions.txt."""

    source: str
    expression: str
    zone: str
    begin: datetime
    expected: str


def _rows() -> Iterator[Row]:
    text = Path(__file__).with_name("expressions.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            source, expression, zone, begin, expected = re.split(r" \| ", line)
            start = datetime(2026, 1, 1) if begin == "-" else datetime.fromisoformat(begin)
            yield Row(source, expression, "UTC" if zone == "-" else zone, start, expected)


ROWS = tuple(_rows())
DUE = [row for row in ROWS if row.expected[0].isdigit()]
SHAPED = [row for row in ROWS if row.expected[0] == "~"]
REFUSED = [row for row in ROWS if row.expected.startswith("refused ")]


def _named(row: Row) -> str:
    return f"{row.source}: {row.expression}"


def _slots(row: Row, count: int) -> list[datetime]:
    zone = load(row.zone)
    evaluator = cron_evaluator(row.expression, row.zone, seed="a schedule")
    slot: int | None = int(row.begin.replace(tzinfo=zone).timestamp()) * 1_000
    found: list[datetime] = []
    while len(found) < count:
        assert slot is not None
        slot = evaluator.next_after(slot)
        assert slot is not None
        found.append(shown(slot // 1_000, zone))
    return found


def test_the_table_is_read_whole() -> None:
    assert len(ROWS) > 200
    assert len(DUE) + len(SHAPED) + len(REFUSED) == len(ROWS)


@pytest.mark.parametrize("row", DUE, ids=_named)
def test_an_expression_is_due_when_its_documentation_says(row: Row) -> None:
    expected: list[datetime] = []
    for text in row.expected.split(", "):
        day = "" if " " in text else f"{expected[-1].date()} "
        expected.append(datetime.fromisoformat(day + text))
    assert _slots(row, len(expected)) == expected


@pytest.mark.parametrize("row", SHAPED, ids=_named)
def test_a_hashed_expression_keeps_the_documented_shape(row: Row) -> None:
    times = [f"{slot:%a %Y-%m-%d %H:%M:%S}" for slot in _slots(row, 30)]
    assert [time for time in times if not re.fullmatch(row.expected[2:], time)] == []


@pytest.mark.parametrize("row", REFUSED, ids=_named)
def test_a_bad_expression_is_refused_with_the_position_of_its_fault(row: Row) -> None:
    with pytest.raises(CronError) as refusal:
        CronExpressionParser(row.expression, "").parse()
    assert refusal.value.position == int(row.expected.removeprefix("refused ")), refusal.value
    assert f"(character {refusal.value.position} of " in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("expression", "says"), [("ping", "1 field where 5"), ("* *", "2 fields where 5")])
def test_too_few_fields_are_counted(expression: str, says: str) -> None:
    with pytest.raises(CronError, match=f"^{says} are needed: minute, hour"):
        CronExpressionParser(expression, "").parse()
