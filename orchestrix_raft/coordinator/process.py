"""A node process from its options to its end: data directory, first start, peer link, core, API, signals.

Everything that can be refused is refused before the node takes part in anything, with one line.
"""

import asyncio
import errno
import gc
import logging
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from orchestrix_raft.consensus.membership_rules import ADD
from orchestrix_raft.coordinator import forming
from orchestrix_raft.coordinator.addresses import parse_address
from orchestrix_raft.coordinator.assembly import make_core
from orchestrix_raft.coordinator.connection import why
from orchestrix_raft.coordinator.entrance import Waiting
from orchestrix_raft.coordinator.first_start import (
    FirstStart,
    Removed,
    StartError,
    check_join,
    formed_before,
)
from orchestrix_raft.coordinator.hello import PROTOCOL, Accept, Hello, Reject, judge, removed
from orchestrix_raft.coordinator.link import PeerLink
from orchestrix_raft.coordinator.messages import PeerMessage
from orchestrix_raft.coordinator.node import Node
from orchestrix_raft.coordinator.options import NodeOptions
from orchestrix_raft.coordinator.origin import OLD_COPY
from orchestrix_raft.coordinator.port import Door, NodePort
from orchestrix_raft.coordinator.recruits import Recruits, noting
from orchestrix_raft.coordinator.slot_watch import SlotWatch
from orchestrix_raft.coordinator.standing import Standing
from orchestrix_raft.coordinator.starts import START_BYTES, Superseded, begun, first_boot_id, superseded
from orchestrix_raft.coordinator.tls import PeerTls, check_own, peer_tls
from orchestrix_raft.coordinator.whereabouts import Whereabouts
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.telemetry.metrics import Registry
from orchestrix_raft.version import MACHINE_LEVEL, VERSION

log = logging.getLogger(__name__)

DISK_LOOK_S = 1.0  # between two looks whether the data directory is still there
SWITCH_S = 0.0005  # how long the thread that writes checkpoints may keep the loop waiting, not 5 ms
JOIN_ASK_S = 1.0  # before a node that has a cluster goes on without knowing who is at --join
LET_GO_S = 5.0  # for the workers of a removed node to go elsewhere
GOODBYE_S = 58.0  # for handing over sessions and leadership; with what follows a process ends within a minute


_Fault = StorageError | Superseded | Removed


class Api(Protocol):
    """The server of the API, as the composition root makes it."""

    async def start(self, listen: str) -> int: ...
    async def stop(self, grace_s: float) -> None: ...


