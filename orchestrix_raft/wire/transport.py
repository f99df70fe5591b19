"""What both ends agree on below the messages: message sizes, keepalive, TLS.

Imported by the API and the SDKs.
"""

import asyncio
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from orchestrix_raft.domain import limits
from orchestrix_raft.wire.endpoint import DEFAULT_SERVERS as DEFAULT_SERVERS
from orchestrix_raft.wire.endpoint import TlsFiles as TlsFiles
from orchestrix_raft.wire.endpoint import check_tls as check_tls
from orchestrix_raft.wire.endpoint import parse_servers as parse_servers

REQUEST_BYTES: Final = limits.REQUEST_BYTES
RESPONSE_BYTES: Final = 64 << 20  # the largest is a page of jobs or a listing of workers: far below
KEEPALIVE_MS: Final = 10_000  # a peer that vanished is noticed within KEEPALIVE_MS + KEEPALIVE_TIMEOUT_MS
KEEPALIVE_TIMEOUT_MS: Final = 5_000

EOF: Final = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs do not know it

_Options = tuple[tuple[str, int], ...]
_KEEPALIVE: _Options = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
CHANNEL_OPTIONS: _Options = (
    *_KEEPALIVE,
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", RESPONSE_BYTES),
    # A failed connection is given up and made anew by our own back-off; gRPC's would hide behind it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)
SERVER_OPTIONS: _Options = (
    *_KEEPALIVE,
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", REQUEST_BYTES),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.so_reuseport", 0),  # two nodes on one port must fail, not share it
)


def open_channel(address: str, tls: TlsFiles | None) -> grpc.aio.Channel:
    """A channel of its own connection; nothing is sent before the first call."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials(_read(tls.ca), _read(tls.key), _read(tls.cert))
    return grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS)


def server_credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Credentials from PEM files; with `ca` set, clients must show a certificate it signed."""
    key, cert = _read(tls.key), _read(tls.cert)
    if key is None or cert is None:
        raise ValueError("TLS needs both a certificate and a key")
    return grpc.ssl_server_credentials([(key, cert)], _read(tls.ca), require_client_auth=bool(tls.ca))


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


async def connected(channel: grpc.aio.Channel) -> bool:
    """Wait until the channel is connected (True) or its first attempt has failed (False)."""
    state = channel.get_state(try_to_connect=True)
    while state not in (
        grpc.ChannelConnectivity.READY,
        grpc.ChannelConnectivity.TRANSIENT_FAILURE,
        grpc.ChannelConnectivity.SHUTDOWN,
    ):
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
    return state is grpc.ChannelConnectivity.READY


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's loop where it exists (everywhere but Windows): it halves the cost of a message."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
