"""What the tests of the peer link stand on: nodes with a stepped clock on loopback, and a bare TCP client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from orchestrix_raft.coordinator import hello as greetings
from orchestrix_raft.coordinator.addresses import Address
from orchestrix_raft.coordinator.frames import FrameReader, frame
from orchestrix_raft.coordinator.hello import PROTOCOL, Accept, Hello, Refusal, Reject, judge
from orchestrix_raft.coordinator.link import LinkLimits, PeerLink
from orchestrix_raft.coordinator.tls import PeerTls

CLUSTER = "c" * 32
LIMITS = LinkLimits(redial_min_s=0.001, redial_max_s=0.01)


class Note(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The message of these tests."""

    text: bytes
    words: str = ""


class World:
    """Where everybody listens, what time it is."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.known: dict[str, str] = {}  # node id -> the address that every cluster knows it at
        self.now = 1_000.0

    def endpoint(self, address: str) -> Address:
        return Address("127.0.0.1", self.ports.get(address, 1))


class Node:
    """The owner of a link; `until` awaits what the hooks tell."""

    def __init__(
        self,
        world: World,
        name: str,
        cluster_id: str = CLUSTER,
        limits: LinkLimits = LIMITS,
        tls: PeerTls | None = None,
        nonce: bytes = b"",
    ) -> None:
        self.world = world
        self.me = Hello(
            PROTOCOL,
            name,
            f"disk-{name}",
            f"{name}:7400",
            nonce=(nonce or name.encode()).ljust(16, b"-"),
            cluster_id=cluster_id,
        )
        self.events: list[tuple[str, str]] = []
        self.notes: list[tuple[str, bytes]] = []
        self.ended: list[str] = []  # why it should have
        self.on_greeting: Callable[[Hello], None] = lambda hello: None
        self._changed = asyncio.Event()
        self.link = PeerLink(
            msgspec.msgpack.Decoder(list[Note]),
            lambda: self.me,
            self,
            world.endpoint,
            tls=tls,
            known_address=lambda node_id: world.known.get(node_id, ""),
            limits=limits,
            clock=lambda: world.now,
        )

    async def start(self) -> None:
        await self.link.start(Address("127.0.0.1", 0))
        self.world.ports[self.me.address] = self.link.port

    def dial(self, *others: "Node") -> None:
        self.link.set_targets(other.me.address for other in others)

    def peers(self) -> set[str]:
        return set(self.link.connected())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def on_hello(self, hello: Hello) -> Accept | Reject:
        self.on_greeting(hello)
        self._changed.set()
        return judge(self.me, hello)

    def on_connected(self, node_id: str, disk_id: str) -> None:
        assert disk_id == f"disk-{node_id}"
        self.tell("connected", node_id)

    def on_disconnected(self, node_id: str) -> None:
        self.tell("disconnected", node_id)

    def on_gone(self, hello: Hello) -> None:
        self.tell("gone", hello.node_id)

    def on_messages(self, node_id: str, messages: list[Note]) -> None:
        self.notes += [(node_id, note.text) for note in messages]
        self._changed.set()

    def on_refused_for_good(self, reason: str) -> None:
        self.ended.append(reason)
        self._changed.set()

    def tell(self, what: str, node_id: str) -> None:
        self.events.append((what, node_id))
        self._changed.set()


class Raw:
    """A bare TCP client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.frames = FrameReader(1 << 20)
        self.payloads: list[bytes] = []

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):  # the node may have closed already: that is asked later
            await self.writer.drain()

    async def hear(self, count: int) -> list[bytes]:
        """The next payloads."""
        async with asyncio.timeout(10):
            while len(self.payloads) < count:
                data = await self.reader.read(1 << 16)
                assert data, "closed"
                self.payloads += self.frames.feed(data)
        heard, self.payloads = self.payloads[:count], self.payloads[count:]
        return heard

    async def ended(self) -> bytes:
        """All that still came until the node closed the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""


Start = Callable[..., Awaitable[Node]]
Connect = Callable[[Node], Awaitable[Raw]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def start(world: World) -> AsyncIterator[Start]:
    nodes: list[Node] = []

    async def make(name: str, **options: object) -> Node:
        node = Node(world, name, **options)  # type: ignore[arg-type]
        nodes.append(node)
        await node.start()
        return node

    yield make
    for node in nodes:
        await node.link.close()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    raws: list[Raw] = []

    async def make(node: Node) -> Raw:
        raws.append(Raw(*await asyncio.open_connection("127.0.0.1", node.link.port)))
        return raws[-1]

    yield make
    for raw in raws:
        raw.writer.close()
        with contextlib.suppress(ConnectionError):
            await raw.writer.wait_closed()


def stranger(name: str = "n9", **changes: object) -> Hello:
    known = Hello(PROTOCOL, name, f"disk-{name}", f"{name}:7400", nonce=b"9" * 16, cluster_id=CLUSTER)
    return msgspec.structs.replace(known, **changes)


def said(hello: Hello | Refusal) -> bytes:
    return frame(greetings.encode(hello))


async def spin(condition: Callable[[], bool]) -> None:
    """For what no hook tells."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def talk(one: Node, other: Node) -> None:
    """Messages flow both ways."""
    before = len(one.notes), len(other.notes)
    assert one.link.send(other.me.node_id, [Note(b"ping")])
    await other.until(lambda: len(other.notes) > before[1])
    assert other.link.send(one.me.node_id, [Note(b"pong")])
    await one.until(lambda: len(one.notes) > before[0])
    assert other.notes[-1] == (one.me.node_id, b"ping")
    assert one.notes[-1] == (other.me.node_id, b"pong")
