"""One node, without I/O: messages, commands and time go in; messages, pushes and disk work come out.

The shell (asyncio in production, a virtual clock in the simulator) calls `receive`, `submit`,
`connected`, `disconnected`, then `step`, and carries away `outbox` and `disk_work`.  Nothing here
sleeps, reads a clock or opens a socket, so the code that runs in production is the code that is simulated.

A step: hand pending commands to the log (leader) or to the leader (follower), let consensus elect, make
durable, commit, apply and replicate, then let effects follow the committed events.
"""

import random
from collections import deque
from collections.abc import Callable, Generator

from orchestrix_raft.consensus.port import Accepted, Apply, Consensus, Refused, Restore, Role
from orchestrix_raft.coordinator.beats import Beats
from orchestrix_raft.coordinator.checkpoints import Checkpoints, CheckpointWork
from orchestrix_raft.coordinator.contents import ContentsTrail
from orchestrix_raft.coordinator.digests import DigestTrail
from orchestrix_raft.coordinator.duties import Duties
from orchestrix_raft.coordinator.effects import Effects
from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.coordinator.hub import SessionHub
from orchestrix_raft.coordinator.job_logs import JobLogs
from orchestrix_raft.coordinator.messages import (
    BeatSummary,
    Forward,
    NodeBeat,
    PeerMessage,
    ReadAnswer,
    ReadRequest,
)
from orchestrix_raft.coordinator.origin import Origin
from orchestrix_raft.coordinator.proposer import OnDone, Proposer
from orchestrix_raft.coordinator.reads import Reads
from orchestrix_raft.coordinator.schedules import ScheduleRunner
from orchestrix_raft.coordinator.settings import Clocks, CoreLimits, Identity
from orchestrix_raft.coordinator.stamper import Stamper
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.coordinator.watches import Watches
from orchestrix_raft.domain.job import Job
from orchestrix_raft.domain.session import CoordinatorMessage, HandlerLine, Hello
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.codec import (
    decode_entry,
    decode_job,
    encode_batch,
    encode_entry,
    make_entry,
    unnumbered,
)
from orchestrix_raft.machine.commands import Command, Entry
from orchestrix_raft.machine.history import FINISHED, PAYLOADS
from orchestrix_raft.machine.port import Applied
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
    ) -> None:
        self.limits = limits
        self._clocks = clocks
        self.store = store
        self.job_logs = JobLogs(local, limits.lines_kept_s)
        self.outbox: list[tuple[str, PeerMessage]] = []
        self.disk_work: list[CheckpointWork] = []
        self.history = LayeredHistory(store)
        self.checkpoints = Checkpoints(self.history, store, limits.checkpoint_s, limits.checkpoint_bytes)
        self.machine = self._load()
        self.proposer = Proposer(identity.node_id, limits.proposer)
        self._origin = Origin(identity, self.proposer, self.machine.state)
        self.hub = SessionHub(
            identity.node_id, limits.hub, self.submit, self._keep_lines, self.args_of, servers
        )
        self.hub.state = self.machine.state
        self.watches = Watches()
        self.beats = Beats(identity.node_id, limits.beats)
        self.effects = Effects(self.hub, self.watches, self._origin, self.beats)
        self.digests = DigestTrail()
        self.contents = ContentsTrail()
        self.consensus = make_consensus(self._apply, self._restore)
        self.consensus.before_flush = self._leave_early
        self.carry: Callable[[], None] = _nothing  # set by the shell: takes `outbox` away in mid-step
        self.reads = Reads(self.consensus, limits.read_wait_s, rng.getrandbits(62))
        self._applied: deque[tuple[int, Applied]] = deque()
        self._restored = False
        self.loading = False  # a snapshot is installed and its state not loaded: what is seen here is old
        self._stamper = Stamper(clocks)
        self.schedules = ScheduleRunner(clocks.monotonic)
        self._duties = Duties(limits, self.beats, self._stamper)
        self._connected: set[str] = set()
        self._leading = False
        self._leader: tuple[int, str | None] = (0, None)
        self._in_flight: deque[int] = deque()
        self._stopped = False
        self.faults: list[Exception] = []  # bugs caught while deciding; the shell logs and clears them
        self.addresses: dict[str, str] = {}  # of members whose NodeStarted is not applied yet; by the shell

    # ---- in ------------------------------------------------------------------------------------------

    def submit(self, command: Command, done: OnDone | None) -> None:
        """Commit and apply a command through whoever leads; `done` is called once, from a later `step`."""
        self.proposer.submit(command, self._clocks.monotonic(), done)

    def open_session(self, hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> Stream:
        """A worker's stream begins."""
        return self.hub.open(hello, deliver, self._clocks.monotonic())

    def connected(self, peer: str, disk_id: str) -> None:
        """A connection to a member is up (again)."""
        self._connected.add(peer)
        self.consensus.connected(peer, disk_id)
        if peer == self.consensus.leader_id:
            self._start_over()

    def disconnected(self, peer: str) -> None:
        """The connection to a member is gone."""
        self._connected.discard(peer)
        self.consensus.disconnected(peer)

    def receive(self, peer: str, message: PeerMessage) -> None:
        """A message from a member.  Consensus handles its own and drops nonsense."""
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
            case _:
                self.consensus.receive(peer, message)

    def _read_request(self, peer: str, number: int) -> None:
        def done(index: int | None) -> None:
            self.outbox.append((peer, ReadAnswer(number, -1 if index is None else index)))

        self.consensus.read_index(done)

    def _beat(self, peer: str, beat: NodeBeat) -> None:
        now = self._clocks.monotonic()
        self.beats.heard(peer, beat, now)
        self._stamper.heard(peer, beat.wall_ms, now)
        self.digests.compare(peer, beat.digest_index, beat.digest)
        if self._leading:
            self.outbox.append((peer, self.beats.summary(now)))

    # ---- the step ------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One round of everything; True: there is more to do at once."""
        if self._stopped:
            return False
        now = self._clocks.monotonic()
        self._follow_leadership(now)
        self._propose(now)
        self.consensus.tick()
        self._follow_leadership(now)
        self._effects(now)
        self._timed(now)
        self.reads.pump(now, self._ask_leader)
        self.hub.flush()
        self._collect()
        return self._more()

    def _collect(self) -> None:
        self.outbox.extend(self.consensus.outbox)
        self.consensus.outbox.clear()

    def _leave_early(self) -> None:
        """New entries may be on their way while this node's disk works."""
        self._collect()
        self.carry()

    def _more(self) -> bool:
        proposer = self.proposer
        if self._leading and self.schedules.busy:
            return True
        if self.consensus.applied_index < self.consensus.commit_index:
            return True
        if not proposer.pending:
            return False
        if self._leading:
            return self._stamper.ready(self.now) and len(self._in_flight) < self.limits.proposer.in_flight
        return proposer.can_forward and self.consensus.leader_id in self._connected

    def _follow_leadership(self, now: float) -> None:
        consensus = self.consensus
        leading = consensus.ready
        if leading and not self._leading:
            self._stamper.start(self.machine.state, consensus.voters, now)
            self.beats.lead(now)
            self._duties.lead()
            self.schedules.lead()
        elif self._leading and not leading:
            self._in_flight.clear()
        self._leading = leading
        leader = (consensus.term, consensus.leader_id)
        if leader != self._leader:
            self._leader = leader
            if consensus.role is not Role.LEADER:
                self.proposer.lost_leadership()
            self._start_over()

    def _start_over(self) -> None:
        """What was sent to the leader may never have reached it."""
        self.proposer.resend(self._clocks.monotonic())
        self.reads.leader_changed()
        self._origin.announce_at = 0.0
        self.beats.beat_at = 0.0

    def _propose(self, now: float) -> None:
        if self._leading:
            if self._stamper.ready(now):
                self._propose_entries(now)
        else:
            leader = self.consensus.leader_id
            if leader is not None and leader in self._connected:
                batch = self.proposer.take_for_leader()
                if batch is not None:
                    self.outbox.append((leader, Forward((batch,))))
        if self._origin.unannounced:
            self._announce(now)

    def _propose_entries(self, now: float) -> None:
        in_flight = self._in_flight
        while in_flight and in_flight[0] <= self.consensus.applied_index:
            in_flight.popleft()
        while len(in_flight) < self.limits.proposer.in_flight and self.proposer.pending:
            batches = self.proposer.take_for_entry()
            if not batches or not self._append(
                Entry(self._stamper.elapsed_ms(now), self._stamper.wall_ms(now), batches)
            ):
                return
        if not in_flight and self._stamper.due(self.machine.state, now):
            self._append(Entry(self._stamper.elapsed_ms(now), self._stamper.wall_ms(now), ()))

    def _append(self, entry: Entry) -> bool:
        verdict = self.consensus.propose(encode_entry(entry))
        if isinstance(verdict, Refused):
            # Leadership went between two looks at it, or a transfer holds entries back: own commands are
            # still unresolved and are sent again, those of others are sent again by their origins.
            self.proposer.resend(self._clocks.monotonic())
            return False
        self._in_flight.append(verdict.index)
        return True

    def _unnumbered(self, commands: tuple[Command, ...], now: float) -> Accepted | None:
        """Leader: commands that need no exactly-once, because they name what they saw."""
        entry = make_entry(
            self._stamper.elapsed_ms(now), self._stamper.wall_ms(now), (unnumbered(*commands),)
        )
        verdict = self.consensus.propose(encode_entry(entry))
        return None if isinstance(verdict, Refused) else verdict

    def _announce(self, now: float) -> None:
        """Commit NodeStarted; until it is applied this node is no origin."""
        if now < self._origin.announce_at:
            return
        command = self._origin.announcement()
        leader = self.consensus.leader_id
        if self._leading:
            if not self._stamper.ready(now) or self._unnumbered((command,), now) is None:
                return
        elif leader is not None and leader in self._connected:
            self.outbox.append((leader, Forward((encode_batch(unnumbered(command)),))))
        else:
            return
        self._origin.announce_at = now + self.limits.proposer.resend_s

    # ---- applying ------------------------------------------------------------------------------------

    def _apply(self, index: int, term: int, data: bytes) -> None:
        applied = self.machine.apply(index, term, decode_entry(data))
        self.digests.note(index, self.machine.state.digest)
        if self.machine.state.marked == index:
            self.contents.begin(index, self.checkpoints.mark(self.consensus, index, term))
        self._applied.append((index, applied))
        if term == self.consensus.term:
            self._stamper.followed(self.machine.state, self._clocks.monotonic())

    def _restore(self) -> Generator[object, None, None]:
        """An installed snapshot replaces the state, once it is loaded."""
        self._applied.clear()
        self.disk_work.clear()
        self.checkpoints.replaced()
        self.contents.replaced()
        self.loading = True
        return self._load_beside()

    def _load_beside(self) -> Generator[object, None, None]:
        machine = Machine(self.history, self.history)
        yield from machine.load_in_steps(self.history.tables)
        self.machine = machine
        self.loading = False
        self._restored = True

    def _load(self) -> Machine:
        machine = Machine(self.history, self.history)
        if self.store.position() is not None:
            machine.load(self.history.tables)
        return machine

    def _effects(self, now: float) -> None:
        if self._restored:
            self._restored = False
            self._reconcile(now)
        applied = self._applied
        while applied:
            index, result = applied.popleft()
            incarnation = self._origin.incarnation
            self.effects.follow(result.events, now)
            self.faults.extend(result.faults)
            self._origin.applied(index, result, incarnation, now)

    def _reconcile(self, now: float) -> None:
        """The state was replaced: everything that followed events looks at it anew."""
        state = self.machine.state
        self._origin.restored(state, now)
        self.hub.state_replaced(state)
        self.watches.state_replaced(self.job)
        self.digests.clear()
        self.effects.members_changed = True

    # ---- time ----------------------------------------------------------------------------------------

    def _timed(self, now: float) -> None:
        consensus = self.consensus
        self.proposer.expire(now, consensus.leader_id is not None)
        self.hub.tick(now, consensus.leader_contact_s())
        if now >= self.beats.beat_at:
            self._send_beat(now)
        self.job_logs.expire(now, self._clocks.wall_ms())
        if self._leading:
            self._do_duties(now)
        if not self.disk_work:
            work = self.checkpoints.begin(consensus, now)
            if work is not None:
                self.disk_work.append(work)

    def _send_beat(self, now: float) -> None:
        self.beats.beat_at = now + self.limits.beats.interval_s
        beat = self._my_beat()
        if self._leading:
            self.beats.heard(self.identity.node_id, beat, now)
            for peer in sorted(self._connected):
                self.outbox.append((peer, self.beats.summary(now)))
        elif self.consensus.leader_id is not None:
            self.outbox.append((self.consensus.leader_id, beat))

    def _my_beat(self) -> NodeBeat:
        index, digest = self.digests.newest()
        return NodeBeat(
            self.proposer.incarnation,
            self._clocks.wall_ms(),
            self.consensus.applied_index,
            len(self.hub),
            self.machine.state.owned_jobs(self.identity.node_id),
            index,
            digest,
        )

    def _do_duties(self, now: float) -> None:
        """What the leader should propose now."""
        resting = self.history.checkpointing
        commands = self._duties.due(self.machine.state, self.consensus.applied_index, now, resting)
        if commands:
            accepted = self._unnumbered(commands, now)
            if accepted is not None:
                self._duties.proposed(accepted.index)
        if self._stamper.ready(now):
            wall_ms, applied = self._stamper.wall_ms(now), self.consensus.applied_index
            state = self.machine.state
            self.schedules.step(state, wall_ms, applied, lambda plans: self._unnumbered(plans, now))
            self.faults.extend(self.schedules.taken_faults())

    @property
    def wake_at(self) -> float:
        """When `step` is wanted next if nothing happens, on the monotonic clock."""
        now = self._clocks.monotonic()
        wake = min(self.consensus.wake_at, now + 0.25)
        if self._leading and not self._in_flight:  # what is in flight brings the time along
            wake = min(wake, now + self._stamper.due_in_s(self.machine.state, now))
            wake = min(wake, now + self._duties.due_in_s(now))
            wall_ms = self._stamper.wall_ms(now)
            wake = min(wake, now + self.schedules.due_in_s(self.machine.state, wall_ms))
        return max(now, wake)

    def checkpoint_done(self, work: CheckpointWork, view: StateView | None = None) -> None:
        """`checkpoints.write(work)` has returned, with `view`."""
        self.checkpoints.done(work, self.consensus)
        if work.marked:
            self.contents.written(work.position.index, view)

    # ---- reads ---------------------------------------------------------------------------------------

    def _ask_leader(self, number: int) -> bool:
        """Send a read request to the leader, if there is one in reach."""
        leader = self.consensus.leader_id
        if leader is None or leader not in self._connected:
            return False
        self.outbox.append((leader, ReadRequest(number)))
        return True

    @property
    def leading(self) -> bool:
        """This node leads and may stamp entries."""
        return self._leading

    @property
    def role(self) -> Role:
        """As consensus says."""
        return self.consensus.role

    @property
    def stale(self) -> bool:
        """No contact with a leader for a while: local answers may be old."""
        return self.consensus.leader_contact_s() > self.limits.stale_s

    @property
    def wall_ms(self) -> int:
        """The replicated wall clock, read between entries."""
        now = self._clocks.monotonic()
        return (
            self._stamper.wall_ms(now)
            if self._leading
            else max(self.machine.state.wall_ms, self._clocks.wall_ms())
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

    def clock_skews(self) -> list[tuple[str, int]]:
        """(node, offset in ms) of clocks that are far off."""
        return self._stamper.skewed(self.now)

    def job(self, job_id: bytes) -> Job | None:
        """Live or finished."""
        live = self.machine.state.jobs.get(job_id)
        if live is not None:
            return live
        data = self.history.get(FINISHED, job_id)
        return decode_job(data) if data else None

    def args_of(self, job: Job) -> bytes:
        """A job's arguments, from disk if they are large."""
        if not job.args_stored:
            return job.spec.args
        return self.history.get(PAYLOADS, job.spec.job_id) or b""

    def _keep_lines(self, lines: list[HandlerLine]) -> None:
        self.job_logs.keep(lines, self._clocks.wall_ms())

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
        self.watches.fail_all()


def _nothing() -> None:
    """Default of `Core.carry`."""
