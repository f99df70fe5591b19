"""Many seeds side by side: told in order, and a seed that kills or stops its process costs itself alone."""

import subprocess
import sys

import pytest

from orchestrix_raft.simulation.crew import Crew
from orchestrix_raft.simulation.report import Report
from orchestrix_raft.simulation.run import NOTHING
from orchestrix_raft.simulation.seeds import Outcome, try_seed

CHILD = """
import json, os, signal, sys
for line in sys.stdin:
    seed, mix = line.split()
    if mix == "dies":
        os._exit(7)
    if mix == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mix == "hangs":
        signal.pause()
    print(json.dumps({"seed": int(seed), "mix": mix}), flush=True)
"""
COMMAND = (sys.executable, "-c", CHILD)


def _tried(asked: list[tuple[int, str]], jobs: int, patience_s: float = 60.0) -> list[Outcome]:
    crew = Crew(jobs, COMMAND, patience_s)
    return [outcome for outcome in crew.outcomes(asked) if outcome is not None]


def test_seeds_are_told_in_their_order_and_each_once() -> None:
    asked = [(seed, "fine") for seed in range(40)]
    outcomes = _tried(asked, 3)
    assert [(one.seed, one.mix) for one in outcomes] == asked
    assert not any(one.failure for one in outcomes)


def test_a_seed_that_kills_its_process_is_named_and_the_rest_goes_on() -> None:
    asked = [(0, "fine"), (1, "dies"), (2, "fine"), (3, "killed"), (4, "fine"), (5, "dies")]
    failures = {one.seed: one.failure for one in _tried(asked, 2)}
    assert failures == {
        0: "",
        1: "FAILURE the process that ran it ended: exit code 7",
        2: "",
        3: "FAILURE the process that ran it ended: signal 9",
        4: "",
        5: "FAILURE the process that ran it ended: exit code 7",
    }


def test_a_seed_that_never_ends_is_given_up() -> None:
    outcomes = _tried([(0, "fine"), (1, "hangs"), (2, "fine")], 1, patience_s=0.2)
    assert [one.failure for one in outcomes] == ["", "FAILURE no answer after 0 s", ""]


def test_children_end_when_the_reader_stops() -> None:
    crew = Crew(2, COMMAND)
    outcomes = crew.outcomes([(seed, "fine") for seed in range(100)])
    while next(outcomes) is None:
        continue
    started = list(crew.children)
    outcomes.close()
    assert started
    assert all(child.process.returncode is not None for child in started)


def test_a_report_counts_what_failed_and_says_how_to_replay_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(2)
    report.take(Outcome(7, "calm"))
    report.take(Outcome(8, "power", failure="VIOLATION seed 8: a promise"))
    assert report.close() == 1
    printed = capsys.readouterr().out
    assert "seed 8 mix power: VIOLATION seed 8: a promise" in printed
    assert "replay: python -m orchestrix_raft.simulation --seed 8 --mix power\n" in printed


def test_a_report_counts_the_seeds_in_which_enough_happened(capsys: pytest.CaptureFixture[str]) -> None:
    enough = NOTHING._replace(seeds=1, virtual_s=60, jobs=200, faults=5)
    report = Report(4)
    for seed, totals in enumerate(
        (enough, enough._replace(virtual_s=59), enough._replace(jobs=199), enough._replace(faults=4))
    ):
        report.take(Outcome(seed, "power", totals=totals))
    assert report.close() == 0
    assert "\n    eventful 1\n" in capsys.readouterr().out


def test_the_program_tells_totals_of_real_seeds() -> None:
    one = try_seed(0, "calm")
    assert not one.failure
    command = [
        sys.executable,
        "-m",
        "orchestrix_raft.simulation",
        "--seeds",
        "2",
        "--mix",
        "calm",
        "--jobs",
        "2",
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    counts = {row[0]: row[1] for row in (line.split() for line in run.stdout.splitlines()) if len(row) == 2}
    assert counts["seeds"] == "2"
    assert counts["failures"] == "0"
    assert int(counts["virtual_s"].replace(",", "")) > one.totals.virtual_s
