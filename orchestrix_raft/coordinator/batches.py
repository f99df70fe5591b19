"""Batches put together from commands that are encoded already, and looked at without being decoded twice."""

from typing import Final

import msgspec

from orchestrix_raft.machine.codec import decode_batch
from orchestrix_raft.machine.commands import Command
from orchestrix_raft.undecodable import UNDECODABLE


class _Joined(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`machine.commands.Batch` with its commands as bytes; encodes to the same bytes."""

    node_id: str
    incarnation: int
    first: int
    commands: tuple[msgspec.Raw, ...]


_encoder: Final = msgspec.msgpack.Encoder()


def encode_command(command: Command) -> bytes:
    """One command, as it stands inside a batch."""
    return _encoder.encode(command)


def join_batch(node_id: str, incarnation: int, first: int, commands: list[bytes]) -> bytes:
    """The batch of commands first, first + 1, ... of an origin."""
    return _encoder.encode(_Joined(node_id, incarnation, first, tuple(map(msgspec.Raw, commands))))


def check_batch(data: bytes) -> bool:
    """Whether every node will be able to decode it: one that cannot must never enter the log."""
    try:
        decode_batch(data)
    except UNDECODABLE:
        return False
    return True
