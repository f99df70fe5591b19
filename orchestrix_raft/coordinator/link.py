"""The peer link: one TCP connection to every other node, for Hellos and messages.

Promises: messages of one connection arrive in order or not at all; nothing is decoded before a Hello
was accepted, under TLS from whoever's certificate speaks for the host it names; a stranger at the port
costs bounded memory, one log line a minute, and nothing else; a node that stopped reading or went silent is
let go.  Both ends may dial; of two connections between the same processes the one dialled by the larger node
id stays; of two processes of one node the first, see `rivals`.  Everything runs on one event loop; used by
the node's shell.
"""

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, NamedTuple, Protocol

import msgspec

from orchestrix_raft.coordinator.addresses import Address
from orchestrix_raft.coordinator.connection import KEEPALIVE, Complaints, Connection, M, why
from orchestrix_raft.coordinator.frames import HEADER_BYTES, seal
from orchestrix_raft.coordinator.hello import Accept, Hello, Refusal, Reject, copied_from, two_processes
from orchestrix_raft.coordinator.listening import Listening
from orchestrix_raft.coordinator.tls import PeerTls, why_not_certified

_log = logging.getLogger(__name__)


class LinkLimits(NamedTuple):
    """Bounds, each with its reason."""

    frame_bytes: int = 16 << 20  # one frame; holds the largest log entry twice
    backlog_bytes: int = 64 << 20  # waiting for a peer that does not read; then it is let go
    pending: int = 64  # accepted connections without an accepted Hello; the oldest makes room
    hello_s: float = 5.0  # from accepting a connection to its Hello, TLS handshake included
    connect_s: float = 5.0  # from dialling to a decision
    silent_s: float = 3.0  # a peer that sent nothing, not even a keepalive, is let go
    redial_min_s: float = 0.05
    redial_max_s: float = 1.0


class Hooks(Protocol[M]):
    """What the link tells its owner.  All calls come from the loop; none may raise."""

    def on_hello(self, hello: Hello) -> Accept | Reject:
        """May this node speak to us?  Asked for every Hello, and again by `announce`, which may be called
        from in here."""
        ...

    def on_connected(self, node_id: str, disk_id: str) -> None:
        """Messages may flow; a second call means that another connection took over."""
        ...

    def on_disconnected(self, node_id: str) -> None: ...
    def on_gone(self, hello: Hello) -> None:
        """The last connection to a node, member or not, has ended."""
        ...

    def on_messages(self, node_id: str, messages: list[M]) -> None: ...
    def on_refused_for_good(self, reason: str) -> None:
        """A node that was dialled will never let this process in: it has to end."""
        ...


