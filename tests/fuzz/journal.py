"""The Raft journal of a node: records that are not what the program wrote, with checksums that fit.

Opening gives a log that can be read, continued and opened again as it was, or raises `StorageError`.  What
the entries hold is read, or refused with `TooOld` or `ConfigurationError`.
"""

import struct
import tempfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Final

import lmdb

from orchestrix_raft.consensus.configuration import Configuration, ConfigurationError, ConfiguredLog, Placed
from orchestrix_raft.consensus.entries import COMMAND, CONFIGURATION
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.levels import decode_batches, read_entry
from orchestrix_raft.machine.rules import RULES, TooOld
from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.port import Entry, StorageError
from tests.fuzz.pieces import NUMBERS, Pieces, one_line

_KEY: Final = struct.Struct(">Q")
_MAP_BYTES: Final = 1 << 20
_INDEXES: Final = (1, 2, 3, 4, *NUMBERS)
_SHARED: Final = Path("/dev/shm")  # memory where the system has it: a disk would sync for every input
ROOM: Final = str(_SHARED) if _SHARED.is_dir() else None

WORDS = (b"\x10c1 0 -\nV d1 n1", b"\x10c1 ", b"\nV ", b"\nL ", b"\nS ", b"\x93\x00\x00\x90", b"\x00")


def target(data: bytes) -> None:
    """Records after each other: how the key is meant, the fields, what follows them."""
    with tempfile.TemporaryDirectory(dir=ROOM) as folder:
        path = Path(folder) / "raft"
        _write(path, Pieces(data))
        try:
            journal = LmdbJournal(path, map_bytes=_MAP_BYTES)
        except StorageError as error:
            one_line(error)
            return
        with closing(journal):
            found = _check(journal)
            journal.append(Entry(COMMAND + b"more", journal.last_index + 1, journal.last_term))
            journal.flush()
        with closing(LmdbJournal(path, map_bytes=_MAP_BYTES)) as journal:
            again = journal.slice(journal.first_index, journal.last_index)
            assert again == found, "what was there is there, whatever was added"


def _check(journal: LmdbJournal) -> list[Entry]:
    """The entries, which are in order and can be looked at."""
    entries = journal.slice(journal.first_index, journal.last_index + 1)
    assert [one.index for one in entries] == list(range(journal.first_index, journal.last_index + 1))
    try:
        ConfiguredLog(journal, Placed(0, None))
    except ConfigurationError as error:
        one_line(error)
    for entry in entries:
        if entry.data[:1] == CONFIGURATION:
            _check_configuration(entry.data)
        elif entry.data[:1] == COMMAND:
            _check_command(entry)
    return entries


def _check_configuration(data: bytes) -> None:
    try:
        found = Configuration.decode(data)
    except ConfigurationError:
        return
    assert found.encode() == data
    assert found.voters


def _check_command(entry: Entry) -> None:
    try:
        read = read_entry(RULES, entry.index, entry.data[1:])
        batches = decode_batches(RULES, entry.index, read)
    except TooOld as error:
        one_line(error)
        return
    assert [codec.decode_batch(codec.encode_batch(one)) for one in batches] == batches


def _write(path: Path, pieces: Pieces) -> None:
    path.mkdir()
    env = lmdb.open(str(path), map_size=_MAP_BYTES, sync=False, lib_version=0)
    with closing(env), env.begin(write=True) as txn:
        place = 1
        for _ in range(64):
            if pieces.over:
                return
            key, record, place = _record(pieces, place)
            txn.put(key, record)


def _record(pieces: Pieces, place: int) -> tuple[bytes, bytes, int]:
    kind = pieces.byte()
    match kind % 4:
        case 0:  # a head
            key = bytes(8)
            fields = struct.pack(
                ">BQQ?",
                1 + pieces.byte() % 2 * (kind > 128),
                pieces.choose(_INDEXES),
                pieces.number(),
                kind & 4,
            )
        case 1:  # the next entry
            key, place = _KEY.pack(place), place + 1
            fields = _KEY.pack(pieces.choose(NUMBERS))
        case 2:  # one somewhere
            key = _KEY.pack(pieces.number())
            fields = _KEY.pack(pieces.number())
        case _:  # anything
            key = pieces.some()[:500] or b"x"
            fields = b""
    body = fields + pieces.some()
    damage = 1 if kind & 32 else 0
    return key, (zlib.crc32(body, zlib.crc32(key)) ^ damage).to_bytes(4) + body, place


def examples() -> list[bytes]:
    """A head with a base and what may follow it."""
    entry = codec.encode_entry(codec.make_entry(1, 2))
    configuration = b"\x10c1 0 -\nV d1 n1"
    return [
        bytes((4, 0, 0, 0, 2)) + b"n1" + bytes((1, 0, 1)) + b"\x01",
        bytes((0, 0, 0, 0, 0))
        + bytes((1, 0, 1))
        + b"\x01"
        + bytes((1, 1, len(configuration)))
        + configuration,
        bytes((0, 0, 0, 0, 0)) + bytes((1, 0, 1)) + b"\x01" + bytes((1, 1, 1 + len(entry))) + b"\0" + entry,
    ]
