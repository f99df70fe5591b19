"""Becoming leader, and refusing to disturb one.

A node whose time is up first asks whether it could win (pre-vote); only then it raises the term and
campaigns.  Votes leave after they are durable.  Who may campaign and whom an answer counts for follows
from the configuration in force; the voter's own standing plays no part in its answer.
"""

from collections.abc import Callable

from orchestrix_raft.consensus import membership_rules, rules
from orchestrix_raft.consensus.bridge import PeerNode, Raft
from orchestrix_raft.consensus.configuration import ConfiguredLog, Standing
from orchestrix_raft.consensus.messages import (
    PreVote,
    PreVoteAnswer,
    TimeoutNow,
    VoteAnswer,
    VoteRequest,
)
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.peers import Peers, Post
from orchestrix_raft.consensus.port import Role

NEVER = float("-inf")


class Elections:
    """Time-outs, pre-votes, votes."""

    def __init__(
        self,
        raft: Raft,
        log: ConfiguredLog,
        peers: Peers,
        post: Post,
        options: Options,
        draw_nonce: Callable[[], int],
        now: Callable[[], float],
    ) -> None:
        self._raft, self._log, self._peers, self._post = raft, log, peers, post
        self._options, self._draw_nonce, self._now = options, draw_nonce, now
        self.heard_leader_at = NEVER
        """When this node last heard a leader of its term, on the engine's clock."""
        self.backed_leader_at = NEVER
        """The same, and also when a majority last answered this node as their leader."""
        self._asked: tuple[int, set[str]] | None = None  # nonce of the pre-vote, who said yes
        self._pre_vote_won = False
        self._votes: set[str] = set()
        self._retired = False  # told that it is no voter any more: silent until a leader speaks to it

    # -- time ------------------------------------------------------------------------------------
    def tick(self) -> None:
        raft = self._raft
        if raft.leading:
            return
        due = self._now() >= raft.election_deadline
        if not due and self._at_rest:
            return
        if not self._may_campaign():
            self._rest(due)
        elif due:
            raft.restart_election_timer()
            raft.set_leader(None)
            if self._ready_to_campaign():
                self._campaign()

    @property
    def _at_rest(self) -> bool:
        """It follows, and nothing of an election is under way that would have to be given up."""
        raft = self._raft
        return (
            raft.role is Role.FOLLOWER
            and self._asked is None
            and not self._pre_vote_won
            and not raft.transfer_asked
        )

    def _may_campaign(self) -> bool:
        if self._raft.loading or (self._retired and not self._raft.transfer_asked):
            return False
        newest = self._log.in_force
        before = self._log.at(newest.index - 1)
        return membership_rules.may_campaign(
            self._peers.node_id, self._peers.disk_id, newest, before, self._raft.commit_index
        )

    def _rest(self, due: bool) -> None:
        raft = self._raft
        if raft.role is Role.CANDIDATE:
            raft.set_role(Role.FOLLOWER)
        self._asked, self._pre_vote_won = None, False
        raft.end_transfer()
        if due:
            raft.set_leader(None)
            raft.restart_election_timer()

    def _ready_to_campaign(self) -> bool:
        """The leader asked for it, or a majority said yes, or there is nobody to ask."""
        if self._raft.transfer_asked or self._pre_vote_won:
            return True
        self._asked = (self._draw_nonce(), {self._peers.node_id})
        configuration_index = self._log.in_force.index
        for voter in self._other_voters():
            self._post.send(
                voter,
                PreVote(
                    self._raft.term + 1,
                    self._asked[0],
                    self._log.last_index,
                    self._log.last_term,
                    configuration_index,
                ),
            )
        return self._peers.is_quorum(self._asked[1])

    def _campaign(self) -> None:
        raft = self._raft
        transfer = raft.transfer_asked
        raft.end_transfer()
        self._asked, self._pre_vote_won = None, False
        raft.set_role(Role.CANDIDATE)
        raft.set_term(raft.term + 1, self._peers.node_id)
        self._votes = {self._peers.node_id}
        request = VoteRequest(
            raft.term, self._log.last_index, self._log.last_term, self._log.in_force.index, transfer
        )
        for voter in self._other_voters():
            self._post.hold(voter, request)
        self._take_office_if_elected()

    def _take_office_if_elected(self) -> None:
        if self._peers.is_quorum(self._votes):
            self._raft.become_leader()
            self._peers.forget_progress()

    def _other_voters(self) -> list[str]:
        """Voters that are connected; the others would not hear it anyway."""
        return [p.node_id for p in self._peers.all if p.standing is Standing.VOTER and p.connected]

    # -- being asked -----------------------------------------------------------------------------
    def on_pre_vote(self, peer_id: str, message: PreVote) -> None:
        gone = self._is_gone(peer_id, message.configuration_index)
        granted = not gone and rules.judge_pre_vote(self._as_voter(), message)
        self._post.send(peer_id, PreVoteAnswer(self._raft.term, message.nonce, granted, gone))

    def on_vote_request(self, peer_id: str, message: VoteRequest) -> None:
        raft = self._raft
        gone = self._is_gone(peer_id, message.configuration_index)
        ballot = rules.judge_vote(self._as_voter(), peer_id, gone, message)
        if ballot.adopt:
            self.adopt(message.term)
        if ballot.grant:
            raft.set_term(message.term, peer_id)
            raft.restart_election_timer()
            self._post.hold(peer_id, VoteAnswer(message.term))

    def _as_voter(self) -> rules.Voter:
        raft, log, peers = self._raft, self._log, self._peers
        return rules.Voter(
            raft.term,
            raft.voted_for,
            log.last_term,
            log.last_index,
            raft.leading,
            self._protects_leader(),
            membership_rules.belongs(log.history(), peers.node_id, peers.disk_id),
        )

    def _protects_leader(self) -> bool:
        now, limit_s = self._now(), self._options.election_min_s
        if self._raft.leading:
            return now - self._peers.majority_heard_at(now) < limit_s
        return now - self.heard_leader_at < limit_s

    def _is_gone(self, peer_id: str, configuration_index: int) -> bool:
        return membership_rules.is_gone(self._log.at(self._raft.commit_index), peer_id, configuration_index)

    # -- being answered --------------------------------------------------------------------------
    def on_pre_vote_answer(self, peer_id: str, message: PreVoteAnswer) -> None:
        if self._asked is None or self._asked[0] != message.nonce or self._raft.leading:
            return
        if message.gone:
            self._retired = True
            self._asked = None
        elif not self._peers.speaks_for_member(peer_id):
            return
        elif message.term > self._raft.term:
            self._asked = None
            self.adopt(message.term)
        elif message.granted:
            self._asked[1].add(peer_id)
            if self._peers.is_quorum(self._asked[1]):
                self._asked, self._pre_vote_won = None, True
                self._raft.campaign_soon()

    def on_vote_answer(self, peer_id: str, message: VoteAnswer) -> None:
        if self._raft.role is not Role.CANDIDATE or message.term != self._raft.term:
            return
        if self._peers.speaks_for_member(peer_id):
            self._votes.add(peer_id)
            self._take_office_if_elected()

    def on_timeout_now(self, peer_id: str, message: TimeoutNow) -> None:
        self._raft.hear_timeout_now(PeerNode(peer_id), message.term)

    # -- following -------------------------------------------------------------------------------
    def adopt(self, term: int) -> None:
        """A higher term exists: follow, without a leader yet."""
        self._raft.set_term(term, None)
        self.step_down()

    def step_down(self) -> None:
        if self._raft.leading:
            self.backed_leader_at = max(self.backed_leader_at, self._peers.majority_heard_at(self._now()))
        self._raft.set_role(Role.FOLLOWER)
        self._raft.set_leader(None)

    def follow(self, leader_id: str, term: int) -> None:
        """A leader of this or a higher term spoke."""
        raft = self._raft
        if term > raft.term:
            raft.end_transfer()
            raft.set_term(term, None)
        self.heard_now()
        if raft.leader_id != leader_id:
            raft.set_leader(PeerNode(leader_id))
        if raft.role is not Role.FOLLOWER:
            raft.set_role(Role.FOLLOWER)
        self._asked, self._pre_vote_won, self._retired = None, False, False

    def heard_now(self) -> None:
        """The leader is alive; also after long work in its service, during which its messages waited."""
        self.heard_leader_at = self.backed_leader_at = self._now()
        if not self._raft.transfer_asked:  # else the old leader's heartbeats would postpone what it asked for
            self._raft.restart_election_timer()
