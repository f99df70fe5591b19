"""The leader's side of the log: sending it, counting copies, committing.

Each peer has a next index that runs ahead of its acknowledgements, within a bound of bytes.  A new
connection or a rejection takes it back; an acknowledgement never does.  A heartbeat is an append without
entries, so a lost message of any kind is noticed by the next one.

What a peer holds is never taken over from an earlier connection: it shows it again.  A peer whose log ends
before what it acknowledged hears heartbeats only, and nothing of it counts.
"""

import logging

from orchestrix_raft.consensus import rules
from orchestrix_raft.consensus.bridge import Raft
from orchestrix_raft.consensus.configuration import ConfiguredLog
from orchestrix_raft.consensus.messages import AppendAnswer, AppendEntries, SnapshotAnswer
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.peers import Peer, Peers, Post
from orchestrix_raft.consensus.reads import Reads
from orchestrix_raft.consensus.sending import SnapshotSender
from orchestrix_raft.storage.port import Entry

log = logging.getLogger(__name__)

NEVER = float("inf")
FORGETFUL = (
    "the disk of node {} has forgotten entries that it acknowledged, so nothing it says counts: stop it and "
    "bring back its data directory as it was when it last ran"
)


class Replication:
    """What a leader sends, and what its answers mean."""

    def __init__(
        self,
        raft: Raft,
        log: ConfiguredLog,
        peers: Peers,
        post: Post,
        reads: Reads,
        snapshots: SnapshotSender,
        options: Options,
    ) -> None:
        self._raft, self._log, self._peers, self._post = raft, log, peers, post
        self._reads, self._snapshots, self._options = reads, snapshots, options
        self._built: AppendEntries | None = None
        self._built_size = 0

    # -- sending ---------------------------------------------------------------------------------
    def send(self, now: float) -> None:
        """Bring every connected peer as far as its window allows; the rest hears a heartbeat in time."""
        raft, last, round_number = self._raft, self._log.last_index, self._reads.round
        raft.replicate_now = False
        next_index, commit_index = raft.next_index, raft.commit_index
        for peer in self._peers.all:
            if peer.connected and (
                now >= peer.heartbeat_at
                or next_index[peer.node] <= last
                or peer.sent_round < round_number
                or peer.sent_commit < commit_index
            ):
                self._serve(peer, now)

    def next_heartbeat_at(self) -> float:
        """When somebody is due (inf: nobody is connected)."""
        earliest = NEVER
        for peer in self._peers.all:
            if peer.connected and peer.heartbeat_at < earliest:
                earliest = peer.heartbeat_at
        return earliest

    def _serve(self, peer: Peer, now: float) -> None:
        raft, log = self._raft, self._log
        if peer.forgetful:
            if now >= peer.heartbeat_at:
                self._heartbeat(peer, log.last_index, now)
            return
        next_index = raft.next_index[peer.node]
        if next_index <= log.first_index:
            if self._snapshots.serve(peer, self._reads.round, now):
                self._note_sent(peer, now)
            if now >= peer.heartbeat_at or peer.sent_round < self._reads.round:
                self._heartbeat(peer, log.last_index, now)
            return
        last = log.last_index
        while next_index <= last and peer.in_flight_bytes < self._options.in_flight_bytes:
            message = self._append_from(next_index)
            next_index += len(message.entries)
            raft.next_index[peer.node] = next_index
            peer.sent(next_index - 1, self._built_size)
            self._post.send(peer.node_id, message)
            self._note_sent(peer, now)
        if (
            now >= peer.heartbeat_at
            or peer.sent_round < self._reads.round
            or peer.sent_commit < raft.commit_index
        ):
            self._heartbeat(peer, next_index - 1, now)

    def _append_from(self, start: int) -> AppendEntries:
        """Entries from `start`, at least one; the same message object serves peers that stand alike."""
        raft, built = self._raft, self._built
        if (
            built is not None
            and built.prev_index == start - 1
            and built.term == raft.term
            and built.commit_index == raft.commit_index
            and built.round == self._reads.round
            and built.entries[-1].index == self._log.last_index
        ):
            return built
        entries, self._built_size = self._gather(start)
        prev_term = self._log.term_at(start - 1)
        self._built = AppendEntries(
            raft.term, self._reads.round, raft.commit_index, start - 1, prev_term, entries
        )
        return self._built

    def _gather(self, start: int) -> tuple[list[Entry], int]:
        entries: list[Entry] = []
        size = 0
        stop = min(self._log.last_index + 1, start + self._options.append_entries)
        for index in range(start, stop):
            entry = self._log.journal.entry(index)
            if entries and size + len(entry.data) > self._options.append_bytes:
                break
            entries.append(entry)
            size += len(entry.data) + 16
        return entries, size

    def _heartbeat(self, peer: Peer, prev_index: int, now: float) -> None:
        raft = self._raft
        prev_term = self._log.term_at(prev_index)
        self._post.send(
            peer.node_id,
            AppendEntries(raft.term, self._reads.round, raft.commit_index, prev_index, prev_term, []),
        )
        self._note_sent(peer, now)

    def _note_sent(self, peer: Peer, now: float) -> None:
        peer.heartbeat_at = now + self._options.heartbeat_s
        peer.sent_round = self._reads.round
        peer.sent_commit = self._raft.commit_index
        self._reads.note_sent()

    # -- counting --------------------------------------------------------------------------------
    def advance_commit(self) -> None:
        """Commit what a majority holds durably, this node's own copy included only when it is."""
        configuration, raft = self._peers.configuration, self._raft
        if configuration is None or raft.commit_index >= self._log.last_index:
            return
        copies = {peer.node_id: raft.match_index[peer.node] for peer in self._peers.all}
        copies[self._peers.node_id] = self._own_copy()
        held = configuration.held_by_majority(copies)
        raft.commit_index = rules.leader_commit(raft.commit_index, held, raft.term, self._log.term_at)

    def _own_copy(self) -> int:
        return self._log.journal.durable_index

    # -- answers ---------------------------------------------------------------------------------
    def note_answer(self, peer_id: str, message: AppendAnswer | SnapshotAnswer, now: float) -> Peer | None:
        """The peer whose answer counts for this term of office, else None.  Removed peers report their
        progress too, but no majority counts them."""
        raft = self._raft
        peer = self._peers.by_id.get(peer_id)
        if peer is None or not raft.leading or not rules.answer_counts(message.term, raft.term):
            return None
        if not self._peers.on_own_disk(peer):
            return None
        if isinstance(message, AppendAnswer):
            self._judge_memory(peer, message)
        if peer.forgetful:
            return None
        raft.answered_at[peer.node] = now
        peer.acknowledged_round = max(peer.acknowledged_round, message.round)
        return peer

    def _judge_memory(self, peer: Peer, message: AppendAnswer) -> None:
        forgetful = rules.has_forgotten(message.last_index, peer.acknowledged_index)
        if forgetful and not peer.forgetful:
            self._raft.match_index[peer.node] = 0
            log.error(
                "%s (it ends at %d, it had acknowledged %d)",
                FORGETFUL.format(peer.node_id),
                message.last_index,
                peer.acknowledged_index,
            )
        elif peer.forgetful and message.last_index and not forgetful:
            log.info("the disk of node %s has what it acknowledged: it counts again", peer.node_id)
        if message.last_index:
            peer.forgetful = forgetful

    def problems(self) -> list[str]:
        """One line for each peer that does not count."""
        if not self._raft.leading:
            return []
        return [FORGETFUL.format(peer.node_id) for peer in self._peers.all if peer.forgetful]

    def on_append_answer(self, peer: Peer, message: AppendAnswer) -> None:
        raft, node = self._raft, peer.node
        last = self._log.last_index
        if message.matched:
            held, ahead = raft.match_index, raft.next_index
            match = held[node] = max(held[node], min(message.next_index - 1, last))
            if ahead[node] <= match:
                ahead[node] = match + 1
            peer.acknowledged_index = max(peer.acknowledged_index, match)
            peer.arrived(match)
            self._snapshots.reached(peer, match)
        elif message.next_index:
            raft.next_index[node] = max(raft.match_index[node] + 1, min(message.next_index, last + 1))
            peer.rewind()
            raft.replicate_now = True
