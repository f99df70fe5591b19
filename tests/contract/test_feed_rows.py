"""Rows of the event feed across versions, in every store: those of earlier ones are read, and what this one
keeps is read by them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from orchestrix_raft.coordinator.event_reader import EventReader
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter, EventView
from orchestrix_raft.coordinator.feed import Feed, FeedKeep
from orchestrix_raft.machine import events
from orchestrix_raft.machine.causes import Actor, Cause
from orchestrix_raft.machine.codec import encode_events
from orchestrix_raft.machine.packing import pack, unpack
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.storage.port import FeedRow
from tests.contract.test_feed_store import Bench, LmdbBench, MemoryBench
from tests.reading import read_to_end

KEPT: Final = bytes.fromhex(
    "9292930001a0930102a26e31929501dc0011c410612e2e2e2e2e2e2e2e2e2e2e2e2e2e2ea174a764656661756c74c4013100000000"
    "9603cd2710cd07d0ce000927c000c2a0a090a0c00000c00202c09703c410612e2e2e2e2e2e2e2e2e2e2e2e2e2e2ec410772e2e2e2e"
    "2e2e2e2e2e2e2e2e2e2e2ea26e300101c0"
)
"""A row as c398d69 wrote it, before elapsed time was told: a job is enqueued and assigned."""


class Earlier(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A row as c398d69 reads it."""

    causes: tuple[tuple[int, int, str], ...]
    events: msgspec.Raw


@pytest.fixture(params=["lmdb", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench: Bench = LmdbBench(tmp_path) if request.param == "lmdb" else MemoryBench()
    yield bench
    bench.done()


def ready(number: int) -> events.JobReady:
    return events.JobReady(number.to_bytes(16, "big"), number)


def applied(causes: list[Cause], *happened: events.Event) -> Applied:
    listed = list(happened)
    return Applied(listed, [], [], [], causes, encode_events(listed))


def told(feed: Feed) -> list[EventView]:
    """All that there is."""
    return read_to_end(EventReader(feed, Cursor(1, 0), EventFilter(), lambda _: None))


def test_rows_of_an_earlier_version_are_told_without_elapsed_time(bench: Bench) -> None:
    store = bench.open()
    store.append([FeedRow(1, 1_000, KEPT)], 1)
    feed = Feed(bench.open(), FeedKeep())
    feed.begin(1)
    feed.note(2, 2_000, 500, applied([Cause(0, Actor.NODE, "n2")], ready(1)))
    feed.write()
    seen = [(str(one.cursor), one.kind, one.actor, one.at_ms, one.elapsed_ms) for one in told(feed)]
    assert seen == [
        ("1-1", "job_enqueued", "time", 1_000, None),
        ("1-2", "job_assigned", "dispatcher", 1_000, None),
        ("2-1", "job_ready", "node n2", 2_000, 500),
    ]


def test_an_earlier_version_reads_what_this_one_keeps(bench: Bench) -> None:
    """It looks at a cause when it comes to the event with which that begins: never at one behind them."""
    feed = Feed(bench.open(), FeedKeep())
    causes = [Cause(0, Actor.TIME, ""), Cause(1, Actor.CLIENT, "n1")]
    happened = (ready(1), ready(2))
    feed.note(1, 1_000, 0, applied(causes, *happened))
    feed.note(2, 1_000, (1 << 42) - 1, applied(causes, *happened))
    feed.write()
    for row in bench.open().read(0, 10, 1 << 20):
        read = msgspec.msgpack.decode(row.record, type=Earlier)
        known = [Cause(first, Actor(actor), name) for first, actor, name in read.causes]
        assert known[: len(causes)] == causes
        assert all(cause.first > 1 << 59 for cause in known[len(causes) :])
        assert bytes(read.events) == encode_events(list(happened))


def test_a_row_that_names_an_actor_of_a_later_version_is_said_not_to_be_understood() -> None:
    row = msgspec.msgpack.decode(pack([Cause(0, Actor.TIME, "")], encode_events([]), [], 5))
    row[0][0][1] = 99
    with pytest.raises(msgspec.ValidationError, match="99"):
        unpack(msgspec.msgpack.encode(row))
