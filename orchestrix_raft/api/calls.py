"""Registers a service's methods at the server and is the boundary where errors become statuses."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from orchestrix_raft.api.errors import Context, Handlers, Refusal, UnknownOutcome, abort
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.wire.services import Service

_log = logging.getLogger(__name__)
_INTERNAL = Rejected(Code.INTERNAL, "INTERNAL", "the node failed to answer; its log says why")

Unary = Callable[[Any], Awaitable[Any]]
Stream = Callable[[Context], Awaitable[None]]


def handlers(service: Service, methods: Mapping[str, Unary | Stream]) -> Handlers:
    """Handlers for all methods of `service`; a method without one is an error of the program.

    A unary method takes the request and returns the response; a streaming one takes the context and reads
    and writes itself.  Both refuse by raising `Refusal` or `UnknownOutcome`.
    """
    if service.methods.keys() != methods.keys():
        raise LookupError(f"{service.name}: {sorted(service.methods.keys() ^ methods.keys())} not matched")
    table = {}
    for name, method in service.methods.items():
        serve: Any = methods[name]
        read: Any = method.request.FromString
        write: Any = method.response.SerializeToString
        if method.client_streams:
            table[name] = grpc.stream_stream_rpc_method_handler(_stream(serve), read, write)
        else:
            table[name] = grpc.unary_unary_rpc_method_handler(_unary(serve), read, write)
    return grpc.method_handlers_generic_handler(service.name, table)


def _unary(serve: Unary) -> Any:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await serve(request)
        except (Refusal, UnknownOutcome) as error:
            await abort(context, error)
        except Exception:  # the boundary: the caller gets INTERNAL, the operator the stack
            _log.exception("a call failed")
            await abort(context, Refusal(_INTERNAL))

    return call


def _stream(serve: Stream) -> Any:
    async def call(_requests: Any, context: Context) -> None:
        try:
            await serve(context)
        except (Refusal, UnknownOutcome) as error:
            await abort(context, error)
        except Exception:  # the boundary, as above
            _log.exception("a stream failed")
            await abort(context, Refusal(_INTERNAL))

    return call
