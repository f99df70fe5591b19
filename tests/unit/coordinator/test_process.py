"""The process around a node: a disk that refuses ends it in every phase, or is said where it does no harm."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import msgspec
import pytest

from orchestrix_raft.api.errors import ApiError
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.first_start import (
    FirstStart,
    Removed,
    StartError,
    check_join,
    formed_before,
)
from orchestrix_raft.coordinator.hello import PROTOCOL, Accept, Hello, Reject, removed
from orchestrix_raft.coordinator.hello import Member as PeerMember
from orchestrix_raft.coordinator.link import PeerLink
from orchestrix_raft.coordinator.listening import LinkError
from orchestrix_raft.coordinator.node import Node
from orchestrix_raft.coordinator.options import resolve
from orchestrix_raft.coordinator.port import Door, NodePort
from orchestrix_raft.coordinator.process import Api, Process
from orchestrix_raft.coordinator.starts import START_BYTES, Superseded, first_boot_id, start_of
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.storage.disk import Identity, Member, Starts
from orchestrix_raft.storage.layout import DataDirectory, read_identity
from orchestrix_raft.storage.port import DiskFull, StorageError
from orchestrix_raft.testing.cluster import HOST, PEER_PORT_OFFSET, free_ports


class NoApi:
    """Serves nobody; `door` is where it would ask."""

    def __init__(self, door: Door) -> None:
        self.door = door

    async def start(self, listen: str) -> int:
        return 0

    async def stop(self, grace_s: float) -> None: ...


def no_api(door: Door) -> Api:
    return NoApi(door)


def refuse(*args: object) -> NoReturn:
    raise DiskFull("identity: no room on this disk")


def make(data_dir: Path, *others: str) -> Process:
    """A node that has not begun: a cluster of one, unless it waits for others."""
    (port,) = free_ports(1)
    listen = f"{HOST}:{port}"
    flags = {"listen": listen, "data_dir": str(data_dir), "peer_port_offset": str(PEER_PORT_OFFSET)}
    if others:
        flags["peers"] = ",".join((listen, *others))
    return Process(resolve(flags, {}, {}), no_api)


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return make(tmp_path / "data")


@pytest.mark.parametrize("step", ["set_bootstrap", "set_cluster_id"])
async def test_a_disk_that_cannot_keep_the_first_start_ends_the_process(
    process: Process, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(process._disk, step, refuse)
    with pytest.raises(DiskFull, match="no room"):
        await process.run()


async def test_a_data_directory_that_is_gone_at_once_ends_the_process_before_it_serves(
    process: Process,
) -> None:
    process._disk.path.rename(process._disk.path.with_name("moved"))
    with pytest.raises(StorageError, match="LOCK: was removed while the node was using it"):
        await process.run()


async def test_a_store_that_cannot_be_closed_does_not_hide_why_the_process_ends(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process._disk, "set_bootstrap", refuse)
    close = process._disk.close

    def closed() -> NoReturn:
        close()
        raise StorageError("local/CLOSED: cannot be written")

    monkeypatch.setattr(process._disk, "close", closed)
    with pytest.raises(DiskFull, match="identity: no room"):
        await process.run()
    assert (
        "the data directory could not be closed in order: local/CLOSED: cannot be written" in caplog.messages
    )


async def test_addresses_that_cannot_be_remembered_are_a_warning(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await process._start_link()
    try:
        monkeypatch.setattr(process._where, "known", lambda: {"n2": f"{HOST}:1"})
        monkeypatch.setattr(process._disk, "set_addresses", refuse)
        process._where.retarget()
        assert process._where.targets == {f"{HOST}:1"}
    finally:
        await process._link.close()
        process._close_disk()
    assert "could not be remembered: identity: no room" in caplog.text


# ---- starts


@pytest.fixture
async def linked(process: Process) -> AsyncIterator[Process]:
    """Its peer link listens."""
    loop = asyncio.get_running_loop()
    process._fault = loop.create_future()
    process._misled = loop.create_future()
    await process._start_link()
    yield process
    await process._link.close()
    process._close_disk()


async def test_a_start_is_on_disk_before_the_link_listens(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Identity | None] = []

    async def listen(self: object, address: object) -> NoReturn:
        stored.append(read_identity(process._disk.path))
        raise LinkError("as far as this test goes")

    monkeypatch.setattr(PeerLink, "start", listen)
    with pytest.raises(LinkError):
        await process.run()
    assert [one and one.starts.nonces for one in stored] == [(process._nonce,)]


async def test_every_process_of_a_directory_has_a_start_of_its_own(tmp_path: Path) -> None:
    nonces = []
    for _ in range(3):
        process = make(tmp_path / "data")
        await process._start_link()
        hello = process._hello()
        assert start_of(hello.nonce) == hello.starts[-1] == process._nonce
        nonces.append(process._nonce)
        assert hello.starts == tuple(nonces)
        await process._link.close()
        process._close_disk()


def with_core(
    process: Process, starts: Starts, nodes: dict[str, object], members: tuple[str, ...] = ()
) -> None:
    """As if it served, knowing these nodes from the log."""
    core = SimpleNamespace(
        identity=SimpleNamespace(starts=starts),
        state=SimpleNamespace(nodes=nodes, level=FIRST_LEVEL),
        consensus=SimpleNamespace(members=members, leader_id="n1"),
        addresses={},
    )
    process._node = cast(Node, SimpleNamespace(core=core))
    process._where.core = cast(Core, core)


async def test_the_committed_start_is_remembered_and_said(linked: Process) -> None:
    learnt = Starts(7, (linked._nonce,))
    with_core(linked, learnt, {})
    linked._where.retarget()
    assert linked._disk.identity.starts == learnt
    assert linked._hello().known_starts == learnt


async def test_a_committed_start_that_cannot_be_remembered_is_a_warning(
    linked: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_core(linked, Starts(7, (linked._nonce,)), {})
    monkeypatch.setattr(linked._disk, "set_starts", refuse)
    linked._where.retarget()
    assert "could not be remembered: identity: no room" in caplog.text


async def test_a_node_from_an_older_directory_than_the_log_knows_is_refused_for_good(linked: Process) -> None:
    newest, older = b"n" * START_BYTES, b"o" * START_BYTES
    known = SimpleNamespace(incarnation=9, boot_id=first_boot_id(newest))
    with_core(linked, Starts(), {"n2": known})
    linked._disk.set_cluster_id("c" * 32)
    theirs = msgspec.structs.replace(
        linked._hello(), node_id="n2", disk_id="d2", address="h2:7400", nonce=first_boot_id(older)
    )
    old = linked.on_hello(msgspec.structs.replace(theirs, starts=(older,), start_index=4))
    assert isinstance(old, Reject)
    assert old.final
    assert old.reason.startswith("node n2 has started from another data directory")
    new = linked.on_hello(msgspec.structs.replace(theirs, starts=(newest, older), start_index=4))
    assert new == Accept(member=True)


async def test_a_process_that_is_refused_for_good_ends_while_it_waits_for_others(tmp_path: Path) -> None:
    process = make(tmp_path / "data", f"{HOST}:1")
    asyncio.get_running_loop().call_later(0.05, process.on_refused_for_good, "two processes run as node n1")
    with pytest.raises(Superseded) as ended:
        await process.run()
    assert str(ended.value) == (
        f"this process, which runs from {tmp_path / 'data'}, is not let in: two processes run as node n1"
    )


# ---- moving


def founded(data_dir: Path, own: str, *others: str) -> None:
    """As a node of a cluster leaves it."""
    disk = DataDirectory.open(data_dir)
    disk.set_node_id("n1")
    disk.set_bootstrap([Member("n1", disk.identity.disk_id, own)])
    disk.set_cluster_id("c" * 32)
    disk.set_addresses({"n1": own} | {f"n{number}": other for number, other in enumerate(others, 2)})
    disk.close()


def started(data_dir: Path, **flags: str) -> Process:
    return Process(resolve({"data_dir": str(data_dir), **flags}, {}, {}), no_api)


def test_a_node_comes_back_where_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    founded(tmp_path, "127.0.0.1:7999")
    process = started(tmp_path)
    assert process._address == "127.0.0.1:7999"
    process._close_disk()
    assert not caplog.messages


def test_a_node_that_moves_says_so_when_it_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    founded(tmp_path, "127.0.0.1:7999", "127.0.0.1:8001")
    process = started(tmp_path, listen="127.0.0.1:7998")
    assert not caplog.messages
    process._where.tell_move()
    process._close_disk()
    assert caplog.messages == [
        "node n1 moves from 127.0.0.1:7999 to 127.0.0.1:7998: it tells the other nodes; "
        "clients and workers have to be told"
    ]


def test_a_node_that_moves_out_of_the_reach_of_the_others_is_refused(tmp_path: Path) -> None:
    founded(tmp_path, "10.0.0.1:7400", "10.0.0.2:7400")
    with pytest.raises(StartError) as refused:
        started(tmp_path, listen="127.0.0.1:7400")
    assert str(refused.value) == (
        "node n1 was at 10.0.0.1:7400; at 127.0.0.1:7400 only this machine reaches it, and not the node at "
        "10.0.0.2:7400: give --listen another address or leave it out"
    )


def test_a_port_in_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = started(tmp_path, listen=f"127.0.0.1:{port}")
        with pytest.raises(StartError) as refused:
            process._check_listen()
        process._close_disk()
    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use: "
        "end what uses it, or choose another with --listen"
    )


async def test_the_address_of_a_cluster_of_one_is_remembered(linked: Process) -> None:
    own = linked._disk.identity.node_id
    with_core(linked, Starts(), {own: SimpleNamespace(address=linked._address)}, members=(own,))
    linked._where.retarget()
    assert linked._disk.identity.addresses == {own: linked._address}


# ---- joining and leaving


def hello_of(cluster_id: str) -> Hello:
    return Hello(PROTOCOL, "m1", "e1", "127.0.0.1:7000", nonce=b"1" * 16, cluster_id=cluster_id)


@pytest.mark.parametrize(
    ("join", "there", "warns"),
    [
        ("127.0.0.1:7000", hello_of("c" * 32), ""),
        ("127.0.0.1:7999", "cannot connect", ""),
        ("127.0.0.1:7000", "cannot connect", "at 127.0.0.1:7000 cannot be asked for its own: cannot connect"),
        ("127.0.0.1:7000", hello_of(""), "node m1 at 127.0.0.1:7000 has none yet"),
    ],
    ids=["the same", "a member that is away", "nobody", "none"],
)
def test_what_is_not_known_to_be_another_cluster_is_no_reason_to_stay_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, join: str, there: Hello | str, warns: str
) -> None:
    founded(tmp_path, "127.0.0.1:7999")
    disk = DataDirectory.open(tmp_path)
    disk.close()
    check_join(disk.identity, tmp_path, join, there)
    assert len(caplog.messages) == bool(warns)
    assert all(warns in line and "--join is ignored" in line for line in caplog.messages)


async def test_a_directory_of_another_cluster_than_it_is_to_join_is_refused(tmp_path: Path) -> None:
    there = make(tmp_path / "there")
    running = asyncio.ensure_future(there.run())
    async with asyncio.timeout(10):
        while not there.served:
            await asyncio.sleep(0)
    (port,) = free_ports(1)
    founded(tmp_path / "here", f"{HOST}:{port}")
    flags = {"data_dir": str(tmp_path / "here"), "peer_port_offset": str(PEER_PORT_OFFSET)}
    process = Process(resolve({**flags, "join": there._address}, {}, {}), no_api)
    with pytest.raises(StartError) as refused:
        await process.run()
    assert not process.served
    cluster_id = there._disk.identity.cluster_id
    assert str(refused.value) == (
        f"the data directory {tmp_path / 'here'} belongs to node n1 of cluster {'c' * 32}, and node "
        f"{there._disk.identity.node_id} at {there._address} to cluster {cluster_id}: to join that one use "
        "an empty directory; to go on in its own leave out --join"
    )
    there.on_refused_for_good("enough")
    with pytest.raises(Superseded):
        await running


async def test_a_node_does_not_wait_long_for_who_is_at_join(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrix_raft.coordinator.process.JOIN_ASK_S", 0.0)
    never: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()

    async def meet(self: object, address: str) -> Hello:
        return await never

    monkeypatch.setattr(PeerLink, "meet", meet)
    (port,) = free_ports(1)
    founded(tmp_path, f"{HOST}:{port}")
    flags = {"data_dir": str(tmp_path), "peer_port_offset": str(PEER_PORT_OFFSET), "join": f"{HOST}:1"}
    process = Process(resolve(flags, {}, {}), no_api)
    running = asyncio.ensure_future(process.run())
    async with asyncio.timeout(10):
        while not process.served:
            await asyncio.sleep(0)
    never.set_result(hello_of("d" * 32))
    with pytest.raises(StartError, match="belongs to node n1 of cluster"):
        await running


async def test_a_node_that_is_told_that_it_was_removed_ends_as_one(linked: Process) -> None:
    linked._disk.set_cluster_id("c" * 32)
    reason = removed(linked._disk.identity.node_id, "c" * 32)
    linked.on_refused_for_good(reason)
    assert isinstance(linked._fault.result(), Removed)
    assert str(linked._fault.result()).startswith(reason)


def test_a_directory_that_was_removed_is_not_used_again(tmp_path: Path) -> None:
    founded(tmp_path, "127.0.0.1:7999")
    disk = DataDirectory.open(tmp_path)
    disk.set_removed(17)
    with pytest.raises(Removed) as refused:
        formed_before(disk.identity, (), "127.0.0.1:7999", tmp_path)
    disk.close()
    assert str(refused.value) == (
        f"node n1 was removed from cluster {'c' * 32}: to add the machine again, start it with an empty data "
        f"directory and --join; the --node-id may stay; what is left in {tmp_path} is of no use"
    )


async def test_a_node_that_joins_remembers_its_cluster_and_founds_none(tmp_path: Path) -> None:
    disk = DataDirectory.open(tmp_path)
    disk.set_node_id("n2")
    announced: list[str] = []
    first = FirstStart(
        disk, "127.0.0.1:7401", (), lambda: announced.append("again"), refuse, "127.0.0.1:7400"
    )
    first.go_on()
    assert "127.0.0.1:7400" in first.waiting_for
    mine = PeerMember("n2", disk.identity.disk_id, "127.0.0.1:7401")
    theirs = Hello(
        PROTOCOL,
        "n1",
        "d1",
        "127.0.0.1:7400",
        nonce=b"1" * 16,
        cluster_id="c" * 32,
        members=(PeerMember("n1", "d1", "127.0.0.1:7400"), mine, PeerMember("n3", "d3", "")),
        members_index=9,
    )
    first.saw(theirs)
    formed = await first.formed
    assert (formed.founder, formed.joined_index, announced) == (False, 9, ["again"])
    identity = disk.identity
    assert (identity.cluster_id, identity.joined_index, identity.bootstrap) == ("c" * 32, 9, ())
    assert identity.addresses == {"n1": "127.0.0.1:7400", "n2": "127.0.0.1:7401"}
    again = formed_before(identity, (), "127.0.0.1:7401", tmp_path)
    assert again is not None
    assert not again.founder
    disk.close()


# ---- before there is a cluster


async def test_status_says_for_what_a_node_without_a_cluster_waits(tmp_path: Path) -> None:
    apis: list[NoApi] = []

    def make_api(door: Door) -> Api:
        apis.append(NoApi(door))
        return apis[-1]

    process = make(tmp_path / "data", f"{HOST}:1")
    process._make_api = make_api
    running = asyncio.ensure_future(process.run())
    async with asyncio.timeout(10):
        while not (apis and "not reached" in apis[0].door().status().problems[0]):
            await asyncio.sleep(0)
    view = apis[0].door().status()
    assert view.problems == [f"this node has no cluster yet: waits for {HOST}:1: not reached yet"]
    assert view.answered_by == process._disk.identity.node_id
    assert view.stale
    process.on_refused_for_good("enough")
    with pytest.raises(Superseded):
        await running
    assert not process.served


async def test_a_node_with_a_cluster_has_loaded_its_state_before_anybody_can_ask_it(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    founded(tmp_path, f"{HOST}:{port}")
    began: list[NodePort] = []

    class Answers(NoApi):
        async def start(self, listen: str) -> int:
            began.append(self.door())
            raise ApiError("as far as this test goes")

    flags = {"data_dir": str(tmp_path), "peer_port_offset": str(PEER_PORT_OFFSET)}
    process = Process(resolve(flags, {}, {}), Answers)
    with pytest.raises(ApiError):
        await process.run()
    (node,) = began
    assert isinstance(node, Node)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        node._disk.submit(lambda: None)
