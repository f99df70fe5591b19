"""Who calls: for the audit trail, as far as the transport knows it."""

from contextvars import ContextVar
from typing import Final
from urllib.parse import unquote

from orchestrix_raft.api.errors import Context
from orchestrix_raft.domain.audit import ACTOR_CHARS
from orchestrix_raft.domain.words import one_line

CALL: Final[ContextVar["Context | None"]] = ContextVar("call", default=None)
"""The unary call that is being answered; every call is a task of its own."""


def caller() -> str:
    """Of the call that is being answered: the name in its certificate, if it showed one, and its address."""
    context = CALL.get()
    if context is None:
        return ""
    names = context.auth_context().get("x509_common_name", ())
    name = ", ".join(part.decode("utf-8", "replace") for part in names)
    return told(name, context.peer())


def told(name: str, peer: str) -> str:
    """On one line.  peer: as gRPC writes it, like `ipv4:1.2.3.4:5678` or `ipv6:%5B::1%5D:5678`; its port says
    nothing."""
    kind, _, rest = peer.partition(":")
    address = unquote(rest).rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer
    words = f"{name} at {address}" if name else address
    return one_line(words)[:ACTOR_CHARS]
