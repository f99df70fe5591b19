"""One node, without I/O: messages, commands and time go in; messages, pushes and disk work come out.

The shell (asyncio in production, a virtual clock in the simulator) calls `receive`, `submit`,
`connected`, `disconnected`, then `step`, and carries away `outbox` and `disk_work`.  After `receive` it may
leave the step out unless `wants_step`: most messages of an idle cluster are heartbeats.  Nothing here
sleeps, reads a clock or opens a socket, so the code that runs in production is the code that is simulated.

A step: hand pending commands to the log (leader) or to the leader (follower), let consensus elect, make
durable, commit, apply and replicate, then let effects follow the committed events.
"""

import random
from collections.abc import Callable, Generator
from typing import assert_never

from orchestrix_raft.consensus.messages import OF_CONSENSUS
from orchestrix_raft.consensus.port import Apply, Consensus, Restore, Role
from orchestrix_raft.coordinator.beats import Beats
from orchestrix_raft.coordinator.checkpoints import CheckpointWork
from orchestrix_raft.coordinator.cleanup import JobOwnershipCleanup
from orchestrix_raft.coordinator.drain import CoordinatorDrain
from orchestrix_raft.coordinator.effects import Effects
from orchestrix_raft.coordinator.feed import Feed
from orchestrix_raft.coordinator.hub import SessionHub
from orchestrix_raft.coordinator.job_logs import JobLogs
from orchestrix_raft.coordinator.leadership import LOOK_S, SOON_S, Leadership
from orchestrix_raft.coordinator.log_exchange import LogExchange, Others
from orchestrix_raft.coordinator.members import ChangeLimits, MemberChanges, removes
from orchestrix_raft.coordinator.messages import (
    BeatSummary,
    Forward,
    LinesAnswer,
    LinesRequest,
    LinesShared,
    LinesTaken,
    MemberAnswer,
    MemberChange,
    NodeBeat,
    PeerMessage,
    ReadAnswer,
    ReadRequest,
)
from orchestrix_raft.coordinator.origin import Origin
from orchestrix_raft.coordinator.proposer import OnDone, Proposer
from orchestrix_raft.coordinator.reads import WaitingReads
from orchestrix_raft.coordinator.replica import Replica
from orchestrix_raft.coordinator.settings import Clocks, CoreLimits, Identity
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.coordinator.watches import Watches
from orchestrix_raft.domain.session import CoordinatorMessage, HandlerLine, Hello
from orchestrix_raft.machine.codec import encode_batch, unnumbered
from orchestrix_raft.machine.commands import Command
from orchestrix_raft.machine.rules import RULES, Rules
from orchestrix_raft.machine.state import State
from orchestrix_raft.storage.port import LocalStore, StateStore, StateView

MakeConsensus = Callable[[Apply, Restore], Consensus]


