"""The rules of Raft as functions over a message and the facts of a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.consensus import rules
from orchestrix_raft.consensus.messages import AppendEntries, PreVote, VoteRequest
from orchestrix_raft.storage.port import Entry


class Log:
    """Terms by index; the first one is the base."""

    def __init__(self, first_index: int, *terms: int) -> None:
        self.first_index = first_index
        self.terms = terms

    @property
    def last_index(self) -> int:
        return self.first_index + len(self.terms) - 1

    def term_at(self, index: int) -> int:
        assert self.first_index <= index <= self.last_index
        return self.terms[index - self.first_index]


def append(prev_index: int, prev_term: int, *terms: int, leader_term: int = 9) -> AppendEntries:
    entries = [Entry(b"\0", prev_index + n, term) for n, term in enumerate(terms, 1)]
    return AppendEntries(leader_term, 1, 0, prev_index, prev_term, entries)


LOG = Log(1, 0, 1, 1, 2)  # 1:0 2:1 3:1 4:2


@pytest.mark.parametrize(
    ("message", "commit_index", "expected"),
    [
        (append(4, 2, 3), 1, rules.Accept(0, None, 5)),
        (append(4, 2), 1, rules.Accept(0, None, 4)),
        (append(2, 1), 1, rules.Accept(0, None, 2)),
        (append(2, 1, 1), 1, rules.Accept(1, None, 3)),
        (append(2, 1, 1, 2, 3), 1, rules.Accept(2, None, 5)),
        (append(2, 1, 3, 3), 1, rules.Accept(0, 3, 4)),
        (append(2, 1, 1, 3), 3, rules.Accept(1, 4, 4)),
        (append(1, 0), 3, rules.Accept(0, None, 3)),
    ],
    ids=["new", "heartbeat", "short", "held", "half held", "conflict", "conflict above commit", "behind"],
)
def test_an_append_keeps_what_is_equal_and_cuts_only_at_a_conflict(
    message: AppendEntries, commit_index: int, expected: rules.Accept
) -> None:
    assert rules.judge_append(LOG, commit_index, message) == expected


@pytest.mark.parametrize("message", [append(5, 2, 3), append(4, 3), append(3, 2, 2)])
def test_an_append_that_does_not_join_is_refused_and_asks_from_behind_the_commit(
    message: AppendEntries,
) -> None:
    assert rules.judge_append(LOG, 2, message) == rules.Reject(3)


@st.composite
def leader_and_follower(draw: st.DrawFn) -> tuple[list[int], list[int], int, int, int]:
    """Terms of two logs that obey Raft (equal up to a point, then never the same term again), how far
    the follower has committed, and which entries are sent: (leader, follower, commit, prev, count)."""
    common = sorted(draw(st.lists(st.integers(1, 3), max_size=6)))
    leader = common + sorted(draw(st.lists(st.sampled_from([4, 6, 8]), max_size=6)))
    follower = common + sorted(draw(st.lists(st.sampled_from([5, 7]), max_size=6)))
    leader, follower = [0, *leader], [0, *follower]
    commit_index = draw(st.integers(1, len(common) + 1))
    prev_index = draw(st.integers(1, len(leader)))
    return leader, follower, commit_index, prev_index, draw(st.integers(0, len(leader) - prev_index))


@given(leader_and_follower())
def test_following_an_accepted_append_makes_the_logs_equal_up_to_what_is_verified(
    case: tuple[list[int], list[int], int, int, int],
) -> None:
    leader, follower, commit_index, prev_index, count = case
    message = append(prev_index, leader[prev_index - 1], *leader[prev_index : prev_index + count])
    verdict = rules.judge_append(Log(1, *follower), commit_index, message)
    assert not isinstance(verdict, rules.Broken)
    if isinstance(verdict, rules.Reject):
        assert verdict.next_index == commit_index + 1
        assert leader[:commit_index] == follower[:commit_index]
        return
    if verdict.truncate_from is not None:
        assert commit_index < verdict.truncate_from <= len(follower)
    kept = follower[: verdict.truncate_from - 1] if verdict.truncate_from else follower
    after = kept + [entry.term for entry in message.entries[verdict.skip :]]
    assert after[: verdict.verified] == leader[: verdict.verified]
    assert len(after) >= verdict.verified >= commit_index
    equal = next((n for n, (a, b) in enumerate(zip(leader, follower, strict=False)) if a != b), len(follower))
    assert after[:equal] == follower[:equal]  # nothing that matched was lost


def test_rewriting_a_committed_entry_is_never_accepted() -> None:
    assert isinstance(rules.judge_append(LOG, 4, append(3, 1, 3)), rules.Broken)


def test_what_was_compacted_is_taken_as_equal() -> None:
    log = Log(10, 3, 3, 4)
    assert rules.judge_append(log, 11, append(8, 1, 3, 3, 3)) == rules.Accept(3, None, 11)
    assert rules.judge_append(log, 11, append(5, 1, 2)) == rules.Accept(1, None, 11)
    assert rules.judge_append(log, 11, append(9, 3, 3, 3, 4, 5)) == rules.Accept(3, None, 13)


@pytest.mark.parametrize(
    ("commit_index", "leader_commit", "verified", "expected"),
    [(5, 9, 7, 7), (5, 6, 7, 6), (5, 2, 9, 5), (5, 9, 3, 5)],
)
def test_a_follower_commits_only_what_was_verified_and_never_goes_back(
    commit_index: int, leader_commit: int, verified: int, expected: int
) -> None:
    assert rules.follower_commit(commit_index, leader_commit, verified) == expected


def test_a_leader_counts_copies_only_for_entries_of_its_own_term() -> None:
    assert rules.leader_commit(1, 3, 2, LOG.term_at) == 1
    assert rules.leader_commit(1, 4, 2, LOG.term_at) == 4
    assert rules.leader_commit(4, 3, 2, LOG.term_at) == 4


def test_answers_count_only_in_their_own_term() -> None:
    assert rules.answer_counts(3, 3)
    assert not rules.answer_counts(2, 3)
    assert not rules.answer_counts(4, 3)


@pytest.mark.parametrize(("index", "newer"), [(6, True), (5, False), (4, False)])
def test_only_a_snapshot_beyond_commit_and_applied_is_newer(index: int, newer: bool) -> None:
    assert rules.snapshot_is_newer(index, 5, 3) is newer
    assert rules.snapshot_is_newer(index, 3, 5) is newer


@pytest.mark.parametrize(
    ("index", "term", "matches"), [(3, 1, True), (3, 2, False), (5, 2, False), (0, 0, False)]
)
def test_the_suffix_stays_only_behind_the_very_entry_of_the_checkpoint(
    index: int, term: int, matches: bool
) -> None:
    assert rules.suffix_matches(LOG, index, term) is matches


def tail(first: int, checkpoint: int, excess: int, entries: int = 4) -> int:
    return rules.tail_start(first, checkpoint, excess, entries, lambda index: 10)


def test_the_tail_is_bounded_by_entries_and_by_bytes_and_never_passes_the_checkpoint() -> None:
    assert tail(1, 100, 0) == 96
    assert tail(98, 100, 0) == 98
    assert tail(1, 100, 500) == 96
    assert tail(95, 100, 25) == 98
    assert tail(95, 100, 1_000) == 100
    assert tail(95, 90, 1_000) == 95


VOTER = rules.Voter(5, None, 4, 10, leading=False, protects=False, belongs=True)


def pre_vote(term: int = 6, last_index: int = 10, last_term: int = 4) -> PreVote:
    return PreVote(term, 1, last_index, last_term, 0)


def vote(term: int = 6, last_index: int = 10, last_term: int = 4, transfer: bool = False) -> VoteRequest:
    return VoteRequest(term, last_index, last_term, 0, transfer)


def test_a_pre_vote_is_granted_to_a_log_that_is_as_new() -> None:
    assert rules.judge_pre_vote(VOTER, pre_vote())
    assert rules.judge_pre_vote(VOTER, pre_vote(last_index=1, last_term=5))
    assert not rules.judge_pre_vote(VOTER, pre_vote(last_index=9))
    assert not rules.judge_pre_vote(VOTER, pre_vote(last_index=99, last_term=3))


@pytest.mark.parametrize(
    "voter",
    [
        VOTER._replace(leading=True),
        VOTER._replace(protects=True),
        VOTER._replace(belongs=False),
        VOTER._replace(term=6),
    ],
)
def test_a_pre_vote_is_refused_by_a_leader_its_followers_strangers_and_later_terms(
    voter: rules.Voter,
) -> None:
    assert not rules.judge_pre_vote(voter, pre_vote())


def test_a_vote_is_given_once_in_a_term_and_may_be_repeated() -> None:
    assert rules.judge_vote(VOTER, "a", False, vote()) == rules.Ballot(adopt=True, grant=True)
    voted = VOTER._replace(term=6, voted_for="a")
    assert rules.judge_vote(voted, "a", False, vote()) == rules.Ballot(adopt=False, grant=True)
    assert rules.judge_vote(voted, "b", False, vote()) == rules.Ballot(adopt=False, grant=False)


def test_a_vote_for_an_older_log_is_refused_but_its_term_is_taken_over() -> None:
    assert rules.judge_vote(VOTER, "a", False, vote(last_index=9)) == rules.Ballot(adopt=True, grant=False)


@pytest.mark.parametrize(
    "voter",
    [VOTER._replace(protects=True), VOTER._replace(belongs=False), VOTER._replace(term=7)],
)
def test_a_protected_leader_strangers_and_later_terms_ignore_a_vote_request(voter: rules.Voter) -> None:
    assert rules.judge_vote(voter, "a", False, vote()) == rules.Ballot(False, False)


def test_a_removed_candidate_is_ignored() -> None:
    assert rules.judge_vote(VOTER, "a", True, vote()) == rules.Ballot(False, False)


def test_an_election_the_leader_asked_for_is_not_held_up() -> None:
    assert rules.judge_vote(VOTER._replace(protects=True), "a", False, vote(transfer=True)).grant


def test_a_leader_gives_no_vote_in_its_own_term() -> None:
    leading = VOTER._replace(term=6, leading=True, voted_for="a")
    assert rules.judge_vote(leading, "a", False, vote()) == rules.Ballot(False, False)


def test_log_and_checkpoint_must_join() -> None:
    assert rules.missing_entries(1, None) is None
    assert rules.missing_entries(5, 5) is None
    assert "no checkpoint" in (rules.missing_entries(5, None) or "")
    assert "entries 5 to 6" in (rules.missing_entries(6, 4) or "")
    assert rules.journal_is_older(3, 4)
    assert not rules.journal_is_older(4, 4)
