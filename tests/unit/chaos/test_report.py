"""The row of a run in the list of runs."""

from pathlib import Path

import pytest

from tests.chaos.report import RUNS, Result, record, text
from tests.chaos.settling import Settled

CLEAN = Result(commit="abc1234", seed=7, minutes=1.5, network="loopback", faults={"kill-node": 3, "delay": 1})


def failed(**changed: object) -> Result:
    return Result(
        **{"commit": "c", "seed": 1, "minutes": 1.0, "network": "n", "problems": ["a | b\nmore of it"]}
        | changed  # type: ignore[arg-type]
    )


def test_a_run_has_a_cell_for_each_head_of_the_list(tmp_path: Path) -> None:
    page = tmp_path / "runs.md"
    record(CLEAN, page)
    heads = next(line for line in RUNS.read_text(encoding="utf-8").splitlines() if line.startswith("| when"))
    row = page.read_text(encoding="utf-8")
    assert row.count("|") == heads.count("|")
    assert "| abc1234 | 7 | 1.5, loopback | 4 of 2 kinds | 0 |" in row
    assert row.endswith("| clean |\n")


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_problem_is_told_in_one_line_of_the_list_and_in_full_on_the_terminal(
    tmp_path: Path, interrupted: bool
) -> None:
    page = tmp_path / "runs.md"
    record(failed(interrupted=interrupted), page)
    assert page.read_text(encoding="utf-8").endswith("| FAILED: a \\| b |\n")
    assert text(failed()).endswith("PROBLEM: a | b\nmore of it\nFAILED")


def test_a_run_that_was_stopped_is_not_clean() -> None:
    stopped = failed(problems=[], interrupted=True)
    assert not stopped.clean
    assert text(stopped).endswith("\ninterrupted")


def test_of_many_wrong_things_some_are_named() -> None:
    told = Settled()
    assert told.wrong("gone", [str(n) for n in range(8)]) == 8
    assert told.problems == ["gone: 0, 1, 2, 3, 4 and 3 more"]
    assert told.wrong("gone", []) == 0