class Core:
    """See the module.  Everything public is called from one thread."""

    def __init__(
        self,
        identity: Identity,
        clocks: Clocks,
        limits: CoreLimits,
        store: StateStore,
        local: LocalStore,
        make_consensus: MakeConsensus,
        rng: random.Random,
        servers: Callable[[], tuple[str, ...]],
        rules: Rules = RULES,
    ) -> None:
        self.limits = limits
        self._clocks = clocks
        self.outbox: list[tuple[str, PeerMessage]] = []
        self.disk_work: list[CheckpointWork] = []
        self.feed = Feed(local.feed, limits.feed)
        self.replica = Replica(store, self.feed, limits.checkpoint_s, limits.checkpoint_bytes, rules)
        self.log_exchange = LogExchange(
            JobLogs(local, limits.lines_kept_s), lambda: self.state, self._others, self._send
        )
        self.proposer = Proposer(identity.node_id, limits.proposer)
        self._origin = Origin(identity, self.proposer, self.state)
        self.hub = SessionHub(
            identity.node_id,
            limits.hub,
            self.state,
            self.submit,
            self.proposer.refusal,
            self._keep_lines,
            self.replica.args_of,
            servers,
        )
        self.watches = Watches()
        self.beats = Beats(identity.node_id, limits.beats)
        self.effects = Effects(self.hub, self.watches, self._origin, self.beats)
        self.consensus = make_consensus(self._apply, self._restore)
        self.consensus.before_flush = self._leave_early
        self.carry: Callable[[], None] = _nothing  # set by the shell: takes `outbox` away in mid-step
        self.reads = WaitingReads(self.consensus, limits.read_wait_s, rng.getrandbits(62))
        bounds = ChangeLimits(limits.proposer.wait_s, limits.proposer.outcome_s, limits.proposer.resend_s)
        self.members = MemberChanges(self.consensus, bounds, lambda *out: self.outbox.append(out))
        self._settled_index = -1
        self.removed_index = 0
        """Of the configuration that removed this node; 0: it belongs to the cluster, or waits to be added."""
        self.faults: list[Exception] = []  # bugs caught while deciding; the shell logs and clears them
        self.leadership = Leadership(
            limits, clocks, self.replica, self.consensus, self.proposer, self.beats, self.faults.extend
        )
        self.drain = self.effects.drain = CoordinatorDrain(self, limits.drain)
        self._cleanup = JobOwnershipCleanup(self.hub.table)
        self._connected: set[str] = set()
        self._leader: tuple[int, str | None] = (0, None)
        self._stopped = False
        self._look_at = 0.0  # when `_timed` looks next, if nothing happens; 0: something has happened
        self._looked_index = -1  # up to where entries were applied when it looked
        self.addresses: dict[str, str] = {}  # of members whose NodeStarted is not applied yet; by the shell

    # ---- in ------------------------------------------------------------------------------------------

    def submit(self, command: Command, done: OnDone | None) -> None:
        """Commit and apply a command through whoever leads; `done` is called once, from a later `step`."""
        refusal = self.state.rules.refusal(command, self.state.level)
        if refusal is not None:
            self.proposer.refuse(refusal, done)
        else:
            self.proposer.submit(command, self._clocks.monotonic(), done)

    def open_session(self, hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> Stream:
        """A worker's stream begins."""
        return self.hub.open(hello, deliver, self._clocks.monotonic())

    def connected(self, peer: str, disk_id: str) -> None:
        """A connection to a member is up (again)."""
        self._look_at = 0.0
        self._connected.add(peer)
        self.consensus.connected(peer, disk_id)
        if peer == self.consensus.leader_id:
            self._start_over()

    def disconnected(self, peer: str) -> None:
        """The connection to a member is gone."""
        self._look_at = 0.0
        self._connected.discard(peer)
        self.beats.lost(peer, self._clocks.monotonic())
        self.log_exchange.lost(peer)
        self.consensus.disconnected(peer)

    def receive(self, peer: str, message: PeerMessage) -> None:
        """A message from a member.  Consensus handles its own and drops nonsense."""
        if isinstance(message, OF_CONSENSUS):
            self.consensus.receive(peer, message)
            self._collect()
            return
        self._look_at = 0.0
        match message:
            case Forward():
                # A leader that is not ready yet keeps them until it is: its followers will not ask again
                # for a second.
                if self.consensus.role is Role.LEADER:
                    for batch in message.batches:
                        self.proposer.forwarded(batch)
            case ReadRequest():
                self._read_request(peer, message.number)
            case ReadAnswer():
                self.reads.answered(message.number, message.index)
            case NodeBeat():
                self._beat(peer, message)
            case BeatSummary():
                if peer == self.consensus.leader_id:
                    self.beats.summarised(message, self._clocks.monotonic())
            case LinesShared() | LinesTaken() | LinesRequest() | LinesAnswer():
                self.log_exchange.receive(peer, message, self._clocks.wall_ms())
            case MemberChange():
                self.members.asked(peer, message, self.now)
            case MemberAnswer():
                self.members.answered(peer, message)
            case _:
                assert_never(message)

    def _read_request(self, peer: str, number: int) -> None:
        self.consensus.read_index(lambda at: self._send(peer, ReadAnswer(number, -1 if at is None else at)))

    def _beat(self, peer: str, beat: NodeBeat) -> None:
        now = self._clocks.monotonic()
        self.beats.heard(peer, beat, now)
        self.leadership.stamper.heard(peer, beat.wall_ms, now)
        self.replica.digests.compare(peer, beat.digest_index, beat.digest)
        if self.leading:
            self.outbox.append((peer, self.beats.summary(now)))

    @property
    def wants_step(self) -> bool:
        """What has come in is not done with.  False: `wake_at` is no nearer than it was, or than LOOK_S."""
        followed = self._look_at > 0.0 and self.consensus.leader_id == self._leader[1]
        return not followed or self.consensus.wake_at <= self.now

    # ---- the step ------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One round of everything; True: there is more to do at once."""
        if self._stopped:
            return False
        now = self._clocks.monotonic()
        self._follow_leadership(now)
        self._propose(now)
        if self.members.busy:
            self.members.pump(now, self.consensus.leader_id in self._connected)
        self.consensus.tick()
        self._follow_leadership(now)
        if self.replica.unfollowed or self.replica.replaced:
            self._effects(now)
        if self.consensus.applied_index != self._looked_index:
            self._follow_members()
        self._timed(now)
        if self.reads.waiting:
            self.reads.pump(now, self._ask_leader)
        self.hub.flush()
        self._collect()
        return self._more()

    def _collect(self) -> None:
        messages = self.consensus.outbox
        if messages:
            self.outbox.extend(messages)
            messages.clear()

    def _leave_early(self) -> None:
        """New entries may be on their way while this node's disk works."""
        self._collect()
        self.carry()

    def _more(self) -> bool:
        if self.consensus.applied_index < self.consensus.commit_index:
            return True
        if self.leadership.active:
            return self.leadership.busy(self.now)
        proposer = self.proposer
        return proposer.pending and proposer.can_forward and self.consensus.leader_id in self._connected

    def _follow_leadership(self, now: float) -> None:
        consensus = self.consensus
        if consensus.ready is not self.leadership.active:
            self.leadership.look(now)
        term, leader_id = self._leader
        if consensus.leader_id != leader_id or consensus.term != term:
            self._leader = (consensus.term, consensus.leader_id)
            if consensus.role is not Role.LEADER:
                self.proposer.lost_leadership()
            self._start_over()

    def _start_over(self) -> None:
        """What was sent to the leader may never have reached it."""
        self._look_at = 0.0
        self.proposer.resend(self._clocks.monotonic())
        self.reads.leader_changed()
        self._origin.announce_at = 0.0
        self.beats.beat_at = 0.0

    def _propose(self, now: float) -> None:
        if self.leadership.active:
            self.leadership.propose(now)
        else:
            leader = self.consensus.leader_id
            if leader is not None and leader in self._connected and self.proposer.pending:
                batch = self.proposer.take_for_leader()
                if batch is not None:
                    self.outbox.append((leader, Forward((batch,))))
        if self._origin.unannounced:
            self._announce(now)

    def _announce(self, now: float) -> None:
        """Commit NodeStarted; until it is applied this node is no origin."""
        if now < self._origin.announce_at:
            return
        command = self._origin.announcement()
        leader = self.consensus.leader_id
        if self.leading:
            if not self.leadership.can_stamp(now) or self.leadership.unnumbered((command,), now) is None:
                return
        elif leader is not None and leader in self._connected:
            self.outbox.append((leader, Forward((encode_batch(unnumbered(command)),))))
        else:
            return
        self._origin.announce_at = now + self.limits.proposer.resend_s

    # ---- applying ------------------------------------------------------------------------------------

    def _apply(self, index: int, term: int, data: bytes) -> None:
        self.replica.apply(index, term, data)
        if self.state.marked == index:
            self.replica.mark(self.consensus, index, term)
        if term == self.consensus.term:
            self.leadership.stamper.followed(self.state, self._clocks.monotonic())

    def _restore(self) -> Generator[object, None, None]:
        self.disk_work.clear()
        return self.replica.restore()

    def _effects(self, now: float) -> None:
        replica = self.replica
        if replica.replaced and replica.take_replaced():
            self._reconcile(now)
        while replica.unfollowed:
            index, result = replica.unfollowed.popleft()
            incarnation = self._origin.incarnation
            self.effects.follow(result.events, now)
            self.faults.extend(result.faults)
            self._origin.applied(index, result, incarnation, now)
        self.feed.tell()

    def _reconcile(self, now: float) -> None:
        """The state was replaced: everything that followed events looks at it anew."""
        state = self.state
        self._origin.restored(state, now)
        self.hub.state_replaced(state)
        self.watches.state_replaced(self.replica.job)
        self.effects.members_changed = True

    def _follow_members(self) -> None:
        """Another configuration is committed and applied: what is kept of nodes that left is forgotten."""
        settled = self.consensus.settled
        if settled.configuration is None or settled.index == self._settled_index:
            return
        self._settled_index = settled.index
        self.beats.keep(settled.configuration.members)
        self.replica.digests.keep(settled.configuration.members)
        self.effects.members_changed = True
        if removes(settled, self.identity):
            self.removed_index = settled.index

    # ---- time ----------------------------------------------------------------------------------------

    def _timed(self, now: float) -> None:
        consensus = self.consensus
        self.proposer.expire(now, consensus.leader_id is not None)
        if not self.disk_work:
            work = self.replica.begin_checkpoint(consensus, now)
            if work is not None:
                self.disk_work.append(work)
        if self._is_quiet(now):
            return
        self._looked_index, self._look_at = consensus.applied_index, now + LOOK_S
        self.hub.tick(now, consensus.leader_contact_s())
        self._cleanup.step(now)
        self.drain.step(now)
        if now >= self.beats.beat_at:
            self._send_beat(now)
        self.log_exchange.tick(now, self._clocks.wall_ms())
        if now >= self.feed.due_at:
            self.feed.tick(now, self.wall_ms)
        if self.leadership.active:
            self.leadership.do_duties(now)

    def _is_quiet(self, now: float) -> bool:
        """Nothing was applied or has come in since the last look, nobody waits, and the look is not due."""
        return (
            now < self._look_at
            and self.consensus.applied_index == self._looked_index
            and not self.hub.beating
            and not self.drain.busy
            and not self.log_exchange.busy
            and not (self.leadership.active and self.leadership.due(now))
        )

    def _send_beat(self, now: float) -> None:
        self.beats.beat_at = now + self.limits.beats.interval_s
        beat = self._my_beat()
        if self.leading:
            self.beats.heard(self.identity.node_id, beat, now)
            for peer in sorted(self._connected):
                self.outbox.append((peer, self.beats.summary(now)))
        elif self.consensus.leader_id is not None:
            self.outbox.append((self.consensus.leader_id, beat))

    def _my_beat(self) -> NodeBeat:
        index, digest = self.replica.digests.newest()
        return NodeBeat(
            self.proposer.incarnation,
            self._clocks.wall_ms(),
            self.consensus.applied_index,
            len(self.hub),
            self.state.owned_jobs(self.identity.node_id),
            index,
            digest,
        )

    @property
    def wake_at(self) -> float:
        """When `step` is wanted next if nothing happens, on the monotonic clock."""
        now = self._clocks.monotonic()
        waits = self.reads.waiting or self.members.busy or self.drain.busy or self.log_exchange.busy
        wake = min(self.consensus.wake_at, now + (SOON_S if waits else LOOK_S))
        if wake > now and self.leadership.active:
            wake = min(wake, self.leadership.due_at(now))
        return max(now, wake)

    def checkpoint_done(self, work: CheckpointWork, view: StateView | None = None) -> None:
        """`checkpoints.write(work)` has returned, with `view`."""
        self._look_at = 0.0
        self.replica.checkpoint_done(work, view, self.consensus)

    # ---- reads ---------------------------------------------------------------------------------------

    def _ask_leader(self, number: int) -> bool:
        """Send a read request to the leader, if there is one in reach."""
        leader = self.consensus.leader_id
        if leader is None or leader not in self._connected:
            return False
        self.outbox.append((leader, ReadRequest(number)))
        return True

    @property
    def state(self) -> State:
        """The replicated state as applied here; another object after a snapshot."""
        return self.replica.state

    @property
    def node_id(self) -> str:
        """Of this node."""
        return self.consensus.node_id

    @property
    def incarnation(self) -> int:
        """Of this process; 0: it is not announced."""
        return self.proposer.incarnation

    @property
    def leading(self) -> bool:
        """This node leads, and has applied what its predecessors committed."""
        return self.leadership.active

    @property
    def stopped(self) -> bool:
        """`stop` was called: nothing happens here any more."""
        return self._stopped

    @property
    def stale(self) -> bool:
        """No contact with a leader for a while: local answers may be old."""
        return self.consensus.leader_contact_s() > self.limits.stale_s

    @property
    def wall_ms(self) -> int:
        """The replicated wall clock, read between entries."""
        now = self._clocks.monotonic()
        return (
            self.leadership.stamper.wall_ms(now)
            if self.leading
            else max(self.state.wall_ms, self._clocks.wall_ms())
        )

    @property
    def identity(self) -> Identity:
        """Who this process is; its boot id changes when it was given up by mistake."""
        return self._origin.identity

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._clocks.monotonic()

    @property
    def connected_peers(self) -> frozenset[str]:
        """Members with a live connection."""
        return frozenset(self._connected)

    def _keep_lines(self, lines: list[HandlerLine]) -> None:
        self.log_exchange.keep(lines, self._clocks.wall_ms())

    def _others(self) -> Others:
        members, me = sorted(self.consensus.members), self.identity.node_id
        ring = [*(m for m in members if m > me), *(m for m in members if m < me)]
        return Others(tuple(ring), self.connected_peers)

    def _send(self, peer: str, message: PeerMessage) -> None:
        self.outbox.append((peer, message))

    # ---- the end -------------------------------------------------------------------------------------

    def say_goodbye(self, done: Callable[[], None]) -> None:
        """Graceful stop: commit NodeStopped as the last command, then `done`."""
        self.submit(self._origin.farewell(), lambda _outcome: done())

    def stop(self, message: str) -> None:
        """No further step; everybody who waits is answered."""
        self._stopped = True
        self.hub.close_all()
        self.proposer.fail_all(message)
        self.reads.fail_all()
        self.members.fail_all(message)
        self.watches.fail_all()
        self.feed.wake_all()
        self.log_exchange.reader.fail_all()


def _nothing() -> None:
    """Default of `Core.carry`."""
