"""Who is told to have caused what an entry did."""

from orchestrix_raft.domain.node import Health
from orchestrix_raft.machine.causes import Actor, Cause, actor_of
from orchestrix_raft.machine.commands import (
    CloseSession,
    DrainNode,
    MigrateRecords,
    NodeHealthChanged,
    RaiseLevel,
)
from tests.scenarios.driver import Driver, job, key


def caused(driver: Driver) -> list[Cause]:
    """By the newest entry."""
    return list(driver.applied.causes)


def test_a_client_is_told_by_the_node_that_took_the_call() -> None:
    driver = Driver()
    driver.enqueue("a")
    assert caused(driver) == [Cause(0, Actor.CLIENT, "n0")]


def test_a_worker_is_told_by_its_name_from_its_first_word_to_its_last() -> None:
    driver = Driver()
    driver.attach("w")
    assert caused(driver) == [Cause(0, Actor.WORKER, "w")]
    driver.enqueue("a")
    driver.complete("a")
    assert caused(driver) == [Cause(0, Actor.WORKER, "w")]
    driver.do(CloseSession(key("w"), 1))
    assert caused(driver) == [Cause(0, Actor.WORKER, "w")]


def test_a_node_is_told_by_its_id_also_when_it_begins() -> None:
    driver = Driver()
    driver.start_node("n1")
    assert caused(driver) == [Cause(0, Actor.NODE, "n1")]


def test_the_leader_is_told_as_such() -> None:
    driver = Driver()
    incarnation = driver.start_node("n1")
    driver.do_unnumbered(NodeHealthChanged("n1", incarnation, Health.SUSPECT))
    assert caused(driver) == [Cause(0, Actor.LEADER, "")]


def test_a_raised_level_and_what_follows_from_it_is_told_of_the_leader() -> None:
    for command in (RaiseLevel(2, "1.2.3", (("n0", 1),)), MigrateRecords(2, b"")):
        assert actor_of({}, "", command) == (Actor.LEADER, "")


def test_a_drain_is_a_users_unless_the_process_is_to_end() -> None:
    driver = Driver()
    incarnation = driver.machine.state.nodes["n0"].incarnation
    driver.do(DrainNode("n0", incarnation, False))
    assert caused(driver) == [Cause(0, Actor.CLIENT, "n0")]
    driver.do(DrainNode("n0", incarnation, True))
    assert caused(driver) == [Cause(0, Actor.NODE, "n0")]


def test_what_time_does_comes_first_and_each_cause_says_where_it_begins() -> None:
    driver = Driver()
    driver.enqueue(job("a", delay_ms=1), job("b", delay_ms=1))
    driver.elapsed_ms += 1
    driver.enqueue("c")
    assert len(driver.events) == 3
    assert caused(driver) == [Cause(0, Actor.TIME, ""), Cause(2, Actor.CLIENT, "n0")]
    driver.enqueue()
    assert caused(driver) == []
