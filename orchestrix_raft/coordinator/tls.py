"""TLS of the peer link, from one certificate, one key and one authority; the API uses the same files.

The peer link is mutual: each side must show a certificate of the authority before a byte of the protocol
is read, and the certificate must speak for the host that its Hello names: one authority signs for clients
too, and they are no nodes.  Whatever is wrong with the files is said in one line at the start, not at the
first connection.
"""

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from orchestrix_raft.coordinator.addresses import AddressError, parse_address

_HANDSHAKE_ROUNDS = 10  # more than any handshake takes
_HOSTS_SHOWN = 5  # in a log line


class TlsError(Exception):
    """The files cannot be used; one line that names the file and what is wrong."""


class TlsFiles(NamedTuple):
    """PEM: a certificate (with its chain), its private key, and the authority that peers must be of."""

    cert: Path
    key: Path
    ca: Path


class Hosts(NamedTuple):
    """The hosts that a certificate speaks for, by its subjectAltName; its common name counts for nothing."""

    names: tuple[str, ...] = ()  # DNS, lower case
    ips: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...] = ()

    def cover(self, host: str) -> bool:
        """Whether `host` (of an `Address`) is among them.  An IP address is covered by itself alone, never by
        a name that leads to it; `*.` stands for one label (RFC 6125, section 6.4.3)."""
        try:
            return ipaddress.ip_address(host) in self.ips
        except ValueError:
            first, dot, rest = host.partition(".")
            return host in self.names or bool(first and dot and f"*.{rest}" in self.names)

    def __str__(self) -> str:
        shown = [ascii(name)[1:-1] for name in self.names] + [str(ip) for ip in self.ips]
        more = f" and {len(shown) - _HOSTS_SHOWN} more" if len(shown) > _HOSTS_SHOWN else ""
        return (", ".join(shown[:_HOSTS_SHOWN]) or "no host") + more


NO_HOSTS = Hosts()


def hosts_of(certificate: Mapping[str, Any] | None) -> Hosts:
    """Of a verified certificate, as `SSLObject.getpeercert` gives it."""
    found = (certificate or {}).get("subjectAltName", ())
    return Hosts(
        tuple(name.lower() for kind, name in found if kind == "DNS"),
        tuple(ipaddress.ip_address(ip.strip()) for kind, ip in found if kind == "IP Address"),
    )


def why_not_certified(hosts: Hosts, node_id: str, claimed: str, known: str) -> str:
    """Why a certificate for `hosts` must not speak for a node at the address it claims, in one line; empty:
    it may.  known: where the cluster knows a node of this id; empty: nowhere."""
    try:
        host = parse_address(claimed).host
        former = parse_address(known).host if known else host
    except AddressError as error:
        return f"node {node_id} says Hello from nowhere: {error}"
    if not hosts.cover(host):
        return (
            f"node {node_id} says it is at {claimed}, but its certificate is for {hosts} and not for {host}: "
            "a node's certificate needs the host of its own address as subjectAltName"
        )
    if not hosts.cover(former):
        return (
            f"node {node_id} is known at {known} and says it is at {claimed} now, but its certificate is for "
            f"{hosts} and not for {former}: a node that moves needs a certificate for both hosts"
        )
    return ""


class PeerTls(NamedTuple):
    """Contexts of the peer link; both demand and verify a certificate of the other side."""

    dialling: ssl.SSLContext  # checks also that the certificate names the host that was dialled
    accepting: ssl.SSLContext
    own: Hosts  # of this node's certificate


def peer_tls(files: TlsFiles) -> PeerTls:
    """TlsError when the files are missing, unreadable, do not belong together or are not valid now."""
    for path in files:
        _read(path)
    dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in (dialling, accepting):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        _load_chain(context, files)
        try:
            context.load_verify_locations(cafile=files.ca)
        except ssl.SSLError as error:
            raise TlsError(f"{files.ca} holds no certificate in PEM form ({_word(error)})") from error
    return PeerTls(dialling, accepting, _shake_hands_with_oneself(dialling, accepting, files))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"cannot read {path}: {error.strerror or error}") from error


def _load_chain(context: ssl.SSLContext, files: TlsFiles) -> None:
    def locked() -> NoReturn:
        raise TlsError(f"{files.key} is protected by a password; a node needs a plain key file")

    try:
        context.load_cert_chain(files.cert, files.key, password=locked)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"{files.key} is not the key of the certificate in {files.cert}") from error
        if b"-----BEGIN CERTIFICATE" not in _read(files.cert):
            raise TlsError(f"{files.cert} holds no certificate in PEM form") from error
        raise TlsError(f"{files.key} holds no usable private key in PEM form ({_word(error)})") from error


def check_own(tls: PeerTls, files: TlsFiles, address: str) -> None:
    """TlsError when the other nodes would refuse this node at that address for its certificate."""
    host = parse_address(address).host
    if not tls.own.cover(host):
        raise TlsError(
            f"{files.cert} is for {tls.own} and not for {host}, so the other nodes would refuse this one at "
            f"{address}: it needs {host} as subjectAltName"
        )


def _shake_hands_with_oneself(dialling: ssl.SSLContext, accepting: ssl.SSLContext, files: TlsFiles) -> Hosts:
    """Every node is dialled and dials with this certificate, so it must pass at both ends: signed by the
    authority, valid today, fit for server and client.  Its hosts are returned."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    dialling.check_hostname = False
    client = dialling.wrap_bio(to_client, to_server, server_side=False)
    dialling.check_hostname = True
    server = accepting.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(_HANDSHAKE_ROUNDS):
            done = [_advance(client), _advance(server)]
            if all(done):
                return hosts_of(client.getpeercert())
    except ssl.SSLCertVerificationError as error:
        raise TlsError(f"{files.cert} does not pass for {files.ca}: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise TlsError(f"{files.cert} cannot be used for TLS: {_word(error)}") from error
    raise TlsError(f"{files.cert} cannot be used for TLS: the handshake does not end")


def _advance(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _word(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
