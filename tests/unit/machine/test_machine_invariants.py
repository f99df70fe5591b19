"""`check` notices each kind of damage; loading refuses contradictions; timers per entry are bounded."""

from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobState, Timer, TimerKind
from orchestrix_raft.machine import codec
from orchestrix_raft.machine import state as states
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import DetachSession
from orchestrix_raft.machine.history import CORE_KEY, LIVE_JOBS, SINGLES
from orchestrix_raft.machine.invariants import Broken, check, check_stored
from orchestrix_raft.machine.loading import SLICE, StoredStateDamaged
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.parts import Parts
from orchestrix_raft.machine.state import State
from tests.scenarios.driver import Driver, job, key

LANE = ("default", ())


def example() -> Driver:
    """Jobs a and t run at w, b waits, s is scheduled; v is detached; x is idle and has worked."""
    driver = Driver()
    driver.attach("x", queues=("x",))
    driver.enqueue(job("done", queue="x"))
    driver.complete("done")
    driver.attach("w", capacity=2)
    driver.enqueue(job("a", unique_key="k"), job("t", timeout_ms=5_000), "b", job("s", delay_ms=9))
    driver.attach("v", queues=("other",))
    driver.do(DetachSession(key("v"), 1))
    return driver


def _lose_slot(state: State) -> None:
    state.sessions[key("w")].slots.clear()


def _overfill(state: State) -> None:
    state.sessions[key("w")].capacity = 1


def _forget_idle_worker(state: State) -> None:
    state.sessions[key("w")].slots.popitem()
    job_id = next(j for j, found in state.jobs.items() if found.state is JobState.DISPATCHED)
    state.jobs[job_id].state = JobState.SCHEDULED


def _two_tokens(state: State) -> None:
    slots = state.sessions[key("w")].slots
    slots[max(slots)] = slots[min(slots)]


def _blocked_lane(state: State) -> None:
    session = state.sessions[key("w")]
    session.capacity = 5
    state.board.freed[session.session_id] = session
    state.board.refresh()
    state.board.woken.clear()


def _lost_seat(state: State) -> None:
    state.sessions[key("w")].capacity = 5


def _set(attribute: str, value: object) -> Callable[[State], None]:
    return lambda state: setattr(state.jobs[key("b")], attribute, value)


