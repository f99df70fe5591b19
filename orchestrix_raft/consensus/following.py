"""The follower's side: taking over the leader's log, or a snapshot in its place.

The commit index moves only over entries known to equal the leader's.  Answers leave once what they
claim is durable.  A snapshot is written beside the state in use, verified, and then replaces state and
log together; one that is not newer than what is here is ignored.
"""

import logging
from collections import Counter
from collections.abc import Callable

from orchestrix_raft.consensus import rules
from orchestrix_raft.consensus.bridge import Raft
from orchestrix_raft.consensus.configuration import ConfiguredLog, placed
from orchestrix_raft.consensus.elections import Elections
from orchestrix_raft.consensus.messages import (
    AppendAnswer,
    AppendEntries,
    SnapshotAnswer,
    SnapshotChunk,
)
from orchestrix_raft.consensus.peers import Post
from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.storage.port import SnapshotRef, SnapshotWriter, StateStore, StorageError

log = logging.getLogger(__name__)


class _Incoming:
    """One snapshot being received."""

    __slots__ = ("leader_id", "received", "ref", "term", "writer")

    def __init__(self, leader_id: str, term: int, ref: SnapshotRef, writer: SnapshotWriter) -> None:
        self.leader_id, self.term, self.ref, self.writer = leader_id, term, ref, writer
        self.received = 0

    def continues(self, leader_id: str, message: SnapshotChunk) -> bool:
        return (self.leader_id, self.term, self.ref, self.received) == (
            leader_id,
            message.term,
            message.ref,
            message.offset,
        )


class Following:
    """What a leader's messages do to this node."""

    def __init__(
        self,
        raft: Raft,
        log: ConfiguredLog,
        elections: Elections,
        post: Post,
        store: StateStore,
        installed: Callable[[SnapshotRef], None],
    ) -> None:
        """`installed` is called when a snapshot has become the state and the log starts at it."""
        self._raft, self._log, self._elections, self._post = raft, log, elections, post
        self._store, self._installed = store, installed
        self._incoming: _Incoming | None = None
        self.failures: Counter[str] = Counter()
        self.problem = ""
        """Why the snapshot that this node needs is not taken over, one line; "" when it needs none."""

    def _is_leader(self, peer_id: str, term: int, round_number: int) -> bool:
        """Follow the sender, unless its term is over: then tell it so."""
        raft = self._raft
        if term < raft.term:
            self._post.answer(peer_id, AppendAnswer(raft.term, round_number, False, 0))
            return False
        if term == raft.term and raft.leading:
            raise SafetyFault(f"two leaders in term {term}: this node and {peer_id}")
        self._elections.follow(peer_id, term)
        return True

    # -- entries ---------------------------------------------------------------------------------
    def on_append(self, peer_id: str, message: AppendEntries) -> None:
        if not self._is_leader(peer_id, message.term, message.round):
            return
        verdict = rules.judge_append(self._log, self._raft.commit_index, message)
        if isinstance(verdict, rules.Broken):
            raise SafetyFault(verdict.reason)
        if isinstance(verdict, rules.Reject):
            self._answer(peer_id, message.round, False, verdict.next_index)
            return
        self.problem = ""  # the log goes on from here: no snapshot is needed
        if verdict.truncate_from is not None:
            self._log.truncate_from(verdict.truncate_from)
        for entry in message.entries[verdict.skip :]:
            self._log.append(entry)
        self._answer(peer_id, message.round, True, verdict.verified + 1)
        raft = self._raft
        raft.commit_index = rules.follower_commit(raft.commit_index, message.commit_index, verdict.verified)

    def _answer(self, peer_id: str, round_number: int, matched: bool, next_index: int) -> None:
        self._post.answer(
            peer_id, AppendAnswer(self._raft.term, round_number, matched, next_index, self._log.last_index)
        )

    # -- snapshots -------------------------------------------------------------------------------
    def on_chunk(self, peer_id: str, message: SnapshotChunk) -> None:
        if not self._is_leader(peer_id, message.term, message.round):
            return
        raft, ref = self._raft, message.ref
        if not rules.snapshot_is_newer(ref.index, raft.commit_index, raft.applied_index):
            self.abandon()
            self._answer(peer_id, message.round, True, max(raft.commit_index, raft.applied_index) + 1)
            return
        if raft.loading:
            return  # from the one before: the store must stay as it is; the sender starts again
        try:
            incoming = self._receive(peer_id, message)
            if incoming is not None and message.last:
                self._verify(incoming)
        except (StorageError, ValueError) as error:  # a bad copy or a full disk: this one is lost
            if not self.problem:
                log.warning("snapshot %d from %s failed: %s", ref.index, peer_id, error)
            self.problem = f"the snapshot from node {peer_id} could not be stored: {error}"
            self.failures["snapshot was damaged or could not be stored"] += 1
            self.abandon()
            incoming = None
        if incoming is None:
            self._post.hold(peer_id, SnapshotAnswer(raft.term, message.round, ref.index, 0, True))
            return
        if message.last:
            self.problem = ""
            self._install(incoming.ref)
            log.info("installed snapshot %d from %s (%d bytes)", ref.index, peer_id, incoming.received)
            self._answer(peer_id, message.round, True, raft.commit_index + 1)
        self._post.hold(
            peer_id, SnapshotAnswer(raft.term, message.round, ref.index, incoming.received, False)
        )

    def _receive(self, peer_id: str, message: SnapshotChunk) -> _Incoming | None:
        """Write the chunk; None when it does not continue what was received so far."""
        if message.offset == 0:
            self.abandon()
            writer = self._store.receive(message.ref)
            self._incoming = _Incoming(peer_id, message.term, message.ref, writer)
        incoming = self._incoming
        if incoming is None or not incoming.continues(peer_id, message):
            return None
        incoming.writer.write(message.offset, message.data)
        incoming.received += len(message.data)
        return incoming

    def _verify(self, incoming: _Incoming) -> None:
        """Make the copy the state.  The journal first: the term under which it came must not be lost
        while its result stays."""
        self._incoming = None
        self._log.journal.flush()
        incoming.writer.commit()

    def _install(self, ref: SnapshotRef) -> None:
        """State and log change together; a crash in between is completed at the next start."""
        keep = rules.suffix_matches(self._log, ref.index, ref.term)
        self._log.install(
            ref.index, ref.term, placed(ref.configuration_index, ref.configuration), keep_suffix=keep
        )
        self._log.journal.flush()
        self._raft.commit_index = max(self._raft.commit_index, ref.index)
        self._installed(ref)
        self._elections.heard_now()

    def abandon(self) -> None:
        """Forget a snapshot that was not received to its end."""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.writer.abort()
