"""Where servers are and with which files they are talked to, as people write it.

Needs no gRPC, so that a program can check what it was told without loading it.  Imported by the API, the SDKs
and the command line.
"""

import re
import ssl
from typing import Final, NamedTuple, NoReturn

DEFAULT_SERVERS: Final = "127.0.0.1:7400"

_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})").fullmatch


class TlsFiles(NamedTuple):
    """Paths of PEM files.  A client needs `ca`; `cert` and `key` make it prove who it is."""

    ca: str = ""
    cert: str = ""
    key: str = ""


def parse_servers(servers: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Addresses in order, without repeats, from "a:1,b:2" or a sequence; ValueError if one is malformed."""
    parts = servers.split(",") if isinstance(servers, str) else servers
    found = [part.strip() for part in parts if part.strip()]
    if not found:
        raise ValueError("no server given: expected HOST:PORT, or several separated by commas")
    for address in found:
        match = _ADDRESS(address)
        if match is None or not 0 < int(match[1]) < 65_536:
            raise ValueError(f"not a server address: {address[:100]!r} (expected HOST:PORT)")
    return tuple(dict.fromkeys(found))


def check_tls(tls: TlsFiles | None) -> TlsFiles | None:
    """The files as given; ValueError, in one line, if no caller can connect with them.

    gRPC would only find out at the first connection, and then write to stderr or abort the process.
    """
    if tls is None:
        return None
    if bool(tls.cert) != bool(tls.key):
        raise ValueError("TLS: a certificate and its key go together, give both or neither")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
    except ssl.SSLError as error:
        raise ValueError(f"TLS: {tls.ca} holds no certificate in PEM form") from error
    except OSError as error:
        raise ValueError(f"TLS: cannot read {tls.ca}: {error.strerror}") from error
    try:
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    except ssl.SSLError as error:
        word = (error.reason or str(error)).lower().replace("_", " ")
        raise ValueError(f"TLS: {tls.cert} and {tls.key} are no certificate and its key: {word}") from error
    except OSError as error:
        raise ValueError(f"TLS: cannot read {tls.cert} or {tls.key}: {error.strerror}") from error
    return tls


def _no_password() -> NoReturn:
    raise ValueError("TLS: the key is protected by a password; a plain key file is needed")
