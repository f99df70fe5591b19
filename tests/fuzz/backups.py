"""What is read of files: backups, the identity and the format of a data directory, records of checkpoints.

A file is read, or `StorageError` says in one line what is wrong with it; `cluster backup --check` and
`cluster restore` end with one line, and a restore that is refused leaves nothing behind.
"""

import contextlib
import hashlib
import io
import tempfile
import zlib
from pathlib import Path
from typing import Final

import msgspec

from orchestrix_raft.cli import offline
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.coordinator import backup_file
from orchestrix_raft.coordinator.backup_file import MAGIC, Head, encode_head, read_head
from orchestrix_raft.storage.layout import FORMAT, IDENTITY, check_format, read_stored_identity
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.storage.records import decode_position
from tests.fuzz.journal import ROOM
from tests.fuzz.pieces import Pieces, one_line

_NAME: Final = Path("file")
HEAD: Final = Head(
    cluster_id="c",
    node_id="n1",
    version="1",
    made_ms=1_700_000_000_000,
    index=7,
    term=2,
    wall_ms=1,
    generation=0,
    digest=bytes(16),
    jobs={"pending": 1},
    size=4,
    sha256=hashlib.sha256(b"body").digest(),
    configuration_index=1,
    configuration=b"\x10c1 0 -\nV d1 n1",
)

WORDS = (
    MAGIC,
    *(name.encode() for name in Head.__struct_fields__),
    b"orchestrix-raft data directory, schema 1\n",
    b'{"crc32":0,"identity":{}}',
    b"disk_id",
    b"cluster_id",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
)


def target(data: bytes) -> None:
    """The first byte: what the rest is."""
    pieces = Pieces(data)
    kind = pieces.byte() % 5
    rest = pieces.rest()
    with tempfile.TemporaryDirectory(dir=ROOM) as folder:
        match kind:
            case 0:
                _file(Path(folder), rest)
            case 1:  # a head whose checksum fits, and a body
                size = min(len(rest), int.from_bytes(rest[:2]))
                _file(Path(folder), _sealed(rest[2:][:size]) + rest[2:][size:])
            case 2:  # changes of a sound one
                _file(Path(folder), _changed(rest))
            case 3:
                _position(rest)
            case _:
                _directory(Path(folder), rest)


def _sealed(head: bytes) -> bytes:
    return MAGIC + backup_file._FIXED.pack(1, len(head), hashlib.sha256(head).digest()) + head


def _changed(data: bytes) -> bytes:
    """Fields of the head replaced by JSON values of the same names; the body as its head says."""
    pieces = Pieces(data)
    fields = msgspec.structs.asdict(HEAD)
    name = pieces.choose(tuple(fields))
    if isinstance(fields[name], int):
        fields[name] = pieces.number() - pieces.byte()
    elif isinstance(fields[name], str):
        fields[name] = pieces.rest().decode(errors="replace")
    elif isinstance(fields[name], bytes):
        fields[name] = pieces.rest()
    else:
        fields[name] = {pieces.some().decode(errors="replace"): pieces.number()}
    return _sealed(msgspec.msgpack.encode(fields)) + b"body"


def _file(folder: Path, data: bytes) -> None:
    file, there = folder / "b", folder / "there"
    file.write_bytes(data)
    with contextlib.suppress(StorageError):
        head, begin = read_head(data, _NAME)
        assert data[:begin].startswith(MAGIC)
        assert read_head(encode_head(head), _NAME)[0] == head
    whole = False
    for as_json in (False, True):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Failure):
            offline.check(file, as_json)
            whole = True
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            offline.restore(file, there, "n1", as_json=False)
        except Failure as failure:
            one_line(failure)
            assert not there.exists(), "a restore that is refused leaves nothing behind"
        else:
            assert whole, "what is restored is whole"


def _position(data: bytes) -> None:
    with contextlib.suppress(StorageError):
        decode_position(data, _NAME)
    with contextlib.suppress(StorageError):
        decode_position(zlib.crc32(data).to_bytes(4) + data, _NAME)


def _directory(folder: Path, data: bytes) -> None:
    for name, read in ((FORMAT, check_format), (IDENTITY, read_stored_identity)):
        for content in (data, b'{"crc32":%d,"identity":%s}' % (zlib.crc32(data), data)):
            (folder / name).write_bytes(content)
            with contextlib.suppress(StorageError):
                read(folder)


def examples() -> list[bytes]:
    """One of each kind."""
    head = msgspec.msgpack.encode(HEAD)
    position = msgspec.msgpack.encode((7, 2, 1, HEAD.configuration, b""))
    identity = b'{"disk_id":"d1","node_id":"n1","cluster_id":"c"}'
    return [
        b"\0" + encode_head(HEAD) + b"body",
        b"\1" + len(head).to_bytes(2) + head + b"body",
        b"\2\3\0",
        b"\3" + position,
        b"\4" + identity,
        b"\4" + b"orchestrix-raft data directory, schema 1\n",
    ]
