"""A node process from its options to its end: data directory, first start, peer link, core, API, signals.

Everything that can be refused is refused before the node takes part in anything, with one line.
"""

import asyncio
import gc
import logging
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.consensus.options import Options as ConsensusOptions
from orchestrix_raft.consensus.port import Apply, Consensus, Restore
from orchestrix_raft.coordinator import forming
from orchestrix_raft.coordinator.addresses import parse_address, why_out_of_reach
from orchestrix_raft.coordinator.connection import why
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.entrance import Entrance, Waiting
from orchestrix_raft.coordinator.hello import PROTOCOL, Accept, Hello, Reject, judge
from orchestrix_raft.coordinator.hello import Member as Founder
from orchestrix_raft.coordinator.link import PeerLink
from orchestrix_raft.coordinator.messages import PeerMessage
from orchestrix_raft.coordinator.node import Node
from orchestrix_raft.coordinator.options import NodeOptions
from orchestrix_raft.coordinator.origin import OLD_COPY
from orchestrix_raft.coordinator.port import NodePort
from orchestrix_raft.coordinator.settings import Clocks, Identity
from orchestrix_raft.coordinator.slot_watch import SlotWatch
from orchestrix_raft.coordinator.starts import START_BYTES, Superseded, begun, first_boot_id, superseded
from orchestrix_raft.coordinator.tls import PeerTls, check_own, peer_tls
from orchestrix_raft.domain import limits
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.telemetry.metrics import Registry
from orchestrix_raft.version import VERSION

log = logging.getLogger(__name__)

DISK_LOOK_S = 1.0  # between two looks whether the data directory is still there
SWITCH_S = 0.0005  # how long the thread that writes checkpoints may keep the loop waiting, not 5 ms
GOODBYE_S = 20.0  # for handing over sessions and leadership before the process ends anyway


class StartError(Exception):
    """The node cannot start like this; one line with what to do."""


class Api(Protocol):
    """The server of the API, as the composition root makes it."""

    async def start(self, listen: str) -> int: ...
    async def stop(self, grace_s: float) -> None: ...


