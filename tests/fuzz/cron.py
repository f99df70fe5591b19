"""Cron expressions, as anybody who may make a schedule sends them.

An expression is refused in one line, or names times that come: in order, the same forwards, backwards and
when counted, and within what its fields say, by another, much simpler reading of them.
"""

import re
from datetime import UTC, datetime
from typing import Final

from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable import cron, zones
from orchestrix_raft.timetable.evaluator import CronEvaluator
from orchestrix_raft.timetable.fields import CronError
from tests.fuzz.pieces import Pieces, one_line

_ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
_BEGINS_MS: Final = (0, 1_700_000_000_000, 1_709_164_800_000, 2_145_916_800_000, 253_000_000_000_000)
_SLOTS: Final = 6
_BOUNDS: Final = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_PLAIN: Final = re.compile(r"(?:(\*)|(\d+)(?:-(\d+))?)(?:/(\d+))?", re.ASCII)

WORDS = (
    b"*/15",
    b"1-5",
    b"MON-FRI",
    b"JAN,DEC",
    b"LW",
    b"15W",
    b"5#2",
    b"5L",
    b"H(1-5)",
    b"H/15",
    b"?",
    b" * ",
    b"@daily",
    b"@every",
    b"TZ=",
    b"29 2",
    b"0 0 31 2 *",
)


def target(data: bytes) -> None:
    """Zone, beginning and policies in a byte each, then the text."""
    pieces = Pieces(data)
    zone, begin_ms = zones.zone(pieces.choose(_ZONES)), pieces.choose(_BEGINS_MS)
    gap, overlap = pieces.choose(tuple(DstGap)), pieces.choose(tuple(DstOverlap))
    text = pieces.rest().decode(errors="replace")
    try:
        expression = cron.CronExpressionParser(text, "seed").parse()
    except CronError as error:
        one_line(error)
        _in_text(error.position, text)
        return
    _check_fields(text)
    _check_times(expression)
    _check_slots(CronEvaluator(expression, zone, gap, overlap), begin_ms)
    if not expression.follows_clock or gap is DstGap.SKIP:
        return
    assert cron.CronExpressionParser(f"  {text}\t", "seed").parse().times == expression.times


def _in_text(position: int, text: str) -> None:
    assert 1 <= position <= len(text) + 1, "the position is in the text"


def _check_fields(text: str) -> None:
    """Every number of an item that is plain lies where its field allows it, every step within its size."""
    words = text.split()
    if words[0].startswith("@"):
        return
    for word, (low, high) in zip(words, _BOUNDS[-len(words) :], strict=True):
        for item in word.split(","):
            plain = _PLAIN.fullmatch(item)
            if plain is None:
                continue
            _, first, last, step = plain.groups()
            assert all(low <= int(one) <= high for one in (first, last) if one), f"{item} is out of range"
            size = min(high, 6) + 1 - low if high == 7 else high + 1 - low
            assert step is None or 1 <= int(step) <= size, f"the step of {item} is out of range"


def _check_times(expression: cron.CronExpression) -> None:
    times = expression.times
    for values, end in ((times.hours, 24), (times.minutes, 60), (times.seconds, 60)):
        assert values, "every field has a value"
        assert list(values) == sorted(set(values)), "in order, and each once"
        assert 0 <= values[0] <= values[-1] < end


def _check_slots(evaluator: CronEvaluator, begin_ms: int) -> None:
    at, found = begin_ms, list[int]()
    while len(found) < _SLOTS and (slot := evaluator.next_after(at)) is not None:
        assert slot > at, "slots come one after the other"
        assert slot % 1_000 == 0
        found.append(slot)
        at = slot
    for before, slot in zip((None, *found), found, strict=False):
        assert evaluator.previous_at_or_before(slot) == slot
        if before is not None:
            assert evaluator.previous_at_or_before(slot - 1) == before
        datetime.fromtimestamp(slot / 1_000, UTC)
    if found:
        assert evaluator.count_between(begin_ms, found[-1]) == len(found)


def examples() -> list[bytes]:
    """What the reference shows."""
    texts = (
        b"0 2 * * *",
        b"*/15 * * * *",
        b"30 0 9-17/2 * JAN-MAR MON-FRI",
        b"H H(0-7) * * *",
        b"0 0 LW * *",
        b"0 0 29 2 *",
        b"0 12 15W * ?",
        b"0 0 * * 5#2,5L",
        b"@daily",
        b"0 22-2 * * FRI-MON",
    )
    return [bytes((number % 5, 1, number % 2, number % 3)) + text for number, text in enumerate(texts)]
