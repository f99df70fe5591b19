"""The simulator's own parts: time, network, processes that stand still or die."""

from typing import Any

import pytest

from orchestrix_raft.simulation.checks import Violation
from orchestrix_raft.simulation.network import Network, Pipe
from orchestrix_raft.simulation.run import NOTHING, Run
from orchestrix_raft.simulation.world import World
from orchestrix_raft.storage.disk import Starts


class End:
    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: list[tuple[float, Any]] = []
        self.breaks = 0

    def received(self, pipe: Pipe, payload: Any) -> None:
        self.heard.append((self.world.now, payload))

    def broken(self, pipe: Pipe) -> None:
        self.breaks += 1


class Wire:
    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed)
        self.network = Network(self.world)
        self.a, self.b = End(self.world), End(self.world)

    def connect(self) -> Pipe:
        pipe = self.network.connect(("a", "b"), (self.a, self.b))
        assert pipe is not None
        return pipe


def test_things_happen_in_the_order_of_their_time_and_then_of_asking() -> None:
    world, order = World(1), list[str]()
    world.after(2.0, lambda: order.append("c"))
    world.after(1.0, lambda: order.append("a"))
    world.after(1.0, lambda: order.append("b"))
    world.run_until(1.5)
    assert (order, world.now) == (["a", "b"], 1.5)
    world.run_until(3.0)
    assert order == ["a", "b", "c"]


def test_a_connection_delivers_in_order_however_slow_single_messages_are() -> None:
    wire = Wire()
    wire.network.slow = 0.5
    pipe = wire.connect()
    for number in range(100):
        pipe.send("a", number)
        wire.world.run_until(wire.world.now + 0.001)
    wire.world.run_until(10.0)
    assert [payload for _, payload in wire.b.heard] == list(range(100))


def test_a_broken_connection_loses_what_is_under_way_and_both_ends_notice_once() -> None:
    wire = Wire()
    pipe = wire.connect()
    pipe.send("a", "lost")
    pipe.close()
    pipe.close()
    pipe.send("b", "lost too")
    wire.world.run_until(1.0)
    assert (wire.a.heard, wire.b.heard) == ([], [])
    assert (wire.a.breaks, wire.b.breaks) == (1, 1)
    assert wire.network.all_pipes() == []


def test_what_is_under_way_may_arrive_after_a_newer_connection_stands() -> None:
    wire = Wire()
    wire.network.linger = 1.0
    wire.network.stall("a", "b", 0.4)
    old = wire.connect()
    old.send("a", "old")
    old.close(by="a")
    wire.network.stall("a", "b", 0.0)
    new = wire.connect()
    new.send("a", "new")
    old.send("a", "never sent")
    wire.world.run_until(5.0)
    assert sorted(payload for _, payload in wire.b.heard) == ["new", "old"]
    assert (wire.a.breaks, wire.b.breaks) == (0, 1)


def test_what_is_under_way_to_a_process_that_ends_does_not_reach_the_next_one() -> None:
    wire = Wire()
    wire.network.linger = 1.0
    left, broken, open_one = (wire.connect() for _ in range(3))
    for pipe in (left, broken, open_one):
        pipe.send("a", "for the one before")
        pipe.send("b", "its last words")
    left.close(by="a")
    broken.close()
    wire.network.ended("b")
    wire.world.run_until(5.0)
    assert (wire.b.heard, wire.b.breaks) == ([], 0)
    assert [payload for _, payload in wire.a.heard] == ["its last words"] * 2, "one was closed here"
    assert not open_one.alive
    assert not wire.network.lingering, "all that could arrive has"


def test_a_stalled_direction_keeps_its_messages_for_later_and_the_other_goes_on() -> None:
    wire = Wire()
    pipe = wire.connect()
    wire.network.stall("a", "b", 5.0)
    pipe.send("a", "late")
    pipe.send("b", "soon")
    wire.world.run_until(10.0)
    assert wire.b.heard[0][0] >= 5.0
    assert wire.a.heard[0][0] < 1.0


def test_a_cut_breaks_connections_and_refuses_new_ones_until_it_heals() -> None:
    wire = Wire()
    pipe = wire.connect()
    heal = wire.network.cut(["a"], ["b", "c"])
    assert not pipe.alive
    assert wire.network.connect(("b", "a"), (wire.b, wire.a)) is None
    assert wire.network.connect(("b", "c"), (wire.b, wire.a)) is not None
    heal()
    assert wire.network.connect(("b", "a"), (wire.b, wire.a)) is not None


def test_a_worker_that_has_left_is_started_again_whenever_it_was_told_to_leave() -> None:
    run = Run(3, "calm")
    run.world.run_until(5.0)
    run.faults.stop()
    run.world.run_until(30.0)
    worker = run.workers[0]
    before = worker.session_id
    worker.leave()
    alive = []
    for moment in (37.0, 50.0):
        run.world.run_until(moment)
        alive.append(worker.alive)
    assert alive == [False, True]
    assert worker.session_id != before


def test_a_process_that_stands_still_hears_nothing_and_then_everything_in_order() -> None:
    run = Run(3, "calm")
    run.world.run_until(5.0)
    node = run.nodes[0]
    done: list[int] = []
    node.stand_still(2.0)
    for number in range(3):
        node.act(lambda number=number: done.append(number))  # type: ignore[misc]
    run.world.run_until(6.9)
    assert done == []
    run.world.run_until(7.1)
    assert done == [0, 1, 2]
    node.act(lambda: done.append(3))
    assert done == [0, 1, 2, 3]


def test_a_process_that_died_while_it_stood_still_hears_nothing_of_it() -> None:
    run = Run(3, "calm")
    run.world.run_until(5.0)
    node = run.nodes[0]
    done: list[int] = []
    node.stand_still(2.0)
    node.act(lambda: done.append(1))
    node.crash()
    node.start()
    run.world.run_until(9.0)
    assert done == []
    node.act(lambda: done.append(2))
    assert done == [2]


def test_totals_add_up() -> None:
    once = NOTHING._replace(seeds=1, jobs=5)
    assert once.plus(once) == NOTHING._replace(seeds=2, jobs=10)


def test_a_process_on_an_old_copy_of_its_disk_ends_for_good() -> None:
    run = Run(1, "calm")
    node = run.nodes[-1]
    run.world.run_until(5.0)
    assert node.core is not None
    node.crash()
    node.disk.set_starts(Starts(1, (b"another dir.",)))
    node.start()
    run.world.run_until(10.0)
    assert "has started from another data directory" in node.superseded
    node.start()
    assert not node.up
    assert run.nodes[0].up, "nobody else is concerned"


def test_a_second_leader_of_a_term_is_noticed_with_its_first_step() -> None:
    run = Run(3, "calm")
    run.world.run_until(4.0)
    leader = next(node for node in run.nodes if node.leads)
    assert leader.core is not None
    term = leader.core.consensus.term
    assert run.checker.leaders[term] == leader.name
    for node in run.nodes:
        node.crash(power=False)
    run.checker.leaders.update(dict.fromkeys(range(term, term + 9), "somebody else"))
    for node in run.nodes:
        node.start()
    with pytest.raises(Violation, match="both lead term"):
        run.world.run_until(9.0)
