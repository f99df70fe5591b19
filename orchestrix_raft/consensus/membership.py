"""Changing the members, one at a time, and what a leader owes to those who come and go.

A change is one configuration entry; it is in force as soon as it is in the log.  A new member starts as
a staging learner and is made a voter by whoever leads when it has caught up.  A removed member still
hears of its removal; a leader that removed itself hands over.
"""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.consensus import membership_rules
from orchestrix_raft.consensus.bridge import Raft
from orchestrix_raft.consensus.configuration import ConfiguredLog, Standing
from orchestrix_raft.consensus.messages import TimeoutNow
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.peers import Peer, Peers, Post
from orchestrix_raft.consensus.reads import call
from orchestrix_raft.storage.port import Entry

_LEARN: Final = (Standing.STAGING, Standing.LEARNER)

Done = Callable[[bool | None, str], None]


class Membership:
    """Changes under way and the duties that follow from the configuration."""

    def __init__(
        self,
        raft: Raft,
        log: ConfiguredLog,
        peers: Peers,
        post: Post,
        options: Options,
        now: Callable[[], float],
    ) -> None:
        self._raft, self._log, self._peers, self._post = raft, log, peers, post
        self._options, self._now = options, now
        self._waiting: dict[int, Done] = {}  # by log index; all of this term of office, see `give_up`

    # -- asking for a change ---------------------------------------------------------------------
    def change(self, change: str, node_id: str, disk_id: str | None, done: Done) -> None:
        refusal = self._refusal(change, node_id, disk_id)
        if refusal is not None:
            call(done, False, refusal)
            return
        index = self._append(change, node_id, disk_id, f"{change}:{node_id}")
        self._waiting[index] = done

    def _refusal(self, change: str, node_id: str, disk_id: str | None) -> str | None:
        raft, peer = self._raft, self._peers.by_id.get(node_id)
        promotable = change == membership_rules.PROMOTE and peer is not None and raft.leading
        facts = membership_rules.ChangeFacts(
            raft.leading,
            raft.commit_index >= raft.no_op_index,
            self._log.in_force,
            raft.commit_index,
            self._peers.answering(self._options.election_max_s, self._now()),
            promotable and peer is not None and self._caught_up(peer),
        )
        return membership_rules.refuse_change(change, node_id, disk_id, facts)

    def _append(self, change: str, node_id: str, disk_id: str | None, request_id: str) -> int:
        configuration = membership_rules.changed(self._log.in_force, change, node_id, disk_id, request_id)
        index = self._log.last_index + 1
        self._log.append(Entry(configuration.encode(), index, self._raft.term))
        self._raft.replicate_now = True
        return index

    # -- hearing of its end ----------------------------------------------------------------------
    def applied(self, index: int) -> None:
        """The configuration at `index` was applied; if a change waits there, it is made."""
        done = self._waiting.pop(index, None)
        if done is not None:
            call(done, True, "")

    def give_up(self, why: str) -> None:
        """This node cannot follow the changes it was asked for any more."""
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            call(done, None, why)

    # -- duties of a leader ----------------------------------------------------------------------
    def tick(self) -> None:
        self._promote()
        self._peers.end_lingering()

    def _promote(self) -> None:
        """Time the rounds of all learners; make one staging learner that has caught up a voter."""
        learners = [p for p in self._peers.all if p.standing is not Standing.VOTER and p.standing in _LEARN]
        if not learners:
            return
        able = [p for p in learners if self._caught_up(p) and p.standing is Standing.STAGING]
        for peer in able[:1]:
            if self._refusal(membership_rules.PROMOTE, peer.node_id, None) is None:
                self._append(membership_rules.PROMOTE, peer.node_id, None, "caught-up")

    def _caught_up(self, peer: Peer) -> bool:
        now, limit_s = self._now(), self._options.election_min_s
        match, last = self._raft.match_index[peer.node], self._log.last_index
        peer.catch_up = membership_rules.next_round(peer.catch_up, match, last, now, limit_s)
        answered_s = now - self._raft.answered_at[peer.node]
        return membership_rules.caught_up(
            peer.catch_up, last - match, self._options.catch_up_lag, answered_s, limit_s
        )

    def leave_if_removed(self, step_down: Callable[[], None]) -> None:
        """A leader whose removal is committed, and who has just sent the others that commit, hands over and
        steps down."""
        index, configuration = self._log.in_force
        if configuration is None or self._peers.node_id in configuration.voters:
            return
        raft = self._raft
        if index > raft.commit_index:
            return
        successor = self._successor()
        if successor is not None:
            self._post.send(successor, TimeoutNow(raft.term))
        step_down()

    def _successor(self) -> str | None:
        """A connected voter that has the whole log."""
        last, match_index = self._log.last_index, self._raft.match_index
        able = [
            peer.node_id
            for peer in self._peers.all
            if peer.standing is Standing.VOTER and peer.connected and match_index[peer.node] == last
        ]
        return max(able, default=None)
