"""The health duty: from silence to verdicts, bounded, and naming what it saw."""

import pytest

from orchestrix_raft.domain.node import Health
from orchestrix_raft.duties.health import VerdictAfter, unhealthy_nodes
from orchestrix_raft.machine.commands import NodeHealthChanged
from tests.scenarios.driver import Driver

AFTER = VerdictAfter(20_000, 30_000)


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    for number in range(1, 4):
        driver.start_node(f"n{number}")
    return driver


@pytest.mark.parametrize(
    ("silence_ms", "verdict"),
    [(0, None), (19_999, None), (20_000, Health.SUSPECT), (29_999, Health.SUSPECT), (30_000, Health.DEAD)],
)
def test_the_verdict_follows_from_the_silence(
    driver: Driver, silence_ms: int, verdict: Health | None
) -> None:
    commands = unhealthy_nodes(driver.machine.state, {"n1": silence_ms}, AFTER)
    incarnation = driver.machine.state.nodes["n1"].incarnation
    assert commands == ([] if verdict is None else [NodeHealthChanged("n1", incarnation, verdict)])


def test_a_suspect_that_is_heard_again_is_alive_again(driver: Driver) -> None:
    node = driver.machine.state.nodes["n1"]
    driver.do(NodeHealthChanged("n1", node.incarnation, Health.SUSPECT))
    assert unhealthy_nodes(driver.machine.state, {"n1": 20_000}, AFTER) == []
    assert unhealthy_nodes(driver.machine.state, {"n1": 10}, AFTER) == [
        NodeHealthChanged("n1", node.incarnation, Health.ALIVE)
    ]


@pytest.mark.parametrize("over", [Health.DEAD, Health.STOPPED])
def test_only_a_new_process_speaks_for_a_node_that_is_over(driver: Driver, over: Health) -> None:
    node = driver.machine.state.nodes["n1"]
    driver.do(NodeHealthChanged("n1", node.incarnation, over))
    assert unhealthy_nodes(driver.machine.state, {"n1": 0}, AFTER) == []
    assert unhealthy_nodes(driver.machine.state, {"n1": 90_000}, AFTER) == []


def test_a_node_without_evidence_is_left_alone(driver: Driver) -> None:
    assert unhealthy_nodes(driver.machine.state, {"n2": 0}, AFTER) == []
    assert unhealthy_nodes(driver.machine.state, {"unknown": 90_000}, AFTER) == []


def test_verdicts_are_bounded_and_in_the_order_of_the_nodes(driver: Driver) -> None:
    silence = dict.fromkeys(("n3", "n1", "n2"), 90_000)
    commands = unhealthy_nodes(driver.machine.state, silence, AFTER, limit=2)
    assert [command.node_id for command in commands] == ["n1", "n2"]


def test_a_late_verdict_does_not_hurt_the_next_process(driver: Driver) -> None:
    (verdict,) = unhealthy_nodes(driver.machine.state, {"n1": 90_000}, AFTER)
    driver.start_node("n1", "another boot")
    driver.do(verdict)
    assert driver.machine.state.nodes["n1"].health is Health.ALIVE
