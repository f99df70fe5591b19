"""`check` notices each kind of damage to limited queues, their gates and unique keys."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.queue import QueueChange, RateLimitOptions
from orchestrix_raft.machine.commands import ConfigureQueue
from orchestrix_raft.machine.invariants import Broken, check
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.timers import set_timer
from tests.scenarios.driver import Driver, job, key

IDLE = ("idle", ())


def example() -> Driver:
    """b is parked behind a, nobody serves z, the window of `full` is full, and the handler of h hangs."""
    driver = Driver()
    driver.do(ConfigureQueue(b"", "default", QueueChange(key_concurrency=1)))
    driver.do(ConfigureQueue(b"", "full", QueueChange(rate=RateLimitOptions(1, 3_600_000))))
    driver.attach("w", capacity=2)
    for queue in ("full", "plain"):
        driver.attach(queue, queues=(queue,), capacity=2)
    driver.enqueue(job("a", key="k"), job("b", key="k"), job("c"), job("z", queue="idle", key="m"))
    driver.enqueue(job("f", queue="full"), job("g", queue="full"), job("u", queue="idle", unique_key="u"))
    driver.enqueue(job("h", queue="plain", timeout_ms=1_000))
    driver.tick(1_000)
    driver.tick(limits.FORCED_END_MS)
    return driver


def _admit_more(state: State) -> None:
    queue = state.limited["default"]
    queue.options = replace(queue.options, key_concurrency=5)


def _forget_leftover(state: State) -> None:
    state.sessions[key("plain")].leftovers.clear()


def _forget_timer(state: State) -> None:
    set_timer(state, state.limited["full"], b"full", None)


DAMAGES: dict[str, Callable[[State], None]] = {
    "count of what runs": lambda s: setattr(s.board.gates["full"], "running", 0),
    "count of a key": lambda s: s.board.gates["default"].keys.__setitem__("k", 2),
    "hung handler forgotten": _forget_leftover,
    "full window without a timer": _forget_timer,
    "count of a window": lambda s: setattr(s.limited["full"].window, "used", 2),
    "parked before an open gate": _admit_more,
    "parked and found": lambda s: setattr(s.board.lanes[("default", ())].keyed["k"], "parked", False),
    "line in no heap": lambda s: s.board.lanes[IDLE].open._items.clear(),
    "another gate": lambda s: setattr(s.board.lanes[IDLE], "gate", s.board.gates["full"]),
    "unique key of nobody": lambda s: s.unique.__setitem__(("t", "gone"), key("a")),
    "unique key forgotten": lambda s: s.unique.clear(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_to_what_limits_jobs_is_noticed(damage: Callable[[State], None]) -> None:
    driver = example()
    state = driver.machine.state
    assert state.sessions[key("plain")].leftovers
    assert state.board.gates["default"].parked
    damage(state)
    with pytest.raises(Broken):
        check(driver.machine)
