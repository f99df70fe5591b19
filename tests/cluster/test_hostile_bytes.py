"""Strangers at the listening ports: refused, said once, and the nodes go on as if nothing had been."""

import contextlib
import itertools
import os
import pickle
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrix_raft import Client
from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.cluster import PEER_PORT_OFFSET

pytestmark = pytest.mark.cluster
CONNECTIONS = 20  # of each kind, one after the other
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


def _pickle(trap: Path) -> bytes:
    """Unpickling it would create the file `trap`."""

    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {trap}",)

    return pickle.dumps(Trap())


ATTACKS = [_random_bytes, _truncated_frame, _huge_frame, _huge_grpc_message, _http_request]


def _poke(address: tuple[str, int], data: bytes, half_close: bool) -> None:
    """Send it all and wait until the other side has closed, however it does."""
    with socket.create_connection(address, timeout=CLOSED_WITHIN_S) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except ConnectionError:
            pass  # closed in the middle of it: that is what it should do


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.fixture(scope="module")
def attacked(shared: LocalCluster) -> Iterator[LocalCluster]:
    """The cluster of this module; after everything it must still be the same processes, and work."""
    before = [process.pid for process in shared.running_nodes()]
    yield shared
    assert [process.pid for process in shared.running_nodes()] == before
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
    for address, number in itertools.product(_ports(attacked), range(CONNECTIONS)):
        _poke(address, attack(rng), half_close=number % 2 == 0)
    assert _memory_mib(node.pid) - memory < GROWTH_MIB
    assert len(node.text().splitlines()) - lines <= 2, node.tail()
    answer = attacked.status(0)
    assert answer is not None
    assert (answer.term, answer.problems) == (term, [])


def test_a_pickle_is_not_unpickled(attacked: LocalCluster, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    bomb = _pickle(trap)
    frames = [bomb, b"\xc6" + len(bomb).to_bytes(4, "big") + bomb, len(bomb).to_bytes(4, "big") + bomb]
    for address, data in itertools.product(_ports(attacked), frames):
        _poke(address, data, half_close=True)
    assert not trap.exists()
    assert pickle.loads(bomb) == 0, "the bomb must be live, or this test proves nothing"
    assert trap.exists()


def test_a_stranger_that_says_nothing_is_let_go(attacked: LocalCluster) -> None:
    """On the peer port; a silent gRPC connection is an idle client."""
    address = _ports(attacked)[1]
    with (
        socket.create_connection(address, timeout=CLOSED_WITHIN_S) as connection,
        contextlib.suppress(ConnectionError),  # a reset is a way of letting go, too
    ):
        assert connection.recv(1) == b""


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
