"""A record of the event feed: all that happened, but for long arguments and results of large entries."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrix_raft.machine import codec, packing
from orchestrix_raft.machine.causes import Actor, Cause
from orchestrix_raft.machine.events import Event, JobCompleted, JobEnqueued
from orchestrix_raft.machine.packing import LONG_BYTES, PLAIN_BYTES, pack, unpack
from tests.scenarios.driver import Driver, job

CAUSES = [Cause(0, Actor.TIME, ""), Cause(1, Actor.WORKER, "w")]


def events_of(*results: bytes) -> list[Event]:
    """Jobs whose arguments are what they come to, enqueued and completed."""
    driver = Driver()
    driver.attach("w", capacity=9)
    names = [f"j{number}" for number in range(len(results))]
    driver.enqueue(*(job(name, args=data) for name, data in zip(names, results, strict=True)))
    events = driver.events
    for name, data in zip(names, results, strict=True):
        driver.complete(name, result=data)
        events += driver.events
    return events


def sizes(events: list[Event]) -> tuple[list[int], list[int]]:
    """Bytes of arguments, and of results."""
    return (
        [len(event.spec.args) for event in events if isinstance(event, JobEnqueued)],
        [len(event.result) for event in events if isinstance(event, JobCompleted)],
    )


def refuse(*_: Any) -> Callable[..., Any]:
    raise AssertionError("the events were encoded already")


def test_what_is_packed_comes_back_with_all_its_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    events = events_of(b"1" * (LONG_BYTES + 1))
    encoded = codec.encode_events(events)
    monkeypatch.setattr(packing, "_short", refuse)
    assert unpack(pack(CAUSES, encoded, events, 7_000)) == (CAUSES, events, 7_000)


@pytest.mark.parametrize("elapsed_ms", [0, 1, 86_400_000 * 36_500])
def test_any_elapsed_time_comes_back_and_is_no_cause(elapsed_ms: int) -> None:
    for causes in ([], CAUSES[:1], CAUSES):
        assert unpack(pack(causes, codec.encode_events([]), [], elapsed_ms)) == (causes, [], elapsed_ms)


def test_of_a_large_entry_what_is_long_is_left_out_and_nothing_else() -> None:
    long, short = b"1" * (LONG_BYTES + 1), b"2" * LONG_BYTES
    events = events_of(b"3" * PLAIN_BYTES, long, short)
    causes, found, elapsed_ms = unpack(pack(CAUSES, codec.encode_events(events), events, 7_000))
    assert (causes, elapsed_ms) == (CAUSES, 7_000)
    assert [type(event) for event in found] == [type(event) for event in events]
    assert sizes(found) == ([0, 0, LONG_BYTES], [0, 0, LONG_BYTES])
