"""The gRPC API, one line for each field, choice and method, for comparison.

Clients and workers of other releases, in whatever language, talk to it: only additions are allowed.  A line
that is gone is something that was renumbered, retyped, renamed or removed.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from orchestrix_raft.wire import v1

TYPES = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def api() -> list[str]:
    """Sorted lines of all .proto files."""
    names = [module.name for module in iter_modules(v1.__path__) if module.name.endswith("_pb2")]
    files = [import_module(f"{v1.__name__}.{name}").DESCRIPTOR for name in names]
    return sorted(line for file in files for line in _file(file))


def _file(file: FileDescriptor) -> Iterator[str]:
    for message in file.message_types_by_name.values():
        yield from _message(message)
    for enum in file.enum_types_by_name.values():
        yield from _enum(enum)
    for service in file.services_by_name.values():
        for method in service.methods:
            given = f"{'stream ' if method.client_streaming else ''}{method.input_type.full_name}"
            answer = f"{'stream ' if method.server_streaming else ''}{method.output_type.full_name}"
            yield f"method {method.full_name}({given}) -> {answer}"


def _message(message: Descriptor) -> Iterator[str]:
    yield f"message {message.full_name}"
    for field in message.fields:
        kind = TYPES[field.type]
        other = field.message_type or field.enum_type
        kind = f"{kind} {other.full_name}" if other is not None else kind
        many = "repeated " if field.is_repeated else ""
        one_of = f" of {field.containing_oneof.name}" if field.containing_oneof is not None else ""
        yield f"field {message.full_name}.{field.name} = {field.number}: {many}{kind}{one_of}"
    for inner in message.nested_types:
        yield from _message(inner)
    for enum in message.enum_types:
        yield from _enum(enum)


def _enum(enum: EnumDescriptor) -> Iterator[str]:
    for value in enum.values:
        yield f"choice {enum.full_name}.{value.name} = {value.number}"