class Process:
    """One node process.  `run` returns when it is over; StartError, StorageError, LinkError or, if another
    process has this node's place, Superseded otherwise."""

    def __init__(
        self, options: NodeOptions, make_api: Callable[[NodePort], Api], registry: Registry | None = None
    ) -> None:
        self._options = options
        self._slot_watch = SlotWatch(registry or Registry())
        self._make_api = make_api
        self._disk = DataDirectory.open(Path(options.data_dir))
        self._set_node_id()
        self._address = str(options.advertised)
        self._check_move()
        self._nonce = secrets.token_bytes(START_BYTES)
        self._forming: forming.Forming | None = None
        self._formed: asyncio.Future[forming.Formed]
        self._waiting_for = "starting"
        self._entrance = Entrance(
            Waiting(
                self._disk.identity.node_id, lambda: self._waiting_for, lambda: time.time_ns() // 1_000_000
            )
        )
        self.served = False
        """There was a cluster and this node took part in it."""
        self._node: Node | None = None
        self._link: PeerLink[PeerMessage]
        self._disk_look: asyncio.TimerHandle | None = None
        self._fault: asyncio.Future[StorageError | Superseded]  # why this node cannot go on
        self._targets: frozenset[str] = frozenset()
        self._foreign: set[str] = set()  # listed peers that belong to another cluster
        self._misled: asyncio.Future[
            str
        ]  # why nearly all of them do: this data directory is in the wrong place

    def _set_node_id(self) -> None:
        known, wanted = self._disk.identity.node_id, self._options.node_id
        if not known:
            self._disk.set_node_id(wanted or f"node-{self._disk.identity.disk_id[:8]}")
        elif wanted and wanted != known:
            raise StartError(
                f"the data directory {self._options.data_dir} belongs to node {known}, not {wanted}: "
                "leave out --node-id or use another --data-dir"
            )

    def _check_move(self) -> None:
        """A node may change its address; somebody who mistyped or forgot one should hear of it."""
        identity = self._disk.identity
        others = identity.known_addresses
        before = others.pop(identity.node_id, "")
        if not identity.cluster_id or before in ("", self._address):
            return
        fault = why_out_of_reach(self._address, others.values())
        if fault:
            raise StartError(f"node {identity.node_id} was at {before}; {fault}")
        log.warning(
            "node %s moves from %s to %s: it tells the other nodes; clients and workers have to be told",
            identity.node_id,
            before,
            self._address,
        )

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
            self._check_listen()
            self._look_at_disk()
            if self._fault.done():
                raise self._fault.result()
            await self._start_link()
            try:
                await self._answer(stop)
            finally:
                await self._link.close()
        finally:
            self._close_disk()

    async def _answer(self, stop: asyncio.Event) -> None:
        """The API answers from the beginning: before there is a cluster, it says what the node waits for."""
        api = self._make_api(cast(NodePort, self._entrance))
        await api.start(str(self._options.listen_address))
        try:
            formed = await self._found_or_restart(stop)
            if formed is not None:
                await self._serve(formed, stop)
        finally:
            await api.stop(1.0)
            if self._node is not None:
                self._node.close()

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

    def _fail(self, error: StorageError | Superseded) -> None:
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
            raise StartError(f"cannot listen on {listen}: {why(error)}") from error

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
            known_address=self._known_address,
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
        if {*self._options.peers, *identity.addresses.values(), *founders} - {self._address}:
            check_own(tls, files, self._address)
        return tls

    async def _found_or_restart(self, stop: asyncio.Event) -> forming.Formed | None:
        """The cluster this disk belongs to; None when told to stop before there was one."""
        identity = self._disk.identity
        me = Founder(identity.node_id, identity.disk_id, self._address)
        if identity.cluster_id:
            members = tuple(Founder(m.node_id, m.disk_id, m.address) for m in identity.bootstrap)
            known = set(identity.addresses.values()) or {m.address for m in members}
            others = set(self._options.peers) - {self._address}
            if others and not others & known:
                raise StartError(
                    f"the data directory {self._options.data_dir} belongs to cluster {identity.cluster_id} "
                    f"of {','.join(sorted(known))}, and none of the other --peers is a member of it: "
                    "name that cluster's members, or use an empty directory"
                )
            if self._options.peers and set(self._options.peers) != known:
                log.warning(
                    "--peers is ignored: this data directory belongs to cluster %s of %s already",
                    identity.cluster_id,
                    ",".join(sorted(known)),
                )
            return forming.Formed(members, identity.cluster_id, founder=bool(members))
        self._formed = asyncio.get_running_loop().create_future()
        self._forming = forming.Forming(me, self._options.peers, forming.promised_by(identity))
        self._link.set_targets(set(self._options.peers) - {self._address})
        self._form()
        await _first_of(stop, self._formed, self._fault)
        self._forming = None
        if self._fault.done():
            raise self._fault.result()
        return self._formed.result() if self._formed.done() else None

    def _form(self) -> None:
        """Do what the first start wants done next, until it waits or is over."""
        try:
            self._form_on()
        except StorageError as error:  # what was promised is not kept: this node cannot go on
            self._fail(error)

    def _form_on(self) -> None:
        while self._forming is not None and not self._formed.done():
            match self._forming.result:
                case forming.Promise(founding=founding):
                    self._disk.set_bootstrap(founding.stored)
                    self._forming.promised(founding)
                    self._link.announce()
                case forming.Formed() as formed:
                    if formed.founder and not self._disk.identity.bootstrap:
                        # A cluster of one promises nothing to anybody, but its log begins with this list.
                        self._disk.set_bootstrap(forming.found(formed.members).stored)
                    self._disk.set_cluster_id(formed.cluster_id)
                    self._formed.set_result(formed)
                    self._link.announce()
                    log.info("cluster %s formed with %d nodes", formed.cluster_id, len(formed.members))
                case forming.Refused(reason=reason):
                    self._formed.set_exception(StartError(reason))
                case forming.Waiting(why=why):
                    if why != self._waiting_for:
                        self._waiting_for = why
                        log.info("first start: %s", why)
                    return

    async def _serve(self, formed: forming.Formed, stop: asyncio.Event) -> None:
        node = self._node = self._entrance.node = self._make_node(formed)
        self.served = True
        log.info(
            "node %s of cluster %s serves at %s",
            self._disk.identity.node_id,
            formed.cluster_id,
            self._address,
        )
        self._retarget()
        for node_id, hello in self._link.connected().items():
            node.peer_connected(node_id, hello.disk_id)
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_S)
        node.start()
        await _first_of(stop, node.failure, self._misled, self._fault)
        if node.failure.done():
            raise node.failure.result()
        if self._fault.done():
            raise self._fault.result()
        if self._misled.done():
            raise StartError(self._misled.result())
        alone = len(node.core.consensus.members) < 2
        log.info("stopping" if alone else "stopping: handing over leadership and sessions")
        await node.goodbye(GOODBYE_S)

    def _make_node(self, formed: forming.Formed) -> Node:
        disk, options = self._disk, self._options
        identity = disk.identity
        journal = disk.open_journal()
        store = disk.open_state_store()
        local = disk.open_local_store()
        bootstrap = (
            Configuration({m.node_id: Member(Standing.VOTER, m.disk_id) for m in formed.members})
            if formed.founder
            else None
        )

        def make(apply: Apply, restore: Restore) -> Consensus:
            return Engine(
                node_id=identity.node_id,
                disk_id=identity.disk_id,
                journal=journal,
                store=store,
                apply=apply,
                restore=restore,
                clock=time.monotonic,
                rng=random.SystemRandom(),
                options=ConsensusOptions(
                    entry_bytes_max=limits.ENTRY_BYTES,
                    heartbeat_s=options.raft_heartbeat_s,
                    election_min_s=options.election_min_s,
                    election_max_s=options.election_max_s,
                    step_down_s=options.step_down_s,
                    tail_entries=options.log_tail_entries,
                    tail_bytes=options.log_tail_bytes,
                ),
                bootstrap=bootstrap,
            )

        core = Core(
            Identity(identity.node_id, self._address, VERSION, first_boot_id(self._nonce), identity.starts),
            Clocks(time.monotonic, lambda: time.time_ns() // 1_000_000),
            options.core_limits(),
            store,
            local,
            make,
            random.SystemRandom(),
            self._servers,
        )
        core.addresses = {m.node_id: m.address for m in formed.members} | dict(identity.addresses)
        core.effects.slot_watch = self._slot_watch
        return Node(core, formed.cluster_id, self._send, self._retarget)

    # ---- who is where --------------------------------------------------------------------------------

    def _known_addresses(self) -> dict[str, str]:
        """Address of each member, as replicated, else as remembered."""
        node = self._node
        if node is None:
            return {}
        core = node.core
        known = {node_id: n.address for node_id, n in core.machine.state.nodes.items()}
        return {
            node_id: address
            for node_id in sorted(core.consensus.members)
            if (address := known.get(node_id) or core.addresses.get(node_id, ""))
        }

    def _known_address(self, node_id: str) -> str:
        """Where the cluster knows the node of that id, by what this node knows of the cluster; else empty."""
        return (self._known_addresses() or self._disk.identity.known_addresses).get(node_id, "")

    def _servers(self) -> tuple[str, ...]:
        """API addresses of all members, this node's first."""
        others = [a for a in self._known_addresses().values() if a != self._address]
        return (self._address, *others)

    def _retarget(self) -> None:
        """A node was announced, perhaps this one: dial the members where they are now, and remember for the
        next start what was learnt."""
        self._keep_starts()
        addresses = self._known_addresses()
        targets = frozenset(addresses.values()) - {self._address}
        if targets != self._targets:
            self._targets = targets
            self._link.set_targets(targets)
        try:
            if addresses:
                self._disk.set_addresses(addresses)
        except StorageError as error:  # a hint: without it the next start asks earlier ones
            log.warning("the addresses of the members could not be remembered: %s", error)

    def _keep_starts(self) -> None:
        if self._node is not None:
            try:
                self._disk.set_starts(self._node.core.identity.starts)
            except StorageError as error:  # what was stored at the start is enough, only longer
                log.warning("the committed start of this node could not be remembered: %s", error)

    def _send(self, node_id: str, messages: list[PeerMessage]) -> None:
        self._link.send(node_id, messages)

    # ---- hooks of the link ---------------------------------------------------------------------------

    def _hello(self) -> Hello:
        identity = self._disk.identity
        promised = self._forming.promised_id if self._forming is not None else ""
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
            tuple(Founder(m.node_id, m.disk_id, m.address) for m in identity.bootstrap)
            if identity.cluster_id
            else (),
            identity.starts.nonces,
            identity.starts.index,
        )

    def on_hello(self, hello: Hello) -> Accept | Reject:
        """See link.Hooks."""
        verdict = judge(self._hello(), hello)
        if self._forming is not None:
            self._forming.saw(hello)
            asyncio.get_running_loop().call_soon(self._form)
        elif isinstance(verdict, Reject):
            self._note_foreign(hello, verdict.reason)
        return verdict if isinstance(verdict, Reject) else self._if_newest(hello, verdict)

    def _if_newest(self, hello: Hello, verdict: Accept) -> Accept | Reject:
        """Unless the log knows a start of that node from another directory than the one it runs from now."""
        nodes = self._node.core.machine.state.nodes if self._node is not None else {}
        known = nodes.get(hello.node_id)
        if known is not None and superseded(hello.known_starts, known.incarnation, known.boot_id):
            return Reject(OLD_COPY.format(hello.node_id), final=True)
        return verdict

    def on_refused_for_good(self, reason: str) -> None:
        """See link.Hooks."""
        self._fail(
            Superseded(f"this process, which runs from {self._options.data_dir}, is not let in: {reason}")
        )

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
        if self._forming is not None:
            self._forming.lost(hello.address)

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
