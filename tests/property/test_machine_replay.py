"""Same log, same bytes: one log replayed in another process under another PYTHONHASHSEED."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.memory import MemoryStore
from tests.scenarios.streams import Stream

ROOT = Path(__file__).resolve().parent.parent.parent
ENTRIES = 1_500


def replay(log: list[bytes]) -> str:
    """The digest after the log, and a hash of every stored record."""
    store = MemoryStore()
    machine = Machine(store, store)
    for index, data in enumerate(log, 1):
        machine.apply(index, 1, codec.decode_entry(data))
    records = hashlib.blake2b(digest_size=16)
    for table in sorted(store.tables):
        for key, value in store.pairs(table):
            records.update(table.encode() + key + value)
    return f"{machine.state.digest.hex()} {records.hexdigest()}"


def recorded_log() -> list[bytes]:
    """A long random stream."""
    store = MemoryStore()
    machine = Machine(store, store)
    chance = random.Random(7)
    source = Stream()
    log: list[bytes] = []
    for index in range(1, ENTRIES + 1):
        step = tuple(chance.randrange(256) for _ in range(4))
        log.append(source.entry(machine.state, step))  # type: ignore[arg-type]
        machine.apply(index, 1, codec.decode_entry(log[-1]))
    assert sum(machine.state.totals) > 50, "the stream does not do much"
    return log


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_with_another_hash_seed_comes_to_the_same_bytes(seed: str) -> None:
    log = recorded_log()
    done = subprocess.run(
        [sys.executable, "-c", "from tests.property.test_machine_replay import main; main()"],
        input="\n".join(data.hex() for data in log),
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{seed} {replay(log)}"


def main() -> None:
    """The other process: a log on stdin, its digests on stdout."""
    print(os.environ["PYTHONHASHSEED"], replay([bytes.fromhex(line) for line in sys.stdin.read().split()]))
