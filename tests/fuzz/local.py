"""The local store of a node: job logs and event feed, which have no checksums and were written without sync.

Whatever a power loss or another version has left in its tables, the store opens, and what is read is of the
form that readers are told, or refused in one line as a `StorageError` or undecodable.  What is kept from then
on is read as it was, and old rows can be forgotten until nothing is left.
"""

import struct
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

import lmdb
import msgspec

from orchestrix_raft.coordinator.event_reader import EventReader
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter, EventView
from orchestrix_raft.coordinator.feed import TRIM_ROWS, Feed, FeedKeep
from orchestrix_raft.coordinator.job_logs import EXPIRE_JOBS, JobLogs
from orchestrix_raft.coordinator.messages import SharedLine
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.machine.causes import Actor, Cause
from orchestrix_raft.machine.codec import encode_events
from orchestrix_raft.machine.events import JobReady
from orchestrix_raft.machine.packing import pack
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.storage.local import LmdbLocalStore
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.undecodable import UNDECODABLE, words_of
from orchestrix_raft.wire import events as wire_events
from orchestrix_raft.wire import jobs as wire_jobs
from tests.fuzz.journal import ROOM
from tests.fuzz.pieces import Pieces, one_line
from tests.fuzz.rows import with_another_field
from tests.scenarios.driver import Driver, job

_MAP_BYTES: Final = 4 << 20
_BYTES_MAX: Final = 64 << 20  # of all job logs: more than the rows of an input may say they hold
_TABLES: Final = ("feed", "feed_span", "log_lines", "log_jobs", "log_ages")
_NUMBER: Final = struct.Struct(">Q")
_JOBS: Final = (b"a" * 16, b"b" * 16)
_NEW_JOB: Final = b"c" * 16
_STANDS: Final = 5  # the state, when the node starts
_NOW_MS: Final = 1_700_000_000_000

WORDS = (b"span", b"total", b"\x94\x01\xa1i\xa1m\x01", b"\xcf\x10\x00\x00\x00\x00\x00\x00\x00")


def target(data: bytes) -> None:
    """Rows after each other: table, key, value; then what a node does with its store."""
    with tempfile.TemporaryDirectory(dir=ROOM) as folder:
        path = Path(folder) / "local"
        _write(path, Pieces(data))
        with closing(_open(path)) as store:
            _use_feed(store)
            _use_logs(store)
        with closing(_open(path)) as store:
            assert not store.discarded, store.discarded
            _read_lines(JobLogs(store, 60.0), store)
            _empty(store)


def _open(path: Path) -> LmdbLocalStore:
    return LmdbLocalStore(path, map_bytes=_MAP_BYTES, bytes_max=_BYTES_MAX)


# ---- what a node does


def _use_feed(store: LmdbLocalStore) -> None:
    feed = Feed(store.feed, FeedKeep())
    feed.begin(_STANDS)
    assert not feed.problem, feed.problem
    assert 0 <= feed.after <= _STANDS
    _told(feed, Cursor(feed.after + 1, 0))
    ready = JobReady(_JOBS[0], 1)
    feed.note(_STANDS + 1, _NOW_MS, 77, Applied([ready], [], [], [], [_TIME], encode_events([ready])))
    feed.write()
    assert not feed.problem, feed.problem
    told = _told(feed, Cursor(_STANDS + 1, 0))
    assert [(one.kind, one.elapsed_ms) for one in told] == [("job_ready", 77)]


_TIME: Final = Cause(0, Actor.TIME, "")


def _told(feed: Feed, since: Cursor) -> list[EventView]:
    """What a reader is told; the API can send it."""
    reader = EventReader(feed, since, EventFilter(), lambda _: None)
    found: list[EventView] = []
    while not reader.at_end:
        try:
            more = reader.slice()
        except StorageError as error:
            one_line(error)
            break
        except UNDECODABLE as error:
            one_line(words_of(error))
            break
        assert not isinstance(more, Rejected), more
        found += more
    for one in found:
        wire_events.event_message(str(one.cursor), *one[1:]).SerializeToString()
    return found


def _use_logs(store: LmdbLocalStore) -> None:
    logs = JobLogs(store, 60.0)
    _read_lines(logs, store)
    new = SharedLine(_NEW_JOB, 7, 1, 1, _NOW_MS, "info", "new")
    logs.keep([new, msgspec.structs.replace(new, job_id=_JOBS[0])], _NOW_MS)
    assert not logs.problem, logs.problem
    lines, more = logs.page(_NEW_JOB, (0, 0), 10)
    assert [line.place for line in lines] == [(7, 1)]
    assert not more


