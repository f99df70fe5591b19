"""Who goes where when a node drains, when that is given up, and which orphans nobody comes back for."""

import pytest

from orchestrix_raft.domain.node import Health
from orchestrix_raft.duties.handoff import (
    OVERDUE_MS,
    OrphanJobDetector,
    Patience,
    Told,
    handoffs,
    takers,
)
from orchestrix_raft.machine import sessions
from orchestrix_raft.machine.commands import (
    CloseSession,
    DetachSession,
    DrainNode,
    ExpireSession,
    Move,
    MoveSessions,
    NodeHealthChanged,
)
from tests.scenarios.driver import Driver, key

EVERYBODY = frozenset({"n0", "n1", "n2", "n3"})


@pytest.fixture
def driver() -> Driver:
    """Nodes n0 to n3; n0 has four workers with a slot each."""
    driver = Driver()
    for number in range(1, 4):
        driver.start_node(f"n{number}")
    for number in range(4):
        driver.attach(f"w{number}")
    return driver


def drain(driver: Driver, node: str = "n0", leaving: bool = False) -> None:
    driver.do(DrainNode(node, driver.machine.state.nodes[node].incarnation, leaving))


def targets(driver: Driver, told: dict[bytes, Told] | None = None, limit: int = 100) -> list[str]:
    plan = handoffs(driver.machine.state, "n0", told or {}, EVERYBODY, Patience(limit=limit))
    return [move.node_id for move in plan.moves]


def test_workers_are_spread_over_the_least_loaded(driver: Driver) -> None:
    driver.attach("busy", "n2", capacity=3)
    driver.enqueue("a", "b", "c", "d", "e", "f", "g")
    drain(driver)
    assert driver.machine.state.owned_jobs("n2") == 3
    assert targets(driver) == ["n1", "n3", "n1", "n3"]
    assert handoffs(driver.machine.state, "n0", {}, EVERYBODY, Patience()).moves[0] == Move(
        key("w0"), 1, "n1"
    )


def test_who_is_on_the_way_somewhere_counts_there(driver: Driver) -> None:
    drain(driver)
    driver.do(MoveSessions((Move(key("w0"), 1, "n1"), Move(key("w1"), 1, "n1"))))
    told = {key("w0"): Told(1, 0, ("n1",)), key("w1"): Told(1, 0, ("n1",))}
    assert targets(driver, told) == ["n2", "n3"]


@pytest.mark.parametrize("health", [Health.SUSPECT, Health.DEAD, Health.STOPPED])
def test_only_healthy_nodes_that_do_not_drain_are_given_workers(driver: Driver, health: Health) -> None:
    driver.do(NodeHealthChanged("n1", driver.machine.state.nodes["n1"].incarnation, health))
    drain(driver, "n2")
    drain(driver)
    assert set(targets(driver)) == {"n3"}


def test_a_node_out_of_reach_is_named_only_if_there_is_no_other(driver: Driver) -> None:
    assert takers(driver.machine.state, "n0", frozenset({"n2"})) == ["n2"]
    assert takers(driver.machine.state, "n0", frozenset()) == ["n1", "n2", "n3"]


def test_plans_are_bounded(driver: Driver) -> None:
    drain(driver)
    assert len(targets(driver, limit=3)) == 3


def test_the_next_try_has_another_target_and_the_third_is_the_last(driver: Driver) -> None:
    for number in range(1, 4):
        driver.do(CloseSession(key(f"w{number}"), 1))
    drain(driver)
    state = driver.machine.state
    tried: tuple[str, ...] = ()
    for _ in range(3):
        waiting = {key("w0"): Told(len(tried), 4_999, tried)} if tried else {}
        if tried:
            assert handoffs(state, "n0", waiting, EVERYBODY, Patience()) == ((), ())
        late = {key("w0"): Told(len(tried), 5_000, tried)} if tried else {}
        (move,) = handoffs(state, "n0", late, EVERYBODY, Patience()).moves
        assert move.node_id not in tried
        tried += (move.node_id,)
    assert handoffs(state, "n0", {key("w0"): Told(3, 5_000, tried)}, EVERYBODY, Patience()) == (
        (),
        (key("w0"),),
    )


def test_a_target_that_falls_away_is_not_waited_for(driver: Driver) -> None:
    drain(driver)
    told = {key(f"w{number}"): Told(1, 10, ("n1",)) for number in range(4)}
    assert targets(driver, told) == []
    driver.do(NodeHealthChanged("n1", driver.machine.state.nodes["n1"].incarnation, Health.SUSPECT))
    assert set(targets(driver, told)) == {"n2", "n3"}


@pytest.mark.parametrize("leaving", [True, False])
def test_with_nobody_to_go_to_only_who_leaves_gives_up(driver: Driver, leaving: bool) -> None:
    for number in range(1, 4):
        drain(driver, f"n{number}")
    drain(driver, leaving=leaving)
    plan = handoffs(driver.machine.state, "n0", {}, EVERYBODY, Patience())
    assert plan.moves == ()
    assert len(plan.given_up) == (4 if leaving else 0)


# ---- orphans


def test_an_orphan_that_the_timers_missed_is_found_and_its_job_runs_again(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.enqueue("a")
    (holder,) = (s.session_id for s in driver.machine.state.sessions.values() if s.slots)
    driver.do(DetachSession(holder, 1))
    state = driver.machine.state
    detector = OrphanJobDetector()
    assert detector.orphans(state, state.elapsed_ms, 9) == []

    def broken(state: object, job: object, seq: int) -> None:
        raise ValueError("for the test")

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "decide_loss", broken)
        driver.tick(30_000)
    assert state.sessions[holder].timer is None
    assert driver.job("a").session_id == holder, "nobody would ever end this"
    (command,) = detector.orphans(state, state.elapsed_ms, 9)
    assert command == ExpireSession(holder, 1)
    assert driver.do(command) is None
    assert driver.job("a").losses == 1
    assert driver.job("a").session_id != holder
    assert detector.orphans(state, state.elapsed_ms, 9) == []


def test_a_session_past_its_deadline_is_an_orphan_and_findings_are_bounded(driver: Driver) -> None:
    for number in range(3):
        driver.do(DetachSession(key(f"w{number}"), 1))
    state = driver.machine.state
    due_ms = 30_000 + OVERDUE_MS
    assert OrphanJobDetector.orphans(state, due_ms, 9) == []
    found = OrphanJobDetector.orphans(state, due_ms + 1, 2)
    assert found == [ExpireSession(key("w0"), 1), ExpireSession(key("w1"), 1)]


def test_orphans_are_found_by_id_whatever_the_order_in_which_they_came(driver: Driver) -> None:
    driver.attach("a")
    for name in ("w0", "a"):
        driver.do(DetachSession(key(name), 1))
    found = OrphanJobDetector.orphans(driver.machine.state, 30_000 + OVERDUE_MS + 1, 1)
    assert found == [ExpireSession(key("a"), 1)]
