"""Fresh reads: released in time, given up in time, and never by an answer that is not theirs."""

from collections.abc import Callable
from typing import cast

from orchestrix_raft.consensus.port import Consensus
from orchestrix_raft.coordinator.reads import WaitingReads


class Log:
    """As much of consensus as reads look at."""

    def __init__(self) -> None:
        self.applied_index = 10
        self.ready = False
        self.asked: list[Callable[[int | None], None]] = []

    def read_index(self, done: Callable[[int | None], None]) -> None:
        self.asked.append(done)


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.log = Log()
        self.reads = WaitingReads(cast(Consensus, self.log), wait_s=5.0, first_round=100)
        self.rounds: list[int] = []
        self.leader_in_reach = True
        self.told: list[tuple[str, bool]] = []

    def linearizable(self, name: str) -> None:
        self.reads.linearizable(self.now, lambda fresh: self.told.append((name, fresh)))

    def at(self, index: int, name: str) -> None:
        self.reads.at(index, self.now, lambda fresh: self.told.append((name, fresh)))

    def step(self, seconds: float = 0.0, applied: int = 0) -> list[tuple[str, bool]]:
        """What was told in this step."""
        self.now += seconds
        self.log.applied_index = max(applied, self.log.applied_index)
        self.told = []
        self.reads.pump(self.now, self._ask)
        return self.told

    def _ask(self, number: int) -> bool:
        if self.leader_in_reach:
            self.rounds.append(number)
        return self.leader_in_reach


def test_a_read_at_an_index_waits_until_it_is_applied() -> None:
    bench = Bench()
    bench.at(12, "late")
    bench.at(11, "soon")
    bench.at(10, "at once")
    assert bench.step() == [("at once", True)]
    assert bench.step(applied=11) == [("soon", True)]
    assert bench.step(4.9) == []
    assert bench.step(0.2) == [("late", False)]
    assert not bench.reads.waiting


def test_a_linearizable_read_waits_for_the_leaders_index() -> None:
    bench = Bench()
    bench.linearizable("r")
    assert bench.step() == []
    bench.reads.answered(bench.rounds[-1], 12)
    assert bench.step(applied=11) == []
    assert bench.step(applied=12) == [("r", True)]


def test_a_read_that_came_after_a_round_started_is_not_served_by_it() -> None:
    bench = Bench()
    bench.linearizable("first")
    bench.step()
    bench.linearizable("second")
    bench.step()
    assert len(bench.rounds) == 1
    bench.reads.answered(bench.rounds[0], 10)
    assert bench.step() == [("first", True)]
    assert len(bench.rounds) == 2
    bench.reads.answered(bench.rounds[1], 10)
    assert bench.step() == [("second", True)]


def test_an_answer_to_a_round_that_was_given_up_does_not_count() -> None:
    bench = Bench()
    bench.linearizable("r")
    bench.step()
    bench.reads.leader_changed()
    bench.reads.answered(bench.rounds[0], 1)
    assert bench.step() == []
    assert len(bench.rounds) == 2
    bench.reads.answered(bench.rounds[0], 1)
    assert bench.step() == []
    bench.reads.answered(bench.rounds[1], 10)
    assert bench.step() == [("r", True)]


def test_an_answer_to_an_earlier_process_of_this_node_does_not_count() -> None:
    bench = Bench()
    bench.linearizable("r")
    bench.step()
    assert bench.rounds == [101], "rounds begin where the process says"
    bench.reads.answered(1, 5)
    assert bench.step() == []


def test_a_round_that_is_not_answered_is_asked_again() -> None:
    bench = Bench()
    bench.linearizable("r")
    bench.step()
    bench.step(0.9)
    assert len(bench.rounds) == 1
    bench.step(0.2)
    assert len(bench.rounds) == 2


def test_a_read_is_given_up_in_time_although_its_round_is_under_way() -> None:
    bench = Bench()
    bench.linearizable("r")
    for _ in range(49):
        assert bench.step(0.1) == []
    assert bench.step(0.15) == [("r", False)]
    assert not bench.reads.waiting


def test_a_read_is_given_up_in_time_although_every_answer_says_ask_elsewhere() -> None:
    bench = Bench()
    bench.linearizable("r")
    for _ in range(49):
        assert bench.step(0.1) == []
        bench.reads.answered(bench.rounds[-1], -1)
    assert bench.step(0.15) == [("r", False)]


def test_without_a_leader_in_reach_a_read_waits_and_is_given_up() -> None:
    bench = Bench()
    bench.leader_in_reach = False
    bench.linearizable("r")
    assert bench.step(4.9) == []
    assert bench.rounds == []
    assert bench.step(0.2) == [("r", False)]


def test_a_leader_asks_itself() -> None:
    bench = Bench()
    bench.log.ready = True
    bench.linearizable("a")
    bench.linearizable("b")
    bench.step()
    (done,) = bench.log.asked
    assert bench.rounds == []
    done(10)
    assert bench.step() == [("a", True), ("b", True)]


def test_a_leader_that_lost_its_office_in_a_round_asks_the_new_one() -> None:
    bench = Bench()
    bench.log.ready = True
    bench.linearizable("r")
    bench.step()
    bench.log.ready = False
    bench.log.asked[0](None)
    assert bench.step(0.06) == []
    assert len(bench.rounds) == 1
    bench.reads.answered(bench.rounds[0], 10)
    assert bench.step() == [("r", True)]


def test_a_stopping_node_answers_every_reader() -> None:
    bench = Bench()
    bench.linearizable("in a round")
    bench.step()
    bench.linearizable("waiting")
    bench.at(99, "at")
    bench.reads.fail_all()
    assert sorted(bench.told) == [("at", False), ("in a round", False), ("waiting", False)]
    assert not bench.reads.waiting


def test_nodes_that_do_not_lead_are_not_asked_at_the_speed_of_the_network() -> None:
    bench = Bench()
    bench.linearizable("a")
    for _ in range(100):
        bench.step(0.001)
        bench.reads.answered(bench.rounds[-1], -1)
    assert 2 <= len(bench.rounds) <= 4
