"""Same log, same bytes: logs replayed in another process, under another PYTHONHASHSEED and another Python.

Other Pythons are those that the PATH knows as `python3.12` and so on.  One without msgspec is skipped.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from orchestrix_raft.machine import codec
from orchestrix_raft.machine import state as states
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.memory import MemoryStore
from tests.property.replaying import python, replay, sources
from tests.scenarios import streams
from tests.scenarios.schedule_streams import HONEST
from tests.scenarios.streams import Stream, small_limits

ROOT = Path(__file__).resolve().parent.parent.parent
ENTRIES = 800
SOURCES = sources()
"""As they were when this process loaded them: a change in the middle of a run is no other outcome."""


def _recorded_log(seed: int) -> list[bytes]:
    """A long random stream."""
    store = MemoryStore()
    machine = Machine(store, store)
    chance = random.Random(seed)
    source = Stream()
    log: list[bytes] = []
    for index in range(1, ENTRIES + 1):
        step = tuple(chance.randrange(256) for _ in range(4))
        log.append(source.entry(machine.state, step))  # type: ignore[arg-type]
        machine.apply(index, 1, codec.decode_entry(log[-1]))
    assert sum(machine.state.totals) > 20, "the stream does not do much"
    return log


@cache
def recorded_logs() -> tuple[list[bytes], ...]:
    """Of every command, and of many schedules."""
    with pytest.MonkeyPatch.context() as patch:
        small_limits(patch)
        logs = [_recorded_log(seed) for seed in (7, 8)]
        patch.setattr(streams, "_COMMANDS", (*streams._COMMANDS, *HONEST * 3))
        return (*logs, _recorded_log(9))


@cache
def _outcomes() -> tuple[str, ...]:
    with pytest.MonkeyPatch.context() as patch:
        small_limits(patch)
        return tuple(replay(log) for log in recorded_logs())


class _Bounds:
    """A patch that sets nothing: it writes down what a process without pytest has to set."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []

    def setattr(self, target: ModuleType, name: str, value: int) -> None:
        self.told.append((target.__name__, name, value))


def _input() -> str:
    bounds = _Bounds()
    small_limits(cast(pytest.MonkeyPatch, bounds))
    logs = [" ".join(data.hex() for data in log) for log in recorded_logs()]
    return "\n".join([json.dumps(bounds.told), *logs])


def _replayed(executable: str, hash_seed: str) -> list[str]:
    """The lines of `replaying.py` in a process of its own."""
    done = subprocess.run(
        [executable, "tests/property/replaying.py"],
        input=_input(),
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def _agree(executable: str, version: str, hash_seed: str) -> None:
    read, ran, seed, *outcomes = _replayed(executable, hash_seed)
    assert read == SOURCES, "the code was edited while this test ran: run it again"
    assert (ran, seed) == (version, hash_seed)
    assert outcomes == [text for text in _outcomes() for _ in range(2)]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_with_another_hash_seed_comes_to_the_same_bytes(seed: str) -> None:
    """Also one that forgets, every few entries, everything but its records."""
    _agree(sys.executable, python(), seed)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_another_python_comes_to_the_same_bytes(version: str) -> None:
    if version == python():
        pytest.skip(f"python{version} runs the other tests")
    executable = shutil.which(f"python{version}")
    if executable is None:
        pytest.skip(f"python{version} is not installed")
    asked = subprocess.run([executable, "-c", "import msgspec"], capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip(f"python{version} does not run here, or has no msgspec")
    _agree(executable, version, "3")


def test_a_state_that_is_divided_comes_to_the_same_bytes_as_one_that_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One node has been in parts since there were many jobs, another was started when they were few."""
    small_limits(monkeypatch)
    divided = [replay(log) for log in recorded_logs()]
    monkeypatch.setattr(states, "FEW", 10**6)
    assert [replay(log) for log in recorded_logs()] == divided == list(_outcomes())
