"""The rows of a checkpoint: they have no checksum of their own, and come from another node or from a backup.

Loading them gives a state, or raises what it documents.  What was loaded is sound or said to be broken; a
sound one is the same after being written and loaded again.
"""

from functools import cache
from typing import Any, Final

import msgspec

from orchestrix_raft.domain.job import JobSpec, OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.domain.queue import QueueChange, RateLimitOptions
from orchestrix_raft.domain.schedule import IntervalSchedule, ScheduleSpec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import ConfigureQueue, DrainNode, PutSchedule
from orchestrix_raft.machine.history import CORE_KEY, SINGLES
from orchestrix_raft.machine.invariants import Broken, check
from orchestrix_raft.machine.loading import StoredStateDamaged
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.undecodable import UNDECODABLE
from tests.fuzz.pieces import Pieces
from tests.scenarios.driver import Driver, job

LOADED: Final = (
    "jobs",
    "sessions",
    "schedules",
    "queues",
    "key_windows",
    "unique_windows",
    "nodes",
    "requests",
    "singles",
)


def target(data: bytes) -> None:
    """Changes of a sound checkpoint, one after the other."""
    store = sound().copy()
    pieces = Pieces(data)
    for _ in range(16):
        if pieces.over:
            break
        _change(store, pieces)
    machine = Machine(store, store)
    try:
        machine.load(store.pairs)
    except (StoredStateDamaged, TooOld, *UNDECODABLE):
        return
    try:
        check(machine)
    except Broken:
        return
    store.put(SINGLES, CORE_KEY, machine.core_record())
    again = Machine(store, store)
    again.load(store.pairs)
    assert again.core_record() == machine.core_record()


def _change(store: MemoryStore, pieces: Pieces) -> None:
    rows = store.tables.setdefault(pieces.choose(LOADED), {})
    keys = sorted(rows)
    key = pieces.choose(keys) if keys else b"new"
    kind = pieces.byte()
    match kind % 9:
        case 0 | 1:  # bytes of the value
            value = bytearray(rows.get(key, b""))
            at = pieces.byte() % (len(value) + 1)
            value[at : at + kind // 9 % 4] = pieces.take(1 + kind % 3)
            rows[key] = bytes(value)
        case 2:  # another value
            rows[key] = pieces.some()
        case 3:
            rows.pop(key, None)
        case 4:  # the value of another table
            other = store.tables.get(pieces.choose(LOADED), {})
            rows[key] = pieces.choose([other[one] for one in sorted(other)] or [b""])
        case 5:  # under another key
            rows[pieces.some() or b"\0"] = rows.get(key, b"")
        case _:  # one field of the record
            record = _record(rows.get(key, b""))
            rows[key] = msgspec.msgpack.encode(with_another_field(record, pieces))


def _record(value: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(value)
    except UNDECODABLE:
        return []


def with_another_field(record: Any, pieces: Pieces) -> Any:
    """The record with one value in it replaced, however deep that is."""
    if isinstance(record, list) and record:
        place = pieces.byte() % len(record)
        inside = with_another_field(record[place], pieces)
        return [*record[:place], inside, *record[place + 1 :]]
    if isinstance(record, dict) and record:
        key = pieces.choose(sorted(record, key=repr))
        return {**record, key: with_another_field(record[key], pieces)}
    match pieces.byte() % 5:
        case 0:
            return pieces.number() - pieces.byte()
        case 1:
            return pieces.some()
        case 2:
            return pieces.some().decode(errors="replace")
        case 3:
            return None
        case _:
            return pieces.choose(([], {}, True, [pieces.number()], b"q" * 16, "default", "every", 1, 2))


@cache
def sound() -> MemoryStore:
    """A checkpoint with something in every table; copy it."""
    driver = Driver()
    driver.start_node("n9")
    driver.do(DrainNode("n9", driver.machine.state.nodes["n9"].incarnation, False))
    rate = RateLimitOptions(2, 10_000)
    change = QueueChange(rate=rate, concurrency=3, key_rate=rate)
    driver.do(ConfigureQueue(b"q" * 16, "default", change))
    driver.attach("w1", capacity=2)
    once = UniqueRule(UniqueScope.WINDOW, 5_000, OnConflict.REPLACE)
    driver.enqueue(
        "a", "b", job("c", key="eu"), job("d", delay_ms=9_000), job("e", unique_key="u", unique=once)
    )
    driver.enqueue(
        job("f", queue="other", timeout_ms=5_000, labels=("gpu",)), job("g", args=b'"' + b"x" * 20_000 + b'"')
    )
    driver.complete("a")
    driver.cancel("b", request=b"r" * 16)
    template = JobSpec(b"", "t", "other", b"{}")
    driver.do(PutSchedule(b"s" * 16, ScheduleSpec("every", IntervalSchedule(2_000), template)))
    driver.tick(2_500)
    return driver.store
