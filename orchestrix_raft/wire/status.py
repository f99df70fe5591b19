"""Errors on the wire: a canonical code, one line for people, and google.rpc.ErrorInfo for programs.

The reason (UPPER_SNAKE_CASE, domain `orchestrix`) travels as a google.rpc.Status in the trailing
metadata, where every gRPC library looks for it.
"""

from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

DOMAIN: Final = "orchestrix"
TRAILER: Final = "grpc-status-details-bin"


def details(code: int, reason: str, message: str) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata for a refusal."""
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
    return ((TRAILER, status.SerializeToString()),)


def reason_of(trailers: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The reason our own API gave; "" if the error comes from elsewhere (the transport, a proxy)."""
    for key, value in trailers or ():
        if key == TRAILER and isinstance(value, bytes):
            try:
                for detail in status_pb2.Status.FromString(value).details:
                    info = error_details_pb2.ErrorInfo()
                    if detail.Unpack(info) and info.domain == DOMAIN:
                        return str(info.reason)
            except DecodeError:
                return ""  # not ours: a proxy may put anything here
    return ""
