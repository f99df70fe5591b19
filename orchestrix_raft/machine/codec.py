"""The one binary form of entries, batches, events and stored records: MessagePack of msgspec structs.

Nodes exchange these bytes and keep them for years, so the form is closed: an unknown tag or field raises
`msgspec.ValidationError`, and the caller stops rather than skip what another replica applies.
"""

from typing import Final

import msgspec

from orchestrix_raft.domain.audit import AuditRecord, AuditTrail
from orchestrix_raft.domain.job import Attempt, Job
from orchestrix_raft.domain.node import Node
from orchestrix_raft.domain.queue import KeyWindow, Queue, UniqueWindow
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.commands import Batch, Command, Entry, ScheduleResult
from orchestrix_raft.machine.events import Event


class Core(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """What the state holds besides its entities."""

    index: int
    term: int
    elapsed_ms: int
    wall_ms: int
    counter: int
    generation: int
    token_counter: int
    digest: bytes
    counts: tuple[int, ...]  # jobs by JobState, finished ones included; [0]: ids of jobs that are gone
    totals: tuple[int, ...]  # ends by JobState since the cluster began; never falls
    set_aside: int  # timers set aside
    oldest: tuple[int, ...]  # see State.oldest


class Level(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The machine level of the state.  Not closed: every version, however old, must be able to read the first
    two, so nothing is ever put before them."""

    level: int
    version: str  # of the software that raised it
    migration: bytes | None = None  # see State.migration


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """The result of a client's request, kept for its repetition."""

    seq: int
    expires_ms: int  # elapsed
    words: tuple[str, ...]  # of a command that names jobs
    where: tuple[int, int, bytes] | None = None  # of one on a filter: done, skipped, cursor
    schedule: ScheduleResult | None = None  # of one about a schedule


_encoder: Final = msgspec.msgpack.Encoder()
_decode_entry: Final = msgspec.msgpack.Decoder(Entry).decode
_decode_batch: Final = msgspec.msgpack.Decoder(Batch).decode

encode_record: Final = _encoder.encode
"""Any struct of `domain` or of this module, as stored."""

decode_job: Final = msgspec.msgpack.Decoder(Job).decode
decode_session: Final = msgspec.msgpack.Decoder(Session).decode
decode_node: Final = msgspec.msgpack.Decoder(Node).decode
decode_schedule: Final = msgspec.msgpack.Decoder(Schedule).decode
decode_attempt: Final = msgspec.msgpack.Decoder(Attempt).decode
decode_queue: Final = msgspec.msgpack.Decoder(Queue).decode
decode_key_window: Final = msgspec.msgpack.Decoder(KeyWindow).decode
decode_unique_window: Final = msgspec.msgpack.Decoder(UniqueWindow).decode
decode_audit: Final = msgspec.msgpack.Decoder(AuditRecord).decode
decode_audit_trail: Final = msgspec.msgpack.Decoder(AuditTrail).decode
decode_core: Final = msgspec.msgpack.Decoder(Core).decode
decode_level: Final = msgspec.msgpack.Decoder(Level).decode
decode_remembered: Final = msgspec.msgpack.Decoder(Remembered).decode


def encode_entry(entry: Entry) -> bytes:
    """A log entry as the consensus log carries it."""
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> Entry:
    """The inverse; its batches stay encoded.  msgspec.ValidationError or DecodeError: not an entry."""
    return _decode_entry(data)


def encode_batch(batch: Batch) -> bytes:
    """One origin's commands."""
    return _encoder.encode(batch)


def decode_batch(data: bytes | msgspec.Raw) -> Batch:
    """The inverse.  msgspec.ValidationError or DecodeError: not a batch this version understands."""
    return _decode_batch(data)


def make_entry(elapsed_ms: int, wall_ms: int, batches: tuple[Batch, ...] = ()) -> Entry:
    """An entry around batches that are not encoded yet."""
    return Entry(elapsed_ms, wall_ms, tuple(msgspec.Raw(encode_batch(batch)) for batch in batches))


def unnumbered(*commands: Command) -> Batch:
    """Commands that nobody sends again (ticks, duties, NodeStarted)."""
    return Batch("", 0, 0, commands)


def encode_events(events: list[Event]) -> bytes:
    """The events of one entry, as the digest and the event feed see them."""
    return _encoder.encode(events)
