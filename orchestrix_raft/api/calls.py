"""Registers a service's methods at the server and is the boundary where errors become statuses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from orchestrix_raft.api.callers import CALL
from orchestrix_raft.api.errors import Context, Handlers, Refusal, UnknownOutcome, abort, invalid
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.wire.services import Service

_log = logging.getLogger(__name__)
_INTERNAL = Rejected(Code.INTERNAL, "INTERNAL", "the node failed to answer; its log says why")

_TURNED_AWAY = (Refusal, UnknownOutcome, DecodeError)

Unary = Callable[[Any], Awaitable[Any]]
Stream = Callable[[Context], Awaitable[None]]
Feed = Callable[[Any, Context], Awaitable[None]]


TurnedAway = Callable[[str, Any, Exception], None]
"""Told of a refused call: its method, its request (None: it could not be read), and why."""


def handlers(
    service: Service, methods: Mapping[str, Unary | Stream | Feed], turned_away: TurnedAway | None = None
) -> Handlers:
    """Handlers for all methods of `service`; a method without one is an error of the program.

    A unary method takes the request and returns the response; one that streams both ways takes the context
    and reads and writes itself; one that streams its answer takes the request and the context.  All refuse by
    raising `Refusal` or `UnknownOutcome`.  Bytes that are no message of the method are refused here.
    """
    if service.methods.keys() != methods.keys():
        raise LookupError(f"{service.name}: {sorted(service.methods.keys() ^ methods.keys())} not matched")
    told = turned_away or _nobody
    table = {}
    for name, method in service.methods.items():
        serve: Any = methods[name]
        read: Any = method.request.FromString
        write: Any = method.response.SerializeToString
        if method.client_streams:
            table[name] = grpc.stream_stream_rpc_method_handler(_stream(serve), read, write)
        elif method.server_streams:
            table[name] = grpc.unary_stream_rpc_method_handler(_feed(name, serve, read, told), None, write)
        else:
            table[name] = grpc.unary_unary_rpc_method_handler(_unary(name, serve, read, told), None, write)
    return grpc.method_handlers_generic_handler(service.name, table)


def _nobody(_method: str, _request: Any, _error: Exception) -> None:
    """Nobody wants to know of refused calls."""


def _unary(name: str, serve: Unary, read: Callable[[bytes], Any], told: TurnedAway) -> Any:
    async def call(data: bytes, context: Context) -> Any:
        CALL.set(context)
        request = None
        try:
            request = read(data)
            return await serve(request)
        except Exception as error:  # the boundary: whatever it is, the caller gets a status
            if isinstance(error, _TURNED_AWAY):
                told(name, request, error)
            await _answer(context, error)

    return call


def _stream(serve: Stream) -> Any:
    async def call(_requests: Any, context: Context) -> None:
        try:
            # By itself, not with the first message: a stream that is given up while its first message is
            # being written could not be ended with a status.
            await context.send_initial_metadata(())
            await serve(context)
        except Exception as error:  # the boundary, as above
            await _answer(context, error)

    return call


def _feed(name: str, serve: Feed, read: Callable[[bytes], Any], told: TurnedAway) -> Any:
    async def call(data: bytes, context: Context) -> None:
        CALL.set(context)
        request = None
        try:
            await context.send_initial_metadata(())
            request = read(data)
            await serve(request, context)
        except Exception as error:  # the boundary, as above
            if isinstance(error, _TURNED_AWAY):
                told(name, request, error)
            await _answer(context, error)

    return call


async def _answer(context: Context, error: Exception) -> NoReturn:
    """End the call.  For what is nobody's refusal the caller gets INTERNAL, the operator the stack."""
    try:
        await _abort(context, _cause(error))
    except grpc.aio.BaseError as over:
        if not _is_over(over):
            raise
        _log.info("a call ended in the middle: %s", over)
        raise asyncio.CancelledError from over


def _cause(error: Exception) -> Exception:
    """Of a stream that works in several tasks: what failed by itself, not because the call was over."""
    if not isinstance(error, ExceptionGroup):
        return error
    _, rest = error.split(_is_over)
    if rest is not None and len(rest.exceptions) > 1:
        return rest
    return _cause((rest or error).exceptions[0])


def _is_over(error: BaseException) -> bool:
    """What grpc raises for using a call whose caller has gone away, or whose server has stopped, before it
    cancels the call; the caller of the latter is told UNAVAILABLE by grpc itself.  An `AbortError` is an end
    of our own, a `UsageError` a mistake."""
    ours = isinstance(error, grpc.aio.AbortError | grpc.aio.UsageError)
    return isinstance(error, grpc.aio.BaseError) and not ours


async def _abort(context: Context, error: Exception) -> NoReturn:
    if isinstance(error, Refusal | UnknownOutcome):
        await abort(context, error)
    if _is_over(error):
        raise error
    if isinstance(error, DecodeError):
        await abort(context, invalid("MALFORMED_MESSAGE", f"the bytes are no message of this call: {error}"))
    _log.error("a call failed", exc_info=error)
    await abort(context, Refusal(_INTERNAL))
