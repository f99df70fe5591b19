"""TLS of the peer link, from one certificate, one key and one authority; the API uses the same files.

The peer link is mutual: each side must show a certificate of the authority before a byte of the protocol
is read.  Whatever is wrong with the files is said in one line at the start, not at the first connection.
"""

import ssl
from pathlib import Path
from typing import NamedTuple, NoReturn

_HANDSHAKE_ROUNDS = 10  # more than any handshake takes


class TlsError(Exception):
    """The files cannot be used; one line that names the file and what is wrong."""


class TlsFiles(NamedTuple):
    """PEM: a certificate (with its chain), its private key, and the authority that peers must be of."""

    cert: Path
    key: Path
    ca: Path


class PeerTls(NamedTuple):
    """Contexts of the peer link; both demand and verify a certificate of the other side."""

    dialling: ssl.SSLContext  # checks also that the certificate names the host that was dialled
    accepting: ssl.SSLContext


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
    _shake_hands_with_oneself(PeerTls(dialling, accepting), files)
    return PeerTls(dialling, accepting)


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


def _shake_hands_with_oneself(tls: PeerTls, files: TlsFiles) -> None:
    """Every node is dialled and dials with this certificate, so it must pass at both ends: signed by the
    authority, valid today, fit for server and client.  Its names are checked by whoever dials."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls.dialling.check_hostname = False
    client = tls.dialling.wrap_bio(to_client, to_server, server_side=False)
    tls.dialling.check_hostname = True
    server = tls.accepting.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(_HANDSHAKE_ROUNDS):
            done = [_advance(client), _advance(server)]
            if all(done):
                return
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
