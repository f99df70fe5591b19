"""Rebalancing leaves a session alone that it has moved not long ago; what drains ask for is no matter."""

import pytest

from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.codec import unnumbered
from orchestrix_raft.machine.commands import Batch, Move, MoveSessions
from orchestrix_raft.machine.events import HandoffAsked
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.simulation.drains import OwnershipWatch
from orchestrix_raft.simulation.world import World

SESSION = b"s" * 16
COMMAND = MoveSessions((Move(SESSION, 1, "n3"),))
REST_S = 10.0


class Broken(Exception):
    pass


class Watched:
    def __init__(self) -> None:
        store = MemoryStore()
        self.state = Machine(store, store).state
        self.state.term = 1
        self.watch = OwnershipWatch(World(1), self._violation, False, REST_S)

    def _violation(self, what: str) -> None:
        raise Broken(what)

    def asks(self, at_s: float, batch: Batch) -> None:
        self.state.elapsed_ms = int(at_s * 1_000)
        self.watch.next_entry([batch])
        self.watch.see(HandoffAsked(SESSION, "n1", "n3", 1), self.state)


def test_rebalancing_that_moves_a_session_twice_in_a_row_is_noticed() -> None:
    watched = Watched()
    watched.asks(20.0, unnumbered(COMMAND))
    with pytest.raises(Broken, match="was moved again after 3"):
        watched.asks(23.6, unnumbered(COMMAND))


def test_after_its_rest_or_under_another_leader_a_session_may_move_again() -> None:
    watched = Watched()
    watched.asks(20.0, unnumbered(COMMAND))
    watched.asks(20.0 + REST_S, unnumbered(COMMAND))
    watched.state.term = 2
    watched.asks(20.0 + REST_S + 1.0, unnumbered(COMMAND))


def test_what_a_drain_asked_for_counts_not_however_late_it_is_applied() -> None:
    watched = Watched()
    watched.asks(20.0, Batch("n1", 1, 7, (COMMAND,)))
    watched.asks(23.6, unnumbered(COMMAND))
    watched.asks(23.7, Batch("n1", 1, 8, (COMMAND,)))
