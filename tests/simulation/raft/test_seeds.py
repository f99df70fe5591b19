"""Some seeds of every mix in every test run; `python -m tests.simulation.raft` runs more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.raft.mixes import MIXES
from tests.simulation.raft.simulator import Simulation

SEEDS = 4


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("mix", MIXES)
def test_no_promise_is_broken(mix: str, seed: int) -> None:
    Simulation(seed, MIXES[mix]).run()


def test_the_same_seed_is_the_same_run() -> None:
    runs = []
    for _ in range(2):
        simulation = Simulation(7, MIXES["member-full"])
        simulation.run()
        logs = {i: simulation.nodes[i].journal._entries for i in simulation.nodes if simulation.nodes[i].up}
        runs.append((simulation.stats, logs, simulation.now))
    assert runs[0] == runs[1]


def test_the_run_does_not_depend_on_the_process() -> None:
    """Another order of hashes, the same run: nothing iterates over a set of strings."""
    code = (
        "from tests.simulation.raft.mixes import MIXES;"
        "from tests.simulation.raft.simulator import Simulation;"
        "s = Simulation(11, MIXES['member-fast']); s.run();"
        "print(s.now, sorted(s.stats.items()), sorted(s.invariants.committed.items()))"
    )
    root = Path(__file__).resolve().parents[3]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_a_run_is_long_and_full_enough_to_mean_something() -> None:
    happened = 0
    for seed in range(3):
        simulation = Simulation(seed, MIXES["full"])
        simulation.run()
        assert simulation.stats["acknowledged"] > 50
        happened += simulation.stats["crashes"] + simulation.stats["terms"]
    assert happened > 12
