"""The other process of `test_machine_replay`: applies logs and says what came out.

It needs nothing but the state machine and msgspec, so that any Python that has msgspec can run it.  stdin:
a line of JSON with the bounds to set, [module, name, value] each; then a log a line, its entries in hex.
stdout: a hash of the sources, the version of Python, the hash seed; then two lines a log, see `replay`.
"""

import hashlib
import importlib
import json
import os
import sys
from pathlib import Path

import orchestrix_raft
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.memory import MemoryStore

REBUILT_EVERY = 11  # entries, in the second replay of a log


def sources() -> str:
    """A hash of the code that decides."""
    package = Path(orchestrix_raft.__file__).parent
    texts = [
        path.read_bytes() for part in ("domain", "machine") for path in sorted((package / part).rglob("*.py"))
    ]
    return hashlib.blake2b(b"".join(texts), digest_size=16).hexdigest()


def python() -> str:
    """Of this process, as 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


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


def main() -> None:
    """See the module."""
    print(sources(), python(), os.environ["PYTHONHASHSEED"], sep="\n")
    for module, name, value in json.loads(sys.stdin.readline()):
        setattr(importlib.import_module(module), name, value)
    for line in sys.stdin:
        log = [bytes.fromhex(word) for word in line.split()]
        print(replay(log), replay(log, REBUILT_EVERY), sep="\n")


if __name__ == "__main__":
    main()
