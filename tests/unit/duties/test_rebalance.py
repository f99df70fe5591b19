"""Rebalancing: what moves, what does not, and that it comes to rest."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrix_raft.coordinator.rebalance import RebalanceLimits, Rebalancer
from orchestrix_raft.duties.rebalance import FACTOR, loads_of, moves_to_even_out, uneven
from orchestrix_raft.machine.commands import DrainNode, Move, MoveSessions, ResumeSession
from tests.scenarios.driver import Driver, job, key


def cluster(weights: dict[str, list[int]]) -> Driver:
    """Node -> slots taken of each of its workers."""
    driver = Driver()
    number = 0
    for node, sessions in weights.items():
        if node != "n0":
            driver.start_node(node)
        for slots in sessions:
            name = f"w{number:02}"
            number += 1
            driver.attach(name, node, capacity=max(1, slots), labels=(name,))
            if slots:
                driver.enqueue(*(job(f"{name}j{n}", labels=(name,)) for n in range(slots)))
    return driver


def follow(driver: Driver, moves: tuple[Move, ...]) -> None:
    """The workers go where they are told."""
    driver.do(MoveSessions(moves))
    for move in moves:
        driver.do(ResumeSession(move.session_id, move.node_id, move.epoch))


def test_loads_that_differ_by_no_more_than_twice_are_left_alone() -> None:
    driver = cluster({"n0": [3, 3], "n1": [3]})
    assert loads_of(driver.machine.state) == {"n0": 8, "n1": 4}
    assert moves_to_even_out(driver.machine.state, (), 10) == ()


def test_the_session_that_brings_two_owners_closest_moves() -> None:
    driver = cluster({"n0": [5, 2, 3, 1], "n1": [0]})
    assert loads_of(driver.machine.state) == {"n0": 15, "n1": 1}
    assert moves_to_even_out(driver.machine.state, (), 10) == (Move(key("w00"), 1, "n1"),)
    driver = cluster({"n0": [8, 6], "n1": [0, 0]})
    assert moves_to_even_out(driver.machine.state, (), 10) == (Move(key("w01"), 1, "n1"),)


def test_one_worker_alone_is_not_carried_to_and_fro() -> None:
    driver = cluster({"n0": [9], "n1": []})
    assert moves_to_even_out(driver.machine.state, (), 10) == ()


def test_idle_workers_are_spread_too_over_a_node_that_has_come_back() -> None:
    driver = cluster({"n0": [0] * 4, "n1": [0] * 4, "n2": []})
    moves = moves_to_even_out(driver.machine.state, (), 10)
    follow(driver, moves)
    assert loads_of(driver.machine.state) == {"n0": 3, "n1": 3, "n2": 2}


def test_a_step_is_bounded_and_those_who_just_moved_stay() -> None:
    driver = cluster({"n0": [0] * 20, "n1": []})
    first = moves_to_even_out(driver.machine.state, (), 3)
    assert len(first) == 3
    driver.do(MoveSessions(first))
    lately = {move.session_id for move in first}
    following = moves_to_even_out(driver.machine.state, lately, 3)
    assert not lately & {move.session_id for move in following}


def test_those_on_their_way_count_where_they_go() -> None:
    driver = cluster({"n0": [0] * 6, "n1": []})
    moves = moves_to_even_out(driver.machine.state, (), 2)
    driver.do(MoveSessions(moves))
    assert moves_to_even_out(driver.machine.state, {move.session_id for move in moves}, 9) == ()


def test_a_worker_that_does_not_go_is_asked_three_times_and_left_alone() -> None:
    driver = cluster({"n0": [0] * 2, "n1": []})
    for _ in range(3):
        (move,) = moves_to_even_out(driver.machine.state, (), 1)
        driver.do(MoveSessions((move,)))
    (other,) = moves_to_even_out(driver.machine.state, (), 1)
    assert other.session_id != move.session_id


def test_draining_nodes_neither_give_nor_take() -> None:
    driver = cluster({"n0": [0] * 6, "n1": [], "n2": []})
    driver.do(DrainNode("n1", driver.machine.state.nodes["n1"].incarnation, False))
    assert {move.node_id for move in moves_to_even_out(driver.machine.state, (), 9)} == {"n2"}
    driver.do(DrainNode("n0", driver.machine.state.nodes["n0"].incarnation, False))
    assert moves_to_even_out(driver.machine.state, (), 9) == ()


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(1, 12))
def test_while_loads_stand_still_it_comes_to_rest(seed: int, nodes: int, at_once: int) -> None:
    """And nothing that could be moved is left between two owners that differ by more than twice."""
    chance = random.Random(seed)
    slots = (0, 0, 1, 4, 9)
    driver = cluster({f"n{n}": chance.choices(slots, k=chance.randint(0, 7)) for n in range(nodes)})
    squares = sum(load**2 for load in loads_of(driver.machine.state).values())
    while moves := moves_to_even_out(driver.machine.state, (), at_once):
        follow(driver, moves)
        before, squares = squares, sum(load**2 for load in loads_of(driver.machine.state).values())
        assert squares < before
    state = driver.machine.state
    loads = loads_of(state)
    if uneven(loads):
        difference = max(loads.values()) - min(loads.values())
        fullest = max(loads, key=lambda one: (loads[one], one))
        assert all(4 * (1 + len(s.slots)) > 3 * difference for s in state.sessions_of(fullest))
    assert FACTOR == 2


# ---- when


BOUNDS = RebalanceLimits(look_s=5.0, lasts_s=15.0, rest_s=60.0, at_once=2)


@pytest.fixture
def driver() -> Driver:
    return cluster({"n0": [0] * 8, "n1": []})


def test_nothing_moves_before_the_difference_has_lasted(driver: Driver) -> None:
    rebalancer = Rebalancer(BOUNDS)
    rebalancer.lead(100.0)
    proposed = []
    for now in range(100, 160):
        for command in rebalancer.due(driver.machine.state, float(now)):
            proposed.append((now, len(command.moves)))
            driver.do(command)
    assert proposed == [(120, 2), (125, 1)], "with these on their way the owners are even"


def test_a_difference_that_comes_and_goes_moves_nobody(driver: Driver) -> None:
    rebalancer = Rebalancer(BOUNDS)
    rebalancer.lead(0.0)
    even = cluster({"n0": [0], "n1": [0]})
    for now in range(0, 600, 5):
        state = (even if now % 20 == 0 else driver).machine.state
        assert rebalancer.due(state, float(now)) == []


def test_nobody_is_told_twice_within_a_minute(driver: Driver) -> None:
    """Not even those who do not go."""
    rebalancer = Rebalancer(BOUNDS)
    rebalancer.lead(0.0)
    told: dict[bytes, list[float]] = {}
    for now in range(0, 300):
        for command in rebalancer.due(driver.machine.state, float(now)):
            driver.do(command)
            for move in command.moves:
                told.setdefault(move.session_id, []).append(now)
    assert told
    for times in told.values():
        assert len(times) <= 3
        assert all(later - earlier >= 60 for earlier, later in pairwise(times))
