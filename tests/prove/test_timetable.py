"""Every IANA zone from 1970 to 2037, every change of its clocks, every policy: no slot twice, none missing,
in order, the same backwards, compared with a walk over the time line.  `make prove-B`; some 15 minutes.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import pytest

from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable.evaluator import cron_evaluator
from orchestrix_raft.timetable.zones import zone, zone_names
from tests.unit.timetable.walking import BEGIN, END, compare, load, shown, turns

TOTALS: Counter[str] = Counter()


def _by_rules() -> dict[str, list[str]]:
    """One zone of each kind -> every name whose file has the same bytes; 598 names have some 345 rules."""
    groups: dict[bytes, list[str]] = {}
    for name in sorted(zone_names()):
        file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
        groups.setdefault(file.read_bytes(), []).append(name)
    return {names[0]: names for names in groups.values()}


RULES = _by_rules()


@pytest.fixture(scope="module", autouse=True)
def _totals() -> Iterator[None]:
    yield
    print("\ntimetable:", ", ".join(f"{count:,} {what}" for what, count in TOTALS.items()))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(RULES))
def test_every_change_of_the_clocks(name: str) -> None:
    known = load(name)
    found = list(turns(known))
    for alias in RULES[name]:
        assert [change.at_s for change in zone(alias).changes(BEGIN, END)] == [turn.at for turn in found]
        TOTALS["zones"] += 1
        TOTALS["changes"] += len(found)
    TOTALS["different rules"] += 1
    for turn in found:
        TOTALS["different changes"] += 1
        TOTALS["slots around them"] += compare(name, known, turn)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(RULES))
def test_every_day_between_the_changes(name: str) -> None:
    """A daily time that many zones jump over: exactly one slot for each date of the calendar."""
    known = load(name)
    evaluator = cron_evaluator("30 2 * * *", name, DstGap.SHIFT, DstOverlap.FIRST, seed="")
    date = shown(BEGIN, known).replace(hour=2, minute=30, second=0)
    slot = _instant(date, known) * 1_000
    while date.year < 2038:
        date += timedelta(days=1)
        following = _instant(date, known) * 1_000
        assert evaluator.next_after(slot) == following, (name, date)
        assert evaluator.previous_at_or_before(following - 1) == slot, (name, date)
        slot = following
        TOTALS["days between them"] += 1


def _instant(local: datetime, known: ZoneInfo) -> int:
    """The first instant at which clocks show `local`; if none does, the first that shows a later time."""
    naive = int(local.replace(tzinfo=UTC).timestamp())
    at = int(local.replace(tzinfo=known, fold=0).timestamp())
    if shown(at, known) == local:
        return at
    low, high = naive - 40 * 3_600, naive + 40 * 3_600
    while high - low > 1:
        middle = (low + high) // 2
        if shown(middle, known) < local:
            low = middle
        else:
            high = middle
    return high
