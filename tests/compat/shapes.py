"""The shapes of everything that nodes keep or tell each other, one line each, for comparison.

What has a shape in a release keeps it: nodes of the release before and after read each other's entries,
messages and files.  A new struct is a new line; a line that is gone is a struct that was changed or removed.
"""

from msgspec import inspect

from orchestrix_raft.coordinator.messages import PeerMessage
from orchestrix_raft.domain.job import Attempt, Job
from orchestrix_raft.domain.node import Node
from orchestrix_raft.domain.queue import KeyWindow, Queue, UniqueWindow
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.codec import Core, Level, Remembered
from orchestrix_raft.machine.commands import Batch, Command, Entry
from orchestrix_raft.machine.events import Event

ROOTS: tuple[tuple[str, object], ...] = (
    ("entry", Entry),
    ("batch", Batch),
    ("command", Command),
    ("event", Event),
    ("message", PeerMessage),
    ("record", Job | None),
    ("record", Attempt | None),
    ("record", Session | None),
    ("record", Node | None),
    ("record", Schedule | None),
    ("record", Queue | None),
    ("record", KeyWindow | None),
    ("record", UniqueWindow | None),
    ("record", Core | None),
    ("record", Level | None),
    ("record", Remembered | None),
)


def shapes() -> list[str]:
    """Sorted lines: what it is for, its tag, and its fields in the order in which they are encoded."""
    lines: set[str] = set()
    for use, root in ROOTS:
        kind = inspect.type_info(root)
        for one in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
            if isinstance(one, inspect.StructType):
                lines.add(_line(use, one, lines))
    return sorted(lines)


def _line(use: str, kind: inspect.StructType, lines: set[str]) -> str:
    fields = ", ".join(f"{field.encode_name}: {_text(field.type, lines)}" for field in kind.fields)
    mark = f" {kind.tag}" if kind.tag is not None else ""
    return f"{use}{mark} {kind.cls.__name__}({fields})"


def _text(kind: inspect.Type, lines: set[str]) -> str:
    match kind:
        case inspect.UnionType(types=types):
            return " | ".join(_text(one, lines) for one in types)
        case inspect.StructType(cls=cls):
            lines.add(_line("part", kind, lines))
            return cls.__name__
        case inspect.EnumType(cls=cls):
            lines.update(f"choice {cls.__name__} {one.name} = {one.value}" for one in cls)
            return cls.__name__
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"[{_text(item, lines)}]"
        case inspect.TupleType(item_types=items):
            return f"({', '.join(_text(item, lines) for item in items)})"
        case inspect.DictType(key_type=key, value_type=value):
            return f"{{{_text(key, lines)}: {_text(value, lines)}}}"
        case _:
            return type(kind).__name__.removesuffix("Type").lower()
