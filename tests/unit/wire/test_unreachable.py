"""Why a server cannot be reached is said in one line, with what to do."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from orchestrix_raft import AsyncClient, TlsFiles, Unavailable
from orchestrix_raft.client.calls import Failed
from orchestrix_raft.wire.transport import server_credentials
from orchestrix_raft.wire.unreachable import explained

CERTS = Path(__file__).parents[1] / "coordinator" / "certs"
NOBODY = "0198f000-0000-7000-8000-000000000000"


def files(ca: str = "ca", cert: str = "", key: str = "") -> TlsFiles:
    paths = (
        str(CERTS / f"{name}.pem") if name else "" for name in (ca, cert, key or (cert and f"{cert}-key"))
    )
    return TlsFiles(*paths)


NODE = files(cert="node")
EXPIRED = files(cert="expired", key="node-key")
SERVERS = {
    "good": server_credentials(NODE),
    "expired": server_credentials(EXPIRED),
    "plain": None,
    "laptop": server_credentials(files(cert="laptop")),
}


@pytest.fixture
async def address(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Of a server with the credentials of that name."""
    server = grpc.aio.server()
    credentials = SERVERS[request.param]
    port = (
        server.add_insecure_port("127.0.0.1:0")
        if credentials is None
        else server.add_secure_port("127.0.0.1:0", credentials)
    )
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.mark.parametrize(
    ("address", "tls", "says"),
    [
        (
            "good",
            files("other-ca", "node"),
            r"certificate is not of the authority in .*other-ca\.pem \(.*--tls-ca",
        ),
        ("good", None, "if it uses TLS, give a CA file, a certificate and its key"),
        ("good", files(), "wants a certificate and its key from callers too"),
        (
            "good",
            files(cert="stranger"),
            r"it refuses the certificate in .*stranger\.pem \(expired, not for cl",
        ),
        ("good", EXPIRED, r"it refuses the certificate in .*expired\.pem \(expired, not for clients"),
        ("good", files(cert="server-only"), r"it refuses the certificate in .*server-only\.pem"),
        ("expired", NODE, "its certificate has expired: give the node a new one"),
        ("plain", NODE, "it answers without TLS: leave out the TLS files, or check"),
        ("laptop", NODE, r"its certificate is not for 127\.0\.0\.1: connect to a host that it names"),
    ],
    indirect=["address"],
    ids=lambda value: None,
)
async def test_what_is_wrong_with_tls_is_said_with_the_server_and_what_to_do(
    address: str, tls: TlsFiles | None, says: str
) -> None:
    for deadline_s in (0.3, 3.0, 20.0):
        async with AsyncClient(address, deadline=deadline_s, tls=tls) as client:
            with pytest.raises(Unavailable) as caught:
                await client.get(NOBODY)
        told = str(caught.value)
        if "no answer within" not in told:
            break  # else the machine was too busy for a handshake in that time
    assert re.search(says, told)
    assert f"cannot connect to {address}: " in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("address", ["expired"], indirect=True)
async def test_a_wrong_certificate_is_more_worth_hearing_of_than_that_another_server_is_down(
    address: str,
) -> None:
    async with AsyncClient(address, tls=NODE) as client:
        failures = []
        for server in (address, "127.0.0.1:1"):
            with pytest.raises(Failed) as caught:
                await client._caller._connect(server)
            failures.append(caught.value)
    wrong, down = failures
    assert down.over(wrong) is wrong.over(down) is wrong
    assert not wrong.in_doubt


async def test_a_port_without_anybody_and_a_name_without_address_are_told_apart() -> None:
    async with AsyncClient("127.0.0.1:1", deadline=0.2) as client:
        with pytest.raises(Unavailable, match=r"cannot connect to 127\.0\.0\.1:1: Connection refused$"):
            await client.get(NOBODY)


@pytest.mark.parametrize(
    ("details", "says"),
    [
        (
            "errors resolving x:1: [field:hostname lookup error:lookup failed for x:1: Domain not found]",
            "Domain not found",
        ),
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv6:[::1]:7400: "
            "Failed to connect to remote host: Connection refused",
            "Connection refused",
        ),
        ("something\nnew", "something new"),
        ("", "no reason given"),
    ],
)
def test_other_reasons_come_without_the_words_of_grpc(details: str, says: str) -> None:
    assert explained(details, "x:1", None) == says
