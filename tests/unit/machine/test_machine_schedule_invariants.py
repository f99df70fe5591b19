"""`check` notices each kind of damage to schedules, their runs and the index of what is due."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from orchestrix_raft.domain.schedule import Overlap, Schedule, Slot
from orchestrix_raft.machine.commands import PauseSchedule, PutSchedule
from orchestrix_raft.machine.invariants import Broken, check
from orchestrix_raft.machine.state import State
from tests.scenarios.driver import WALL_START_MS, Driver
from tests.scenarios.scheduling import interval, scan


def example() -> Driver:
    """b has an active run and a slot in its buffer; r has not fired yet; p is paused."""
    driver = Driver()
    driver.do(PutSchedule(b"", interval("b", overlap=Overlap.BUFFER_ONE)))
    driver.do(PutSchedule(b"", interval("r", 3_600_000)))
    driver.do(PutSchedule(b"", interval("p")))
    driver.do(PauseSchedule(b"", "p", "by hand"))
    for _ in range(3):
        scan(driver)
        driver.tick(10_000)
    return driver


def _wait_while_paused(state: State) -> None:
    schedule = state.schedules["p"]
    state.counter += 1
    schedule.due_seq = state.counter
    state.book.enter(schedule)
    state.book.waiting.valid = sum(1 for one in state.schedules.values() if one.due_seq)


def _begin_too_early(state: State) -> None:
    (job,) = state.jobs.values()
    firing = job.spec.firing
    assert firing is not None
    job.spec = replace(job.spec, firing=replace(firing, fired_ms=firing.slot_ms - 1))


def _set(schedule_id: str, **fields: object) -> Callable[[State], None]:
    def damage(state: State) -> None:
        schedule: Schedule = state.schedules[schedule_id]
        for name, value in fields.items():
            setattr(schedule, name, value)

    return damage


DAMAGES: dict[str, Callable[[State], None]] = {
    "run of nobody": lambda s: s.book.runs["b"].__setitem__(b"other", None),
    "run begun too early": _begin_too_early,
    "paused and waiting": _wait_while_paused,
    "buffered without a run": _set("r", buffered=(Slot(WALL_START_MS),)),
    "buffered and paused": _set("p", buffered=(Slot(WALL_START_MS),)),
    "slot decided already": _set("r", after_ms=WALL_START_MS + 3_600_000),
    "waiting and not indexed": lambda s: s.book.waiting._items.clear(),
    "ended and not followed": lambda s: s.book.ended.__setitem__("b", False),
    "incarnation shared": _set("r", incarnation=1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_to_schedules_is_noticed(damage: Callable[[State], None]) -> None:
    driver = example()
    state = driver.machine.state
    assert state.schedules["b"].buffered
    damage(state)
    with pytest.raises(Broken):
        check(driver.machine)
