"""Every cure and rule of the engine, and how to take it out.

The product has no switches: each rule stands in one function, and here that function is replaced by
what was unsafe.  With the rule gone a scripted schedule or some seeds of a mix must fail; a test keeps
this table honest.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

from orchestrix_raft.consensus import membership, membership_rules, peers, reads, rules
from orchestrix_raft.consensus.configuration import Configuration, ConfiguredLog, Member, Placed, Standing
from orchestrix_raft.consensus.elections import Elections
from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.consensus.following import Following
from orchestrix_raft.consensus.membership import Membership
from orchestrix_raft.consensus.messages import AppendAnswer, AppendEntries, Message, SnapshotAnswer
from orchestrix_raft.consensus.peers import Peers, Post
from orchestrix_raft.consensus.reads import Reads
from orchestrix_raft.consensus.replication import Replication
from orchestrix_raft.consensus.sending import SnapshotSender
from orchestrix_raft.storage.port import StorageError

Unsafe = Callable[..., Any]


class Ablation(NamedTuple):
    """What replaces a rule, and what must then fail: scripted tests (by name, any of them) or some of
    the first `seeds` of a mix (any of them)."""

    patches: tuple[tuple[object, str, Unsafe], ...]
    scripts: tuple[str, ...] = ()
    mixes: tuple[str, ...] = ()
    seeds: int = 60


def always(answer: object) -> Unsafe:
    return lambda *args, **kwargs: answer


# -- SAFETY: log and commit ----------------------------------------------------------------------
_on_append = Following.on_append


def _commit_by_own_end(self: Following, peer_id: str, message: AppendEntries) -> None:
    _on_append(self, peer_id, message)
    raft = self._raft
    raft.commit_index = max(raft.commit_index, min(message.commit_index, self._log.last_index))


_judge_append = rules.judge_append


def _cut_everything_behind(log: rules.LogFacts, commit_index: int, message: AppendEntries) -> object:
    verdict = _judge_append(log, commit_index, message)
    if not isinstance(verdict, rules.Accept) or message.prev_index < log.first_index:
        return verdict
    longer = log.last_index > message.prev_index
    return verdict._replace(skip=0, truncate_from=message.prev_index + 1 if longer else None)


def _reject_at_own_end(log: rules.LogFacts, commit_index: int, message: AppendEntries) -> object:
    verdict = _judge_append(log, commit_index, message)
    if isinstance(verdict, rules.Reject):
        beyond = message.prev_index > log.last_index
        return rules.Reject(log.last_index + 1 if beyond else message.prev_index)
    return verdict


_on_append_answer = Replication.on_append_answer


def _next_index_falls_back(self: Replication, peer: peers.Peer, message: AppendAnswer) -> None:
    _on_append_answer(self, peer, message)
    if message.matched:
        self._raft.next_index[peer.node] = message.next_index


# -- SAFETY: durability --------------------------------------------------------------------------
def _send_at_once(self: Post, peer_id: str, message: Message) -> None:
    self.out.append((peer_id, message))


_apply_committed = Engine._apply_committed


def _note_durable_only(self: Engine) -> None:
    self._raft.term_durable = True


def _flush_after_applying(self: Engine) -> None:
    _apply_committed(self)
    self._log.journal.flush()


def _count_undurable(self: Replication) -> int:
    return self._log.last_index


# -- SAFETY: snapshots ---------------------------------------------------------------------------
_verify = Following._verify


def _install_unverified(self: Following, incoming: Any) -> None:
    try:
        _verify(self, incoming)
    except StorageError:
        return


def _spin(self: SnapshotSender, peer: peers.Peer, round_number: int, now: float) -> bool:
    peer.heartbeat_at = 0.0
    self._raft.replicate_now = True
    return False


# -- SAFETY: applying and calling back -------------------------------------------------------------
_apply_entry = Engine._apply_entry


def _skip_what_fails(self: Engine, entry: Any) -> None:
    apply = self._apply

    def forgiving(index: int, term: int, data: bytes) -> None:
        try:
            apply(index, term, data)
        except Exception:  # exactly what the rule forbids
            return

    self._apply = forgiving
    try:
        _apply_entry(self, entry)
    finally:
        self._apply = apply


def _call_unshielded(done: Unsafe, *args: object) -> None:
    done(*args)


def _say_nothing_to_stale_leaders(self: Following, peer_id: str, term: int, round_number: int) -> bool:
    if term < self._raft.term:
        return False
    self._elections.follow(peer_id, term)
    return True


# -- MEMBERSHIP ------------------------------------------------------------------------------------
def _committed_configuration(self: Peers) -> Configuration | None:
    return self._log.at(self._raft.commit_index).configuration


def _no_scan(self: ConfiguredLog) -> None:
    self._derive()


def _install_without_configuration(
    self: ConfiguredLog, index: int, term: int, base: Placed, keep_suffix: bool
) -> None:
    self.journal.compact_to(index) if keep_suffix else self.journal.reset(
        self.journal.entry(self.first_index)._replace(data=b"\x01", index=index, term=term)
    )


def _newest_configuration(self: Engine, index: int) -> tuple[int, bytes]:
    return self._log.in_force.encode()


_changed = membership_rules.changed


def _two_at_once(placed: Placed, change: str, node_id: str, disk_id: str | None, why: str) -> Configuration:
    configuration = _changed(placed, change, node_id, disk_id, why)
    if change != membership_rules.REMOVE or len(configuration.voters) < 2:
        return configuration
    members = dict(configuration.members)
    del members[configuration.voters[0]]
    return Configuration(members, configuration.previous_index, why)


def _count_anybody(self: Configuration, ids: Collection[str]) -> bool:
    return 2 * len(ids) > len(self.voters)


def _held_by_anybody(self: Configuration, values: Mapping[str, int]) -> int:
    reached = sorted(values.values(), reverse=True)
    return [*reached, *([0] * len(self.voters))][len(self.voters) // 2]


_advance_commit = Replication.advance_commit


def _count_oneself_always(self: Replication) -> None:
    configuration = self._peers.configuration
    if configuration is not None and self._peers.node_id not in configuration.voters:
        copies = sorted(
            (self._raft.match_index[self._peers.by_id[i].node] for i in configuration.voters), reverse=True
        )
        held = [self._log.last_index, *copies][len(copies) // 2]
        raft = self._raft
        raft.commit_index = rules.leader_commit(raft.commit_index, held, raft.term, self._log.term_at)
    else:
        _advance_commit(self)


def _quorum_with_oneself(self: Peers, ids: set[str]) -> bool:
    configuration = self.configuration
    if configuration is None:
        return False
    known = sum(1 for voter in configuration.voters if voter in ids) + (
        self.node_id not in configuration.voters
    )
    return 2 * known > len(configuration.voters)


_is_quorum = Peers.is_quorum
_may_campaign = membership_rules.may_campaign


def _quorum_of_nobody(self: Peers, ids: set[str]) -> bool:
    return self.configuration is None or _is_quorum(self, ids)


def _campaign_unasked(node_id: str, disk_id: str, newest: Placed, before: Placed, commit_index: int) -> bool:
    return newest.configuration is None or _may_campaign(node_id, disk_id, newest, before, commit_index)


def _learners_campaign(node_id: str, disk_id: str, newest: Placed, before: Placed, commit_index: int) -> bool:
    listed = newest.configuration is not None and newest.configuration.lists(node_id, disk_id)
    return listed or _may_campaign(node_id, disk_id, newest, before, commit_index)


def _lists_any_disk(self: Configuration, node_id: str, disk_id: str | None) -> bool:
    return node_id in self.members


def _votes_on_any_disk(placed: Placed, node_id: str, disk_id: str) -> bool:
    return placed.configuration is not None and node_id in placed.configuration.voters


def _voters_vote(history: Collection[Placed], node_id: str, disk_id: str) -> bool:
    return membership_rules.votes_in(list(history)[-1], node_id, disk_id)


def _remove_carelessly(configuration: Configuration, node_id: str, answering: Collection[str]) -> str | None:
    return "last voter" if configuration.voters == (node_id,) else None


def _take_over_any_disk(member: Member | None, disk_id: str | None) -> str | None:
    return None


def _peer_by_id_only(self: Peers, node_id: str, member: Member | None) -> peers.Peer:
    peer = self.by_id.get(node_id) or peers.Peer(node_id, member.disk_id if member else "")
    peer.standing = member.standing if member else None
    if member is not None:
        peer.disk_id, peer.linger = member.disk_id, None
    return peer


_count_answer = Engine._count_answer


def _adopt_from_anybody(
    self: Engine, peer_id: str, message: AppendAnswer | SnapshotAnswer
) -> peers.Peer | None:
    if message.term > self._raft.term:
        self._elections.adopt(message.term)
    return _count_answer(self, peer_id, message)


_GONE = (membership_rules, "is_gone", always(False))
_STICKY = (Elections, "_protects_leader", always(False))
_PREVOTE = (Elections, "_ready_to_campaign", always(True))
_DISK = (
    (Configuration, "lists", _lists_any_disk),
    (membership_rules, "votes_in", _votes_on_any_disk),
    (Peers, "on_own_disk", lambda self, peer: peer.node_id in self.links),
)

ABLATIONS: dict[str, Ablation] = {
    # the log and what is committed
    "commit-verified": Ablation(
        ((Following, "on_append", _commit_by_own_end),),
        ("test_a_rejected_append_commits_nothing",),
        ("partition",),
    ),
    "equal-entries-stay": Ablation(
        ((rules, "judge_append", _cut_everything_behind),),
        ("test_entries_that_match_are_not_cut",),
        ("reconnect",),
    ),
    "next-index-grows": Ablation(
        ((Replication, "on_append_answer", _next_index_falls_back),),
        ("test_an_acknowledgement_never_takes_the_next_index_back",),
    ),
    "answer-term": Ablation(
        ((rules, "answer_counts", always(True)),),
        ("test_a_stale_acknowledgement_of_an_old_term_commits_nothing",),
    ),
    "own-term-commit": Ablation(
        (
            (
                rules,
                "leader_commit",
                lambda commit, held, term, term_at: max(commit, held),
            ),
        ),
        ("test_a_leader_commits_old_entries_only_behind_one_of_its_own",),
    ),
    "one-rejection": Ablation(
        ((rules, "judge_append", _reject_at_own_end),),
        ("test_every_rejection_of_a_burst_names_the_same_index",),
    ),
    # durability
    "durable-answers": Ablation(
        ((Post, "hold", _send_at_once), (Post, "answer", _send_at_once)),
        ("test_nothing_is_acknowledged_before_it_is_durable", "test_a_vote_leaves_only_once_it_is_durable"),
        ("power",),
    ),
    "flush-before-commit": Ablation(
        (
            (Engine, "_make_durable", _note_durable_only),
            (Engine, "_apply_committed", _flush_after_applying),
            (Replication, "_own_copy", _count_undurable),
        ),
        ("test_a_single_node_applies_only_what_is_durable",),
        ("one",),
    ),
    # snapshots and restart
    "suffix-stays": Ablation(
        ((rules, "suffix_matches", always(False)),),
        ("test_a_restart_keeps_what_was_acknowledged_behind_the_checkpoint",),
        ("snapshot", "full"),
    ),
    "verified-snapshot": Ablation(
        ((Following, "_verify", _install_unverified),),
        ("test_a_damaged_snapshot_is_refused_and_asked_for_again",),
        ("snapshot",),
    ),
    "no-gap": Ablation(
        ((rules, "missing_entries", always(None)),),
        ("test_a_log_without_its_checkpoint_stops_the_node",),
    ),
    "journal-with-checkpoint": Ablation(
        ((rules, "journal_is_older", always(False)),),
        ("test_a_checkpoint_without_its_journal_stops_the_node",),
    ),
    "newer-snapshot": Ablation(
        ((rules, "snapshot_is_newer", always(True)),),
        ("test_an_older_snapshot_is_ignored",),
    ),
    "quiet-while-copying": Ablation(
        ((SnapshotSender, "serve", _spin),),
        ("test_while_the_snapshot_is_being_made_the_leader_sends_plain_heartbeats",),
    ),
    # applying and calling back
    "apply-or-stop": Ablation(
        ((Engine, "_apply_entry", _skip_what_fails),),
        ("test_a_command_that_cannot_be_applied_stops_the_node",),
    ),
    "shielded-callbacks": Ablation(
        ((reads, "call", _call_unshielded), (membership, "call", _call_unshielded)),
        ("test_a_callback_that_raises_neither_stops_the_node_nor_is_called_twice",),
    ),
    # copies and backups
    "shown-anew": Ablation(
        ((Peers, "_begin_unknown", always(None)),),
        ("test_what_another_process_of_a_node_holds_is_not_counted_before_it_shows_it",),
    ),
    "kept-what-acknowledged": Ablation(
        ((rules, "has_forgotten", always(False)),),
        (
            "test_a_peer_that_shows_less_than_it_acknowledged_is_reported_and_does_not_count",
            "test_a_vote_of_a_peer_that_has_forgotten_does_not_count",
        ),
    ),
    # elections
    "stale-leader-told": Ablation(
        ((Following, "_is_leader", _say_nothing_to_stale_leaders),),
        ("test_a_stale_leader_is_told_and_steps_down",),
    ),
    "undisturbed": Ablation((_GONE, _STICKY, _PREVOTE), (), ("member-fast", "member-full"), 100),
    "pre-vote": Ablation((_PREVOTE,), ("test_a_returning_node_does_not_raise_the_term",)),
    "sticky-leader": Ablation((_STICKY,), ("test_a_living_leader_is_protected_from_vote_requests",)),
    "gone": Ablation((_GONE,), ("test_a_removed_node_is_told_and_falls_silent",)),
    # reads
    "read-round": Ablation(
        ((Reads, "_confirmed_round", lambda self: self.round),),
        ("test_a_leader_cut_off_answers_no_read",),
        ("partition", "stall"),
    ),
    "read-own-term": Ablation(
        ((Engine, "ready", property(lambda self: self._raft.leading)),),  # type: ignore[arg-type]
        ("test_a_new_leader_answers_no_read_before_its_no_op",),
    ),
    # membership
    "m-append": Ablation(
        ((Peers, "configuration", property(_committed_configuration)),),  # type: ignore[arg-type]
        ("test_a_configuration_is_in_force_as_soon_as_it_is_in_the_log",),
        ("member-calm",),
    ),
    "m-trunc": Ablation(
        ((ConfiguredLog, "_forget_from", lambda self, index: None),),
        ("test_a_truncated_configuration_is_in_force_no_more",),
        ("member-snipe", "member-fast"),
    ),
    "m-restart": Ablation(
        ((ConfiguredLog, "_scan", _no_scan),),
        ("test_an_uncommitted_configuration_is_in_force_again_after_a_restart",),
        ("member-fast",),
    ),
    "m-snapinst": Ablation(
        ((ConfiguredLog, "install", _install_without_configuration),),
        ("test_a_snapshot_brings_its_configuration",),
        ("member-snapshot",),
    ),
    "m-snapcfg": Ablation(
        ((Engine, "configuration_at", _newest_configuration),),
        ("test_a_checkpoint_holds_the_configuration_of_its_own_index",),
    ),
    "m-noop": Ablation(
        ((membership_rules, "own_term_is_committed", always(True)),),
        ("test_a_new_leader_changes_nothing_before_its_own_entry_is_committed",),
    ),
    "m-one": Ablation(
        ((membership_rules, "change_in_flight", always(False)),),
        ("test_one_change_at_a_time",),
        ("member-fast",),
    ),
    "m-multi": Ablation(
        ((membership_rules, "changed", _two_at_once),),
        ("test_a_change_touches_exactly_one_voter",),
        ("member-calm",),
    ),
    "m-losequorum": Ablation(
        ((membership_rules, "refuse_removal", _remove_carelessly),),
        ("test_a_removal_that_would_cost_the_quorum_is_refused",),
    ),
    "m-learner": Ablation(
        ((membership_rules, "entry_standing", always(Standing.VOTER)),),
        ("test_a_new_member_is_a_learner_until_it_has_caught_up",),
        ("member-calm",),
    ),
    "m-catchup": Ablation(
        ((membership_rules, "caught_up", always(True)),),
        ("test_a_new_member_is_a_learner_until_it_has_caught_up",),
    ),
    "m-filter": Ablation(
        ((Configuration, "is_quorum", _count_anybody), (Configuration, "held_by_majority", _held_by_anybody)),
        ("test_learners_and_strangers_never_count",),
        ("member-snipe", "member-fast"),
    ),
    "m-selfcount": Ablation(
        ((Replication, "advance_commit", _count_oneself_always), (Peers, "is_quorum", _quorum_with_oneself)),
        ("test_a_leader_that_removed_itself_does_not_count_itself",),
        ("member-snipe",),
    ),
    "m-stepdown": Ablation(
        ((Membership, "leave_if_removed", lambda self, step_down: None),),
        ("test_a_leader_that_removed_itself_hands_over_and_steps_down",),
        ("member-calm",),
    ),
    "m-join": Ablation(
        (
            (membership_rules, "may_campaign", _campaign_unasked),
            (Peers, "is_quorum", _quorum_of_nobody),
            (Reads, "_confirmed_round", lambda self: self.round),
        ),
        ("test_a_node_that_knows_no_members_never_campaigns",),
    ),
    "m-learnlead": Ablation(
        ((membership_rules, "may_campaign", _learners_campaign),),
        ("test_a_learner_never_campaigns",),
    ),
    "m-fig46": Ablation(
        ((membership_rules, "removal_undecided", always(False)),),
        ("test_a_node_whose_removal_only_it_holds_can_still_be_elected",),
    ),
    "m-learnvote": Ablation(
        ((membership_rules, "belongs", _voters_vote),),
        ("test_a_node_that_does_not_know_of_its_promotion_votes",),
    ),
    "m-fresh": Ablation(
        ((membership_rules, "belongs", always(True)),),
        ("test_a_fresh_disk_never_votes",),
    ),
    "m-did": Ablation(
        (*_DISK, (membership_rules, "belongs", always(True))),
        ("test_a_wiped_disk_neither_votes_nor_acknowledges",),
        ("member-wipe",),
        200,
    ),
    "m-newdisk": Ablation(
        ((Peers, "_peer_for", _peer_by_id_only),),
        ("test_a_member_added_again_on_another_disk_starts_from_nothing",),
        ("member-wipe",),
        200,
    ),
    "m-linger": Ablation(
        ((Peers, "_let_linger", lambda self, before, linger: None),),
        ("test_a_removed_member_learns_of_its_removal",),
    ),
    "m-terms": Ablation(
        ((Engine, "_count_answer", _adopt_from_anybody),),
        ("test_higher_terms_count_only_from_members",),
    ),
    "m-names": Ablation(
        ((membership_rules, "refuse_names", lambda *names: None),),
        ("test_a_name_that_cannot_stand_in_the_log_is_refused",),
    ),
    "m-sameid": Ablation(
        ((membership_rules, "refuse_addition", _take_over_any_disk),),
        ("test_a_wiped_disk_is_not_taken_in_under_its_old_id",),
    ),
}


@contextmanager
def without(rule: str | None) -> Iterator[None]:
    """Run with one rule replaced by what was unsafe (None: with all of them in place)."""
    applied = []
    try:
        for target, attribute, unsafe in ABLATIONS[rule].patches if rule else ():
            patch = mock.patch.object(target, attribute, unsafe)
            patch.start()
            applied.append(patch)
        yield
    finally:
        for patch in reversed(applied):
            patch.stop()
