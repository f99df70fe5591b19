"""A leader goes on where the state stands, and knows when the next thing falls due by which clock."""

import pytest

from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.coordinator.settings import Clocks
from orchestrix_raft.coordinator.stamper import Stamper
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.state import State
from orchestrix_raft.storage.memory import MemoryDisk

NOW, WALL_MS = 100.0, 1_700_000_000_000


@pytest.fixture
def state() -> State:
    """As a leader finds it that takes over in time."""
    store = LayeredHistory(MemoryDisk("d").open_state_store())
    found = Machine(store, store).state
    found.elapsed_ms, found.wall_ms = 5_000, WALL_MS
    return found


@pytest.fixture
def stamper(state: State) -> Stamper:
    stamper = Stamper(Clocks(lambda: NOW, lambda: WALL_MS))
    stamper.followed(state, NOW)
    stamper.start(state, ("n1", "n2", "n3"), NOW)
    return stamper


def test_both_clocks_go_on_where_they_stand(stamper: Stamper) -> None:
    assert stamper.ready(NOW), "an entry of the last leader was applied here"
    assert stamper.elapsed_ms(NOW + 2.0) == 7_000
    assert WALL_MS <= stamper.wall_ms(NOW + 2.0) <= WALL_MS + 2_000


def test_after_a_stop_of_the_whole_cluster_the_other_clocks_are_awaited(state: State) -> None:
    stamper = Stamper(Clocks(lambda: NOW, lambda: WALL_MS))
    stamper.start(state, ("n1", "n2", "n3"), NOW)
    assert not stamper.ready(NOW)
    stamper.heard("n2", WALL_MS + 60_000, NOW)
    assert stamper.ready(NOW)
    stamper.heard("n3", WALL_MS + 60_000, NOW)
    assert stamper.wall_ms(NOW) == WALL_MS + 60_000


def test_wall_time_does_not_run_back_to_clocks_that_are_behind(state: State) -> None:
    stamper = Stamper(Clocks(lambda: NOW, lambda: WALL_MS - 60_000))
    stamper.start(state, ("n1",), NOW)
    assert stamper.wall_ms(NOW + 3.0) >= WALL_MS


@pytest.mark.parametrize(
    ("elapsed_ms", "wall_ms", "due_s"),
    [
        (None, None, float("inf")),
        (8_000, None, 3.0),
        (None, WALL_MS + 4_000, 4.0),
        (8_000, WALL_MS + 1_000, 1.0),
        (6_000, WALL_MS + 4_000, 1.0),
        (5_000, None, 0.0),
    ],
)
def test_the_nearest_time_by_either_clock_counts(
    stamper: Stamper,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    elapsed_ms: int | None,
    wall_ms: int | None,
    due_s: float,
) -> None:
    monkeypatch.setattr(type(state), "next_due", lambda self: (elapsed_ms, wall_ms))
    assert stamper.due_in_s(state, NOW) == due_s
    assert stamper.due(state, NOW) is (due_s == 0.0)
