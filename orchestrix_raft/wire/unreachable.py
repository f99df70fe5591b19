"""Why a server cannot be connected to, in one line with what to do.

A channel only says that it failed; the reason stands in the error of a call on it, in words made for
programmers.  Imported by the SDKs.
"""

import re
from typing import Any, Final

import grpc
import grpc.aio

from orchestrix_raft.wire import services
from orchestrix_raft.wire.transport import TlsFiles

_ASK_S: Final = 1.0  # a failed channel answers at once
_VERIFY: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED: (.*?)(?:: OK)?$")
_LAST: Final = re.compile(
    r"(?:last error: [A-Z_]+: [^ ]+: )?(?:Failed to connect to remote host: )?([^:\[\]]+)\]?$"
)
_CLOSED: Final = re.compile(r"Socket closed|Connection reset|recvmsg", re.IGNORECASE)
_PLAIN: Final = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|Trying to connect an http1.x server")
_OTHER_HOST: Final = re.compile(
    r"Hostname Verification Check failed|not match|No match found for server name"
)


async def why_not_connected(channel: grpc.aio.Channel, address: str, tls: TlsFiles | None) -> str:
    """Asked of a channel whose attempt to connect has failed; tls: the files it was made with."""
    status = services.CLUSTER.methods["Status"]
    read: Any = status.response.FromString
    write: Any = status.request.SerializeToString
    try:
        await channel.unary_unary(status.path, write, read)(status.request(), timeout=_ASK_S)
    except grpc.aio.AioRpcError as error:
        return f"cannot connect to {address}: {explained(error.details() or '', address, tls)}"
    return f"cannot connect to {address}: it could be reached only after the attempt was given up"


def explained(details: str, address: str, tls: TlsFiles | None) -> str:
    """What gRPC's details of a failed connection mean, for whoever runs the program."""
    details = " ".join(details.split())
    verdict = _VERIFY.search(details)
    if verdict is not None and "expired" in verdict[1]:
        return "its certificate has expired: give the node a new one and start it again"
    if verdict is not None:
        by = f"the authority in {tls.ca}" if tls is not None and tls.ca else "an authority this system knows"
        return (
            f"its certificate is not of {by} ({verdict[1]}): use the CA file that the nodes have as --tls-ca"
        )
    if _OTHER_HOST.search(details):
        host = address.rpartition(":")[0]
        return f"its certificate is not for {host}: connect to a host that it names, or give the node another"
    if _PLAIN.search(details):
        return "it answers without TLS: leave out the TLS files, or check address and port"
    if _CLOSED.search(details):
        return _closed(tls)
    last = _LAST.search(details)
    return (last[1] if last is not None else details).strip()[:200] or "no reason given"


def _closed(tls: TlsFiles | None) -> str:
    """Whoever refuses a certificate closes without a word."""
    if tls is None:
        return "it closed the connection: if it uses TLS, give a CA file, a certificate and its key"
    if not tls.cert:
        return "it closed the connection: a node with TLS wants a certificate and its key from callers too"
    return (
        f"it closed the connection: if that goes on, it refuses the certificate in {tls.cert} "
        "(expired, not for clients, or not of the CA it has as --tls-ca)"
    )
