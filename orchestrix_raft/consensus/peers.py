"""Who is replicated to, who is connected, and what waits to be sent.

`Peers` follows the configuration in force: its members without this node, plus members removed a
moment ago, which still get the log for a while so that they learn of their removal.  It answers whose
word counts.  `Post` keeps what must not leave before the disk has it.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from orchestrix_raft.consensus.bridge import PeerNode, Raft
from orchestrix_raft.consensus.configuration import (
    Configuration,
    ConfiguredLog,
    Member,
    Placed,
    Standing,
)
from orchestrix_raft.consensus.membership_rules import CatchUp, speaks_for_member
from orchestrix_raft.consensus.messages import AppendAnswer, Message


class Linger(NamedTuple):
    index: int  # type: ignore[assignment]  # of the configuration that removed the peer
    until: float


class Peer:
    """What a leader remembers of one peer, beside the indexes PySyncObj keeps."""

    __slots__ = (
        "acknowledged_index",
        "acknowledged_round",
        "catch_up",
        "connected",
        "disk_id",
        "forgetful",
        "heartbeat_at",
        "in_flight",
        "in_flight_bytes",
        "linger",
        "node",
        "node_id",
        "sent_commit",
        "sent_round",
        "standing",
    )

    def __init__(self, node_id: str, disk_id: str) -> None:
        self.node_id = node_id
        self.disk_id = disk_id
        self.node = PeerNode(node_id)
        self.connected = False
        self.standing: Standing | None = None  # None: removed, lingering
        self.linger: Linger | None = None
        self.catch_up: CatchUp | None = None
        self.acknowledged_index = 0
        """Its disk must hold the log up to here, whatever became of connections and offices."""
        self.forgetful = False
        """Its disk does not: it counts for nothing until it does."""
        self.forget()

    def forget(self) -> None:
        """A new term of office: nothing is known about what was sent before."""
        self.acknowledged_round = 0
        self.catch_up = None
        self.linger = None
        self.start_connection()

    def start_connection(self) -> None:
        """Nothing that was sent before arrives any more, and the peer is to be greeted at once."""
        self.rewind()
        self.heartbeat_at = 0.0
        self.sent_commit = 0
        self.sent_round = 0

    def rewind(self) -> None:
        """What is under way was refused or lost."""
        self.in_flight: deque[tuple[int, int]] = deque()  # (last index, bytes) of each append under way
        self.in_flight_bytes = 0

    def sent(self, last_index: int, size: int) -> None:
        self.in_flight.append((last_index, size))
        self.in_flight_bytes += size

    def arrived(self, match_index: int) -> None:
        while self.in_flight and self.in_flight[0][0] <= match_index:
            self.in_flight_bytes -= self.in_flight.popleft()[1]


class Post:
    """Messages on their way to the owner's outbox."""

    def __init__(self) -> None:
        self.out: list[tuple[str, Message]] = []
        self._held: list[tuple[str, Message]] = []
        self._answers: dict[str, AppendAnswer] = {}

    def send(self, peer_id: str, message: Message) -> None:
        """Nothing in it depends on what is not durable yet."""
        self.out.append((peer_id, message))

    def hold(self, peer_id: str, message: Message) -> None:
        """It leaves once everything up to now is durable."""
        self._held.append((peer_id, message))

    def answer(self, peer_id: str, message: AppendAnswer) -> None:
        """As `hold`; of several answers to one peer only the newest is worth sending."""
        self._answers[peer_id] = message

    @property
    def holds(self) -> bool:
        return bool(self._held or self._answers)

    def release(self, term: int) -> None:
        """Everything is durable.  What was meant for an earlier term has lost its meaning."""
        self.out += [(peer_id, message) for peer_id, message in self._held if message.term >= term]
        self.out += [(peer_id, answer) for peer_id, answer in self._answers.items() if answer.term >= term]
        self._held.clear()
        self._answers.clear()


