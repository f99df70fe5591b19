"""The longest time without a start, and how much of it no fault explains."""

import pytest

from tests.chaos.claims import DOWN, DRAINED, HELD, PAUSED, Claims
from tests.chaos.pauses import RECOVERY_S, pauses

NODES, WORKERS = ["n1", "n2", "n3"], ["w1", "w2"]
ALL = {*NODES, *WORKERS}


def test_a_pause_while_everything_is_well_has_no_reason() -> None:
    found = pauses([0.0, 1.0, 31.0, 32.0], 0.0, 33.0, [(0.0, True)])
    assert found == (30.0, 30.0 - max(0.0, RECOVERY_S - 1.0), 33.0 - RECOVERY_S)


def test_a_pause_without_a_majority_has_one_and_so_has_the_time_to_recover() -> None:
    works = [(0.0, True), (10.0, False), (30.0, True)]
    found = pauses([9.0, 30.0 + RECOVERY_S + 2.0], 0.0, 50.0, works)
    assert found.longest_s == pytest.approx(21.0 + RECOVERY_S + 2.0)
    assert found.unexplained_s == pytest.approx(max(9.0 - RECOVERY_S, 20.0 - RECOVERY_S - 2.0))


def test_a_time_that_is_too_short_to_recover_counts_for_nothing() -> None:
    assert pauses([], 0.0, 20.0, [(0.0, False), (10.0, True), (10.0 + RECOVERY_S / 2, False)]).well_s == 0.0


def test_two_of_three_that_reach_each_other_and_a_worker_can_work() -> None:
    claims = Claims()
    assert claims.can_work(NODES, WORKERS, ALL)
    claims.take(1, DOWN, "n1")
    assert claims.can_work(NODES, WORKERS, ALL)
    claims.take(2, HELD, ("n2", "n3"))
    assert not claims.can_work(NODES, WORKERS, ALL), "one direction is enough"
    claims.give_back(1, DOWN, "n1")
    assert claims.can_work(NODES, WORKERS, ALL), "n1 with either"
    claims.take(3, DRAINED, "n1")
    claims.take(4, PAUSED, "w1")
    for node in ("n2", "n3"):
        claims.take(5, HELD, (node, "w2"))
    assert not claims.can_work(NODES, WORKERS, ALL), "the one worker reaches a drained node only"
    assert not Claims().can_work(NODES, WORKERS, ALL - {"n1", "n2"}), "the others have not had time to start"


def test_what_two_faults_hold_is_free_when_both_are_healed() -> None:
    claims = Claims()
    assert claims.take(1, DOWN, "n1")
    assert not claims.take(2, DOWN, "n1")
    assert not claims.give_back(1, DOWN, "n1")
    assert not claims.give_back(1, DOWN, "n1"), "it held nothing any more"
    assert claims.held(DOWN, "n1")
    assert claims.of(2) == [(DOWN, "n1")]
    assert claims.give_back(2, DOWN, "n1")
    assert not claims.held(DOWN, "n1")
