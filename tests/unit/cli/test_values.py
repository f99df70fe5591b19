"""What people type as values: times, JSON arguments."""

from datetime import UTC, datetime

import pytest

from orchestrix_raft.cli import values


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01t12:00:00z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 12:00:00.250+02:00", datetime(2026, 3, 1, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-03-01T12:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_times_are_read_into_utc(text: str, at: datetime) -> None:
    assert values.parse_time(text) == at
    assert values.parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-03-01T12:00:00", "no time zone"),
        ("tomorrow", "not a time"),
        ("2026-13-01", "not a time"),
        ("2026-02-30T00:00:00Z", "not a time"),
        ("2026-W09-7", "not a time"),
        ("20260301", "not a time"),
        ("0001-01-01T00:00:00+05:00", "not a time"),
        ("", "not a time"),
    ],
)
def test_what_is_no_time_is_refused_with_its_fault(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        values.parse_time(text)


def test_arguments_are_a_json_object() -> None:
    assert values.parse_args('{"path": "a.txt", "n": 1}') == {"path": "a.txt", "n": 1}
    with pytest.raises(ValueError, match="JSON object"):
        values.parse_args("[1]")
    with pytest.raises(ValueError, match="not JSON"):
        values.parse_args("{path: 1}")


@pytest.mark.parametrize("text", ['{"n": NaN}', '{"n": Infinity}', '{"n": -Infinity}', '{"n": 1e999}'])
def test_numbers_that_json_does_not_know_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        values.parse_args(text)


def test_deeply_nested_arguments_are_refused_not_fatal() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        values.parse_args('{"a":' + "[" * 200_000)
