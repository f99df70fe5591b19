"""Zones come from the tzdata package, and their changes are those that its files list."""

import struct
from importlib import resources
from itertools import pairwise

import pytest

from orchestrix_raft.timetable.zones import ZoneError, utc_text, zone, zone_names

NAMES = (
    "Africa/Casablanca",
    "America/Noronha",
    "America/Recife",
    "Asia/Gaza",
    "Europe/Berlin",
    "Pacific/Apia",
)


def listed(name: str) -> list[tuple[int, int, int]]:
    """(instant, offset before, offset after) of the transitions in a TZif file (RFC 8536), from 1970 on."""
    data = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    counts = struct.unpack(">6l", data[20:44])  # the first block is the one with 32 bits
    start = 44 + counts[3] * 5 + counts[4] * 6 + counts[5] + counts[2] * 8 + counts[1] + counts[0]
    _, _, _, times, types, _ = struct.unpack(">6l", data[start + 20 : start + 44])
    start += 44
    instants = struct.unpack(f">{times}q", data[start : start + 8 * times])
    kinds = data[start + 8 * times : start + 9 * times]
    start += 9 * times
    offsets = [struct.unpack(">l", data[start + 6 * i : start + 6 * i + 4])[0] for i in range(types)]
    found = []
    before = offsets[0]
    for instant, kind in zip(instants, kinds, strict=True):
        if offsets[kind] != before and instant >= 0:
            found.append((instant, before, offsets[kind]))
        before = offsets[kind]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_changes_are_those_of_the_file(name: str) -> None:
    wanted = listed(name)
    assert wanted
    assert [tuple(change) for change in zone(name).changes(0, wanted[-1][0] + 1)] == wanted


def test_no_zone_changes_and_changes_back_within_a_day() -> None:
    """The search for changes probes once a day; two that cancel out in between would be missed."""
    shortest = min(after[0] - before[0] for name in zone_names() for before, after in pairwise(listed(name)))
    assert shortest > 2 * 86_400


def test_changes_are_taken_from_low_to_before_end() -> None:
    at = 1_774_746_000  # 2026-03-29T01:00Z
    berlin = zone("Europe/Berlin")
    assert [change.at_s for change in berlin.changes(at, at + 1)] == [at]
    assert berlin.changes(at - 10, at) == []
    assert berlin.changes(at + 1, at + 10) == []
    assert berlin.changes(at, at) == []


def test_the_rules_of_the_system_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    zone.cache_clear()
    assert zone("Europe/Berlin").local_text(0) == "1970-01-01T01:00:00+01:00"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("new york", "did you mean America/New_York?"),
        ("", "IANA names, such as UTC"),
        ("../etc/passwd", "no such time zone"),
        ("+02:00", "IANA names"),
        ("Europe", "no such time zone"),
        ("x" * 1_000, "no such time zone"),
    ],
)
def test_a_zone_that_does_not_exist_is_refused_with_advice(name: str, advice: str) -> None:
    with pytest.raises(ZoneError) as refusal:
        zone(name)
    assert advice in str(refusal.value)
    assert len(str(refusal.value)) < 200


def test_times_are_written_as_rfc_3339() -> None:
    assert utc_text(0) == "1970-01-01T00:00:00Z"
    assert utc_text(1_250) == "1970-01-01T00:00:01.250Z"
    assert zone("Asia/Kathmandu").local_text(1_774_746_000_000) == "2026-03-29T06:45:00+05:45"
