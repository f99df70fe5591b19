"""Nodes that are no members any more are removed from the state, whoever leads."""

from orchestrix_raft.duties.members import departed_nodes
from orchestrix_raft.machine.commands import RemoveNode
from tests.scenarios.driver import Driver


def test_nodes_outside_the_configuration_are_removed_a_bounded_number_at_a_time() -> None:
    driver = Driver()
    incarnations = {name: driver.start_node(name) for name in ("n3", "n2", "n1")}
    state = driver.machine.state
    members = ("n0", "n2")
    commands = [RemoveNode(name, incarnations[name]) for name in ("n1", "n3")]
    assert departed_nodes(state, members) == commands
    assert departed_nodes(state, members, limit=1) == commands[:1]
    assert departed_nodes(state, ("n0", "n1", "n2", "n3", "n4")) == []


def test_without_a_configuration_nobody_is_removed() -> None:
    assert departed_nodes(Driver().machine.state, ()) == []
