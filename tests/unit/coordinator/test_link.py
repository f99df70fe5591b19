"""The peer link between good nodes: real sockets, stepped clocks, awaited events."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from orchestrix_raft.coordinator import hello as greetings
from orchestrix_raft.coordinator.addresses import Address
from orchestrix_raft.coordinator.hello import Hello, Member, Refusal
from orchestrix_raft.coordinator.tls import PeerTls, TlsFiles, peer_tls
from tests.unit.coordinator.link_world import (
    CLUSTER,
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
CERTS = Path(__file__).parent / "certs"


# ---- two good nodes --------------------------------------------------------------------------------------


async def test_one_dials_and_messages_flow_both_ways_in_order(start: Start) -> None:
    one, two = await start("n1"), await start("n2")
    one.dial(two)
    await one.until(lambda: bool(one.peers()))
    await two.until(lambda: bool(two.peers()))
    for number in range(100):
        assert one.link.send("n2", [Note(b"%d" % number), Note(b"%d again" % number)])
    await two.until(lambda: len(two.notes) == 200)
    assert two.notes[:3] == [("n1", b"0"), ("n1", b"0 again"), ("n1", b"1")]
    assert [text for _, text in two.notes[::2]] == [b"%d" % number for number in range(100)]
    await talk(two, one)


async def test_when_both_dial_the_connection_of_the_larger_id_stays(start: Start) -> None:
    one, two = await start("n1"), await start("n2")
    for _ in range(10):
        one.dial(two)
        two.dial(one)
        await one.until(lambda: "n2" in one.peers())
        await two.until(lambda: "n1" in two.peers())
        for _ in range(50):
            await asyncio.sleep(0)
        await one.until(lambda: "n2" in one.peers())
        await two.until(lambda: "n1" in two.peers())
        await talk(one, two)
        await talk(two, one)
        assert len(one.link._peers) == len(two.link._peers) == 1
        mine, theirs = one.link._peers["n2"], two.link._peers["n1"]
        assert (mine.target is None) != (theirs.target is None), "both must have kept the same connection"
        for node in (one, two):
            node.dial()
            for connection in list(node.link._connections):
                connection.abort()
        await one.until(lambda: not one.peers())
        await two.until(lambda: not two.peers())


@contextlib.asynccontextmanager
async def dialled_by(node: Node, name: str) -> AsyncIterator[Raw]:
    """The other end of a connection that `node` has dialled, as the peer of that name."""
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: accepted.put_nowait((r, w)), "127.0.0.1", 0)
    node.world.ports[f"{name}:7400"] = server.sockets[0].getsockname()[1]
    node.link.set_targets([f"{name}:7400"])
    peer = Raw(*await accepted.get())
    await peer.say(said(stranger(name)))
    await node.until(lambda: name in node.peers())
    yield peer
    peer.writer.close()
    server.close()


async def test_of_two_settled_connections_the_rule_picks_one(start: Start, connect: Connect) -> None:
    """The peer has the smaller id and dials although n5 has already dialled it: n5 keeps its own."""
    node = await start("n5")
    async with dialled_by(node, "n1") as peer:
        second = await connect(node)
        await second.say(said(stranger("n1")))
        await second.hear(1)
        assert await second.ended() == b""
        assert node.link.send("n1", [Note(b"still there")])
        assert len(await peer.hear(2)) == 2
        assert node.events == [("connected", "n1")]


async def test_a_side_that_dials_again_has_lost_what_it_had(start: Start, connect: Connect) -> None:
    node = await start("n1")
    old, new = await connect(node), await connect(node)
    await old.say(said(stranger("n5")))
    await old.hear(1)
    await new.say(said(stranger("n5")))
    await new.hear(1)
    assert await old.ended() == b""
    assert node.link.send("n5", [Note(b"hello")])
    assert await new.hear(1)


async def test_a_peer_is_found_again_where_its_name_points_now(start: Start, world: World) -> None:
    one, two = await start("n1"), await start("n2")
    one.dial(two)
    await one.until(lambda: "n2" in one.peers())
    await two.link.close()
    await one.until(lambda: one.events[-1] == ("gone", "n2"))
    assert one.events == [("connected", "n2"), ("disconnected", "n2"), ("gone", "n2")]
    assert not one.link.send("n2", [Note(b"into the void")])
    again = await start("n2", nonce=b"another process")
    await one.until(lambda: "n2" in one.peers())
    await again.until(lambda: "n1" in again.peers())
    await talk(one, again)


async def test_three_nodes_that_all_dial_form_a_full_mesh(start: Start) -> None:
    nodes = [await start(name) for name in ("n1", "n2", "n3")]
    for node in nodes:
        node.dial(*(other for other in nodes if other is not node))
    for node in nodes:
        await node.until(lambda node=node: len(node.peers()) == 2)  # type: ignore[misc]
    for node in nodes:
        assert node.peers() == {"n1", "n2", "n3"} - {node.me.node_id}


async def test_what_exceeds_a_frame_is_sent_in_several(start: Start) -> None:
    limits = LIMITS._replace(frame_bytes=1_000)
    one, two = await start("n1", limits=limits), await start("n2", limits=limits)
    one.dial(two)
    await one.until(lambda: "n2" in one.peers())
    assert one.link.send("n2", [Note(bytes([n]) * 300) for n in range(20)])
    await two.until(lambda: len(two.notes) == 20)
    assert [text[0] for _, text in two.notes] == list(range(20))
    with pytest.raises(ValueError, match="a frame has 1000"):
        one.link.send("n2", [Note(bytes(1_001))])


async def test_a_large_message_arrives_whole(start: Start) -> None:
    one, two = await start("n1"), await start("n2")
    one.dial(two)
    await one.until(lambda: "n2" in one.peers())
    large = bytes(range(256)) * 40_000
    assert one.link.send("n2", [Note(large)])
    await two.until(lambda: bool(two.notes))
    assert two.notes == [("n1", large)]


async def test_closing_leaves_nothing_behind(start: Start, connect: Connect) -> None:
    one, two = await start("n1"), await start("n2")
    one.dial(two)
    two.link.set_targets(["nobody:7400"])
    await connect(two)
    await two.until(lambda: bool(two.peers()))
    await one.until(lambda: bool(one.peers()))
    await two.link.close()
    assert two.events == [("connected", "n1")], "closing oneself is no news of others"
    await one.link.close()
    for node in (one, two):
        assert not node.link._tasks
        assert not node.link._connections
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ---- before and while forming ----------------------------------------------------------------------------


async def test_nodes_without_a_cluster_exchange_hellos_only_and_go_on_after_announcing(start: Start) -> None:
    one, two = await start("n1", cluster_id=""), await start("n2", cluster_id="")
    heard: list[str] = []
    two.on_greeting = lambda hello: heard.append(hello.cluster_id)
    one.dial(two)
    await two.until(lambda: heard == [""])
    assert not one.link.send("n2", [Note(b"too early")])
    member = Member("n2", "disk-n2", "n2:7400")
    one.me = msgspec.structs.replace(one.me, cluster_id=CLUSTER, members=(member,))
    one.link.announce()
    await two.until(lambda: heard[-1] == CLUSTER)
    assert not one.peers()
    two.me = msgspec.structs.replace(two.me, cluster_id=CLUSTER)
    two.link.announce()
    await one.until(lambda: "n2" in one.peers())
    assert two.peers() == {"n1"}
    await talk(one, two)
    assert one.events == [("connected", "n2")]


async def test_a_node_that_forms_while_it_judges_says_so(start: Start) -> None:
    """The first Hello of the other makes it a member of a cluster: what it said before is outdated."""
    one, two = await start("n1", cluster_id=""), await start("n2")
    two.me = msgspec.structs.replace(two.me, members=(Member("n1", "disk-n1", "n1:7400"),))

    def adopt(hello: Hello) -> None:
        one.me = msgspec.structs.replace(one.me, cluster_id=hello.cluster_id)

    one.on_greeting = adopt
    one.dial(two)
    await two.until(lambda: "n1" in two.peers())
    await one.until(lambda: "n2" in one.peers())
    await talk(two, one)


async def test_announcing_while_judging_does_not_bring_back_what_was_said_before(
    start: Start, connect: Connect
) -> None:
    node = await start("n1", cluster_id="")
    heard: list[str] = []

    def answer(hello: Hello) -> None:
        heard.append(hello.promised)
        if hello.promised and not node.me.promised:
            node.me = msgspec.structs.replace(node.me, promised="q")
            node.link.announce()

    node.on_greeting = answer
    raw = await connect(node)
    await raw.say(said(stranger(cluster_id="")))
    await raw.hear(1)
    await raw.say(said(stranger(cluster_id="", promised="p")))
    await raw.hear(1)
    assert heard[0] == ""
    assert set(heard[1:]) == {"p"}


async def test_the_end_of_a_forming_connection_is_told(start: Start, connect: Connect) -> None:
    node = await start("n1", cluster_id="")
    raw = await connect(node)
    await raw.say(said(stranger(cluster_id="")))
    await raw.hear(1)
    raw.writer.close()
    await node.until(lambda: node.events == [("gone", "n9")])


async def test_a_refused_node_learns_why(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    one, two = await start("n1"), await start("n2", cluster_id="d" * 32)
    greeted: list[str] = []
    one.on_greeting = two.on_greeting = lambda hello: greeted.append(hello.node_id)
    one.dial(two)
    await one.until(lambda: greeted.count("n2") >= 3)
    assert "two clusters never merge" in one.link.problems()["n2:7400"]
    assert not one.peers() | two.peers()
    lines = [record.message for record in caplog.records if "never merge" in record.message]
    assert 2 <= len(lines) <= 4, "once per side and wording, not once per attempt"


async def test_a_refusal_is_the_last_frame(start: Start, connect: Connect) -> None:
    node = await start("n1")
    raw = await connect(node)
    await raw.say(said(stranger(cluster_id="d" * 32)))
    greeting, refusal = (greetings.decode(payload) for payload in await raw.hear(2))
    assert greeting == node.me
    assert isinstance(refusal, Refusal)
    assert await raw.ended() == b""


# ---- TLS -------------------------------------------------------------------------------------------------


def tls_of(name: str, ca: str = "ca.pem") -> PeerTls:
    return peer_tls(TlsFiles(CERTS / f"{name}.pem", CERTS / f"{name}-key.pem", CERTS / ca))


async def test_nodes_of_one_authority_talk_over_tls(start: Start) -> None:
    one, two = await start("n1", tls=tls_of("node")), await start("n2", tls=tls_of("node"))
    one.dial(two)
    two.dial(one)
    await one.until(lambda: "n2" in one.peers())
    await two.until(lambda: "n1" in two.peers())
    for _ in range(3):
        await talk(one, two)
    large = bytes(3_000_000)
    assert one.link.send("n2", [Note(large)])
    await two.until(lambda: two.notes[-1] == ("n1", large))


async def test_a_certificate_of_another_authority_never_gets_to_say_hello(start: Start) -> None:
    node = await start("n1", tls=tls_of("node"))
    intruder = await start("n2", tls=tls_of("stranger", "other-ca.pem"))
    greeted: list[str] = []
    node.on_greeting = intruder.on_greeting = lambda hello: greeted.append(hello.node_id)
    trusting = tls_of("stranger", "other-ca.pem")
    trusting.dialling.check_hostname = False
    trusting.dialling.verify_mode = trusting.dialling.verify_mode.__class__(0)
    intruder.link._tls = trusting  # it would take any server
    intruder.dial(node)
    await spin(lambda: "before a Hello" in intruder.link.problems().get("n1:7400", ""))
    node.dial(intruder)
    await spin(lambda: "certificate" in node.link.problems().get("n2:7400", ""))
    assert greeted == []
    assert not node.peers() | intruder.peers()


@pytest.mark.parametrize("certificate", ["laptop", "third"], ids=["of a client", "of another node"])
async def test_a_certificate_for_another_host_may_not_say_hello_as_a_node(
    start: Start, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    node = await start("n1", tls=tls_of("node"))
    impostor = await start("n2", tls=tls_of(certificate))
    greeted: list[str] = []
    node.on_greeting = impostor.on_greeting = lambda hello: greeted.append(hello.node_id)
    impostor.dial(node)
    await spin(lambda: "says it is at n2:7400, but its" in impostor.link.problems().get("n1:7400", ""))
    assert greeted == []
    assert not node.peers() | impostor.peers()
    lines = [line for line in caplog.messages if line.startswith("refused 127.0.0.1")]
    assert len(lines) == 1  # though it tries again and again
    assert "not for n2: a node's certificate needs the host of its own address" in lines[0]


async def test_whoever_dials_refuses_a_node_whose_certificate_is_for_another_host(start: Start) -> None:
    node = await start("n1", tls=tls_of("node"))
    impostor = await start("n2", tls=tls_of("third"))  # is dialled at 127.0.0.1, which its certificate names
    node.dial(impostor)
    await spin(lambda: "its certificate is for localhost, n3" in node.link.problems().get("n2:7400", ""))
    assert not node.peers()


async def test_a_node_that_says_the_id_of_another_needs_a_certificate_for_that_ones_host(
    start: Start, world: World
) -> None:
    """Node n3, with a good certificate for its own host, says that it is n2."""
    world.known = {"n1": "n1:7400", "n2": "n2:7400", "n3": "n3:7400"}
    node = await start("n1", tls=tls_of("node"))
    liar = await start("n2", tls=tls_of("third"))
    liar.me = msgspec.structs.replace(liar.me, address="n3:7400")
    liar.dial(node)
    await spin(lambda: "known at n2:7400 and says it is at n3" in liar.link.problems().get("n1:7400", ""))
    assert not node.peers()


async def test_a_node_that_moves_to_another_host_of_its_certificate_is_let_in(
    start: Start, world: World
) -> None:
    world.known = {"n1": "n1:7400", "n2": "localhost:7400"}
    node, moved = await start("n1", tls=tls_of("node")), await start("n2", tls=tls_of("node"))
    moved.dial(node)
    await node.until(lambda: "n2" in node.peers())
    assert not node.link.problems() | moved.link.problems()


async def test_a_connected_node_that_says_it_moved_to_a_foreign_host_is_let_go(start: Start) -> None:
    node, other = await start("n1", tls=tls_of("node")), await start("n2", tls=tls_of("node"))
    other.dial(node)
    await node.until(lambda: "n2" in node.peers())
    other.me = msgspec.structs.replace(other.me, address="n3:7400")
    other.link.announce()
    await node.until(lambda: ("gone", "n2") in node.events)
    await spin(lambda: "not for n3" in other.link.problems().get("n1:7400", ""))


async def test_plain_bytes_at_a_tls_port_are_refused(start: Start, connect: Connect) -> None:
    node = await start("n1", tls=tls_of("node"))
    raw = await connect(node)
    await raw.say(said(stranger()))
    await raw.ended()
    assert node.events == []
    assert not node.link._pending


# ---- meeting somebody


async def test_whoever_is_at_an_address_can_be_met_member_or_not(start: Start, world: World) -> None:
    one = await start("n1")
    met = {}
    for name, cluster in (("n2", CLUSTER), ("n3", ""), ("n4", "d" * 32)):
        other = await start(name, cluster_id=cluster)
        met[name] = await one.link.meet(other.me.address)
        assert met[name] == other.me
    assert one.peers() == {"n2"}
    assert one.link.problems() == {}


async def test_why_nobody_can_be_met_is_one_line_and_no_lasting_problem(start: Start) -> None:
    one = await start("n1")
    assert await one.link.meet("n9:7400") == "cannot connect to 127.0.0.1:1: Connection refused"
    assert one.link.problems() == {}


async def test_whoever_waits_is_told_why_once_and_stays_connected(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    member, waiting = await start("n1"), await start("n2", cluster_id="")
    member.me = msgspec.structs.replace(member.me, members=(Member("n2", "disk-n2", "n2:7400"),))
    waiting.dial(member)
    await spin(lambda: "n2" in member.link._peers)
    for _ in range(3):
        member.link.put_off("n2", "not yet")
    await spin(lambda: bool(waiting.link.problems()))
    assert waiting.link.problems() == {"n1:7400": "does not add this node: not yet"}
    member.link.put_off("n2", "no leader")
    await spin(lambda: "no leader" in waiting.link.problems()["n1:7400"])
    assert "n1" in waiting.link._peers
    assert sum("not yet" in line for line in caplog.messages) == 1


async def test_what_every_member_says_to_whoever_waits_is_logged_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    asked, dialling, waiting = await start("n1"), await start("n3"), await start("n2", cluster_id="")
    for member in (asked, dialling):
        member.me = msgspec.structs.replace(member.me, members=(Member("n2", "disk-n2", "n2:7400"),))

    def told(reason: str) -> bool:
        return reason in waiting.link.problems().get("n1:7400", "")

    waiting.dial(asked)
    dialling.dial(waiting)
    await spin(lambda: "n2" in asked.link._peers and "n2" in dialling.link._peers)
    for member in (asked, dialling):
        member.link.put_off("n2", "not yet")
    dialling.link.put_off("n2", "no leader")
    await spin(lambda: any("no leader" in line for line in caplog.messages))
    for reason in ("not yet", "no leader", "not yet"):  # they differ, and are asked again and again
        asked.link.put_off("n2", reason)
        await spin(partial(told, reason))
    assert sum("no leader" in line for line in caplog.messages) == 1
    assert waiting.link.problems().keys() <= {"n1:7400"}
    assert waiting.link._peers.keys() == {"n1", "n3"}
    assert sum("not yet" in line for line in caplog.messages) == 1


async def test_names_are_resolved_again_at_every_attempt(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        pytest.skip("uvloop resolves in C, where no test can look; the calls are the same")
    one, two = await start("n1"), await start("n2")
    real, asked = socket.getaddrinfo, []

    def resolve(host: str, *rest: object, **named: object) -> object:
        if host == "moving.test":
            asked.append(host)
            host = "127.0.0.1" if len(asked) == 3 else "127.0.0.9"
        return real(host, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    one.link._endpoint = lambda address: Address("moving.test", two.link.port)
    one.dial(two)
    await one.until(lambda: "n2" in one.peers())
    assert len(asked) == 3
