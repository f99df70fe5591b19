"""Job ids are UUIDv7, strictly growing within a process whatever the clock does."""

import os
import uuid

from orchestrix_raft.client.ids import IDS, JobIds


def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front() -> None:
    made = uuid.UUID(bytes=JobIds(lambda: 1_700_000_000_123, lambda n: b"\xff" * n).next())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == 1_700_000_000_123


def test_ids_of_one_millisecond_grow() -> None:
    ids = JobIds(lambda: 5)
    made = [ids.next() for _ in range(1_000)]
    assert made == sorted(set(made))


def test_ids_grow_when_the_clock_steps_back() -> None:
    clock = iter([10, 5, 11, 3])
    ids = JobIds(lambda: next(clock))
    made = [ids.next() for _ in range(4)]
    assert made == sorted(set(made))


def test_a_full_millisecond_runs_over_into_the_next() -> None:
    ids = JobIds(lambda: 5, lambda n: b"\x00" * n)
    first = ids.next()
    ids._counter = (1 << 74) - 1
    second = ids.next()
    assert first < second
    assert int.from_bytes(second, "big") >> 80 == 6
    assert uuid.UUID(bytes=second).version == 7


def test_two_generators_do_not_meet() -> None:
    first, second = JobIds(lambda: 5), JobIds(lambda: 5)
    assert not {first.next() for _ in range(100)} & {second.next() for _ in range(100)}


def test_a_forked_process_draws_anew() -> None:
    IDS.next()
    before = IDS._counter
    IDS.reset()
    IDS.next()
    assert IDS._counter != before + 1
    assert hasattr(os, "register_at_fork")
