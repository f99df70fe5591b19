"""How the state store notes where it stands.  For `storage` only."""

import zlib
from pathlib import Path

import msgspec

from orchestrix_raft.storage.port import Damaged, Position
from orchestrix_raft.undecodable import UNDECODABLE, words_of

META_TABLE = b"_meta"
POSITION_KEY = b"position"

_decoder = msgspec.msgpack.Decoder(Position)


def encode_position(position: Position) -> bytes:
    """CRC-32, then the position in MessagePack."""
    body = msgspec.msgpack.encode(position)
    return zlib.crc32(body).to_bytes(4) + body


def decode_position(record: bytes, file: Path) -> Position:
    """The reverse; Damaged names `file`."""
    if zlib.crc32(memoryview(record)[4:]) != int.from_bytes(record[:4]):
        raise Damaged(f"{file}: the position of the checkpoint is damaged")
    try:
        return _decoder.decode(memoryview(record)[4:])
    except UNDECODABLE as error:
        raise Damaged(f"{file}: the position of the checkpoint cannot be read ({words_of(error)})") from error
