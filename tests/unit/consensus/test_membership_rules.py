"""The rules for changing members, as functions."""

import pytest

from orchestrix_raft.consensus import membership_rules as rules
from orchestrix_raft.consensus.configuration import Configuration, Member, Placed, Standing

V, S, L = Standing.VOTER, Standing.STAGING, Standing.LEARNER


def config(previous: int = 0, **members: Standing) -> Configuration:
    return Configuration({i: Member(standing, f"d-{i}") for i, standing in members.items()}, previous)


THREE = Placed(4, config(a=V, b=V, c=V))
FACTS = rules.ChangeFacts(True, True, THREE, 4, {"a", "b", "c"}, True)


def test_a_sound_change_is_not_refused() -> None:
    assert rules.refuse_change("add", "x", "d-x", FACTS) is None
    assert rules.refuse_change("learner", "x", "d-x", FACTS) is None
    assert rules.refuse_change("remove", "c", None, FACTS) is None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (FACTS._replace(leading=False), "not the leader"),
        (FACTS._replace(newest=Placed(0, None)), "not the leader"),
        (FACTS._replace(own_term_committed=False), "own term"),
        (FACTS._replace(commit_index=3), "index 4 is not committed"),
    ],
)
def test_nothing_changes_before_the_leader_may(facts: rules.ChangeFacts, reason: str) -> None:
    assert reason in (rules.refuse_change("add", "x", "d-x", facts) or "")


@pytest.mark.parametrize(
    ("change", "node_id", "disk_id", "reason"),
    [
        ("add", "x", None, "disk"),
        ("add", "a", "d-a", "member already"),
        ("add", "a", "other", "another disk"),
        ("remove", "x", None, "not a member"),
        ("promote", "x", None, "not a member"),
        ("promote", "a", None, "voter already"),
        ("paint", "a", None, "unknown change"),
    ],
)
def test_a_nonsense_change_is_refused(change: str, node_id: str, disk_id: str | None, reason: str) -> None:
    assert reason in (rules.refuse_change(change, node_id, disk_id, FACTS) or "")


def test_a_learner_is_promoted_only_when_it_has_caught_up() -> None:
    facts = FACTS._replace(newest=Placed(4, config(a=V, b=S)))
    assert rules.refuse_change("promote", "b", None, facts) is None
    assert "caught up" in (rules.refuse_change("promote", "b", None, facts._replace(caught_up=False)) or "")


def test_the_last_voter_and_a_needed_voter_stay() -> None:
    alone = FACTS._replace(newest=Placed(4, config(a=V, b=L)))
    assert "last voter" in (rules.refuse_change("remove", "a", None, alone) or "")
    assert rules.refuse_change("remove", "b", None, alone._replace(answering=set())) is None
    assert "no quorum" in (
        rules.refuse_change("remove", "a", None, FACTS._replace(answering={"a", "b"})) or ""
    )


@pytest.mark.parametrize(
    ("others", "answering", "words"),
    [
        ("b", "", "the one voter that remains does not answer, which is no quorum"),
        ("bc", "", "of the 2 voters that remain none answers, which is no quorum"),
        ("bc", "b", "of the 2 voters that remain 1 answers, which is no quorum"),
        ("bcde", "bc", "of the 4 voters that remain 2 answer, which is no quorum"),
    ],
)
def test_who_is_missing_is_said_in_words(others: str, answering: str, words: str) -> None:
    facts = FACTS._replace(
        newest=Placed(4, config(0, **dict.fromkeys(["a", *others], V))), answering={"a", *answering}
    )
    assert words in (rules.refuse_change("remove", "a", None, facts) or "")


def test_a_change_touches_one_member_and_names_what_it_follows() -> None:
    added = rules.changed(THREE, "add", "x", "d-x", "why")
    assert added.members["x"] == Member(S, "d-x")
    assert (added.previous_index, added.request_id) == (4, "why")
    assert rules.changed(THREE, "learner", "x", "d-x", "why").members["x"].standing is L
    assert rules.changed(Placed(5, added), "promote", "x", None, "why").members["x"] == Member(V, "d-x")
    assert "c" not in rules.changed(THREE, "remove", "c", None, "why").members


def test_only_a_voter_of_the_configuration_in_force_on_its_own_disk_campaigns() -> None:
    before = Placed(0, None)
    assert rules.may_campaign("a", "d-a", THREE, before, 4)
    assert not rules.may_campaign("a", "other", THREE, before, 4)
    assert not rules.may_campaign("x", "d-x", THREE, before, 4)
    assert not rules.may_campaign("a", "d-a", Placed(0, None), before, 4)
    assert not rules.may_campaign("b", "d-b", Placed(4, config(a=V, b=S)), before, 4)


def test_a_node_whose_removal_is_undecided_may_campaign() -> None:
    removal = Placed(9, config(b=V, c=V))
    assert rules.may_campaign("a", "d-a", removal, THREE, 8)
    assert not rules.may_campaign("a", "d-a", removal, THREE, 9)


def test_who_is_no_voter_in_a_committed_and_not_older_configuration_is_gone() -> None:
    assert rules.is_gone(THREE, "x", 4)
    assert not rules.is_gone(THREE, "x", 5)
    assert not rules.is_gone(THREE, "a", 0)
    assert not rules.is_gone(Placed(0, None), "x", 0)


def test_a_disk_belongs_when_any_known_configuration_names_it() -> None:
    history = [Placed(0, None), THREE, Placed(6, config(b=V))]
    assert rules.belongs(history, "a", "d-a")
    assert not rules.belongs(history, "a", "other")
    assert not rules.belongs([Placed(0, None)], "a", "d-a")


def test_words_count_only_from_members_on_their_disk() -> None:
    assert rules.speaks_for_member(THREE.configuration, "a", "d-a")
    assert not rules.speaks_for_member(THREE.configuration, "a", None)
    assert not rules.speaks_for_member(THREE.configuration, "x", "d-x")
    assert not rules.speaks_for_member(None, "a", "d-a")


def test_a_learner_has_caught_up_after_one_quick_round() -> None:
    first = rules.next_round(None, 0, 100, 1.0, 0.5)
    assert first == rules.CatchUp(100, 1.0, False)
    assert rules.next_round(first, 50, 110, 1.2, 0.5) == first
    slow = rules.next_round(first, 100, 110, 1.6, 0.5)
    assert slow == rules.CatchUp(110, 1.6, False)
    quick = rules.next_round(slow, 110, 112, 1.7, 0.5)
    assert quick == rules.CatchUp(112, 1.7, True)
    assert not rules.next_round(quick, 111, 120, 2.5, 0.5).fast
    assert rules.caught_up(quick, 2, 64, 0.1, 0.5)
    assert not rules.caught_up(quick, 65, 64, 0.1, 0.5)
    assert not rules.caught_up(quick, 2, 64, 0.6, 0.5)
    assert not rules.caught_up(slow, 0, 64, 0.1, 0.5)
