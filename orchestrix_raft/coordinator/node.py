"""The asyncio shell of one node: gives the core time, messages and disks, and answers the API.

One loop, one writer.  A step is scheduled by events (a message, a command) and coalesced; a timer only
drives what is due.  The core decides; this module carries.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from orchestrix_raft.consensus.membership_rules import ADD, REMOVE
from orchestrix_raft.consensus.port import Refused
from orchestrix_raft.coordinator import line_reader, queries
from orchestrix_raft.coordinator.backups import Backups
from orchestrix_raft.coordinator.batches import encode_command
from orchestrix_raft.coordinator.checkpoints import CheckpointWork
from orchestrix_raft.coordinator.contents import ContentsReader, Finding
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.drain import TRANSFER_REFUSED, cost_of_leaving, successor, summary
from orchestrix_raft.coordinator.hello import Hello as PeerHello
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.coordinator.messages import PeerMessage
from orchestrix_raft.coordinator.port import (
    Added,
    BackupHandle,
    Done,
    Freshness,
    NotApplied,
    Outcome,
    Unknown,
)
from orchestrix_raft.coordinator.proposer import OnDone
from orchestrix_raft.coordinator.reading import NodeReads
from orchestrix_raft.coordinator.starts import Superseded
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.session import CoordinatorMessage, Hello, WorkerMessage
from orchestrix_raft.machine.commands import Command, NoteAudit
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.storage.port import StateView, StorageError

log = logging.getLogger(__name__)

READERS: Final = 50_000
"""Who wait for this node to be as fresh as they ask: those beyond it are told to come again."""

OVERLOADED: Final = Rejected(
    Code.RESOURCE_EXHAUSTED,
    "NODE_OVERLOADED",
    "too many readers wait on this node: use another one",
)

STOPPING: Final = Rejected(Code.UNAVAILABLE, "NODE_STOPPING", "this node is going down: use another one")

SendPeer = Callable[[str, list[PeerMessage]], None]


class Node(NodeReads):
    """`coordinator.port.NodePort` over a `Core`; what only reads is in `NodeReads`."""

    def __init__(
        self,
        core: Core,
        cluster_id: str,
        send: SendPeer,
        members_changed: Callable[[], None],
    ) -> None:
        super().__init__(core, cluster_id)
        self._members_changed = members_changed
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False
        self._awaited: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.failure: asyncio.Future[BaseException] = self._loop.create_future()
        self._backups = Backups(core, cluster_id, self.fresh, self._until)
        self._contents = ContentsReader(core.replica.contents, self._until)
        core.carry = self._carry_messages
        self._leader: str | None = None  # as logged last
        self.fetch: Callable[[str], Awaitable[PeerHello | Rejected]]
        """Set by whoever has the peer link: the node at an address that may be added."""

    # ---- driving the core ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to step."""
        self.schedule()

    def schedule(self) -> None:
        """A step soon, once for everything that happens in this turn of the loop."""
        if not self._scheduled and not self._closed:
            self._scheduled = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self._closed:
            return
        try:
            more = self.core.step()
        except Exception as error:  # of any kind: the core is between two states, the node must stop
            self.fail(error)
            return
        self._carry()
        if self._awaited:
            self._look()
        if more:
            self.schedule()
        self._arm()

    def _carry_messages(self) -> None:
        outbox = self.core.outbox
        if outbox:
            by_peer: dict[str, list[PeerMessage]] = {}
            for peer, message in outbox:
                by_peer.setdefault(peer, []).append(message)
            outbox.clear()
            for peer, messages in by_peer.items():
                self._send(peer, messages)

    def _carry(self) -> None:
        self._carry_messages()
        if self.core.consensus.leader_id != self._leader:
            self._log_leader(self.core.consensus.leader_id)
        for fault in self.core.faults:
            log.error("a command or timer was refused because of a bug: %r", fault, exc_info=fault)
        self.core.faults.clear()
        if self.core.effects.members_changed:
            self.core.effects.members_changed = False
            self._members_changed()
        if self.core.disk_work:
            for work in self.core.disk_work:
                self._disk.submit(self._write, work)
            self.core.disk_work.clear()

    def _log_leader(self, leader: str | None) -> None:
        """Changes of leader are what people look for first when something was slow."""
        self._leader = leader
        term = self.core.consensus.term
        if leader is None:
            log.info("no leader in term %d", term)
        elif leader == self.core.identity.node_id:
            log.info("this node leads in term %d", term)
        else:
            log.info("node %s leads in term %d", leader, term)

    def _arm(self) -> None:
        at = self.core.wake_at
        if self._timer is not None:
            # An early timer is kept: it steps, and arms the next.
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        delay = max(0.001, at - time.monotonic())
        self._timer = self._loop.call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._step()

    def _write(self, work: CheckpointWork) -> None:
        """On the disk thread."""
        try:
            view = self.core.replica.checkpoints.write(work)
        except Exception as error:
            # Whatever it is: a checkpoint that never ends would keep memory and log for ever.
            self._loop.call_soon_threadsafe(self.fail, error)
            return
        self._loop.call_soon_threadsafe(self._written, work, view)

    def _written(self, work: CheckpointWork, view: StateView | None) -> None:
        if not self._closed:
            self.core.checkpoint_done(work, view)
            self._contents.look()
            self.schedule()

    def fail(self, error: BaseException) -> None:
        """Stop for good; the process ends with a clear line."""
        self._closed = True
        if isinstance(error.__cause__, StorageError | TooOld):
            # It says what to install, or which disk refused; in which step that was helps nobody, and whoever
            # starts nodes again goes by what it is: a disk may have room tomorrow.
            error = error.__cause__
        if not self.failure.done():
            # Where in the program a disk refused, or a copy was found out, tells nobody anything; of all
            # else it is what is needed.
            outside = any(
                isinstance(one, StorageError | Superseded | TooOld) for one in (error, error.__cause__)
            )
            log.critical("the node stops: %s", error, exc_info=None if outside else error)
            self.core.stop(f"the node stops: {error}")
            self.failure.set_result(error)

    # ---- the peer link's side ------------------------------------------------------------------------

    def peer_connected(self, node_id: str, disk_id: str) -> None:
        """A member's connection is up."""
        self.tell(lambda: self.core.connected(node_id, disk_id))

    def peer_disconnected(self, node_id: str) -> None:
        """It is gone."""
        self.tell(lambda: self.core.disconnected(node_id))

    def peer_messages(self, node_id: str, messages: list[PeerMessage]) -> None:
        """One frame's worth of messages."""

        def say() -> None:
            for message in messages:
                self.core.receive(node_id, message)
            self._carry_messages()

        if self._told(say) and self.core.wants_step:
            self.schedule()

    def tell(self, say: Callable[[], None]) -> None:
        """Tell the core something that came from outside, and step soon."""
        if self._told(say):
            self.schedule()

    def _told(self, say: Callable[[], None]) -> bool:
        """Whether the core lives on."""
        if self._closed:
            return False
        try:
            say()
        except Exception as error:  # of any kind, as in a step
            self.fail(error)
            return False
        return True

    # ---- NodePort ------------------------------------------------------------------------------------

    async def submit(self, command: Command) -> Outcome:
        """See NodePort."""
        data = encode_command(command)
        state = self.core.state
        refusal = state.rules.refusal(command, state.level) or self.core.proposer.refusal(len(data))
        if self._closed or self.core.drain.ending:
            refusal = STOPPING
        if refusal is not None:
            return NotApplied(refusal)
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.core.proposer.submit_encoded(data, time.monotonic(), done)
        self.schedule()
        return await future

    async def fresh(self, min_index: int, linearizable: bool) -> Freshness | Rejected:
        """See NodePort."""
        core = self.core
        if self._closed:
            return STOPPING
        if linearizable or core.consensus.applied_index < min_index:
            if len(core.reads) >= READERS:
                return OVERLOADED
            future: asyncio.Future[bool] = self._loop.create_future()

            def done(fresh: bool) -> None:
                if not future.done():
                    future.set_result(fresh)

            if linearizable:
                core.reads.linearizable(core.now, done)
            else:
                core.reads.at(min_index, core.now, done)
            self.schedule()
            if not await future:
                return queries.not_fresh(core, min_index, linearizable)
        return self.freshness()

    async def logs(self, job_id: bytes, after: tuple[int, int], limit: int) -> LogPage | Rejected | None:
        """See NodePort."""
        if self.core.replica.job(job_id) is None:
            return None
        if len(self.core.log_exchange.reader) >= line_reader.READS:
            return OVERLOADED
        future: asyncio.Future[LogPage] = self._loop.create_future()

        def done(page: LogPage) -> None:
            if not future.done():
                future.set_result(page)

        try:
            self.core.log_exchange.read(job_id, after, limit, self.core.now, done)
        except StorageError as error:
            return Rejected(
                Code.UNAVAILABLE, "LOGS_UNREADABLE", f"this node cannot read its job logs: {error}"
            )
        self.schedule()
        return await future

    async def add_member(self, address: str) -> Added | NotApplied | Unknown:
        """See NodePort."""
        there = await self.fetch(address)
        if isinstance(there, Rejected):
            return NotApplied(there)
        outcome = await self._change_members(ADD, there.node_id, there.disk_id)
        if isinstance(outcome, Done):
            return Added(there.node_id, already=bool(there.cluster_id))
        return outcome

    async def remove_member(self, node_id: str) -> Outcome:
        """See NodePort."""
        return await self._change_members(REMOVE, node_id, "")

    async def _change_members(self, change: str, node_id: str, disk_id: str) -> Outcome:
        if self._closed:
            return NotApplied(STOPPING)
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.change_members(change, node_id, disk_id, done)
        return await future

    def change_members(self, change: str, node_id: str, disk_id: str, done: OnDone) -> None:
        """The same; `done` is called once, not from in here."""
        if self.core.members.full:
            self._loop.call_soon(done, NotApplied(OVERLOADED))
            return
        self.core.members.ask(change, node_id, disk_id, self.core.now, done)
        self.schedule()

    def note(self, note: NoteAudit) -> None:
        """Into the audit trail as soon as that can be; nobody waits for it."""
        self.core.submit(note, None)
        self.schedule()

    async def transfer_leadership(self, node_id: str) -> str | Rejected:
        """See NodePort."""
        chosen = successor(self.core, node_id)
        if isinstance(chosen, Rejected):
            return chosen
        target = self.core.consensus.transfer(chosen or None)
        self.schedule()
        if isinstance(target, Refused):
            return Rejected(Code.FAILED_PRECONDITION, TRANSFER_REFUSED, target.reason)
        self.core.leadership.hold(self.core.now, self.core.limits.drain.hold_s)
        return target

    async def backup(self) -> BackupHandle | Rejected:
        """See NodePort."""
        return await self._backups.open()

    async def contents(self, index: int) -> Finding:
        """See NodePort."""
        fresh = await self.fresh(index, False)
        return None if isinstance(fresh, Rejected) else await self._contents.find(index)

    def open_session(self, hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> "StreamHandle":
        """See NodePort."""
        try:
            stream = self.core.open_session(hello, deliver)
        except Exception as error:  # of any kind, as in a step; without a stream the caller must hear of it
            self.fail(error)
            raise
        self.schedule()
        return StreamHandle(self, stream)

    # ---- the end -------------------------------------------------------------------------------------

    async def goodbye(self, timeout_s: float) -> None:
        """Hand over what can be handed over: leadership, sessions, and the node's own place."""
        core = self.core
        if self._closed or core.stale:
            return  # nothing can be committed: the others will notice
        cost = cost_of_leaving(core)
        if cost:
            log.warning("%s", cost)
        core.drain.leave(core.now)
        self.schedule()
        try:
            async with asyncio.timeout(timeout_s):
                await self._until(lambda: core.drain.over)
        except TimeoutError:
            log.warning("going down without having handed everything over; the cluster will notice")
        if self.freshness().stale:
            # The others stop as well, or are gone: waiting longer would hand over nothing.
            log.warning("going down without contact to a leader; sessions are left to the other nodes")
        me = self.find_node(core.node_id)
        if me is not None and me.drain is not None:
            log.info("drained: %s", summary(me.drain))

    async def let_go(self, timeout_s: float) -> None:
        """The node is no member any more: send its workers to the others."""
        self.core.hub.redirect_all()
        self.schedule()
        try:
            async with asyncio.timeout(timeout_s):
                await self._until(lambda: len(self.core.hub) == 0)
        except TimeoutError:
            log.warning("ending with workers still connected; they will find other nodes")

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition of the core; it is looked at after every step."""
        if not condition():
            met: asyncio.Future[None] = self._loop.create_future()
            self._awaited.append((condition, met))
            await met

    def _look(self) -> None:
        for item in [item for item in self._awaited if item[1].done() or item[0]()]:
            self._awaited.remove(item)
            if not item[1].done():
                item[1].set_result(None)

    def close(self) -> None:
        """No further step; disk work under way is finished."""
        if not self._closed:
            self._closed = True
            self.core.stop("the node stops")
        if self._timer is not None:
            self._timer.cancel()
        self._disk.shutdown(wait=True)
        self._contents.close()
        self.core.consensus.close()


class StreamHandle:
    """`coordinator.port.SessionHandle`: the core's stream, and a step for whatever it was told."""

    def __init__(self, node: Node, stream: Stream) -> None:
        self._node = node
        self._stream = stream

    def receive(self, message: WorkerMessage) -> None:
        """From the worker."""
        self._node.tell(lambda: self._stream.receive(message))

    async def room(self) -> None:
        """See SessionHandle."""
        room = self._node.core.hub.reports.room
        while not room.may_read(self._stream):
            opened = asyncio.Event()
            room.wait_to_read(self._stream, opened.set)
            await opened.wait()

    def closed(self) -> None:
        """The stream ended."""
        self._node.tell(self._stream.closed)
