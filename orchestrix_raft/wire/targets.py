"""Whom an SDK is to talk to, as users of the constructors may say it: TypeError in one line for another kind
of value, ValueError for one that cannot be.

Imported by the SDKs.
"""

from collections.abc import Iterable

from orchestrix_raft.wire.arguments import shown
from orchestrix_raft.wire.transport import TlsFiles, parse_servers


def addresses_of(servers: object) -> tuple[str, ...]:
    """Addresses in order, without repeats, from "a:1,b:2" or a sequence of them."""
    if isinstance(servers, str):
        return parse_servers(servers)
    if not isinstance(servers, Iterable):
        raise TypeError(f"servers is {shown(servers)}: expected HOST:PORT, or several separated by commas")
    parts: list[str] = []
    for part in servers:
        if not isinstance(part, str):
            raise TypeError(f"servers has {shown(part)}: each must be text, HOST:PORT")
        parts.append(part)
    return parse_servers(parts)


def files_of(tls: object) -> TlsFiles | None:
    """The files, or None for no TLS; whether one can connect with them is seen later."""
    if tls is not None and not isinstance(tls, TlsFiles):
        raise TypeError(f"tls is {shown(tls)}: it must be TlsFiles(ca=..., cert=..., key=...), or left out")
    return tls