class PeerLink(Generic[M]):
    """decoder: checks and decodes a list of messages.  hello: this node's Hello as of now.  endpoint: where
    the peer link of the node with that API address listens.  known_address: where the cluster knows the node
    of that id; empty: nowhere."""

    def __init__(
        self,
        decoder: msgspec.msgpack.Decoder[list[M]],
        hello: Callable[[], Hello],
        hooks: Hooks[M],
        endpoint: Callable[[str], Address],
        *,
        tls: PeerTls | None = None,
        known_address: Callable[[str], str] = lambda node_id: "",
        limits: LinkLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()
        self._hello = hello
        self._hooks = hooks
        self._endpoint = endpoint
        self._tls = tls
        self._known_address = known_address
        self._limits = limits or LinkLimits()
        self._clock = clock
        self._jitter = jitter
        self._complaints = Complaints(clock)
        self._problems: dict[str, str] = {}  # dialled address -> why it does not work, as logged last
        self._put_off_for: tuple[str, ...] = ()  # why this node is not added, as logged: the last eight
        self._connections: dict[Connection[M], None] = {}  # all that are not closed, in order of opening
        self._pending: dict[Connection[M], None] = {}  # of those, accepted ones that are nobody yet
        self._unborn: dict[Connection[M], socket.socket] = {}  # accepted a moment ago, not yet set up
        self._peers: dict[str, Connection[M]] = {}  # node id -> the connection that serves it
        self._dialling: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = Listening(self._accepted, self._limits.redial_max_s)
        self._sweeper: asyncio.TimerHandle | None = None
        self._announcing: asyncio.Handle | None = None
        self._swept_at = clock()

    # ---- life ------------------------------------------------------------------------------------------

    async def start(self, listen: Address) -> None:
        """Listen at `listen`; LinkError if that cannot be."""
        await self._listening.open(listen)
        for work in self._listening.accepting():
            self._spawn(work)
        self._swept_at = self._clock()
        self._sweep_later()

    @property
    def port(self) -> int:
        """Where it listens (the real one, when 0 was asked for)."""
        return self._listening.port

    async def close(self) -> None:
        """Close every connection; hooks are not called any more for what ends by this."""
        for timer in (self._sweeper, self._announcing):
            if timer is not None:
                timer.cancel()
        self._peers.clear()
        self._dialling.clear()
        await self._listening.accept_no_more()
        waiting = list(self._tasks)
        for task in waiting:
            task.cancel()
        connections = list(self._connections)
        for connection in connections:
            self._let_go(connection)
        if waiting:
            await asyncio.wait(waiting)
        self._listening.close()
        for connection in connections:
            if connection.opened:
                await connection.closed.wait()

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A task of the link ends by being cancelled; anything else is a bug that must be seen."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            what = {"message": "the peer link failed", "exception": error, "task": task}
            asyncio.get_running_loop().call_exception_handler(what)

    # ---- for the owner ---------------------------------------------------------------------------------

    def set_targets(self, addresses: Iterable[str]) -> None:
        """Dial exactly these nodes (API addresses), again and again.  Connections that exist stay."""
        wanted = set(addresses)
        for address in self._dialling.keys() - wanted:
            self._dialling.pop(address).cancel()
            self._problems.pop(address, None)
        for address in sorted(wanted - self._dialling.keys()):
            self._dialling[address] = self._spawn(self._keep_dialled(address))

    def send(self, node_id: str, messages: Sequence[M]) -> bool:
        """Encode once and write at once.  False: no connection, nothing was sent.  True promises nothing
        but order.  ValueError: one message alone is longer than a frame."""
        connection = self._peers.get(node_id)
        if connection is None or not connection.member:
            return False
        buffer = bytearray(HEADER_BYTES)
        self._encoder.encode_into(messages, buffer, HEADER_BYTES)
        if len(buffer) - HEADER_BYTES > self._limits.frame_bytes:
            if len(messages) == 1:
                raise ValueError(f"a message of {len(buffer)} bytes; a frame has {self._limits.frame_bytes}")
            half = len(messages) // 2
            return self.send(node_id, messages[:half]) and self.send(node_id, messages[half:])
        seal(buffer)
        connection.write(buffer)
        return True

    def put_off(self, node_id: str, reason: str) -> None:
        """Tell a node that is connected, member or not, why it does not get what it waits for."""
        connection = self._peers.get(node_id)
        if connection is not None:
            connection.put_off(reason)

    def backlog_bytes(self, node_id: str) -> int:
        """Bytes written for that node and not yet taken by the system."""
        connection = self._peers.get(node_id)
        return connection.backlog_bytes if connection else 0

    def connected(self) -> dict[str, Hello]:
        """Members that messages can be sent to, with what they last said of themselves."""
        return {i: one.hello for i, one in self._peers.items() if one.member and one.hello is not None}

    def problems(self) -> dict[str, str]:
        """Dialled address -> why it cannot be reached or talked to."""
        return dict(self._problems)

    def announce(self) -> None:
        """This node's Hello has changed: say it to everybody, and judge everybody anew, in a moment: the
        caller may be a hook that judges one of them just now."""
        if self._announcing is None:
            self._announcing = asyncio.get_running_loop().call_soon(self._announce)

    def _announce(self) -> None:
        self._announcing = None
        for connection in list(self._peers.values()):
            if connection.hello is not None and not connection.over:
                self._judge(connection, connection.hello)

    # ---- dialling --------------------------------------------------------------------------------------

    async def _keep_dialled(self, address: str) -> None:
        pause_s = self._limits.redial_min_s
        while True:
            began = self._clock()
            connection = self._serving(address)
            if connection is not None:
                self._problems.pop(address, None)
            else:
                connection = await self._dial(address)
            if connection is not None:
                await connection.closed.wait()
                if self._clock() - began > self._limits.redial_max_s:
                    pause_s = self._limits.redial_min_s
            await asyncio.sleep(pause_s * (0.5 + self._jitter() / 2))
            pause_s = min(2 * pause_s, self._limits.redial_max_s)

    def _serving(self, address: str) -> Connection[M] | None:
        for connection in self._peers.values():
            if connection.target == address or (connection.hello and connection.hello.address == address):
                return connection
        return None

    async def meet(self, address: str) -> Hello | str:
        """Who is at that API address, member or not: one attempt, and what the node there says of itself, or
        one line that says why there is none."""
        known = self._problems.pop(address, None)
        try:
            connection = self._serving(address) or await self._attempt(address)
            return connection.hello or self._problems.get(address, "it closed the connection")
        finally:
            if address not in self._dialling:
                self._problems.pop(address, None)
            elif known is not None:
                self._problems.setdefault(address, known)

    async def _dial(self, address: str) -> Connection[M] | None:
        """One attempt: the connection that serves the node there from now on, or None."""
        return (await self._attempt(address)).kept

    async def _attempt(self, address: str) -> Connection[M]:
        """One attempt, settled; `kept` of the answer is the connection that serves the node there."""
        connection = self._connection(address)
        where = self._endpoint(address)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    where.host,
                    where.port,
                    ssl=self._tls.dialling if self._tls else None,
                    server_hostname=where.host if self._tls else None,
                )
                await connection.settled.wait()
        except TimeoutError:
            self._note_problem(address, f"no answer from {where} within {self._limits.connect_s:g} s")
        except OSError as error:
            self._note_problem(address, f"cannot connect to {where}: {why(error)}")
        finally:
            if connection.kept is not connection:
                self._let_go(connection, gently=connection.settled.is_set())
        return connection

    def _note_problem(self, address: str, problem: str) -> None:
        if self._problems.get(address) != problem:
            self._problems[address] = problem
            _log.warning("node at %s: %s", address, problem)

    # ---- accepting -------------------------------------------------------------------------------------

    def _accepted(self, sock: socket.socket, where: tuple[Any, ...]) -> None:
        connection = self._connection(None)
        connection.remote_host = str(where[0])
        connection.remote = f"{where[0]}:{where[1]}"
        self._pending[connection] = None
        self._unborn[connection] = sock
        connection.abandon = self._spawn(self._set_up(connection)).cancel
        if len(self._pending) > self._limits.pending:
            oldest = next(iter(self._pending))
            self.offended(oldest, f"more than {self._limits.pending} connections wait for a Hello")

    async def _set_up(self, connection: Connection[M]) -> None:
        sock = self._unborn.pop(connection)
        loop = asyncio.get_running_loop()
        timeout_s = self._limits.hello_s if self._tls else None
        context = self._tls.accepting if self._tls else None
        try:
            await loop.connect_accepted_socket(
                lambda: connection, sock, ssl=context, ssl_handshake_timeout=timeout_s
            )
        except OSError as error:  # of TLS, nearly always
            self.offended(connection, f"no connection: {why(error)}")

    def _connection(self, target: str | None) -> Connection[M]:
        connection = Connection(self, target, self._limits.frame_bytes, self._limits.backlog_bytes)
        connection.opened_at = connection.heard_at = self._clock()
        self._connections[connection] = None
        return connection

    # ---- called by connections -------------------------------------------------------------------------

    def opened(self, connection: Connection[M]) -> None:
        """Whoever dials speaks first: a stranger learns nothing by connecting."""
        if connection.target is not None:
            connection.say(self._hello())

    def greeted(self, connection: Connection[M], greeting: Hello | Refusal) -> None:
        if isinstance(greeting, Refusal):
            if greeting.stay:
                self._put_off_by(connection, f"does not add this node: {greeting.reason}")
                return
            if connection.target is None:
                who = connection.remote
                self._complaints.log(connection.remote_host, f"{who} refuses this node: {greeting.reason}")
            else:
                self._note_problem(connection.target, f"refuses this node: {greeting.reason}")
                if greeting.final:  # of whoever dials this node it would prove nothing
                    self._hooks.on_refused_for_good(greeting.reason)
            self._let_go(connection)
            return
        known = connection.hello
        if known is not None and (known.node_id, known.disk_id, known.nonce) != (
            greeting.node_id,
            greeting.disk_id,
            greeting.nonce,
        ):
            self.offended(connection, f"node {known.node_id} became {greeting.node_id} within one connection")
            return
        self._judge(connection, greeting)

    def _put_off_by(self, connection: Connection[M], problem: str) -> None:
        """Members say the same again and again, or differ: each reason is logged once."""
        if connection.target is not None:
            self._problems[connection.target] = problem
        if problem not in self._put_off_for:
            self._put_off_for = (*self._put_off_for[-7:], problem)
            if connection.target is not None:
                _log.warning("node at %s: %s", connection.target, problem)
            else:  # it may be anybody, and say something else each time
                self._complaints.log(connection.remote_host, f"node at {connection.remote}: {problem}")

    def received(self, connection: Connection[M], messages: list[M]) -> None:
        if connection.hello is not None:
            self._hooks.on_messages(connection.hello.node_id, messages)

    def offended(self, connection: Connection[M], fault: str) -> None:
        if connection not in self._connections:
            return
        known = connection.hello
        who = f"node {known.node_id} at " if known else ""
        line = f"closed the connection with {who}{connection.remote}: {fault}"
        self._complaints.log(f"node {known.node_id}" if known else connection.remote_host, line)
        self._let_go(connection)

    def ended(self, connection: Connection[M], error: Exception | None) -> None:
        if connection.target is not None and connection.hello is None and not connection.over:
            problem = f"closes the connection before a Hello: {error or 'no reason'}"
            self._note_problem(connection.target, problem)
        self._let_go(connection)

    # ---- deciding --------------------------------------------------------------------------------------

    def _judge(self, connection: Connection[M], greeting: Hello) -> None:
        if self._tls is not None:
            known = self._known_address(greeting.node_id)
            fault = why_not_certified(connection.hosts, greeting.node_id, greeting.address, known)
            if fault:  # it may be anybody: it is told why, and nothing of this node
                self._refuse(connection, fault)
                return
        before = self._peers.get(greeting.node_id)
        if before is not None and before.hello is not None and before.hello.nonce != greeting.nonce:
            final = before.rivals.came(greeting.nonce, self._clock(), self._limits.silent_s)
            self._refuse(connection, two_processes(before.hello, greeting), final)
            return
        connection.hello = greeting
        verdict = self._hooks.on_hello(greeting)
        if connection.over:
            return
        connection.say(self._hello())  # before any message: the other side must know what this one has become
        if isinstance(verdict, Reject):
            if connection.target is not None and copied_from(self._hello(), greeting):
                self._hooks.on_refused_for_good(verdict.reason)
            self._refuse(connection, verdict.reason, verdict.final)
            return
        self._pending.pop(connection, None)
        before = self._peers.get(greeting.node_id)
        if before is not None and before is not connection and self._stays(before, connection):
            self._settle(connection, before)
            self._let_go(connection, gently=True)
            return
        self._peers[greeting.node_id] = connection
        self._settle(connection, connection)
        was_member = before is not None and before.member
        if before is not None and before is not connection:
            self._let_go(before, gently=True)
        if verdict.member and not (connection.member and before is connection):
            connection.member = True
            self._hooks.on_connected(greeting.node_id, greeting.disk_id)
        elif was_member and not verdict.member:
            connection.member = False
            self._hooks.on_disconnected(greeting.node_id)

    def _stays(self, old: Connection[M], new: Connection[M]) -> bool:
        """Both ends see the same two connections, of the same processes, and must keep the same one; a side
        dials again only because it has lost what it had."""
        if new.hello is None:
            return False
        mine, theirs = self._hello().node_id, new.hello.node_id
        if (old.target is None) == (new.target is None):
            return False
        return (mine > theirs) == (old.target is not None)

    def _refuse(self, connection: Connection[M], reason: str, final: bool = False) -> None:
        if connection.target is not None:
            self._note_problem(connection.target, reason)
        else:
            self._complaints.log(connection.remote_host, f"refused {connection.remote}: {reason}")
        connection.refuse(reason, final)
        self._let_go(connection, gently=True)

    def _settle(self, connection: Connection[M], kept: Connection[M] | None) -> None:
        if not connection.settled.is_set():
            connection.kept = kept
            connection.settled.set()
            if kept is not None and connection.target is not None:
                self._problems.pop(connection.target, None)

    def _let_go(self, connection: Connection[M], gently: bool = False) -> None:
        """The end of a connection, however it came about; idempotent.  gently: what was written is still
        sent, until the next sweep."""
        self._settle(connection, None)
        self._pending.pop(connection, None)
        unborn = self._unborn.pop(connection, None)
        if unborn is not None:
            unborn.close()
        if gently and not connection.over:
            connection.close()
        elif not gently:
            self._connections.pop(connection, None)
            connection.abort()
        hello = connection.hello
        if hello is None or self._peers.get(hello.node_id) is not connection:
            return
        del self._peers[hello.node_id]
        if connection.member:
            self._hooks.on_disconnected(hello.node_id)
        self._hooks.on_gone(hello)

    # ---- silence ---------------------------------------------------------------------------------------

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(self._limits.silent_s / 4, self._sweep_and_go_on)

    def _sweep_and_go_on(self) -> None:
        self._sweep_later()
        self.sweep()

    def sweep(self) -> None:
        """Let go of what is silent or closing for too long, tell the others that this node lives."""
        now = self._clock()
        stood_still = now - self._swept_at > self._limits.silent_s / 2  # then silence proves nothing
        before, self._swept_at = self._swept_at, now
        for connection in list(self._connections):
            if stood_still:
                connection.rivals.stood_still()
            elif connection.heard:
                connection.rivals.spoke(after=before)
            if connection.heard or stood_still:
                connection.heard = False
                connection.heard_at = now
            if connection.over:
                if connection.quiet:  # it had a whole round to send what was left
                    self._let_go(connection)
            elif connection.hello is None:
                if connection.target is None and now - connection.opened_at > self._limits.hello_s:
                    self.offended(connection, f"no Hello within {self._limits.hello_s:g} s")
            elif now - connection.heard_at > self._limits.silent_s:
                self.offended(connection, f"silent for {self._limits.silent_s:g} s")
            elif connection.quiet:
                connection.write(KEEPALIVE)
            connection.quiet = True
