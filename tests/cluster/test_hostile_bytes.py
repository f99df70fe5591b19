"""Strangers at the listening ports: refused, said once, and the nodes go on as if nothing had been."""

import contextlib
import os
import pickle
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from orchestrix_raft import Client
from orchestrix_raft.coordinator.frames import frame
from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.cluster import PEER_PORT_OFFSET

pytestmark = pytest.mark.cluster
CONNECTIONS = 20  # of each kind and to each port
CLOSED_WITHIN_S = 15.0
GROWTH_MIB = 48.0  # a node may grow by this much for other reasons: caches, arenas


def _random_bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 20_000))


def _truncated_frame(rng: random.Random) -> bytes:
    return b"\xc6" + (5_000).to_bytes(4, "big") + rng.randbytes(100)


def _huge_frame(rng: random.Random) -> bytes:
    return b"\xc6" + (1 << 30).to_bytes(4, "big") + rng.randbytes(2 << 20)


def _huge_grpc_message(rng: random.Random) -> bytes:
    """The preface of HTTP/2, empty settings, and then a frame that would be 16 MiB long."""
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + bytes(3)
        + b"\4"
        + bytes(5)
        + b"\xff\xff\xff"
        + rng.randbytes(1 << 20)
    )


def _http_request(rng: random.Random) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\n\r\n"


def _bad_text(rng: random.Random) -> bytes:
    """A Hello, but its node id is no UTF-8."""
    hello = {"type": "hello", "protocol": 1, "node_id": "evil", "disk_id": "d", "address": "127.0.0.1:1"}
    return frame(msgspec.msgpack.encode(hello | {"nonce": bytes(16)}).replace(b"evil", b"ev\xffl"))


def _too_deep(rng: random.Random) -> bytes:
    """A Hello with an unknown field that nobody can skip without end."""
    return frame(b"\x82\xa4type\xa5hello\xa1x" + b"\x91" * 60_000)


def _pickle(trap: Path) -> bytes:
    """Unpickling it would create the file `trap`."""

    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {trap}",)

    return pickle.dumps(Trap())


ATTACKS = [
    _random_bytes,
    _truncated_frame,
    _huge_frame,
    _huge_grpc_message,
    _http_request,
    _bad_text,
    _too_deep,
]


def _poke(address: tuple[str, int], attacks: list[bytes]) -> None:
    """Each over a connection of its own, all at once, every other one ended by this side; then wait until
    the other side has closed them all, however it does."""
    with contextlib.ExitStack() as stack:
        connections = []
        for number, data in enumerate(attacks):
            connection = stack.enter_context(socket.create_connection(address, timeout=CLOSED_WITHIN_S))
            connections.append(connection)
            with contextlib.suppress(OSError):  # closed in the middle of it: that is what it should do
                connection.sendall(data)
                if number % 2:
                    connection.shutdown(socket.SHUT_WR)
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                while connection.recv(65_536):
                    pass


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.fixture(scope="module")
def silent(shared: LocalCluster) -> Iterator[socket.socket]:
    """A connection to the peer port of the first node over which nothing is ever said."""
    with socket.create_connection(_ports(shared)[1], timeout=CLOSED_WITHIN_S) as connection:
        yield connection


@pytest.fixture(scope="module")
def attacked(shared: LocalCluster, silent: socket.socket) -> Iterator[LocalCluster]:
    """The cluster of this module; after everything its first node must be the same process, and work."""
    before = shared.node(0).pid
    yield shared
    assert (shared.node(0).pid, shared.node(0).running) == (before, True)
    with Client(shared.servers) as client:
        job_id = client.enqueue("noop")
        assert client.cancel(job_id) == "cancelled"
    shared.await_same_digest()


def _ports(cluster: LocalCluster) -> list[tuple[str, int]]:
    api = [int(address.rpartition(":")[2]) for address in cluster.addresses]
    return [("127.0.0.1", port + offset) for port in api[:1] for offset in (0, PEER_PORT_OFFSET)]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
def test_strange_bytes_are_refused_and_cost_neither_memory_nor_log(
    attacked: LocalCluster, attack: Callable[[random.Random], bytes]
) -> None:
    node = attacked.node(0)
    memory, lines = _memory_mib(node.pid), len(node.text().splitlines())
    term = attacked.status(0).term  # type: ignore[union-attr]
    rng = random.Random(7)
    for address in _ports(attacked):
        _poke(address, [attack(rng) for _ in range(CONNECTIONS)])
    assert _memory_mib(node.pid) - memory < GROWTH_MIB
    assert len(node.text().splitlines()) - lines <= 2, node.tail()
    answer = attacked.status(0)
    assert answer is not None
    assert (answer.term, answer.problems) == (term, [])


def test_a_pickle_is_not_unpickled(attacked: LocalCluster, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    bomb = _pickle(trap)
    frames = [bomb, b"\xc6" + len(bomb).to_bytes(4, "big") + bomb, len(bomb).to_bytes(4, "big") + bomb]
    for address in _ports(attacked):
        _poke(address, frames)
    assert not trap.exists()
    assert pickle.loads(bomb) == 0, "the bomb must be live, or this test proves nothing"
    assert trap.exists()


def test_a_stranger_that_says_nothing_is_let_go(attacked: LocalCluster, silent: socket.socket) -> None:
    """On the peer port; a silent gRPC connection is an idle client."""
    with contextlib.suppress(ConnectionError):  # a reset is a way of letting go, too
        assert silent.recv(1) == b""


def test_many_strangers_at_once_do_not_keep_members_out(attacked: LocalCluster) -> None:
    address = _ports(attacked)[1]
    crowd = [socket.create_connection(address) for _ in range(200)]
    try:
        attacked.restart(1)
        eventually(
            lambda: not (attacked.status(0) or pytest.fail("no answer")).problems, "all members are there"
        )
    finally:
        for connection in crowd:
            connection.close()
