"""Messages of the protocol out of bytes: any message, with fields that are often nearly right.

Raw bytes rarely parse; what is built here always does, and has small numbers, ids that occur again, names
that are allowed and texts that are not.
"""

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.fuzz.pieces import NUMBERS, NUMBERS_64, Pieces

DEPTH_MAX: Final = 4
ITEMS_MAX: Final = 4
IDS: Final = tuple(bytes((number,)) * 16 for number in range(1, 5))
TEXTS: Final = (
    "",
    "default",
    "t",
    "q2",
    "* * * * *",
    "*/5 * * * *",
    "0 0 29 2 *",
    "UTC",
    "Europe/Berlin",
    "n1",
    "now",
    "1-0",
    "127.0.0.1:7400",
    "a b",
    "x\ny",
    "\u00e4",
    "\x00",
    "x" * 300,
    "job_completed",
    "gpu",
)
BLOBS: Final = (b"", b"{}", b"null", b"[1]", b'{"a":1}', b"{", b'"\xff"', b"x" * 300, *IDS)

_FIELD = FieldDescriptor
_UNSIGNED_64: Final = frozenset({_FIELD.TYPE_UINT64, _FIELD.TYPE_FIXED64})
_SIGNED_64: Final = frozenset({_FIELD.TYPE_INT64, _FIELD.TYPE_SINT64, _FIELD.TYPE_SFIXED64})
_UNSIGNED_32: Final = frozenset({_FIELD.TYPE_UINT32, _FIELD.TYPE_FIXED32})


def build(kind: type[Message], pieces: Pieces, depth: int = 0) -> Any:
    """A message of that kind."""
    message: Any = kind()
    for field in kind.DESCRIPTOR.fields:
        asked = pieces.byte()
        if asked % 3 == 0:
            continue
        if field.is_repeated:
            for _ in range(asked % (ITEMS_MAX + 1)):
                _add(message, field, pieces, depth)
        elif field.message_type is not None:
            if depth < DEPTH_MAX:
                part = getattr(message, field.name)
                part.SetInParent()
                part.MergeFrom(build(type(part), pieces, depth + 1))
        else:
            setattr(message, field.name, _value(field, pieces))
    return message


def change(message: Any, pieces: Pieces) -> None:
    """Give one field of it another value, in a message inside of it where there is one."""
    if not message.DESCRIPTOR.fields:
        return
    field = pieces.choose(message.DESCRIPTOR.fields)
    inside = getattr(message, field.name)
    if field.is_repeated:
        if field.message_type is not None and inside:
            change(pieces.choose(inside), pieces)
        elif len(inside) < ITEMS_MAX:
            _add(message, field, pieces, 0)
    elif field.message_type is None:
        setattr(message, field.name, _value(field, pieces))
    elif message.HasField(field.name):
        change(inside, pieces)
    else:
        inside.SetInParent()
        inside.MergeFrom(build(type(inside), pieces, 1))


def _add(message: Any, field: Any, pieces: Pieces, depth: int) -> None:
    items = getattr(message, field.name)
    if field.message_type is None:
        items.append(_value(field, pieces))
    elif depth < DEPTH_MAX:
        part = items.add()
        part.MergeFrom(build(type(part), pieces, depth + 1))


def _value(field: Any, pieces: Pieces) -> object:
    kind = field.type
    if kind == _FIELD.TYPE_STRING:
        chosen = pieces.byte()
        return TEXTS[chosen] if chosen < len(TEXTS) else pieces.some().decode(errors="replace")
    if kind == _FIELD.TYPE_BYTES:
        chosen = pieces.byte()
        return BLOBS[-1 - chosen % len(BLOBS)] if chosen < 200 else pieces.some()
    if kind == _FIELD.TYPE_BOOL:
        return pieces.byte() % 2 == 1
    if kind in _UNSIGNED_64:
        return pieces.number(NUMBERS_64) % (1 << 64)
    if kind in _SIGNED_64:
        return _signed(pieces.number(NUMBERS_64), 64)
    if kind in _UNSIGNED_32:
        return pieces.number(NUMBERS) % (1 << 32)
    return _signed(pieces.number(NUMBERS), 32)  # whole numbers and choices, known or not


def _signed(number: int, bits: int) -> int:
    half = 1 << bits - 1
    return (number + half) % (2 * half) - half
