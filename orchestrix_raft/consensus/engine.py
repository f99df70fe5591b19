"""The engine: one node of a Raft cluster behind the `Consensus` port.

It owns no thread, timer or socket.  Messages and time come in, `outbox` goes out, and everything it
does follows from these, its journal and the random numbers it was given, so a simulation replays it
exactly.  The order inside one tick is what makes it safe: elect, send, make durable, commit, apply,
and only then let acknowledgements and votes out.

Anything that would break a promise (a committed entry rewritten, two leaders in a term, a command that
cannot be applied, a disk that refuses) stops it for good with a SafetyFault.
"""

from collections import Counter
from collections.abc import Callable, Generator
from random import Random
from typing import assert_never

from orchestrix_raft.consensus import entries, rules
from orchestrix_raft.consensus.bridge import Raft
from orchestrix_raft.consensus.configuration import Configuration, Placed, Standing
from orchestrix_raft.consensus.elections import Elections
from orchestrix_raft.consensus.following import Following
from orchestrix_raft.consensus.guard import Step
from orchestrix_raft.consensus.membership import Membership
from orchestrix_raft.consensus.messages import (
    AppendAnswer,
    AppendEntries,
    Message,
    PreVote,
    PreVoteAnswer,
    SnapshotAnswer,
    SnapshotChunk,
    TimeoutNow,
    VoteAnswer,
    VoteRequest,
    malformed,
)
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.peers import Peer, Peers, Post
from orchestrix_raft.consensus.port import (
    Accepted,
    Apply,
    PeerProgress,
    Refused,
    Restore,
    Role,
    SafetyFault,
)
from orchestrix_raft.consensus.reads import Reads, call
from orchestrix_raft.consensus.replication import Replication
from orchestrix_raft.consensus.sending import SnapshotSender
from orchestrix_raft.consensus.starting import join_log_and_checkpoint
from orchestrix_raft.storage.port import Entry, Journal, SnapshotRef, StateStore


