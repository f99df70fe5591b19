"""Where nodes and workers live, and how what they send passes the link: on loopback, or each on a host of its
own in network namespaces.

A node listens where only the link reaches it; the address that it tells others is one of the link's.  So
nodes, workers and clients need not know that there is a link, and every connection can be told by its two
ends.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from orchestrix_raft.testing.cluster import HOST, PEER_PORT_OFFSET, free_ports
from orchestrix_raft.testing.link import Link
from orchestrix_raft.testing.network import PORT, Network

OUTSIDE: Final = "outside"
"""Clients, and whoever else is neither node nor worker."""
PORTS: Final = (0, PEER_PORT_OFFSET)


def node_name(number: int) -> str:
    """Of node 0, 1, ..., as in `LocalCluster`."""
    return f"n{number + 1}"


def worker_name(number: int) -> str:
    """Of worker 0, 1, ..."""
    return f"w{number + 1}"


class Place(Protocol):
    """Of one cluster."""

    words: str
    listens: list[str]  # of each node: where it listens
    addresses: list[str]  # of each node: where the link listens for it

    def open(self, link: Link, pids: Callable[[], Mapping[str, int]]) -> None:
        """Let everything pass the link.  pids: of the processes that there are, by name."""
        ...

    def at_node(self, number: int, command: Iterable[str]) -> list[str]:
        """`command` where that node lives."""
        ...

    def at_worker(self, number: int, command: Iterable[str]) -> list[str]:
        """`command` where that worker lives."""
        ...

    def lose(self, source: str, target: str) -> bool:
        """Packets between the two vanish from now on, in that direction; False: not possible here."""
        ...

    def find(self, source: str, target: str) -> None:
        """Undo `lose`."""
        ...


class Loopback:
    """All on one address; who is at the other end of a connection is told by the process that has it."""

    words = "loopback"

    def __init__(self, nodes: int) -> None:
        ports = free_ports(2 * nodes)
        self.listens = [f"{HOST}:{port}" for port in ports[:nodes]]
        self.addresses = [f"{HOST}:{port}" for port in ports[nodes:]]

    def open(self, link: Link, pids: Callable[[], Mapping[str, int]]) -> None:
        """See Place."""
        for number, (listen, address) in enumerate(zip(self.listens, self.addresses, strict=True)):
            for offset in PORTS:
                listening = socket.create_server((HOST, _port(address) + offset))
                behind = (HOST, _port(listen) + offset)
                link.serve(node_name(number), listening, _dial(behind), lambda sock: _who(sock, pids()))

    def at_node(self, number: int, command: Iterable[str]) -> list[str]:
        """See Place."""
        return list(command)

    def at_worker(self, number: int, command: Iterable[str]) -> list[str]:
        """See Place."""
        return list(command)

    def lose(self, source: str, target: str) -> bool:
        """See Place."""
        return False

    def find(self, source: str, target: str) -> None:
        """See Place."""


class Hosts:
    """Each on a host of `network`, nodes first; who is at the other end is told by its address."""

    words = "network namespaces"

    def __init__(self, network: Network, nodes: int) -> None:
        self._network = network
        self._nodes = nodes
        self._names = {
            address: node_name(host) if host < nodes else worker_name(host - nodes)
            for host, address in enumerate(network.addresses)
        }
        self._hosts = {name: host for host, name in enumerate(self._names.values())}
        self.listens = [f"{HOST}:{PORT}"] * nodes
        self.addresses = [f"{address}:{PORT}" for address in network.addresses[:nodes]]

    def open(self, link: Link, pids: Callable[[], Mapping[str, int]]) -> None:
        """See Place."""
        for number in range(self._nodes):
            for offset in PORTS:
                self._serve(link, number, PORT + offset)

    def _serve(self, link: Link, number: int, port: int) -> None:
        address = (self._network.addresses[number], port)
        listening = self._network.made_on(number, lambda: socket.create_server(address))
        link.serve(
            node_name(number),
            listening,
            lambda: self._network.made_on(number, _dial((HOST, port))),
            lambda sock: self._names.get(_peer(sock), OUTSIDE),
        )

    def at_node(self, number: int, command: Iterable[str]) -> list[str]:
        """See Place."""
        return self._network.on(number, command)

    def at_worker(self, number: int, command: Iterable[str]) -> list[str]:
        """See Place."""
        return self._network.on(self._nodes + number, command)

    def lose(self, source: str, target: str) -> bool:
        """See Place."""
        self._network.silence(self._hosts[source], self._hosts[target])
        return True

    def find(self, source: str, target: str) -> None:
        """See Place."""
        self._network.restore(self._hosts[source], self._hosts[target])


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _dial(behind: tuple[str, int]) -> Callable[[], tuple[socket.socket, Any]]:
    return lambda: (socket.socket(socket.AF_INET, socket.SOCK_STREAM), behind)


def _peer(sock: socket.socket) -> str:
    """The address of the other end; empty if it is gone already."""
    try:
        return str(sock.getpeername()[0])
    except OSError:
        return ""


def _who(sock: socket.socket, pids: Mapping[str, int]) -> str:
    """The name of the process at the other end of a connection on loopback, by the system's tables."""
    try:
        here, there = sock.getsockname()[1], sock.getpeername()[1]
    except OSError:
        return OUTSIDE
    inode = _inode(there, here)
    wanted = f"socket:[{inode}]"
    for name, pid in pids.items() if inode else ():
        try:
            if any(str(entry.readlink()) == wanted for entry in Path(f"/proc/{pid}/fd").iterdir()):
                return name
        except OSError:  # it ended, or closed a file, while it was looked at
            continue
    return OUTSIDE


def _inode(local_port: int, remote_port: int) -> str:
    """Of the socket on loopback with these two ends; empty if there is none."""
    ends = f":{local_port:04X}", f":{remote_port:04X}"
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
            return fields[9]
    return ""
