"""Same log, same bytes: logs replayed in another process under another PYTHONHASHSEED."""

import hashlib
import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import orchestrix_raft
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.memory import MemoryStore
from tests.scenarios import streams
from tests.scenarios.schedule_streams import HONEST
from tests.scenarios.streams import Stream, small_limits

ROOT = Path(__file__).resolve().parent.parent.parent
ENTRIES = 800


def _sources() -> str:
    """A hash of the code that decides."""
    package = Path(orchestrix_raft.__file__).parent
    texts = [
        path.read_bytes() for part in ("domain", "machine") for path in sorted((package / part).rglob("*.py"))
    ]
    return hashlib.blake2b(b"".join(texts), digest_size=16).hexdigest()


SOURCES = _sources()
"""As they were when this process loaded them: a change in the middle of a run is no other outcome."""


def replay(log: list[bytes], rebuild_every: int = 0) -> str:
    """The digest after the log, and a hash of every stored record; rebuilt from its records now and then."""
    store = MemoryStore()
    machine = Machine(store, store)
    for index, data in enumerate(log, 1):
        if rebuild_every and index % rebuild_every == 0:
            machine = Machine(store, store)
            machine.load(store.pairs)
        machine.apply(index, 1, codec.decode_entry(data))
    records = hashlib.blake2b(digest_size=16)
    for table in sorted(store.tables):
        for key, value in store.pairs(table):
            records.update(table.encode() + key + value)
    return f"{machine.state.digest.hex()} {records.hexdigest()}"


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


def _outcomes() -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        small_limits(patch)
        return [replay(log) for log in recorded_logs()]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_with_another_hash_seed_comes_to_the_same_bytes(seed: str) -> None:
    """Also one that forgets, every few entries, everything but its records."""
    expected = _outcomes()
    done = subprocess.run(
        [sys.executable, "-c", "from tests.property.test_machine_replay import main; main()"],
        input="\n".join(" ".join(data.hex() for data in log) for log in recorded_logs()),
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    sources, told, *outcomes = done.stdout.splitlines()
    assert sources == SOURCES, "the code was edited while this test ran: run it again"
    assert told == seed
    assert outcomes == [text for text in expected for _ in range(2)]


def main() -> None:
    """The other process: a log a line on stdin; its sources, hash seed and outcomes on stdout."""
    print(SOURCES, os.environ["PYTHONHASHSEED"], sep="\n")
    with pytest.MonkeyPatch.context() as patch:
        small_limits(patch)
        for line in sys.stdin:
            log = [bytes.fromhex(word) for word in line.split()]
            print(replay(log), replay(log, 11), sep="\n")
