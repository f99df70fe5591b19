"""The peer link towards strangers, the dead and the deaf: they cost little, and the node stays healthy."""

import asyncio
import logging
import socket

import msgspec
import pytest

from orchestrix_raft.coordinator.addresses import Address
from orchestrix_raft.coordinator.connection import KEEPALIVE, Complaints
from orchestrix_raft.coordinator.frames import frame
from orchestrix_raft.coordinator.hello import encode
from orchestrix_raft.coordinator.listening import LinkError
from tests.unit.coordinator.link_world import (
    LIMITS,
    Connect,
    Node,
    Note,
    Start,
    World,
    connect,
    said,
    spin,
    start,
    stranger,
    talk,
    world,
)

__all__ = ["connect", "start", "world"]  # fixtures


# ---- strangers -------------------------------------------------------------------------------------------

EARLY = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\xc6\x40\x00\x00\x00",  # announces a gigabyte
    b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93",  # a pickle
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    frame(b""),
    frame(b"\x90"),
    frame(b"\x80"),
    frame(b"\x81\xa4type\xa5hello"),
    frame(encode(stranger()).replace(b"n9", b"n\xff", 1)),  # text that is none
    frame(b"\x82\xa4type\xa5hello\xa1x" + b"\x91" * 60_000),  # too deep even to be skipped
    frame(msgspec.msgpack.encode([Note(b"no hello before")])),
    frame(msgspec.msgpack.encode(msgspec.msgpack.decode(encode(stranger())) | {"more": "x" * 70_000})),
    bytes(1_000_000),
]


