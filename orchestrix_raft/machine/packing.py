"""What one entry did as one record of the event feed: its events and who caused them, packed.

The digest has encoded the events already, so packing costs a copy.  Long arguments and results are left out:
the feed says what happened, the job itself has the rest.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from orchestrix_raft.machine.causes import Actor, Cause
from orchestrix_raft.machine.events import Event, JobCompleted, JobEnqueued

LONG_BYTES: Final = 1 << 10  # arguments or a result beyond it are left out ...
PLAIN_BYTES: Final = 64 << 10  # ... of entries whose events take more than this


class _Packed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    causes: tuple[tuple[int, int, str], ...]
    events: msgspec.Raw


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Packed).decode
_decode_events: Final = msgspec.msgpack.Decoder(list[Event]).decode


def pack(causes: Sequence[Cause], encoded: bytes, events: list[Event]) -> bytes:
    """`encoded`: the events, by `codec.encode_events`."""
    if len(encoded) > PLAIN_BYTES:
        encoded = _encode([_short(event) for event in events])
    return _encode(_Packed(tuple(causes), msgspec.Raw(encoded)))


def _short(event: Event) -> Event:
    if type(event) is JobEnqueued and len(event.spec.args) > LONG_BYTES:
        return msgspec.structs.replace(event, spec=msgspec.structs.replace(event.spec, args=b""))
    if type(event) is JobCompleted and len(event.result) > LONG_BYTES:
        return msgspec.structs.replace(event, result=b"")
    return event


def unpack(record: bytes) -> tuple[list[Cause], list[Event]]:
    """The inverse.  msgspec.ValidationError or DecodeError: not a record that this version understands."""
    packed = _decode(record)
    causes = [Cause(first, Actor(actor), name) for first, actor, name in packed.causes]
    return causes, _decode_events(packed.events)