class Engine:
    """Implements `Consensus`; see there for what each call promises."""

    def __init__(
        self,
        *,
        node_id: str,
        disk_id: str,
        journal: Journal,
        store: StateStore,
        apply: Apply,
        restore: Restore,
        clock: Callable[[], float],
        rng: Random,
        options: Options | None = None,
        bootstrap: Configuration | None = None,
    ) -> None:
        """`disk_id`: made when this disk was formatted.  `clock`: monotonic, in seconds.  `bootstrap`:
        the members of a new cluster, given at every start until the log knows better, or None to join
        one.  The state behind `apply` must stand at the store's checkpoint.
        SafetyFault: log and checkpoint do not join, or this disk is not the one the list names."""
        options = options or Options()
        log, start = join_log_and_checkpoint(node_id, disk_id, journal, store.position(), bootstrap)
        self._log, self._options, self.clock = log, options, clock
        self._apply, self._restore = apply, restore
        self.now = clock()
        self.fault: SafetyFault | None = None
        self._leads_term: int | None = None
        self._applied_term = start.term
        self._step = Step(self)
        self._loading: tuple[SnapshotRef, Generator[object, None, None]] | None = None
        self.dropped: Counter[str] = Counter()
        """Messages that were not looked at, by reason."""
        self.before_flush: Callable[[], None] = _nothing
        """Called in a tick when new entries are in the outbox and the journal is about to sync: whoever
        sends them here lets the followers' disks work at the same time as this one."""

        self._post = post = Post()
        self._raft = raft = Raft(node_id, log, start.index, options, rng.uniform, self._time, self._post.send)
        self._peers = peers = Peers(node_id, disk_id, raft, log, options.linger_s, self._time)
        self._elections = Elections(raft, log, peers, post, options, lambda: rng.getrandbits(60), self._time)
        self._reads = Reads(raft, peers)
        self._sender = SnapshotSender(raft, post, store, options)
        self._replication = Replication(raft, log, peers, post, self._reads, self._sender, options)
        self._following = Following(raft, log, self._elections, post, store, self._installed)
        self._membership = Membership(raft, log, peers, post, options, self._time)
        self._stirred = False
        """What has come in is for the next step to act upon."""
        log.on_change = peers.follow_configuration
        peers.follow_configuration()

    def _time(self) -> float:
        """The instant of the step under way: one step sees one time."""
        return self.now

    # -- what is known ---------------------------------------------------------------------------
    @property
    def outbox(self) -> list[tuple[str, Message]]:
        return self._post.out

    @outbox.setter
    def outbox(self, messages: list[tuple[str, Message]]) -> None:
        self._post.out = messages

    @property
    def node_id(self) -> str:
        return self._peers.node_id

    @property
    def role(self) -> Role:
        return self._raft.role

    @property
    def term(self) -> int:
        return self._raft.term

    @property
    def leader_id(self) -> str | None:
        return self._raft.leader_id

    @property
    def commit_index(self) -> int:
        return self._raft.commit_index

    @property
    def applied_index(self) -> int:
        return self._raft.applied_index

    @property
    def applied_term(self) -> int:
        return self._applied_term

    @property
    def first_index(self) -> int:
        return self._log.first_index

    @property
    def last_index(self) -> int:
        return self._log.last_index

    @property
    def ready(self) -> bool:
        return self._raft.leading and self._raft.applied_index >= self._raft.no_op_index

    @property
    def voters(self) -> frozenset[str]:
        configuration = self._peers.configuration
        return frozenset(configuration.voters if configuration else ())

    @property
    def members(self) -> frozenset[str]:
        configuration = self._peers.configuration
        return frozenset(configuration.members if configuration else ())

    @property
    def configuration(self) -> Configuration | None:
        """The configuration in force, committed or not; None on a new node that nobody talked to."""
        return self._peers.configuration

    @property
    def in_force(self) -> Placed:
        return self._log.in_force

    @property
    def settled(self) -> Placed:
        return self._log.at(self._raft.applied_index)

    def configuration_at(self, index: int) -> tuple[int, bytes]:
        return self._log.at(index).encode()

    @property
    def refusals(self) -> Counter[str]:
        """Peers whose word does not count, by reason, and snapshots that could not be made or used."""
        return self._peers.refused + self._following.failures + self._sender.failures

    def problems(self) -> list[str]:
        mine = self._following.problem
        return [*self._sender.problems, *self._replication.problems(), *([mine] if mine else [])]

    def leader_contact_s(self) -> float:
        now = self.clock()
        if self._raft.leading:
            return now - self._peers.majority_heard_at(now)
        return now - self._elections.backed_leader_at

    def progress(self) -> list[PeerProgress]:
        raft, now = self._raft, self.clock()
        if not raft.leading:
            return []
        return [
            PeerProgress(
                peer.node_id,
                raft.match_index[peer.node],
                peer.connected,
                now - raft.answered_at[peer.node],
                self._sender.received_bytes(peer.node_id),
            )
            for peer in self._peers.all
        ]

    # -- the step --------------------------------------------------------------------------------
    def tick(self) -> None:
        with self._step:
            raft = self._raft
            self._stirred = False
            self._elections.tick()
            self._note_office()
            if raft.leading:
                self._membership.tick()
                if raft.replicate_now:
                    self._send_early()
            self._make_durable()
            if raft.leading:
                self._replication.advance_commit()
                self._step_down_if_alone()
            if raft.applied_index < raft.commit_index or self._loading is not None:
                self._apply_committed()
            if raft.leading:
                self._replication.send(self.now)
                self._membership.leave_if_removed(self._elections.step_down)
            self._note_office()
            if self._post.holds:
                self._post.release(raft.term)
            if self._reads.waiting:
                self._reads.answer()

    @property
    def wake_at(self) -> float:
        raft, journal = self._raft, self._log.journal
        if (
            self._stirred
            or self._post.holds
            or not raft.term_durable
            or raft.applied_index < raft.commit_index
            or journal.durable_index < journal.last_index
        ):
            return self.now
        if raft.leading:
            if raft.replicate_now:
                return self.now
            return min(self._replication.next_heartbeat_at(), self.now + self._options.heartbeat_s)
        return raft.election_deadline

    def stop_for(self, error: Exception) -> SafetyFault:
        """Fail-stop: a half-done step must not be continued."""
        fault = error if isinstance(error, SafetyFault) else SafetyFault(f"{type(error).__name__}: {error}")
        self.fault = fault
        return fault

    def _send_early(self) -> None:
        """Entries may leave before they are durable here; a term may not."""
        if self._raft.term_durable:
            self._replication.send(self.now)
            self.before_flush()

    def _make_durable(self) -> None:
        """The barrier: what this node says or counts from here on is on disk."""
        self._log.journal.flush()
        self._raft.term_durable = True

    def _step_down_if_alone(self) -> None:
        if self.now - self._peers.majority_heard_at(self.now) > self._options.step_down_s:
            self._elections.step_down()

    def _note_office(self) -> None:
        """A leader that is one no more (or in another term) owes answers to those who wait."""
        raft = self._raft
        leads = raft.term if raft.leading else None
        if leads == self._leads_term:
            return
        led, self._leads_term = self._leads_term, leads
        if leads is not None:
            self._following.abandon()
        if led is not None:
            self._reads.fail()
            self._membership.give_up("this node lost its leadership before the change was decided")
            self._sender.forget_all()
            if leads is None:
                self._peers.forget_progress()

    # -- applying --------------------------------------------------------------------------------
    def _apply_committed(self) -> None:
        """Apply what is committed, in order, at most a bounded part of it in one tick."""
        if self._loading is not None:
            self._load(*self._loading)
            return
        raft = self._raft
        stop = min(raft.commit_index, raft.applied_index + self._options.apply_entries)
        size = 0
        while raft.applied_index < stop and size < self._options.apply_bytes:
            entry = self._log.journal.entry(raft.applied_index + 1)
            self._apply_entry(entry)
            size += len(entry.data)

    def _apply_entry(self, entry: Entry) -> None:
        kind = entry.data[:1]
        if kind == entries.COMMAND:
            try:
                self._apply(entry.index, entry.term, entry.data[1:])
            except Exception as error:  # whatever it is: another node may not fail here and diverge
                raise SafetyFault(f"entry {entry.index} cannot be applied: {error!r}") from error
        elif kind not in (entries.NO_OP, entries.CONFIGURATION):
            raise SafetyFault(f"entry {entry.index} is of kind {kind!r}, which this version does not know")
        self._raft.applied_index = entry.index
        self._applied_term = entry.term
        if kind == entries.CONFIGURATION:
            self._membership.applied(entry.index)

    def _installed(self, ref: SnapshotRef) -> None:
        """A snapshot has taken the place of everything applied so far.  Disk and log stand at it, so this
        node follows, acknowledges and votes as ever; its state stands where it stood until it is loaded, and
        until then this node applies nothing, wants no office and takes no other snapshot."""
        self._raft.loading = True
        self._loading = ref, self._restore()
        self.now = self.clock()

    def _load(self, ref: SnapshotRef, steps: Generator[object, None, None]) -> None:
        """One slice a tick, so that messages are answered in between.  With the last one the state stands
        at the snapshot; entries behind it are applied from the next tick on."""
        for _ in steps:
            return
        self._loading = None
        self._raft.loading = False
        self._raft.applied_index = ref.index
        self._applied_term = ref.term

    # -- what comes in ---------------------------------------------------------------------------
    def receive(self, peer: str, message: Message) -> None:
        with self._step:
            if peer not in self._peers.links:
                self.dropped["not connected"] += 1
                return
            why = malformed(message)
            if why is not None:
                self.dropped[why] += 1
                return
            self._handle(peer, message)
            self._note_office()
            if self._post.holds and self._raft.term_durable and not self._log.journal.dirty:
                self._post.release(self._raft.term)  # nothing that it claims is still to be made durable

    def _handle(self, peer: str, message: Message) -> None:
        match message:
            case AppendEntries():
                self._following.on_append(peer, message)
                return
            case AppendAnswer():
                self._on_append_answer(peer, message)
                return
            case PreVote():
                self._elections.on_pre_vote(peer, message)
            case PreVoteAnswer():
                self._elections.on_pre_vote_answer(peer, message)
            case VoteRequest():
                self._elections.on_vote_request(peer, message)
            case VoteAnswer():
                self._elections.on_vote_answer(peer, message)
            case TimeoutNow():
                self._elections.on_timeout_now(peer, message)
            case SnapshotChunk():
                self._following.on_chunk(peer, message)
            case SnapshotAnswer():
                self._on_snapshot_answer(peer, message)
            case _:
                assert_never(message)
        self._stirred = True

    def _on_append_answer(self, peer_id: str, message: AppendAnswer) -> None:
        peer = self._count_answer(peer_id, message)
        if peer is None:
            return
        self._replication.on_append_answer(peer, message)
        raft = self._raft
        if (
            raft.match_index[peer.node] > raft.commit_index
            or raft.next_index[peer.node] <= self._log.last_index
            or self._reads.waiting
            or peer.standing is not Standing.VOTER
        ):
            self._stirred = True

    def _on_snapshot_answer(self, peer_id: str, message: SnapshotAnswer) -> None:
        peer = self._count_answer(peer_id, message)
        if peer is not None:
            self._sender.on_answer(peer, message, self.now)

    def _count_answer(self, peer_id: str, message: AppendAnswer | SnapshotAnswer) -> Peer | None:
        if message.term > self._raft.term:
            if self._peers.speaks_for_member(peer_id):
                self._elections.adopt(message.term)
            return None
        return self._replication.note_answer(peer_id, message, self.now)

    def connected(self, peer: str, disk_id: str) -> None:
        with self._step:
            self._peers.connect(peer, disk_id)
            self._sender.forget(peer)
            self._raft.replicate_now = self._raft.replicate_now or self._raft.leading

    def disconnected(self, peer: str) -> None:
        with self._step:
            self._peers.disconnect(peer)
            self._sender.forget(peer)

    # -- what is asked for -----------------------------------------------------------------------
    def propose(self, data: bytes) -> Accepted | Refused:
        with self._step:
            raft = self._raft
            if not raft.leading:
                return Refused("this node is not the leader")
            if len(data) > self._options.entry_bytes_max:
                return Refused(f"{len(data)} bytes; an entry holds at most {self._options.entry_bytes_max}")
            accepted = Accepted(self._log.last_index + 1, raft.term)
            self._log.append(Entry(entries.COMMAND + data, accepted.index, accepted.term))
            raft.replicate_now = True
            return accepted

    def read_index(self, done: Callable[[int | None], None]) -> None:
        with self._step:
            if self.ready:
                self._reads.ask(done)
                return
        call(done, None)

    def transfer(self, target: str | None = None) -> str | Refused:
        with self._step:
            raft = self._raft
            able = [p for p in self._peers.all if p.standing is Standing.VOTER and p.connected]
            if target is not None:
                able = [peer for peer in able if peer.node_id == target]
            if not raft.leading:
                return Refused("this node is not the leader")
            if not able:
                return Refused(f"no voter to take over is connected{f' as {target}' if target else ''}")
            peer = max(able, key=lambda peer: (raft.match_index[peer.node], peer.node_id))
            why = raft.transfer_to(peer.node)
            return peer.node_id if why is None else Refused(why)

    def change_membership(
        self, change: str, node_id: str, disk_id: str | None, done: Callable[[bool | None, str], None]
    ) -> None:
        with self._step:
            self._membership.change(change, node_id, disk_id, done)

    def checkpointed(self, index: int) -> None:
        with self._step:
            log, options = self._log, self._options
            if index > self._raft.applied_index:
                raise SafetyFault(f"a checkpoint at {index} holds more than was applied here")
            pinned = self._sender.pinned_index()
            if pinned is not None and log.journal.size_bytes <= options.pin_bytes:
                index = min(index, pinned)
            start = rules.tail_start(
                log.first_index,
                index,
                log.journal.size_bytes - options.tail_bytes,
                options.tail_entries,
                lambda position: len(log.journal.entry(position).data),
            )
            if start > log.first_index:
                log.compact_to(start)

    def close(self) -> None:
        """Let go of snapshots and callbacks; the journal and the store belong to the owner."""
        if self._loading is not None:
            self._loading[1].close()  # it reads from the store
            self._loading = None
        self._sender.forget_all()
        self._following.abandon()
        self._reads.fail()
        self._membership.give_up("the node stops")
        self._raft.destroy()
        self.fault = self.fault or SafetyFault("the engine is closed")


def _nothing() -> None:
    """Default of `before_flush`."""
