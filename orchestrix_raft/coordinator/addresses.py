"""Addresses of nodes: `host:port` of the API; the peer link listens a fixed offset above that port.

One spelling per address, because lists of them are compared and hashed.  Used by options, forming and
the peer link.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final, NamedTuple

from orchestrix_raft.domain import limits

PORT_MAX: Final = 65_535
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")


class AddressError(ValueError):
    """Not an address; one line that says why."""


class Address(NamedTuple):
    """Where something listens.  `str()` is the one spelling: names in lower case, IPv6 in brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Reachable from this machine only, by what the address itself says."""
        ip = _ip(self.host)
        return self.host == "localhost" if ip is None else ip.is_loopback

    @property
    def wildcard(self) -> bool:
        """All addresses of the machine: good to listen on, useless to tell to others."""
        ip = _ip(self.host)
        return ip is not None and ip.is_unspecified

    def above(self, offset: int) -> "Address":
        """The same host, `offset` ports higher."""
        return self._replace(port=self.port + offset)


def parse_address(text: str) -> Address:
    """`host:port` or `[ipv6]:port`; AddressError otherwise."""
    shown = repr(text[:80])
    host, colon, port = text.strip().lower().rpartition(":")
    if not colon or not host:
        raise AddressError(f"{shown} is not an address: expected HOST:PORT")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not isinstance(_ip(host), ipaddress.IPv6Address):
            raise AddressError(f"{shown} is not an address: no IPv6 address between the brackets")
    elif ":" in host:
        raise AddressError(f"{shown} is not an address: write an IPv6 address as [HOST]:PORT")
    ip = _ip(host)
    if ip is not None:
        host = str(ip)
    elif not _NAME.fullmatch(host) or re.fullmatch(r"[\d.]+", host):
        raise AddressError(f"{shown} is not an address: bad host {host[:80]!r}")
    if not (port.isascii() and port.isdigit()) or not 1 <= int(port[:9]) <= PORT_MAX:
        raise AddressError(f"{shown} is not an address: the port must be within 1..{PORT_MAX}")
    if len(text) > limits.ADDRESS_CHARS:
        raise AddressError(f"{shown}... is too long: at most {limits.ADDRESS_CHARS} characters")
    return Address(host, int(port))


def why_out_of_reach(mine: str, others: Iterable[str]) -> str:
    """Why nodes at `others` cannot reach this one at `mine`, as far as the addresses tell; else empty."""
    far = [other for other in others if not parse_address(other).loopback]
    if not far or not parse_address(mine).loopback:
        return ""
    return (
        f"at {mine} only this machine reaches it, and not the node at {far[0]}: give --listen another "
        "address or leave it out"
    )


def is_local(host: str) -> bool:
    """Whether this machine has the address (or one of those the name stands for): only then can a
    socket be bound to it.  False for a name that cannot be resolved."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, where in found:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(where)
            except OSError:
                continue
            return True
    return False


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
