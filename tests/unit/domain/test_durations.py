"""Durations and sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.domain.durations import format_duration, parse_duration_ms, parse_size


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("0s", 0),
        ("1.5s", 1_500),
        ("0.0004s", 0),
        ("1h30m", 5_400_000),
    ],
)
def test_durations_are_read(text: str, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-5s", "5 s", "5S", "1w", "1.s", "x10s", "10sx", "1e3s", "\u0661s", "10s "]
)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="write 500ms, 10s, 5m, 2h or 7d"):
        parse_duration_ms(text)


def test_a_negative_duration_is_called_so() -> None:
    with pytest.raises(ValueError, match="cannot be negative: '-5s'"):
        parse_duration_ms("-5s")


def test_a_duration_beyond_a_year_is_refused() -> None:
    assert parse_duration_ms("366d") == 366 * 86_400_000
    with pytest.raises(ValueError, match="at most 366d"):
        parse_duration_ms("366d1ms")


@given(st.integers(0, 366 * 86_400_000))
def test_a_shown_duration_reads_back_as_itself(duration_ms: int) -> None:
    assert parse_duration_ms(format_duration(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("512B", 512), ("64KiB", 65_536), ("32 MiB", 32 << 20), ("1GiB", 1 << 30)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1.5MiB", "-1", "64KB", "64kib", "MiB", "1 2"])
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="write 512, 64KiB, 32MiB or 1GiB"):
        parse_size(text)