class Process:
    """One node process.  `run` returns when it is over; StartError (Removed: from its cluster), StorageError,
    LinkError or, if another process has this node's place, Superseded otherwise."""

    def __init__(
        self, options: NodeOptions, make_api: Callable[[Door], Api], registry: Registry | None = None
    ) -> None:
        self._options = options
        self._slot_watch = SlotWatch(registry or Registry())
        self._make_api = make_api
        self._disk = DataDirectory.open(Path(options.data_dir))
        self._set_node_id()
        self._address = str(options.advertised)
        self._where = Whereabouts(self._disk, self._address, lambda targets: self._link.set_targets(targets))
        self._where.check_move()
        self._nonce = secrets.token_bytes(START_BYTES)
        self._first_start: FirstStart | None = None
        self._answers: NodePort = Waiting(
            self._disk.identity.node_id, self._waiting_for, lambda: time.time_ns() // 1_000_000
        )
        self.served = False
        """There was a cluster and this node took part in it."""
        self._node: Node | None = None
        self._link: PeerLink[PeerMessage]
        self._disk_look: asyncio.TimerHandle | None = None
        self._fault: asyncio.Future[_Fault]  # why this node cannot go on
        self._standing = Standing(self._disk, self._where.known, lambda: self._link.announce())
        self._foreign: set[str] = set()  # listed peers that belong to another cluster
        # Why nearly all of them do: this data directory is in the wrong place.
        self._misled: asyncio.Future[str]

    def _set_node_id(self) -> None:
        known, wanted = self._disk.identity.node_id, self._options.node_id
        if not known:
            self._disk.set_node_id(wanted or f"node-{self._disk.identity.disk_id[:8]}")
        elif wanted and wanted != known:
            raise StartError(
                f"the data directory {self._options.data_dir} belongs to node {known}, not {wanted}: "
                "leave out --node-id or use another --data-dir"
            )

    def _waiting_for(self) -> str:
        if self._first_start is None:
            return "starting"
        why, problem = self._first_start.waiting_for, self._link.problems().get(self._join, "")
        return f"{why} ({problem})" if problem else why

    # ---- the story -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start, serve until a signal or a fault, hand over, end."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._misled = loop.create_future()
        self._fault = loop.create_future()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        try:
            self._look_at_disk()
            if self._fault.done():
                raise self._fault.result()
            await self._take_ports()
            try:
                await self._answer(stop)
            finally:
                self._standing.close()
                await self._link.close()
        finally:
            self._close_disk()

    async def _take_ports(self) -> None:
        """From here on others may hear of this disk.  If that fails, a directory that was made for it goes:
        it would be refused to the next start under another id, and to a restore."""
        try:
            self._check_listen()
            await self._start_link()
        except Exception:  # raised again, whatever it is
            try:
                self._disk.unmake()
            except StorageError as error:
                log.error("what the failed start has made could not be removed: %s", error)
            raise

    async def _answer(self, stop: asyncio.Event) -> None:
        """The API answers from the beginning: before there is a cluster, it says what the node waits for.  A
        node that has one loads its state first: meanwhile it could answer nobody, and callers are better
        refused, and go to another node, than kept waiting."""
        options = self._options
        before = formed_before(self._disk.identity, options.peers, self._address, options.data_dir)
        asked = None
        if before is not None and self._join:
            asked = asyncio.ensure_future(self._ask_at_join())
            await asyncio.wait((asked, self._fault, self._misled), timeout=JOIN_ASK_S)
            self._check_fault()
        try:
            node = None if before is None else self._begin(before)
            async with self._open_api():
                if node is None:
                    formed = await self._find_cluster(stop)
                    node = None if formed is None else self._begin(formed)
                if node is not None:
                    await self._serve(node, stop)
        finally:
            if asked is not None:
                asked.cancel()
            if self._node is not None:
                self._node.close()

    async def _ask_at_join(self) -> None:
        """An empty directory asks to be added; one that has a cluster must not be of another one than the
        node it is sent to."""
        there = await self._link.meet(self._join)
        try:
            check_join(self._disk.identity, self._options.data_dir, self._join, there)
        except StartError as error:
            if not self._misled.done():
                self._misled.set_result(str(error))

    def _check_fault(self) -> None:
        """Why this node cannot go on, if that is known by now."""
        if self._fault.done():
            raise self._fault.result()
        if self._misled.done():
            raise StartError(self._misled.result())

    @asynccontextmanager
    async def _open_api(self) -> AsyncIterator[None]:
        api = self._make_api(lambda: self._answers)
        await api.start(str(self._options.listen_address))
        try:
            yield
        finally:
            await api.stop(1.0)

    def _close_disk(self) -> None:
        """What is wrong with it by now is found at the next opening; it must not hide why the node ends."""
        if self._disk_look is not None:
            self._disk_look.cancel()
        try:
            self._disk.close()
        except StorageError as error:
            log.error("the data directory could not be closed in order: %s", error)

    def _look_at_disk(self) -> None:
        """Files that somebody removes under a node go on taking writes and syncs: nothing else notices."""
        try:
            self._disk.check_in_place()
        except StorageError as error:
            self._fail(error)
        else:
            self._disk_look = asyncio.get_running_loop().call_later(DISK_LOOK_S, self._look_at_disk)

    def _fail(self, error: _Fault) -> None:
        """End as soon as can be, in whatever phase."""
        if not self._fault.done():
            self._fault.set_result(error)
        if self._node is not None:
            self._node.fail(error)

    def _check_listen(self) -> None:
        """Why the API's port cannot be had, in the system's words: grpc has none."""
        listen = self._options.listen_address
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        try:
            socket.create_server((listen.host, listen.port), family=family).close()
        except OSError as error:
            hint = (
                ": end what uses it, or choose another with --listen"
                if error.errno == errno.EADDRINUSE
                else ""
            )
            raise StartError(f"cannot listen on {listen}: {why(error)}{hint}") from error

    async def _start_link(self) -> None:
        options = self._options
        offset = options.peer_port_offset
        self._disk.set_starts(begun(self._disk.identity.starts, self._nonce))  # before anybody hears of it
        self._link = PeerLink(
            msgspec.msgpack.Decoder(list[PeerMessage]),
            self._hello,
            self,
            lambda address: parse_address(address).above(offset),
            tls=self._tls(),
            known_address=self._where.known_address,
            limits=options.link_limits(),
        )
        await self._link.start(options.listen_address.above(offset))

    def _tls(self) -> PeerTls | None:
        files = self._options.tls
        if files is None:
            return None
        tls = peer_tls(files)
        identity = self._disk.identity
        founders = (member.address for member in identity.bootstrap)
        if {*self._dialled_first(), *identity.addresses.values(), *founders} - {self._address}:
            check_own(tls, files, self._address)
        return tls

    @property
    def _join(self) -> str:
        return "" if self._options.join is None else str(self._options.join)

    def _dialled_first(self) -> set[str]:
        """Where others are, by the options."""
        return {*self._options.peers, *filter(None, [self._join])}

    async def _find_cluster(self, stop: asyncio.Event) -> forming.Formed | None:
        """The cluster this node founds or enters; None when told to stop before there was one."""
        peers = self._options.peers
        first = self._first_start = FirstStart(
            self._disk, self._address, peers, self._link.announce, self._fail, self._join
        )
        self._link.set_targets(self._dialled_first() - {self._address})
        first.go_on()
        await _first_of(stop, first.formed, self._fault)
        self._first_start = None
        if self._fault.done():
            raise self._fault.result()
        return first.formed.result() if first.formed.done() else None

    def _begin(self, formed: forming.Formed) -> Node:
        """Take part in the cluster from now on."""
        node = self._node = self._answers = self._make_node(formed)
        self._members_changed()
        for node_id, hello in self._link.connected().items():
            node.peer_connected(node_id, hello.disk_id)
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_S)
        node.start()
        return node

    async def _serve(self, node: Node, stop: asyncio.Event) -> None:
        self.served = True
        self._where.tell_move()
        identity = self._disk.identity
        log.info("node %s of cluster %s serves at %s", identity.node_id, identity.cluster_id, self._address)
        await _first_of(stop, node.failure, self._misled, self._fault, self._standing.removed)
        if node.failure.done():
            raise node.failure.result()
        self._check_fault()
        if self._standing.removed.done():
            log.info("removed from the cluster: sending workers to the other nodes")
            await node.let_go(LET_GO_S)
            raise Removed(self._standing.removed.result())
        alone = len(node.core.consensus.members) < 2
        log.info("stopping" if alone else "stopping: handing over leadership and sessions")
        await node.goodbye(GOODBYE_S)

    def _make_node(self, formed: forming.Formed) -> Node:
        core = make_core(self._disk, self._options, formed, self._address, self._nonce, self._where.servers)
        core.effects.slot_watch = self._slot_watch
        self._where.core = core
        node = Node(core, formed.cluster_id, self._send, self._members_changed)
        recruits = Recruits(
            self._hello,
            lambda hello, done: node.change_members(
                ADD, hello.node_id, hello.disk_id, noting(hello, node.note, done)
            ),
            self._link,
            asyncio.get_running_loop().call_later,
        )
        node.fetch = recruits.fetch
        self._standing.serve(core, recruits)
        return node

    def _members_changed(self) -> None:
        """A node was announced, added or removed, perhaps this one."""
        self._where.retarget()
        self._standing.follow()

    def _send(self, node_id: str, messages: list[PeerMessage]) -> None:
        self._link.send(node_id, messages)

    # ---- hooks of the link ---------------------------------------------------------------------------

    def _hello(self) -> Hello:
        identity = self._disk.identity
        promised = self._first_start.promised_id if self._first_start is not None else ""
        members, members_index = self._standing.members()
        return Hello(
            PROTOCOL,
            identity.node_id,
            identity.disk_id,
            self._address,
            first_boot_id(self._nonce),
            VERSION,
            identity.cluster_id,
            promised,
            tuple(sorted(self._options.peers)),
            members,
            identity.starts.nonces,
            identity.starts.index,
            joining=bool(self._join) and not identity.cluster_id,
            members_index=members_index,
            level=MACHINE_LEVEL,
            cluster_level=self._node.core.state.level if self._node is not None else 0,
        )

    def on_hello(self, hello: Hello) -> Accept | Reject:
        """See link.Hooks."""
        mine = self._hello()
        verdict = judge(mine, hello)
        if isinstance(verdict, Accept):
            verdict = self._standing.judge(mine, hello, verdict)
        if self._first_start is not None:
            self._first_start.saw(hello)
        elif isinstance(verdict, Reject):
            self._note_foreign(hello, verdict.reason)
        return verdict if isinstance(verdict, Reject) else self._if_newest(hello, verdict)

    def _if_newest(self, hello: Hello, verdict: Accept) -> Accept | Reject:
        """Unless the log knows a start of that node from another directory than the one it runs from now."""
        nodes = self._node.core.state.nodes if self._node is not None else {}
        known = nodes.get(hello.node_id)
        if known is not None and superseded(hello.known_starts, known.incarnation, known.boot_id):
            return Reject(OLD_COPY.format(hello.node_id), final=True)
        return verdict

    def on_refused_for_good(self, reason: str) -> None:
        """See link.Hooks."""
        identity, where = self._disk.identity, self._options.data_dir
        if reason == removed(identity.node_id, identity.cluster_id):  # in the words of `standing`, over there
            self._fail(Removed(f"{reason}; what is left in {where} is of no use"))
            return
        self._fail(Superseded(f"this process, which runs from {where}, is not let in: {reason}"))

    def _note_foreign(self, hello: Hello, reason: str) -> None:
        """One listed node with another cluster's data is that node's trouble; if most of them have it, the
        trouble is here.  Only asked until this node has found its own cluster."""
        mine = self._disk.identity.cluster_id
        others = set(self._options.peers) - {self._address}
        if hello.address in others and hello.cluster_id and hello.cluster_id != mine:
            self._foreign.add(hello.address)
        alone = self._node is None or self._node.core.consensus.leader_id is None
        if alone and 2 * len(self._foreign) > len(others) and not self._misled.done():
            self._misled.set_result(f"{reason}; is {self._options.data_dir} the right --data-dir?")

    def on_connected(self, node_id: str, disk_id: str) -> None:
        """See link.Hooks."""
        if self._node is not None:
            self._node.peer_connected(node_id, disk_id)

    def on_disconnected(self, node_id: str) -> None:
        """See link.Hooks."""
        if self._node is not None:
            self._node.peer_disconnected(node_id)

    def on_gone(self, hello: Hello) -> None:
        """See link.Hooks."""
        self._standing.gone(hello)
        if self._first_start is not None:
            self._first_start.lost(hello.address)

    def on_messages(self, node_id: str, messages: list[PeerMessage]) -> None:
        """See link.Hooks."""
        if self._node is not None:
            self._node.peer_messages(node_id, messages)


async def _first_of(stop: asyncio.Event, *others: "asyncio.Future[Any]") -> None:
    """Wait until told to stop or until one of the others is done."""
    stopped = asyncio.ensure_future(stop.wait())
    waiting: set[asyncio.Future[Any]] = {stopped, *others}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
