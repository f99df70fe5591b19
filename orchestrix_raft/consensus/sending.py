"""Sending a snapshot to a peer that needs entries the log no longer has.

The leader asks the store for a copy of the newest checkpoint and streams it in chunks, a few under way
at a time.  A lost connection ends the transfer; the next one starts from the first byte.  While it runs,
the log behind the snapshot is kept, within a bound.

A disk that cannot make or read the copy ends the transfer and nothing else: log and state are unharmed.  It
is tried again after a while; until then `problems` says so.
"""

import logging
from collections import Counter

from orchestrix_raft.consensus.bridge import Raft
from orchestrix_raft.consensus.messages import SnapshotAnswer, SnapshotChunk
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.peers import Peer, Post
from orchestrix_raft.storage.port import SnapshotReader, StateStore, StorageError

log = logging.getLogger(__name__)


class _Transfer:
    __slots__ = ("progress_at", "reader", "received", "sent")

    def __init__(self, reader: SnapshotReader, now: float) -> None:
        self.reader = reader
        self.sent = self.received = 0
        self.progress_at = now


class SnapshotSender:
    """The snapshots under way, by peer."""

    def __init__(self, raft: Raft, post: Post, store: StateStore, options: Options) -> None:
        self._raft, self._post, self._store, self._options = raft, post, store, options
        self._transfers: dict[str, _Transfer] = {}
        self._retry_at: dict[str, float] = {}
        self._awaited: dict[str, int] = {}
        """Peer -> checkpoint at the time its copy was asked for: the copy is at least that new."""
        self._refused: dict[str, str] = {}
        """Peer -> why it gets no snapshot at present."""
        self.failures: Counter[str] = Counter()

    def serve(self, peer: Peer, round_number: int, now: float) -> bool:
        """Send what the window allows; whether anything was sent.  While the store still makes the
        copy, nothing is: the caller's heartbeats keep the peer quiet.  The same when the disk refuses."""
        try:
            return self._serve(peer, round_number, now)
        except StorageError as error:
            self._give_up(peer.node_id, error, now)
            return False

    def _give_up(self, peer_id: str, error: StorageError, now: float) -> None:
        """End the transfer until later.  The log is not kept for it meanwhile: on a full disk that would
        make things worse."""
        if peer_id not in self._refused:
            every_s = self._options.copy_retry_s
            log.warning("no snapshot for %s: %s; trying again every %.0f s", peer_id, error, every_s)
        self._refused[peer_id] = str(error)
        self.failures["no snapshot could be made or read"] += 1
        self._awaited.pop(peer_id, None)
        self._end(peer_id)
        self._retry_at[peer_id] = now + self._options.copy_retry_s

    @property
    def problems(self) -> list[str]:
        """One line for every peer that needs a snapshot and gets none."""
        refused = sorted(self._refused.items())
        return [f"node {peer_id} lags behind and gets no snapshot: {why}" for peer_id, why in refused]

    def _serve(self, peer: Peer, round_number: int, now: float) -> bool:
        transfer = self._transfers.get(peer.node_id) or self._begin(peer, now)
        if transfer is None:
            return False
        if now - transfer.progress_at > self._options.snapshot_stall_s:
            transfer.sent = transfer.received = 0
            transfer.progress_at = now
        ref = transfer.reader.ref
        window = self._options.chunk_bytes * self._options.chunk_window
        before = transfer.sent
        while transfer.sent < ref.size and transfer.sent - transfer.received < window:
            data = transfer.reader.read(transfer.sent, self._options.chunk_bytes)
            if not data:  # the copy is shorter than announced; make another one
                self._end(peer.node_id)
                self._retry_at[peer.node_id] = now + self._options.snapshot_retry_s
                return False
            self._post.send(
                peer.node_id, SnapshotChunk(self._raft.term, round_number, ref, transfer.sent, data)
            )
            transfer.sent += len(data)
            self._refused.pop(peer.node_id, None)
        return transfer.sent > before

    def _begin(self, peer: Peer, now: float) -> _Transfer | None:
        if now < self._retry_at.get(peer.node_id, 0.0):
            return None
        reader = self._store.snapshot()
        if reader is None:
            if peer.node_id not in self._awaited:
                position = self._store.position()
                self._awaited[peer.node_id] = position.index if position else 1
            return None
        self._awaited.pop(peer.node_id, None)
        transfer = self._transfers[peer.node_id] = _Transfer(reader, now)
        return transfer

    def on_answer(self, peer: Peer, message: SnapshotAnswer, now: float) -> None:
        transfer = self._transfers.get(peer.node_id)
        if transfer is None or message.index != transfer.reader.ref.index:
            return
        if message.failed:
            self._end(peer.node_id)
            self._retry_at[peer.node_id] = now + self._options.snapshot_retry_s
        elif message.received > transfer.received:
            transfer.received = min(message.received, transfer.sent)
            transfer.progress_at = now
            self._raft.replicate_now = True

    def reached(self, peer: Peer, match_index: int) -> None:
        """The peer has everything up to `match_index`."""
        self._refused.pop(peer.node_id, None)
        transfer = self._transfers.get(peer.node_id)
        if transfer is not None and match_index >= transfer.reader.ref.index:
            self._end(peer.node_id)

    def received_bytes(self, peer_id: str) -> int:
        transfer = self._transfers.get(peer_id)
        return transfer.received if transfer else 0

    def pinned_index(self) -> int | None:
        """The receivers go on behind this index: it must stay in the log.  It counts from the moment a
        copy is asked for, or a log that is dropped faster than the state is copied would never do."""
        under_way = [transfer.reader.ref.index for transfer in self._transfers.values()]
        return min([*under_way, *self._awaited.values()], default=None)

    def forget(self, peer_id: str) -> None:
        """The connection ended or is a new one."""
        self._end(peer_id)
        self._retry_at.pop(peer_id, None)
        self._awaited.pop(peer_id, None)
        self._refused.pop(peer_id, None)

    def forget_all(self) -> None:
        for peer_id in list(self._transfers):
            self._end(peer_id)
        self._retry_at.clear()
        self._awaited.clear()
        self._refused.clear()

    def _end(self, peer_id: str) -> None:
        transfer = self._transfers.pop(peer_id, None)
        if transfer is not None:
            try:
                transfer.reader.close()
            except StorageError as error:  # nobody reads what is left; the store's next opening removes it
                log.warning("the copy of a snapshot was not removed: %s", error)
                self.failures["a copy could not be removed"] += 1
