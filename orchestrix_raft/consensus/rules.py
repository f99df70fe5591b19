"""The rules of Raft as functions: what a message and the facts of a log decide, and nothing else.

They read no clock, keep no state and change nothing; the engine acts on what they answer.  Each rule
stands in one function so that a test can take it out and show what then breaks.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from orchestrix_raft.consensus.messages import AppendEntries, PreVote, VoteRequest


class LogFacts(Protocol):
    @property
    def first_index(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    def term_at(self, index: int) -> int: ...


# -- following -----------------------------------------------------------------------------------
class Reject(NamedTuple):
    """The log does not reach or contradicts the entry before; the leader should send from here."""

    next_index: int


class Accept(NamedTuple):
    """What to do with an append whose preceding entry is held here."""

    skip: int  # entries of the message that are held already
    truncate_from: int | None  # first index that contradicts the leader's log
    verified: int  # up to here the log equals the leader's, once the rest is appended


class Broken(NamedTuple):
    """Following this leader would rewrite what is committed."""

    reason: str


def judge_append(log: LogFacts, commit_index: int, message: AppendEntries) -> Accept | Reject | Broken:
    """Raft's consistency check.  Entries that are equal stay: cutting them would un-acknowledge what
    was acknowledged."""
    first, last, prev = log.first_index, log.last_index, message.prev_index
    if prev > last or (prev >= first and log.term_at(prev) != message.prev_term):
        return Reject(retry_from(commit_index))
    verified = max(prev + len(message.entries), commit_index)
    for skip, entry in enumerate(message.entries):
        if entry.index > last:
            return Accept(skip, None, verified)
        if entry.index <= first or log.term_at(entry.index) == entry.term:
            continue
        if entry.index <= commit_index:
            return Broken(f"the leader of term {message.term} rewrites committed entry {entry.index}")
        return Accept(skip, entry.index, verified)
    return Accept(len(message.entries), None, verified)


def retry_from(commit_index: int) -> int:
    """Where the leader should go on after a rejection.  What is committed always matches, and every
    rejection of a burst names the same index, so leader and follower cannot chase each other."""
    return commit_index + 1


def follower_commit(commit_index: int, leader_commit: int, verified: int) -> int:
    """The commit index moves only over entries known to equal the leader's."""
    return max(commit_index, min(leader_commit, verified))


def snapshot_is_newer(snapshot_index: int, commit_index: int, applied_index: int) -> bool:
    """Only such a snapshot may replace the state."""
    return snapshot_index > max(commit_index, applied_index)


def suffix_matches(log: LogFacts, index: int, term: int) -> bool:
    """The log holds the checkpoint's last entry: what follows it may have been acknowledged and stays."""
    return log.first_index <= index <= log.last_index and log.term_at(index) == term


# -- leading -------------------------------------------------------------------------------------
def answer_counts(answer_term: int, term: int) -> bool:
    """An answer of another term speaks about another leader's log."""
    return answer_term == term


def has_forgotten(last_index: int, acknowledged_index: int) -> bool:
    """A log that ends before what its disk acknowledged (0: not said) is not the log it was: an old backup
    or a copy took its place, and its votes may be forgotten too."""
    return 0 < last_index < acknowledged_index


def leader_commit(commit_index: int, held_by_majority: int, term: int, term_at: Callable[[int], int]) -> int:
    """A leader commits by counting copies only entries of its own term (Raft section 5.4.2); the terms
    of a log never fall, so the newest such entry decides."""
    if held_by_majority > commit_index and term_at(held_by_majority) == term:
        return held_by_majority
    return commit_index


def tail_start(
    first_index: int,
    checkpoint_index: int,
    excess_bytes: int,
    tail_entries: int,
    size_at: Callable[[int], int],
) -> int:
    """The new first index of a log with a durable checkpoint: keep `tail_entries` behind it, fewer when
    the log is `excess_bytes` too large.  Looks only at entries that are dropped."""
    start = max(first_index, checkpoint_index - tail_entries)
    if excess_bytes <= 0:
        return start
    dropped = 0
    for index in range(first_index, checkpoint_index):
        if dropped >= excess_bytes:
            return max(start, index)
        dropped += size_at(index)
    return max(first_index, checkpoint_index)


# -- elections -----------------------------------------------------------------------------------
class Voter(NamedTuple):
    """What a node knows when it is asked for its vote."""

    term: int
    voted_for: str | None
    last_term: int
    last_index: int
    leading: bool
    protects: bool  # a leader backed by a majority was heard a moment ago
    belongs: bool  # a configuration known here names this very disk


class Ballot(NamedTuple):
    adopt: bool  # take over the higher term
    grant: bool


def judge_pre_vote(voter: Voter, message: PreVote) -> bool:
    """Whether a real election by the asker could succeed here and would not disturb a living leader.
    The voter's own standing does not matter: it may have been promoted without knowing it yet."""
    return (
        voter.belongs
        and message.term > voter.term
        and not voter.protects
        and not voter.leading
        and log_is_current(voter, message)
    )


def judge_vote(voter: Voter, candidate: str, gone: bool, message: VoteRequest) -> Ballot:
    if message.term < voter.term or not voter.belongs or gone:
        return Ballot(False, False)
    adopt = message.term > voter.term
    if adopt and voter.protects and not message.transfer:
        return Ballot(False, False)
    leads = voter.leading and not adopt
    free = adopt or voter.voted_for in (None, candidate)
    return Ballot(adopt, free and not leads and log_is_current(voter, message))


def log_is_current(voter: Voter, message: PreVote | VoteRequest) -> bool:
    return (message.last_term, message.last_index) >= (voter.last_term, voter.last_index)


# -- starting ------------------------------------------------------------------------------------
def missing_entries(first_index: int, checkpoint_index: int | None) -> str | None:
    """Why log and checkpoint do not join, or None.  Nothing may lie between them."""
    if checkpoint_index is None:
        if first_index == 1:
            return None
        return f"the log starts at {first_index} but there is no checkpoint: what came before is lost"
    if checkpoint_index < first_index:
        return (
            f"the log starts at {first_index} but the checkpoint stands at {checkpoint_index}: "
            f"entries {checkpoint_index + 1} to {first_index} are lost"
        )
    return None


def journal_is_older(journal_term: int, checkpoint_term: int) -> bool:
    """The journal forgot a term that the checkpoint has seen, so it may have forgotten votes too."""
    return journal_term < checkpoint_term
