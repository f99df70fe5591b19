"""A cluster whose every delivery and every tick is written down by the test.

Time stands still unless the test moves it; a message waits in its link until the test delivers it.
Messages go through their wire format, so what is tested is what is sent.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import replace

import msgspec

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.consensus.messages import Message
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.port import Accepted, Role
from tests.simulation.raft.node import RaftNode

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)

TEST_OPTIONS = Options(tail_entries=4, chunk_bytes=64)
STUBBORN = replace(TEST_OPTIONS, step_down_s=60.0)
"""A leader that does not notice by itself that it is cut off."""


class Scripted:
    """Nodes n1, n2, ... of a new cluster, connected to each other; `spare` more of them know nobody."""

    def __init__(self, voters: int, spare: int = 0, options: Options = TEST_OPTIONS, seed: int = 0) -> None:
        self.now = 0.0
        ids = [f"n{number}" for number in range(1, voters + spare + 1)]
        self.nodes = {i: RaftNode(i, lambda: self.now, options, seed) for i in ids}
        self.links: dict[tuple[str, str], deque[bytes]] = {}
        self.broken: set[tuple[str, str]] = set()
        self.start_list = Configuration(
            {i: Member(Standing.VOTER, self.nodes[i].disk_id) for i in ids[:voters]}
        )
        for i in ids:
            self.nodes[i].bootstrap = self.start_list if i in ids[:voters] else None
            self.nodes[i].start()
        for a in ids:
            for b in ids:
                if a < b:
                    self.connect(a, b)

    # -- the nodes -------------------------------------------------------------------------------
    def __getitem__(self, node_id: str) -> Engine:
        return self.nodes[node_id].engine

    def leads(self, node_id: str) -> bool:
        return self[node_id].role is Role.LEADER

    def data(self, node_id: str) -> list[bytes]:
        """What the node applied."""
        return self.nodes[node_id].machine.data

    def log(self, node_id: str) -> list[tuple[int, int]]:
        """(index, term) of the entries held."""
        journal = self.nodes[node_id].journal
        return [(e.index, e.term) for e in journal.slice(journal.first_index, journal.last_index + 1)]

    def crash(self, node_id: str) -> None:
        """Power loss; the others see their connections break."""
        self.nodes[node_id].crash()
        for other in self.nodes:
            if other != node_id and (node_id, other) not in self.broken:
                self.disconnect(node_id, other)

    def restart(self, node_id: str) -> Engine:
        if self.nodes[node_id].up:
            self.crash(node_id)
        self.nodes[node_id].start()
        for other in self.nodes:
            if other != node_id and self.nodes[other].up:
                self.connect(node_id, other)
        return self[node_id]

    # -- the network -----------------------------------------------------------------------------
    def connect(self, a: str, b: str) -> None:
        for x, y in ((a, b), (b, a)):
            self.links[x, y] = deque()
            self.broken.discard((x, y))
            self[x].connected(y, self.nodes[y].disk_id)

    def disconnect(self, a: str, b: str) -> None:
        for x, y in ((a, b), (b, a)):
            self.links[x, y] = deque()
            self.broken.add((x, y))
            if self.nodes[x].up:
                self[x].disconnected(y)

    def isolate(self, node_id: str) -> None:
        for other in self.nodes:
            if other != node_id:
                self.disconnect(node_id, other)

    def rejoin(self, node_id: str) -> None:
        for other in self.nodes:
            if other != node_id and self.nodes[other].up:
                self.connect(node_id, other)

    def drop_all(self) -> None:
        """Lose everything under way (the connections stay)."""
        for queue in self.links.values():
            queue.clear()

    def waiting(self, a: str, b: str) -> list[Message]:
        return [_decoder.decode(data) for data in self.links[a, b]]

    def put(self, a: str, b: str, messages: Iterable[Message]) -> None:
        self.links[a, b].extend(_encoder.encode(message) for message in messages)

    def deliver(self, a: str, b: str, count: int = 1_000_000, only: type | None = None) -> None:
        """Hand what waits from `a` to `b` over, without letting `b` act."""
        queue = self.links[a, b]
        while queue and count > 0:
            message = _decoder.decode(queue.popleft())
            count -= 1
            if only is None or isinstance(message, only):
                self[b].receive(a, message)

    # -- time ------------------------------------------------------------------------------------
    def tick(self, node_id: str, dt: float = 0.0) -> None:
        self.now += dt
        engine = self[node_id]
        engine.tick()
        for peer, message in engine.outbox:
            if (node_id, peer) in self.links and (node_id, peer) not in self.broken:
                self.links[node_id, peer].append(_encoder.encode(message))
        engine.outbox.clear()

    def settle(self, nodes: Collection[str] | None = None, rounds: int = 50) -> None:
        """Deliver and tick at one instant until nothing is under way."""
        live = [i for i in (nodes or self.nodes) if self.nodes[i].up]
        for _ in range(rounds):
            for i in live:
                self.tick(i)
            if not any(self.links.get((a, b)) for a in live for b in live):
                return
            for a in live:
                for b in live:
                    if a != b and (a, b) not in self.broken:
                        self.deliver(a, b)

    def run(self, seconds: float, nodes: Collection[str] | None = None, step: float = 0.02) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.settle(nodes, rounds=6)

    # -- shorthand -------------------------------------------------------------------------------
    def elect(self, node_id: str, voters: Collection[str]) -> None:
        """Let `node_id` win with the votes of `voters`, whatever the clocks say; nobody else moves."""
        group = [node_id, *voters]
        self.now += 2.0
        for _ in range(6):
            if self[node_id].role is Role.LEADER:
                break
            self.tick(node_id, 1.1 if self[node_id].wake_at > self.now else 0.0)
            for voter in voters:
                self.deliver(node_id, voter)
                self.tick_quietly(voter)
                self.deliver(voter, node_id)
        assert self[node_id].role is Role.LEADER, f"{node_id} is not elected by {group}"

    def tick_quietly(self, node_id: str) -> None:
        """Tick without letting the node campaign by itself."""
        engine = self[node_id]
        if engine.role is not Role.LEADER:
            engine._raft.restart_election_timer()
        self.tick(node_id)

    def start(self, leader: str = "n1") -> str:
        """Elect `leader` by everybody and let the cluster come to rest."""
        configuration = self[leader].configuration
        assert configuration is not None
        self.elect(leader, [i for i in configuration.voters if i != leader])
        self.settle()
        assert self[leader].ready
        return leader

    def propose(self, node_id: str, *data: bytes) -> Accepted:
        places: list[Accepted] = []
        for one in data:
            accepted = self[node_id].propose(one)
            assert isinstance(accepted, Accepted), accepted
            places.append(accepted)
        return places[-1]

    def change(self, leader: str, change: str, node_id: str) -> list[tuple[bool | None, str]]:
        """Ask for a change of the members; the list receives the answer."""
        answers: list[tuple[bool | None, str]] = []
        disk_id = self.nodes[node_id].disk_id
        self[leader].change_membership(change, node_id, disk_id, lambda ok, why: answers.append((ok, why)))
        return answers


def commands(first: int, count: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def cluster_of(voters: int, spare: int = 0, options: Options = TEST_OPTIONS) -> Scripted:
    """At rest, led by n1."""
    cluster = Scripted(voters, spare, options)
    cluster.start()
    return cluster


def behind(leader: str = "n1", late: str = "n3") -> Scripted:
    """Three nodes; `late` was cut off while the others went on and dropped the log it needs."""
    cluster = cluster_of(3)
    cluster.isolate(late)
    others = [i for i in cluster.nodes if i != late]
    for number in range(30):
        cluster.propose(leader, b"%d" % number)
    cluster.settle(others)
    for i in others:
        cluster.nodes[i].checkpoint()
    assert cluster[leader].first_index > cluster[late].last_index
    return cluster