DAMAGES: dict[str, Callable[[State], None]] = {
    "slot lost": _lose_slot,
    "session overfull": _overfill,
    "idle worker": _forget_idle_worker,
    "two tokens": _two_tokens,
    "lane blocked": _blocked_lane,
    "seat lost": _lost_seat,
    "filed wrongly": lambda s: s.jobs.update({key("z"): s.jobs.pop(key("b"))}),
    "terminal but live": _set("state", JobState.DEAD),
    "pending with timer": _set("timer", Timer(TimerKind.READY_AT_ELAPSED, 1, 999)),
    "pending but held": _set("session_id", key("w")),
    "too many losses": _set("losses", limits.LOSSES_MAX),
    "too many failures": _set("failures", 4),
    "stored and held args": _set("args_stored", True),
    "same place in line": lambda s: setattr(s.jobs[key("b")], "seq", s.jobs[key("a")].seq),
    "place beyond the counter": lambda s: setattr(s, "counter", 1),
    "scheduled without timer": lambda s: setattr(s.jobs[key("s")], "timer", None),
    "time-out without timer": lambda s: setattr(s.jobs[key("t")], "timer", None),
    "timer in no heap": lambda s: s.elapsed_timers._items.clear(),
    "timer count": lambda s: setattr(s.elapsed_timers, "valid", 9),
    "counts": lambda s: s.counts.__setitem__(JobState.PENDING, 7),
    "queue counts": lambda s: s.queues["default"].__setitem__(0, 9),
    "totals": lambda s: s.counts.__setitem__(JobState.DEAD, 1),
    "unique index": lambda s: s.unique.clear(),
    "lane index": lambda s: s.board.lanes[LANE].rows._rows[0].clear(),
    "lane length": lambda s: setattr(s.board.lanes[LANE].rows, "length", 5),
    "lane order": lambda s: s.board.lanes[LANE].rows._rows[0][0].items.update({1: key("b")}),
    "lane ranks": lambda s: s.board.lanes[LANE].rows._best.clear(),
    "job left in its lane": lambda s: s.board.lanes[LANE].rows.join(0, 99, key("b")),
    "offer lost": lambda s: s.board.lanes[("x", ())].offered.clear(),
    "offer not in heap": lambda s: s.board.lanes[("x", ())].offers.clear(),
    "lane count": lambda s: setattr(s.board.lanes[LANE], "count", 0),
    "pool match": lambda s: s.board.lanes[LANE].pools.clear(),
    "no pool": lambda s: s.board.pools.clear(),
    "undispatched": lambda s: s.board.freed.update({key("w"): s.sessions[key("w")]}),
    "node index": lambda s: s.node_sessions.clear(),
    "owner": lambda s: setattr(s.jobs[key("a")], "owner", "n9"),
    "detached without deadline": lambda s: setattr(s.sessions[key("v")], "timer", None),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_noticed(damage: Callable[[State], None]) -> None:
    driver = example()
    check(driver.machine)
    damage(driver.machine.state)
    with pytest.raises(Broken):
        check(driver.machine)


def test_a_record_that_was_not_written_is_noticed() -> None:
    driver = example()
    driver.machine.state.jobs[key("b")].progress_percent = 1
    check(driver.machine)
    with pytest.raises(Broken, match="outdated"):
        check_stored(driver.machine, driver.store.pairs)
    del driver.machine.state.jobs[key("b")]
    with pytest.raises(Broken, match="other keys"):
        check_stored(driver.machine, driver.store.pairs)


# ---- loading


def test_an_empty_store_is_an_empty_state() -> None:
    store = MemoryStore()
    machine = Machine(store, store)
    machine.load(store.pairs)
    check(machine)
    assert machine.state.index == 0


def test_a_rebuilt_machine_holds_what_the_old_one_held() -> None:
    driver = example()
    rebuilt = Machine(driver.store, driver.store)
    rebuilt.load(driver.store.pairs)
    check(rebuilt)
    check_stored(rebuilt, driver.store.pairs)
    old, new = driver.machine.state, rebuilt.state
    assert rebuilt.core_record() == driver.machine.core_record() == driver.store.tables[SINGLES][CORE_KEY]
    assert (new.index, new.term, new.digest) == (old.index, old.term, old.digest)
    assert (new.queues, new.counts, new.unique) == (old.queues, old.counts, old.unique)
    assert new.next_due() == old.next_due()


def test_records_that_contradict_the_core_are_refused() -> None:
    driver = example()
    del driver.store.tables[LIVE_JOBS][key("b")]
    with pytest.raises(StoredStateDamaged):
        Machine(driver.store, driver.store).load(driver.store.pairs)
    core = codec.decode_core(driver.store.tables[SINGLES][CORE_KEY])
    driver.store.tables[SINGLES][CORE_KEY] = codec.encode_record(msgspec.structs.replace(core, counts=(1,)))
    with pytest.raises(StoredStateDamaged):
        Machine(driver.store, driver.store).load(driver.store.pairs)


def test_a_record_under_another_name_than_its_own_is_refused() -> None:
    driver = example()
    jobs = driver.store.tables[LIVE_JOBS]
    jobs[key("other")] = jobs.pop(key("b"))
    with pytest.raises(StoredStateDamaged, match="has the record of"):
        Machine(driver.store, driver.store).load(driver.store.pairs)


def test_loading_in_steps_changes_the_state_only_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr("tests.scenarios.driver.check", lambda machine: None)
    driver.enqueue(*(f"a{n}" for n in range(500)))
    driver.enqueue(*(f"b{n}" for n in range(600)))
    machine = Machine(driver.store, driver.store)
    before = machine.state
    steps = machine.load_in_steps(driver.store.pairs)
    assert next(steps) == SLICE
    assert machine.state is before
    assert max(b - a for a, b in pairwise([SLICE, *steps])) <= SLICE
    assert len(machine.state.jobs) == 1_100
    check(machine)


# ---- timers


def test_an_entry_runs_a_bounded_number_of_timers_elapsed_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIMERS_PER_ENTRY", 3)
    driver = Driver()
    specs = [job(f"w{n}", run_at_ms=driver.wall_ms + 1) for n in range(2)]
    specs += [job(f"e{n}", delay_ms=10 - n) for n in range(4)]
    driver.enqueue(*specs)
    order: list[list[str]] = []
    for _ in range(3):
        events = driver.tick(10 if not order else 0)
        order.append([event.job_id.rstrip(b".").decode() for event in events])  # type: ignore[union-attr]
    assert order == [["e3", "e2", "e1"], ["e0", "w0", "w1"], []]


def test_timers_run_before_the_commands_of_their_entry() -> None:
    driver = Driver()
    driver.enqueue(job("a", delay_ms=5))
    driver.elapsed_ms += 5
    driver.attach("w")
    assert [type(event).__name__ for event in driver.events] == ["JobReady", "SessionAttached", "JobAssigned"]


def test_a_wrong_count_of_jobs_in_parts_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "FEW", 1)
    driver = example()
    jobs = driver.machine.state.jobs
    check(driver.machine)
    assert isinstance(jobs, Parts)
    jobs._count += 1
    with pytest.raises(Broken, match="jobs are miscounted"):
        check(driver.machine)