class Peers:
    """The table of peers, and whose word counts."""

    def __init__(
        self,
        node_id: str,
        disk_id: str,
        raft: Raft,
        log: ConfiguredLog,
        linger_s: float,
        now: Callable[[], float],
    ) -> None:
        self.node_id = node_id
        self.disk_id = disk_id
        self.links: dict[str, str] = {}
        """peer -> the disk it speaks for, for every connection that is up."""
        self.all: list[Peer] = []
        """Everybody replicated to, in order of ids."""
        self.by_id: dict[str, Peer] = {}
        self.refused: Counter[str] = Counter()
        self._raft, self._log, self._linger_s, self._now = raft, log, linger_s, now
        self._seen = Placed(-1, None)

    @property
    def configuration(self) -> Configuration | None:
        return self._log.in_force.configuration

    # -- whose word counts -----------------------------------------------------------------------
    def speaks_for_member(self, peer_id: str) -> bool:
        """The peer is a member, on the disk it joined with, and that disk has kept what it acknowledged."""
        peer = self.by_id.get(peer_id)
        if peer is not None and peer.forgetful:
            self.refused[f"{peer_id} has forgotten entries that it acknowledged"] += 1
            return False
        if speaks_for_member(self.configuration, peer_id, self.links.get(peer_id)):
            return True
        if self.configuration is not None and peer_id in self.configuration.members:
            self.refused[f"{peer_id} speaks for another disk than the one that joined"] += 1
        return False

    def on_own_disk(self, peer: Peer) -> bool:
        """The connection is up and leads to the disk that the peer joined with."""
        return self.links.get(peer.node_id) == peer.disk_id

    def is_quorum(self, ids: set[str]) -> bool:
        """Voters of the configuration in force; a node outside it does not count, not even itself."""
        return self.configuration is not None and self.configuration.is_quorum(ids)

    def answering(self, within_s: float, now: float) -> set[str]:
        """Members that are connected and were heard within that time, this node included."""
        answered_at = self._raft.answered_at
        heard = {
            peer.node_id
            for peer in self.all
            if peer.standing is not None
            and peer.connected
            and not peer.forgetful
            and now - answered_at[peer.node] < within_s
        }
        heard.add(self.node_id)
        return heard

    def majority_heard_at(self, now: float) -> float:
        """When a majority had last answered this leader."""
        configuration = self._log.in_force.configuration
        if configuration is None:
            return -1.0
        answered_at, by_id, me = self._raft.answered_at, self.by_id, self.node_id
        times = [now if voter == me else answered_at[by_id[voter].node] for voter in configuration.voters]
        times.sort(reverse=True)
        return times[len(times) // 2]

    # -- following the configuration -------------------------------------------------------------
    def follow_configuration(self) -> None:
        """Make the table fit the configuration in force and the peers that still linger."""
        before, self._seen = self._seen, self._log.in_force
        configuration = self.configuration
        members = dict(configuration.members) if configuration else {}
        members.pop(self.node_id, None)
        if self._raft.leading and before.configuration is not None and before.index != self._seen.index:
            self._let_linger(before.configuration, Linger(self._seen.index, self._now() + self._linger_s))
        kept = {peer.node_id for peer in self.all if peer.linger and self._raft.leading}
        self.by_id = {i: self._peer_for(i, members.get(i)) for i in sorted(kept | set(members))}
        self.all = list(self.by_id.values())
        for peer in self.all:
            self._note_connection(peer)
        voters = [peer.node for peer in self.all if peer.standing is Standing.VOTER]
        self._raft.set_peers(voters, [peer.node for peer in self.all if peer.standing is not Standing.VOTER])

    def _peer_for(self, node_id: str, member: Member | None) -> Peer:
        """What is known of a peer holds for its disk: on another one it has nothing of the log."""
        peer = self.by_id.get(node_id)
        if member is not None:
            if peer is None or peer.disk_id != member.disk_id:
                peer = Peer(node_id, member.disk_id)
                self._raft.forget_progress(peer.node)
            peer.linger = None
        assert peer is not None  # who lingers was a member before
        peer.standing = member.standing if member else None
        return peer

    def _let_linger(self, before: Configuration, linger: Linger) -> None:
        for peer in self.all:
            if peer.node_id in before.members:
                peer.linger = linger

    def end_lingering(self) -> None:
        """Forget removed peers that know it, or that had their time."""
        lingering = [peer for peer in self.all if peer.linger is not None]
        if not lingering:
            return
        now, commit_index, changed = self._now(), self._raft.commit_index, False
        for peer in lingering:
            assert peer.linger is not None
            if commit_index >= peer.linger.index and self._raft.match_index[peer.node] >= peer.linger.index:
                peer.linger = peer.linger._replace(until=min(peer.linger.until, now + 0.5))
            if now > peer.linger.until:
                peer.linger = None
                changed = True
        if changed:
            self.follow_configuration()

    def forget_progress(self) -> None:
        """A term of office begins or ended.  What is not committed may be rewritten by the next leader; what
        is committed and was acknowledged stays on a disk for good."""
        for peer in self.all:
            peer.acknowledged_index = min(peer.acknowledged_index, self._raft.commit_index)
            peer.forget()
        self.follow_configuration()

    # -- connections -----------------------------------------------------------------------------
    def connect(self, peer_id: str, disk_id: str) -> None:
        self.links[peer_id] = disk_id
        self.speaks_for_member(peer_id)  # a member on a strange disk is worth a count
        peer = self.by_id.get(peer_id)
        if peer is not None:
            self._begin_unknown(peer)
        self._reconnected(peer_id)

    def _begin_unknown(self, peer: Peer) -> None:
        """Whoever speaks now may be another process, on a copy of that disk: it has to show what it holds."""
        self._raft.match_index[peer.node] = 0
        if not self._raft.leading:  # only a leader is shown; another one may have brought it up to date
            peer.forgetful = False

    def disconnect(self, peer_id: str) -> None:
        self.links.pop(peer_id, None)
        self._reconnected(peer_id)

    def _reconnected(self, peer_id: str) -> None:
        peer = self.by_id.get(peer_id)
        if peer is None:
            return
        self._note_connection(peer)
        peer.start_connection()
        last = self._log.last_index
        self._raft.next_index[peer.node] = min(peer.acknowledged_index or last, last) + 1

    def _note_connection(self, peer: Peer) -> None:
        """A peer on a strange disk gets nothing: what it answered would not count."""
        peer.connected = self.on_own_disk(peer)
        self._raft.set_connected(peer.node, peer.connected)
