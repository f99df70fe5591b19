"""A value of any struct of the log, made from its type alone: whatever it means, it has the shape."""

import msgspec
from msgspec import inspect

from orchestrix_raft.machine.commands import Command


def commands() -> list[Command]:
    """One of each kind, in the order of their tags; most are refused by what they say."""
    union = inspect.type_info(Command)
    assert isinstance(union, inspect.UnionType)
    kinds = sorted((one for one in union.types if isinstance(one, inspect.StructType)), key=tag)
    return [msgspec.convert(_struct(kind), Command) for kind in kinds]


def tag(kind: inspect.StructType) -> int:
    """The number that says which kind it is; 0: none does."""
    return kind.tag if isinstance(kind.tag, int) else 0


def tag_of(command: Command) -> int:
    """The number of a command's kind."""
    kind = inspect.type_info(type(command))
    assert isinstance(kind, inspect.StructType)
    return tag(kind)


def _struct(kind: inspect.StructType) -> list[object]:
    values = [_value(field.type) for field in kind.fields]
    return [kind.tag, *values] if kind.tag is not None else values


def _value(kind: inspect.Type) -> object:
    match kind:
        case inspect.UnionType(types=types):
            return _value(types[0])
        case inspect.StructType():
            return _struct(kind)
        case inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case inspect.VarTupleType(item_type=item):
            return [_value(item)]
        case inspect.TupleType(item_types=items):
            return [_value(item) for item in items]
        case inspect.IntType():
            return 1
        case inspect.StrType():
            return "sample"
        case inspect.BytesType():
            return b"sample-of-bytes!"
        case inspect.BoolType():
            return False
        case inspect.NoneType():
            return None
        case _:
            raise TypeError(f"no sample of {kind}")
