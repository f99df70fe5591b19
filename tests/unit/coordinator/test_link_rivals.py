"""The peer link between two processes of one node: restarts come in, copies of a living process do not."""

import msgspec
import pytest

from orchestrix_raft.coordinator import hello as greetings
from orchestrix_raft.coordinator.connection import KEEPALIVE
from orchestrix_raft.coordinator.hello import Hello, Refusal, Reject
from orchestrix_raft.coordinator.rivals import RIVALS_MAX, Rivals
from orchestrix_raft.coordinator.starts import first_boot_id
from tests.unit.coordinator.link_world import (
    LIMITS,
    Connect,
    Node,
    Note,
    Raw,
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

OLD, NEW = stranger("n9"), stranger("n9", nonce=b"8" * 16, address="elsewhere:7400")


async def joined(node: Node, connect: Connect, hello: Hello) -> Raw:
    """A process that the node has let in."""
    raw = await connect(node)
    await raw.say(said(hello))
    await raw.hear(1)
    await node.until(lambda: hello.node_id in node.peers())
    return raw


async def refused(node: Node, connect: Connect, hello: Hello) -> Refusal:
    """What a process that is not let in is told."""
    raw = await connect(node)
    await raw.say(said(hello))
    (refusal,) = (greetings.decode(payload) for payload in await raw.hear(1))
    assert isinstance(refusal, Refusal)
    assert await raw.ended() == b""
    return refusal


async def sweeps(node: Node, *speaking: Raw, seconds: float) -> None:
    """Time passes for the node, in steps, and it hears those who speak in each of them."""
    until = node.world.now + seconds
    while node.world.now < until:
        node.world.now += LIMITS.silent_s / 4
        node.link.sweep()
        for raw in speaking:
            connections = [one for one in node.link._connections if not one.over]
            await raw.say(KEEPALIVE)
            await spin(lambda found=connections: any(one.heard for one in found))  # type: ignore[misc]


async def test_a_second_process_is_refused_while_the_first_is_connected(
    start: Start, connect: Connect
) -> None:
    node = await start("n1")
    old = await joined(node, connect, OLD)
    refusal = await refused(node, connect, NEW)
    assert not refusal.final
    assert refusal.reason == (
        "two processes run as node n9, at n9:7400 and elsewhere:7400: the data directory of one is a copy: "
        "stop that one and remove it"
    )
    assert node.events == [("connected", "n9")]
    assert node.link.send("n9", [Note(b"still there")])
    assert await old.hear(1)


async def test_a_restart_is_let_in_as_soon_as_the_killed_process_is_gone(
    start: Start, connect: Connect
) -> None:
    node = await start("n1")
    for number in range(10):
        raw = await joined(node, connect, stranger("n9", nonce=b"%16d" % number))
        raw.writer.close()
        await node.until(lambda: not node.peers())
    assert [what for what, _ in node.events] == ["connected", "disconnected", "gone"] * 10


async def test_a_restart_that_was_refused_too_early_comes_again_and_is_let_in(
    start: Start, connect: Connect, world: World
) -> None:
    node = await start("n1")
    old = await joined(node, connect, stranger("n5"))
    again = await start("n5", nonce=b"another process")
    again.dial(node)
    await spin(lambda: "two processes run as node n5" in again.link.problems().get("n1:7400", ""))
    old.writer.close()
    await again.until(lambda: "n1" in again.peers())
    await node.until(lambda: "n5" in node.peers())
    await talk(node, again)
    assert not again.ended


async def test_of_two_that_both_live_the_newcomer_is_refused_for_good(start: Start, connect: Connect) -> None:
    node = await start("n1")
    old = await joined(node, connect, OLD)
    assert not (await refused(node, connect, NEW)).final
    await sweeps(node, old, seconds=LIMITS.silent_s)
    assert not (await refused(node, connect, NEW)).final, "it has not spoken later than that yet"
    await sweeps(node, old, seconds=1.0)
    assert not (await refused(node, connect, stranger("n9", nonce=b"7" * 16))).final, "it has just come"
    await sweeps(node, old, seconds=1.0)
    assert (await refused(node, connect, NEW)).final
    assert node.peers() == {"n9"}


async def test_a_process_that_stands_still_makes_room_when_it_has_been_silent(
    start: Start, connect: Connect
) -> None:
    """Nobody can tell it from one whose machine is gone."""
    node = await start("n1")
    await joined(node, connect, OLD)
    assert not (await refused(node, connect, NEW)).final
    await sweeps(node, seconds=LIMITS.silent_s + 1)
    assert node.peers() == set()
    await joined(node, connect, NEW)


async def test_what_a_node_hears_after_it_stood_still_itself_proves_nothing(
    start: Start, connect: Connect, world: World
) -> None:
    node = await start("n1")
    old = await joined(node, connect, OLD)
    assert not (await refused(node, connect, NEW)).final
    node.link.sweep()
    world.now += 60.0
    await sweeps(node, old, seconds=2.0)
    assert not (await refused(node, connect, NEW)).final


async def test_the_memory_of_newcomers_ends_with_the_connection(start: Start, connect: Connect) -> None:
    node = await start("n1")
    old = await joined(node, connect, OLD)
    assert not (await refused(node, connect, NEW)).final
    await sweeps(node, old, seconds=5.0)
    old.writer.close()
    await node.until(lambda: not node.peers())
    again = await joined(node, connect, OLD)
    assert not (await refused(node, connect, NEW)).final
    again.writer.close()


def test_the_memory_of_newcomers_is_bounded() -> None:
    rivals = Rivals()
    for number in range(100 * RIVALS_MAX):
        assert not rivals.came(b"%16d" % number, 10.0, 3.0)
    assert len(rivals._first_seen) == RIVALS_MAX


# ---- told for good ---------------------------------------------------------------------------------------


async def test_a_node_that_is_refused_for_good_tells_its_owner(start: Start) -> None:
    """It has copied the directory of the one that it dials, so that one's start stands in it."""
    original, copy = await start("n1"), await start("n1")
    nonce = original.me.nonce[:12]
    for node, own in ((original, b"o" * 12), (copy, b"c" * 12)):
        node.me = msgspec.structs.replace(node.me, nonce=first_boot_id(own), starts=(nonce, own))
    original.me = msgspec.structs.replace(original.me, starts=(nonce, b"o" * 12))
    copy.me = msgspec.structs.replace(copy.me, address="copy:7400", starts=(nonce, b"o" * 12, b"c" * 12))
    world = original.world
    world.ports.update({"n1:7400": original.link.port, "copy:7400": copy.link.port})
    copy.dial(original)
    await copy.until(lambda: bool(copy.ended))
    assert copy.ended[0].startswith("two processes run as node n1, at copy:7400 and n1:7400: ")
    original.dial(copy)
    await spin(lambda: "copy:7400" in original.link.problems())
    assert not original.ended, "it is the copy that has to end"
    original.dial()
    copy.dial()


async def test_a_final_refusal_counts_from_a_node_that_was_dialled_and_from_no_other(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Refusal("an old copy", final=True)
    node = await start("n1")
    raw = await connect(node)
    await raw.say(said(refusal))
    assert await raw.ended() == b""
    assert not node.ended, "anybody can connect"

    other = await start("n2")
    monkeypatch.setattr(other, "on_hello", lambda hello: Reject("an old copy", final=True))
    node.dial(other)
    await node.until(lambda: bool(node.ended))
    assert node.ended[0] == "an old copy"
    node.dial()