def _read_lines(logs: JobLogs, store: LmdbLocalStore) -> None:
    for job_id in _JOBS:
        try:
            lines, _ = logs.page(job_id, (0, 0), 1_000)
        except StorageError as error:
            one_line(error)
            continue
        assert [line.place for line in lines] == sorted({line.place for line in lines})
        for line in lines:
            wire_jobs.LogLineMessage(**line._asdict()).SerializeToString()
        assert store.dropped(job_id) >= 0


def _empty(store: LmdbLocalStore) -> None:
    """Everything becomes old."""
    for _ in range(200):
        if store.feed.trim(1 << 62, 0, TRIM_ROWS) < TRIM_ROWS:
            break
    assert store.feed.read(0, 10, 1 << 20) == []
    assert store.feed.size_bytes == 0
    for _ in range(200):
        if store.expire_lines(1 << 62, EXPIRE_JOBS) < EXPIRE_JOBS:
            break
    assert store.lines(_NEW_JOB, (0, 0), 10, 1 << 20) == []


# ---- what the tables hold


def _write(path: Path, pieces: Pieces) -> None:
    path.mkdir()
    env = lmdb.open(str(path), map_size=_MAP_BYTES, max_dbs=len(_TABLES), sync=False, lib_version=0)
    with closing(env):
        tables = {name: env.open_db(name.encode()) for name in _TABLES}
        with env.begin(write=True) as txn:
            covered = struct.pack(">QQQ", 0, _STANDS, 1_000)
            txn.put(b"span", covered, db=tables["feed_span"])
            for _ in range(32):
                if pieces.over:
                    return
                name = pieces.choose(_TABLES)
                key, value = _pair(name, pieces)
                txn.put(key[:500] or b"x", value, db=tables[name])


def _pair(name: str, pieces: Pieces) -> tuple[bytes, bytes]:
    """As the program writes it, but for what the input changes."""
    kind = pieces.byte()
    match name:
        case "feed":
            key, value = _NUMBER.pack(pieces.byte() % 8), _NUMBER.pack(pieces.number()) + _record(pieces)
        case "feed_span":
            key, value = b"span", _numbers(pieces, 3)
        case "log_lines":
            key = pieces.choose(_JOBS) + _numbers(pieces, 2)
            line = (pieces.number(), "info", "m", pieces.byte())
            value = msgspec.msgpack.encode(with_another_field(list(line), pieces) if kind & 16 else line)
        case "log_jobs":
            key, value = pieces.choose(_JOBS), struct.pack(">II", pieces.byte(), 0) + _numbers(pieces, 2)
            if kind & 16:
                key, value = b"total", _numbers(pieces, 1)
        case _:
            key, value = _numbers(pieces, 1) + pieces.choose(_JOBS), b""
    if kind & 1:
        key = pieces.some()
    if kind & 2:
        value = pieces.some()
    if kind & 4:
        value = value[: pieces.byte()] + pieces.take(2) + value[pieces.byte() :]
    if kind & 8:
        key = key[: pieces.byte() % 40]
    return key, value


def _numbers(pieces: Pieces, count: int) -> bytes:
    return b"".join(_NUMBER.pack(pieces.number()) for _ in range(count))


def _record(pieces: Pieces) -> bytes:
    """Of the feed, with one field changed perhaps."""
    sound = pieces.choose(records())
    if pieces.byte() % 3 == 0:
        return sound
    changed: Any = with_another_field(msgspec.msgpack.decode(sound), pieces)
    return msgspec.msgpack.encode(changed)


@cache
def records() -> list[bytes]:
    """Of entries that did something of every sort."""
    driver = Driver()
    found = []
    driver.attach("w1", capacity=2)
    for step in (
        lambda: driver.enqueue("a", job("b", delay_ms=9_000), job("c", key="eu", timeout_ms=5_000)),
        lambda: driver.complete("a"),
        lambda: driver.cancel("b", request=b"r" * 16),
        lambda: driver.tick(5_000),
    ):
        step()
        happened = driver.events
        causes = [_TIME, Cause(len(happened) // 2, Actor.CLIENT, "n1")]
        found.append(pack(causes, encode_events(happened), happened, 1_000))
    return found
