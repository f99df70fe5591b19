"""Nodes in memory for a client to talk to, over real connections."""

import socket

from tests.unit.api.fake_node import FakeNode

NOBODY = "00000000-0000-7000-8000-000000000000"


class Cluster:
    """Two nodes that share their jobs, so that either can answer."""

    def __init__(self) -> None:
        self.nodes = [FakeNode("n1"), FakeNode("n2")]
        self.nodes[1].jobs = self.nodes[0].jobs
        self.addresses: list[str] = []

    def of(self, address: str) -> FakeNode:
        return self.nodes[self.addresses.index(address)]


def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
