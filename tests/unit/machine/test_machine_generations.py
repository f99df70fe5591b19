"""A new generation: whom it ends, in which order, and what is compared by a mark."""

from orchestrix_raft.domain.node import Health
from orchestrix_raft.machine.commands import MarkContents, NodeHealthChanged, NodeStopped, RaiseGeneration
from orchestrix_raft.machine.events import NodeHealthSet, SessionDetached
from tests.scenarios.driver import Driver, name_of


def test_sessions_get_their_deadlines_by_id_whatever_the_order_in_which_they_came() -> None:
    driver = Driver()
    for name in ("z", "a", "m"):
        driver.attach(name)
    driver.do_unnumbered(RaiseGeneration(0))
    detached = [event for event in driver.events if isinstance(event, SessionDetached)]
    assert [name_of(event.session_id) for event in detached] == ["a", "m", "z"]
    assert len({event.timer.seq for event in detached}) == 3


def test_every_process_is_over_whatever_its_health() -> None:
    driver = Driver()
    suspect, stopped = driver.start_node("suspect"), driver.start_node("stopped")
    driver.do_unnumbered(NodeHealthChanged("suspect", suspect, Health.SUSPECT))
    driver.do_unnumbered(NodeStopped("stopped", stopped))
    driver.do_unnumbered(RaiseGeneration(0))
    ended = [(event.node_id, event.health) for event in driver.events if isinstance(event, NodeHealthSet)]
    assert ended == [("n0", Health.DEAD), ("suspect", Health.DEAD)]


def test_a_mark_means_the_entry_that_it_is_in() -> None:
    driver = Driver()
    driver.do(MarkContents())
    assert driver.machine.state.marked == driver.index
