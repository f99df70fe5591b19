"""What one entry did as one record of the event feed: its events, who caused them, and its elapsed time.

The digest has encoded the events already, so packing costs a copy.  Long arguments and results are left out:
the feed says what happened, the job itself has the rest.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from orchestrix_raft.machine.causes import Actor, Cause
from orchestrix_raft.machine.events import Event, JobCompleted, JobEnqueued

LONG_BYTES: Final = 1 << 10  # arguments or a result beyond it are left out ...
PLAIN_BYTES: Final = 64 << 10  # ... of entries whose events take more than this

_ELAPSED: Final = 1 << 60
"""The last cause of a record may be none: one that begins so far behind all events, and milliseconds further,
is the entry's elapsed time.  Versions before the time was told refuse a record with one more field; this they
read, and never come to it (docs/decisions/0023)."""


class _Packed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    causes: tuple[tuple[int, Actor, str], ...]
    events: msgspec.Raw


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Packed).decode
_decode_events: Final = msgspec.msgpack.Decoder(list[Event]).decode


class Unpacked(NamedTuple):
    """What one entry did."""

    causes: list[Cause]
    events: list[Event]
    elapsed_ms: int | None  # the log's elapsed time; None: an earlier version wrote the record


def pack(causes: Sequence[Cause], encoded: bytes, events: list[Event], elapsed_ms: int) -> bytes:
    """`encoded`: the events, by `codec.encode_events`.  elapsed_ms: of the state, with the entry applied."""
    if len(encoded) > PLAIN_BYTES:
        encoded = _encode([_short(event) for event in events])
    elapsed = (_ELAPSED + elapsed_ms, Actor.TIME, "")
    return _encode(_Packed((*causes, elapsed), msgspec.Raw(encoded)))


def _short(event: Event) -> Event:
    if type(event) is JobEnqueued and len(event.spec.args) > LONG_BYTES:
        return msgspec.structs.replace(event, spec=msgspec.structs.replace(event.spec, args=b""))
    if type(event) is JobCompleted and len(event.result) > LONG_BYTES:
        return msgspec.structs.replace(event, result=b"")
    return event


def unpack(record: bytes) -> Unpacked:
    """The inverse.  msgspec.ValidationError or DecodeError: not a record that this version understands."""
    packed = _decode(record)
    causes = [Cause(*cause) for cause in packed.causes]
    told = bool(causes) and causes[-1].first >= _ELAPSED
    elapsed_ms = causes.pop().first - _ELAPSED if told else None
    return Unpacked(causes, _decode_events(packed.events), elapsed_ms)