@pytest.mark.parametrize("garbage", EARLY)
async def test_garbage_is_refused_and_the_node_stays_healthy(
    start: Start, connect: Connect, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    node, peer = await start("n1"), await start("n2")
    for _ in range(5):
        raw = await connect(node)
        await raw.say(garbage)
        assert await raw.ended() == b"", "a stranger learns nothing"
    assert len([r for r in caplog.records if "closed the connection" in r.message]) == 1
    peer.dial(node)
    await peer.until(lambda: "n1" in peer.peers())
    await node.until(lambda: "n2" in node.peers())
    await talk(peer, node)


LATE = [
    frame(msgspec.msgpack.encode([Note(b"", "known")]).replace(b"known", b"k\xffown")),  # text that is none
    frame(b"\x93\x01\x02\x03"),
    frame(msgspec.msgpack.encode([[99, b"unknown tag"]])),
    frame(b"\x91\xdd\xff\xff\xff\xff"),
    b"\x00",
    said(stranger("n8")),
    said(stranger("n9", nonce=b"7" * 16)),
    said(stranger("n9", disk_id="other")),
    said(stranger("n9", cluster_id="d" * 32)),
]


@pytest.mark.parametrize("garbage", LATE)
async def test_garbage_of_a_known_peer_costs_it_its_connection(
    start: Start, connect: Connect, garbage: bytes
) -> None:
    escaped: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    node = await start("n1")
    raw = await connect(node)
    await raw.say(said(stranger()) + frame(msgspec.msgpack.encode([Note(b"good")])))
    await node.until(lambda: bool(node.notes))
    await raw.say(garbage)
    await raw.ended()
    assert node.notes == [("n9", b"good")]
    assert node.events == [("connected", "n9"), ("disconnected", "n9"), ("gone", "n9")]
    assert not escaped


async def test_messages_of_a_node_that_is_no_member_are_refused(start: Start, connect: Connect) -> None:
    node = await start("n1", cluster_id="")
    raw = await connect(node)
    await raw.say(said(stranger(cluster_id="")) + KEEPALIVE + frame(msgspec.msgpack.encode([Note(b"x")])))
    await raw.hear(1)
    assert await raw.ended() == b""
    assert node.notes == []


async def test_whoever_says_nothing_is_closed_after_the_time_for_a_hello(
    start: Start, connect: Connect, world: World
) -> None:
    node = await start("n1")
    raw = await connect(node)
    await spin(lambda: bool(node.link._pending))
    for _ in range(5):
        node.link.sweep()
        world.now += 1.0
    node.link.sweep()
    assert node.link._pending, "not yet"
    world.now += 0.1
    node.link.sweep()
    assert not node.link._pending
    assert await raw.ended() == b""


async def test_of_too_many_connections_without_a_hello_the_oldest_makes_room(
    start: Start, connect: Connect
) -> None:
    node = await start("n1", limits=LIMITS._replace(pending=3))
    raws = [await connect(node) for _ in range(10)]
    for raw in raws[:7]:
        assert await raw.ended() == b""
    assert len(node.link._pending) == 3
    await raws[-1].say(said(stranger()))
    await node.until(lambda: "n9" in node.peers())


# ---- the dead and the deaf -------------------------------------------------------------------------------


async def test_a_silent_peer_is_let_go_and_one_that_keeps_alive_is_not(
    start: Start, connect: Connect, world: World
) -> None:
    node = await start("n1")
    silent, alive = await connect(node), await connect(node)
    await silent.say(said(stranger("n8", nonce=b"8" * 16)))
    await alive.say(said(stranger("n9")))
    await node.until(lambda: node.peers() == {"n8", "n9"})
    for _ in range(8):
        node.link.sweep()
        world.now += 0.7
        connection = node.link._peers["n9"]
        await alive.say(KEEPALIVE)
        await spin(lambda connection=connection: connection.heard)  # type: ignore[misc]
    assert node.peers() == {"n9"}
    assert node.events[2:] == [("disconnected", "n8"), ("gone", "n8")]
    heard = await silent.hear(2)
    assert heard[1] == msgspec.msgpack.encode([]), "the silent one was kept alive itself"


async def test_a_process_that_stood_still_does_not_blame_its_peers(
    start: Start, connect: Connect, world: World
) -> None:
    node = await start("n1")
    raw = await connect(node)
    await raw.say(said(stranger()))
    await node.until(lambda: "n9" in node.peers())
    node.link.sweep()
    world.now += 60.0
    node.link.sweep()
    assert node.peers() == {"n9"}


async def test_a_peer_that_does_not_read_is_let_go(start: Start, connect: Connect) -> None:
    node = await start("n1", limits=LIMITS._replace(backlog_bytes=1 << 20))
    raw = await connect(node)
    await raw.say(said(stranger()))
    await node.until(lambda: "n9" in node.peers())
    sent = 0
    while node.link.send("n9", [Note(bytes(1 << 18))]):
        sent += 1
        assert sent < 1_000, "it would go on for ever"
        await asyncio.sleep(0)
    assert node.events[-2:] == [("disconnected", "n9"), ("gone", "n9")]
    assert sent > 3


async def test_an_unreachable_peer_is_named_once(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    node = await start("n1")
    attempts = 0
    endpoint = node.world.endpoint

    def counted(address: str) -> Address:
        nonlocal attempts
        attempts += 1
        node.tell("attempt", address)
        return endpoint(address)

    node.link._endpoint = counted
    node.link.set_targets(["nobody:7400"])
    await node.until(lambda: attempts >= 4)
    assert node.link.problems()["nobody:7400"] == "cannot connect to 127.0.0.1:1: Connection refused"
    assert len([r for r in caplog.records if "nobody:7400" in r.message]) == 1
    node.link.set_targets([])
    assert node.link.problems() == {}


async def test_a_port_in_use_is_said_in_one_line(start: Start, world: World) -> None:
    node = await start("n1")
    other = Node(world, "n2")
    with pytest.raises(LinkError, match=r"cannot listen at 127\.0\.0\.1:\d+: Address already in use"):
        await other.link.start(Address("127.0.0.1", node.link.port))
    await other.link.close()


async def test_messages_leave_without_delay(start: Start) -> None:
    """Nagle's algorithm would hold small frames back for tens of milliseconds."""
    one, two = await start("n1"), await start("n2")
    one.dial(two)
    await one.until(lambda: "n2" in one.peers())
    await two.until(lambda: "n1" in two.peers())
    for node in (one, two):
        for connection in node.link._connections:
            transport = connection._transport
            assert transport is not None
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_complaints_are_bounded_in_rate_and_in_hosts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    now = 0.0
    complaints = Complaints(lambda: now, interval_s=60.0, hosts_max=3)
    for _ in range(5):
        complaints.log("10.0.0.1", "bad bytes")
    assert [r.message for r in caplog.records] == ["bad bytes"]
    now = 61.0
    complaints.log("10.0.0.1", "bad bytes")
    assert caplog.records[-1].message == "bad bytes (4 more since the last such line)"
    for host in range(100):
        complaints.log(f"10.0.1.{host}", "bad bytes")
    assert len(complaints._hosts) == 3
