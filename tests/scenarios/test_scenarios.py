"""Runs every scenario file in this folder; `language.py` says how they read."""

from pathlib import Path

import pytest

from tests.scenarios.durations import duration_ms, duration_text
from tests.scenarios.language import Scenario, read

FILES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_happens_is_what_the_scenario_says(path: Path) -> None:
    commands, expected = read(path)
    assert Scenario().run(commands) == expected


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 12


def test_durations_are_read_and_written() -> None:
    for text in ("0h", "500ms", "90s", "5m", "2h"):
        assert duration_text(duration_ms(text)) == text
