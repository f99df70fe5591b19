"""The link in user space: what passes, what does not, and what becomes of it afterwards."""

import random
import socket
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from orchestrix_raft.testing.link import Link, Wire

HERE: Final = "127.0.0.1"
SOON_S: Final = 0.3
LATE_S: Final = 10.0


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets."""
    server = socket.create_server((HERE, 0))
    served: list[socket.socket] = []

    def answer(sock: socket.socket) -> None:
        try:
            while piece := sock.recv(1024):
                sock.sendall(piece)
        except OSError:
            pass
        sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            served.append(sock)
            threading.Thread(target=answer, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def link(echo: tuple[str, int]) -> Iterator[tuple[Link, socket.socket]]:
    """A link to the echo, which is the place `there`, and a connection to it from the place `here`."""
    listening = socket.create_server((HERE, 0))
    with Link() as link:
        link.serve("there", listening, lambda: (socket.socket(), echo), lambda _: "here")
        with socket.create_connection(listening.getsockname(), timeout=LATE_S) as sock:
            assert said(sock, b"one") == b"one"
            yield link, sock


def said(sock: socket.socket, what: bytes, within_s: float = LATE_S) -> bytes:
    """What comes back; nothing if nothing does in time."""
    sock.settimeout(within_s)
    sock.sendall(what)
    try:
        return sock.recv(1024)
    except TimeoutError:
        return b""


@pytest.mark.parametrize("held", [("here", "there"), ("there", "here")], ids=["deaf", "mute"])
def test_what_is_held_in_one_direction_arrives_when_it_is_released(
    link: tuple[Link, socket.socket], held: tuple[str, str]
) -> None:
    wires, sock = link
    wires.hold(*held)
    assert said(sock, b"two", SOON_S) == b""
    wires.release(*held)
    sock.settimeout(LATE_S)
    assert sock.recv(1024) == b"two"


def test_other_places_do_not_feel_it(link: tuple[Link, socket.socket]) -> None:
    wires, sock = link
    wires.hold("there", "elsewhere")
    wires.hold("elsewhere", "there")
    assert said(sock, b"two") == b"two"


def test_a_delay_is_felt_and_ends(link: tuple[Link, socket.socket]) -> None:
    wires, sock = link
    wires.weather("here", "there", delay_s=2 * SOON_S)
    assert said(sock, b"two", SOON_S) == b""
    sock.settimeout(LATE_S)
    assert sock.recv(1024) == b"two"
    wires.weather("here", "there")
    assert said(sock, b"three") == b"three"


def test_a_connection_that_is_broken_off_is_reset(link: tuple[Link, socket.socket]) -> None:
    wires, sock = link
    assert wires.connections() == [("here", "there")]
    assert wires.break_off("elsewhere") == 0
    assert wires.break_off("there") == 1
    with pytest.raises(ConnectionResetError):
        sock.recv(1024)


def test_where_nobody_listens_a_connection_breaks(echo: tuple[str, int]) -> None:
    listening = socket.create_server((HERE, 0))
    with socket.create_server((HERE, 0)) as taken:
        nowhere = taken.getsockname()
    with Link() as wires:
        wires.serve("there", listening, lambda: (socket.socket(), nowhere), lambda _: "here")
        with (
            pytest.raises(ConnectionResetError),
            socket.create_connection(listening.getsockname(), timeout=LATE_S) as connection,
        ):
            connection.recv(1024)


def test_lost_pieces_come_later_and_twice_lost_ones_later_still() -> None:
    wire = Wire()
    assert wire.wait_s(random.Random(1)) == 0.0
    wire.lost, wire.again_s = 0.5, 0.2
    waits = {round(wire.wait_s(random.Random(seed)), 2) for seed in range(100)}
    assert {0.0, 0.2, 0.6, 1.4} <= waits
