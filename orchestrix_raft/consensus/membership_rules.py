"""The rules for changing members one at a time (Raft dissertation, chapter 4), as functions.

Like rules.py: no clock, no state, each rule in one place.
"""

from collections.abc import Collection
from typing import NamedTuple

from orchestrix_raft.consensus.configuration import (
    NAME_MAX,
    Configuration,
    Member,
    Placed,
    Standing,
    is_name,
)

ADD, LEARNER, PROMOTE, REMOVE = "add", "learner", "promote", "remove"


class ChangeFacts(NamedTuple):
    """What the node that is asked for a change knows."""

    leading: bool
    own_term_committed: bool
    newest: Placed  # last configuration of the log
    commit_index: int
    answering: Collection[str]  # members heard within an election timeout, the node itself included
    caught_up: bool  # the node to be promoted


def refuse_change(change: str, node_id: str, disk_id: str | None, facts: ChangeFacts) -> str | None:
    """Why the change must not be made now, or None."""
    configuration = facts.newest.configuration
    if not facts.leading or configuration is None:
        return "this node is not the leader"
    if not own_term_is_committed(facts):
        return "the new leader has not committed an entry of its own term yet; ask again"
    if change_in_flight(facts):
        return f"the change at index {facts.newest.index} is not committed yet; ask again"
    member = configuration.members.get(node_id)
    if change in (ADD, LEARNER):
        return refuse_names(node_id, disk_id or "-") or refuse_addition(member, disk_id)
    if change not in (PROMOTE, REMOVE):
        return f"unknown change {change!r}"
    if member is None:
        return f"{node_id} is not a member"
    if change == PROMOTE:
        if member.standing is Standing.VOTER:
            return f"{node_id} is a voter already"
        return None if facts.caught_up else f"{node_id} has not caught up with the log"
    return refuse_removal(configuration, node_id, facts.answering)


def own_term_is_committed(facts: ChangeFacts) -> bool:
    """Without it two leaders could change different configurations, each with its own majority."""
    return facts.own_term_committed


def change_in_flight(facts: ChangeFacts) -> bool:
    """Two uncommitted changes could together step over disjoint majorities."""
    return facts.newest.index > facts.commit_index


def refuse_names(*names: str) -> str | None:
    """They stand in the log, in lines that spaces cut into words."""
    bad = next((name for name in names if not is_name(name)), None)
    return None if bad is None else f"{bad[:40]!r} is no name: 1 to {NAME_MAX} characters without spaces"


def refuse_addition(member: Member | None, disk_id: str | None) -> str | None:
    if disk_id is None:
        return "the id of the new member's disk is needed"
    if member is None:
        return None
    if member.disk_id == disk_id:
        return "it is a member already"
    return (
        "this id belongs to a member with another disk: remove that one if its disk is lost, and give the "
        "new node an id of its own"
    )


def refuse_removal(configuration: Configuration, node_id: str, answering: Collection[str]) -> str | None:
    if configuration.members[node_id].standing is not Standing.VOTER:
        return None
    rest = [voter for voter in configuration.voters if voter != node_id]
    if not rest:
        return f"{node_id} is the last voter: a cluster needs one"
    answer = sum(1 for voter in rest if voter in answering)
    if 2 * answer <= len(rest):
        return (
            f"without {node_id} the cluster would stop: {_of(answer, len(rest))}, which is no quorum; start"
            " the others, or remove first those that are gone"
        )
    return None


def _of(answer: int, remain: int) -> str:
    """How many of the voters that would remain answer, in words."""
    if remain == 1:
        return "the one voter that remains does not answer"
    return f"of the {remain} voters that remain {answer or 'none'} {'answer' if answer > 1 else 'answers'}"


def changed(placed: Placed, change: str, node_id: str, disk_id: str | None, request_id: str) -> Configuration:
    """The configuration after one change of one member."""
    assert placed.configuration is not None  # refuse_change came first
    members = dict(placed.configuration.members)
    if change in (ADD, LEARNER):
        members[node_id] = Member(entry_standing(change), disk_id or "")
    elif change == PROMOTE:
        members[node_id] = members[node_id]._replace(standing=Standing.VOTER)
    else:
        del members[node_id]
    return Configuration(members, placed.index, request_id)


def entry_standing(change: str) -> Standing:
    """A new member starts as a learner: an empty voter may not vote and could block the cluster."""
    return Standing.STAGING if change == ADD else Standing.LEARNER


def may_campaign(node_id: str, disk_id: str, newest: Placed, before: Placed, commit_index: int) -> bool:
    """Only a voter of the configuration in force campaigns.  Exception (dissertation figure 4.6): a node
    whose removal is the last change and not known to be committed; without it that removal might never
    be decided.  It does not count itself, because it is no voter any more."""
    if votes_in(newest, node_id, disk_id):
        return True
    return removal_undecided(newest, commit_index) and votes_in(before, node_id, disk_id)


def votes_in(placed: Placed, node_id: str, disk_id: str) -> bool:
    member = placed.configuration.members.get(node_id) if placed.configuration else None
    return member is not None and member.standing is Standing.VOTER and member.disk_id == disk_id


def removal_undecided(newest: Placed, commit_index: int) -> bool:
    return newest.index > commit_index


def is_gone(committed: Placed, candidate: str, candidate_configuration_index: int) -> bool:
    """A committed configuration, at least as new as the candidate's, does not list it as a voter."""
    configuration = committed.configuration
    return (
        configuration is not None
        and committed.index >= candidate_configuration_index
        and candidate not in configuration.voters
    )


def belongs(history: Collection[Placed], node_id: str, disk_id: str) -> bool:
    """Some configuration of the log or checkpoint names this disk.  A fresh or wiped disk never votes:
    it cannot know what it acknowledged before."""
    known = [placed.configuration for placed in history if placed.configuration is not None]
    return any(configuration.lists(node_id, disk_id) for configuration in known)


def speaks_for_member(configuration: Configuration | None, node_id: str, disk_id: str | None) -> bool:
    """Votes, acknowledgements and terms count only from members, on the disk they joined with."""
    return configuration is not None and configuration.lists(node_id, disk_id)


class CatchUp(NamedTuple):
    """One round of replication to a learner (dissertation 4.2.1): from `since` it has to reach `target`."""

    target: int
    since: float
    fast: bool  # the round before was done within an election timeout


def next_round(
    progress: CatchUp | None, match_index: int, last_index: int, now: float, limit_s: float
) -> CatchUp:
    if progress is None:
        return CatchUp(last_index, now, False)
    if match_index >= progress.target:
        return CatchUp(last_index, now, now - progress.since <= limit_s)
    if now - progress.since > limit_s:
        return progress._replace(fast=False)
    return progress


def caught_up(progress: CatchUp, lag: int, lag_max: int, answered_s: float, limit_s: float) -> bool:
    """Ready to vote: the last round was quick, little is missing, and it answered just now."""
    return progress.fast and lag <= lag_max and answered_s < limit_s
