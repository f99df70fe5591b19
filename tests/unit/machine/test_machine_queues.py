"""Queues with limits: what waiting costs, what is remembered, what is counted after a change."""

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import Job
from orchestrix_raft.domain.queue import QueueChange, RateLimitOptions
from orchestrix_raft.machine import apply as apply_module
from orchestrix_raft.machine import gates as gates_module
from orchestrix_raft.machine import state as states
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.board import Lane
from orchestrix_raft.machine.commands import ConfigureQueue, Enqueue, EnqueueResult
from orchestrix_raft.machine.events import TimerSetAside
from orchestrix_raft.machine.gates import Gate
from orchestrix_raft.machine.history import KEY_WINDOWS, QUEUES
from orchestrix_raft.machine.rows import Line, ReadyItem
from tests.scenarios.driver import Driver, job, key


def configure(driver: Driver, name: str = "default", **change: object) -> object:
    return driver.do(ConfigureQueue(b"", name, QueueChange(**change)))  # type: ignore[arg-type]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """For many jobs: the walk over everything after each entry would take too long."""
    monkeypatch.setattr("tests.scenarios.driver.check", lambda machine: None)
    monkeypatch.setattr("tests.scenarios.driver.check_stored", lambda machine, tables: None)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often lanes, lines and gates are looked at."""
    counted: Counter[str] = Counter()
    lane_first, line_first, admits = Lane.first, Line.first, Gate.admits

    def of_lane(lane: Lane, jobs: dict[bytes, Job]) -> ReadyItem | None:
        counted["lane"] += 1
        return lane_first(lane, jobs)

    def of_line(line: Line, jobs: dict[bytes, Job]) -> ReadyItem | None:
        counted["line"] += 1
        return line_first(line, jobs)

    def of_gate(gate: Gate, name: str) -> bool:
        counted["gate"] += 1
        return admits(gate, name)

    monkeypatch.setattr(Lane, "first", of_lane)
    monkeypatch.setattr(Line, "first", of_line)
    monkeypatch.setattr(Gate, "admits", of_gate)
    return counted


def operations(run: Callable[[], object]) -> int:
    """How many steps the interpreter takes in the machine: a scan shows, however fast it is."""
    taken = 0

    def step(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal taken
        taken += event == "opcode"
        return step

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        if "orchestrix_raft" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run()
    finally:
        sys.settrace(before)
    return taken


BLOCKED = 20_000


def enqueue_many(driver: Driver, count: int, **fields: object) -> None:
    for first in range(0, count, limits.BATCH_JOBS):
        numbers = range(first, min(count, first + limits.BATCH_JOBS))
        keys = [f"k{n}" if fields.get("key") == "each" else fields.get("key", "") for n in numbers]
        specs = (job(f"{n}", **{**fields, "key": k}) for n, k in zip(numbers, keys, strict=True))
        driver.do(Enqueue(tuple(specs)))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("blocked_key", ["one", "each"])
def test_the_next_job_behind_many_blocked_ones_is_found_in_a_few_looks(
    looks: Counter[str], blocked_key: str
) -> None:
    """All of one blocked key, or each of a key of its own that is blocked."""
    driver = Driver()
    driver.attach("w", capacity=limits.CAPACITY)
    driver.attach("v", capacity=limits.CAPACITY)
    driver.attach("x", capacity=limits.CAPACITY)
    configure(driver, key_concurrency=1)
    if blocked_key == "each":  # one of each key runs
        for n in range(BLOCKED):
            driver.machine.state.board.gates["default"].keys[f"k{n}"] = 1
    else:
        driver.machine.state.board.gates["default"].keys["one"] = 1
    enqueue_many(driver, BLOCKED, key=blocked_key, priority=9)
    looks.clear()
    driver.enqueue(job("first", key="free"))
    assert driver.assignments() == [("first", "w")]
    driver.enqueue(job("second"))
    assert driver.assignments() == [("second", "v")]
    assert looks.total() <= 12, looks


def _behind(blocked: int, how: str) -> int:
    """What two jobs and their ends cost behind as many of a higher priority that may not begin."""
    driver = Driver()
    driver.attach("w", capacity=limits.CAPACITY)
    configure(driver, key_concurrency=1, paused=how == "paused")
    keys = driver.machine.state.board.gates["default"].keys  # as if one of each ran
    for name in (f"k{n}" for n in range(blocked)) if how == "each" else ("one",):
        keys[name] = 1
    enqueue_many(driver, blocked, key={"one": "one", "each": "each", "paused": ""}[how], priority=9)
    queue = "other" if how == "paused" else "default"
    driver.attach("v", queues=("default", "other"), capacity=1)

    def turns() -> None:
        driver.enqueue(job("first", key="free", queue=queue))
        driver.enqueue(job("second", queue=queue))
        driver.complete("first")
        driver.complete("second")

    return operations(turns)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("how", ["one", "each", "paused"])
def test_a_hundred_thousand_blocked_jobs_cost_no_more_operations_than_a_hundred(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocked by one key, each by its own, or by the pause of their queue."""
    monkeypatch.setattr(states, "FEW", 1)  # else only the many would be in parts, which cost a little more
    few, many = _behind(100, how), _behind(100_000, how)
    assert many <= few + 200, (few, many)


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_concern_keys_is_changed_without_a_look_at_them() -> None:
    """Pausing a queue must not cost more because it has counted many keys."""

    def pause(keys: int) -> int:
        driver = Driver()
        driver.attach("w", capacity=limits.CAPACITY)
        configure(driver, key_rate=RateLimitOptions(1, 60_000))
        enqueue_many(driver, keys, key="each")
        driver.do(Enqueue(tuple(job(f"again{n}", key=f"k{n}") for n in range(keys))))
        assert len(driver.machine.state.key_windows) == keys
        return operations(lambda: configure(driver, paused=True, concurrency=7))

    few, many = pause(10), pause(1_000)
    assert many <= few + 200, (few, many)


@pytest.mark.usefixtures("unchecked")
def test_loading_counts_what_is_under_way_once_for_all_queues() -> None:
    def load(queues: int) -> int:
        driver = Driver()
        for n in range(queues):
            configure(driver, f"q{n}", concurrency=2)
        driver.attach("w", capacity=200)
        driver.enqueue(*(job(f"{n}") for n in range(200)))
        rebuilt = Machine(driver.store, driver.store)
        return operations(lambda: rebuilt.load(driver.store.pairs))

    few, many = load(10), load(60)
    assert many - few < 50 * 1_000, (few, many)  # a walk over 200 slots for each queue would be 10 times more


@pytest.mark.usefixtures("unchecked")
def test_a_key_that_is_free_again_is_found_in_a_few_looks(looks: Counter[str]) -> None:
    driver = Driver()
    driver.attach("w", capacity=limits.CAPACITY)
    configure(driver, key_concurrency=1)
    numbers = range(limits.CAPACITY // 2)
    driver.do(Enqueue(tuple(job(f"a{n}", key=f"k{n}") for n in numbers[:1_000])))
    driver.do(Enqueue(tuple(job(f"b{n}", key=f"k{n}", priority=-n % 7) for n in numbers[:1_000])))
    looks.clear()
    driver.complete("a77")
    assert driver.assignments() == [("b77", "w")]
    assert looks.total() <= 10, looks


@pytest.mark.usefixtures("unchecked")
def test_one_unit_of_a_queue_offers_the_best_of_many_waiting_lanes(looks: Counter[str]) -> None:
    """Many sets of labels are many lanes; each waits with its best job."""
    driver = Driver()
    labels = [f"host-{n:03}" for n in range(limits.LABELS)]
    driver.attach("w", capacity=5_000, labels=labels)
    driver.attach("v", queues=("other",), capacity=1)
    configure(driver, concurrency=1)
    driver.enqueue("running")
    subsets = [(a, b) for a in labels for b in labels if a < b]
    for n, chosen in enumerate(subsets):
        driver.enqueue(job(f"j{n}", labels=chosen, priority=n % 50))
    looks.clear()
    configure(driver, concurrency=2)
    assert driver.assignments() == [("j49", "w")]
    assert looks["lane"] <= 6, looks


@pytest.mark.usefixtures("unchecked")
def test_a_paused_queue_of_many_jobs_costs_other_queues_nothing(looks: Counter[str]) -> None:
    driver = Driver()
    driver.attach("w", queues=("default", "other"), capacity=2)
    configure(driver, paused=True)
    enqueue_many(driver, 5_000, priority=9)
    looks.clear()
    driver.enqueue(job("a", queue="other"))
    assert driver.assignments() == [("a", "w")]
    driver.complete("a")
    assert looks.total() <= 6, looks


def test_a_gate_that_opens_for_several_takes_the_best_of_all_waiting_lanes() -> None:
    driver = Driver()
    driver.attach("w", capacity=9, labels=("x", "y", "z"))
    configure(driver, paused=True, concurrency=3)
    for n, label in enumerate("xyz"):
        driver.enqueue(job(f"{label}1", labels=(label,)), job(f"{label}2", labels=(label,), priority=n))
    configure(driver, paused=False)
    assert [name for name, _ in driver.assignments()] == ["z2", "y2", "x1"]
    configure(driver, concurrency=5)
    assert [name for name, _ in driver.assignments()] == ["x2", "y1"]


def test_a_waiting_lane_without_a_free_worker_does_not_hold_up_the_others() -> None:
    driver = Driver()
    driver.attach("v", labels=("x",))
    driver.attach("w", capacity=9, labels=("y",))
    driver.enqueue(job("busy", labels=("x",)))
    configure(driver, paused=True)
    driver.enqueue(job("a", labels=("x",), priority=9), job("b", labels=("y",)), job("c", key="k"))
    configure(driver, paused=False, concurrency=3)
    assert driver.assignments() == [("b", "w"), ("c", "w")]
    driver.complete("busy")
    assert driver.assignments() == [("a", "v")]


def test_a_lane_whose_best_job_was_cancelled_waits_with_the_next_one() -> None:
    driver = Driver()
    driver.attach("w", capacity=9, labels=("x",))
    configure(driver, paused=True)
    driver.enqueue(job("a1", priority=9), "a2", job("b1", priority=5, labels=("x",)))
    driver.cancel("a1")
    configure(driver, paused=False, concurrency=1)
    assert driver.assignments() == [("b1", "w")]


def test_a_key_is_limited_across_the_labels_that_its_jobs_ask_for() -> None:
    driver = Driver()
    configure(driver, key_concurrency=1)
    for n, labels in enumerate(((), ("x",))):
        driver.enqueue(job(f"k{n}", key="k", labels=labels), job(f"p{n}", labels=labels))
    driver.enqueue(job("k2", key="k"))
    driver.attach("w", capacity=9, labels=("x",))
    assert [name for name, _ in driver.assignments()] == ["k0", "p0", "p1"]
    driver.complete("k0")
    assert driver.assignments() == [("k1", "w")]
    driver.complete("k1")
    assert driver.assignments() == [("k2", "w")]


def test_a_lane_that_waits_and_gets_a_job_is_looked_at_once() -> None:
    driver = Driver()
    driver.attach("w", capacity=9)
    configure(driver, concurrency=1)
    driver.enqueue("a", "b")
    batch = driver.batch(
        ConfigureQueue(b"", "default", QueueChange(concurrency=2, paused=True)),
        Enqueue((job("c", priority=1),)),
        ConfigureQueue(b"", "default", QueueChange(concurrency=3, paused=False)),
    )
    driver.apply(batch)
    assert driver.assignments() == [("c", "w"), ("b", "w")]


def test_what_nobody_uses_is_not_remembered() -> None:
    driver = Driver()
    driver.attach("w", capacity=50)
    configure(driver, key_rate=RateLimitOptions(1, 1_000), key_concurrency=1)
    driver.enqueue(*(job(f"a{n}", key=f"k{n}") for n in range(40)))
    driver.enqueue(*(job(f"b{n}", key=f"k{n}") for n in range(40)))
    state = driver.machine.state
    gate = state.board.gates["default"]
    (lane,) = state.board.lanes.values()
    assert (len(gate.parked), len(gate.keys), len(state.key_windows), len(lane.keyed)) == (40, 40, 40, 40)
    for prefix in ("a", "b"):
        driver.complete(*(f"{prefix}{n}" for n in range(40)))
        driver.tick(1_000)
    driver.tick(1_000)
    assert not any((gate.parked, gate.keys, state.key_windows, lane.keyed, lane.open))
    assert not driver.store.tables[KEY_WINDOWS]
    configure(driver, clear=("key_rate", "key_concurrency"))
    assert not state.limited
    assert not state.board.gates
    assert not driver.store.tables[QUEUES]


def test_stale_entries_of_lines_and_gates_stay_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates_module, "_SLACK", 4)
    monkeypatch.setattr("orchestrix_raft.machine.heap._SLACK", 4)
    driver = Driver()
    driver.attach("w")
    configure(driver, paused=True)
    for n in range(60):
        driver.enqueue(job(f"a{n}", key="k", priority=n), job(f"c{n}", priority=n, labels=("l",)))
        driver.cancel(f"a{n}", f"c{n}")
        driver.enqueue(job(f"b{n}", key="k2", priority=n), job(f"d{n}", priority=n))
    gate = driver.machine.state.board.gates["default"]
    lane = driver.machine.state.board.lanes[("default", ())]
    assert len(gate._heap) <= 2 * len(gate._waiting) + 5
    assert len(lane.open) <= 2 * len(lane.keyed) + 5
    driver.cancel(*(f"b{n}" for n in range(60)))
    assert not lane.keyed


def test_what_runs_already_counts_when_a_limit_is_set() -> None:
    driver = Driver()
    driver.attach("w", capacity=9)
    driver.enqueue(job("a", timeout_ms=1_000, retry=job("x").retry), job("b", key="k"), "c")
    driver.tick(1_000)
    driver.tick(limits.FORCED_END_MS)  # a is over, its handler is not
    configure(driver, concurrency=3, key_concurrency=1)
    gate = driver.machine.state.board.gates["default"]
    assert (gate.running, list(gate.keys), gate.keys.get("k")) == (3, ["k"], 1)
    driver.enqueue(job("d", key="k"), "e")
    assert driver.assignments() == []
    driver.complete("c")
    assert driver.assignments() == [("e", "w")]


def test_a_lowered_limit_lets_what_runs_go_on_and_waits_until_it_is_met() -> None:
    driver = Driver()
    driver.attach("w", capacity=9)
    configure(driver, concurrency=4)
    driver.enqueue(*"abcdef")
    configure(driver, concurrency=2)
    driver.complete("a")
    driver.complete("b")
    assert driver.assignments() == []
    driver.complete("c")
    assert driver.assignments() == [("e", "w")]


def test_the_key_rate_of_too_many_keys_is_back_pressure_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEY_WINDOWS", 2)
    driver = Driver()
    driver.attach("w", queues=("default", "free"), capacity=9)
    configure(driver, key_rate=RateLimitOptions(1, 1_000))
    driver.enqueue(job("a", key="a"), job("b", key="b"))
    result = driver.enqueue(job("c", key="c"), job("d", key="c", queue="free"), "e")
    assert isinstance(result, EnqueueResult)
    assert [(place, why.reason) for place, why in result.rejected.items()] == [(0, "KEY_WINDOWS_LIMIT")]
    driver.tick(1_000)
    assert driver.enqueue(job("c", key="c")) == EnqueueResult({}, {})


def test_more_limited_queues_than_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUEUES_CONFIGURED", 1)
    driver = Driver()
    configure(driver, "a", paused=True)
    refusal = configure(driver, "b", paused=True)
    assert isinstance(refusal, Rejected)
    assert refusal.reason == "QUEUES_LIMIT"
    assert not isinstance(configure(driver, "a", concurrency=5), Rejected)
    configure(driver, "b", paused=False)  # that changes nothing


def test_a_rate_window_whose_timer_raised_is_set_aside_visibly(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: object, place: bytes) -> None:
        raise ValueError

    driver = Driver()
    driver.attach("w", capacity=9)
    configure(driver, rate=RateLimitOptions(1, 1_000), key_rate=RateLimitOptions(1, 500))
    driver.enqueue(job("a", key="k"), "b")
    kinds = {20: broken, 21: broken}
    monkeypatch.setattr(apply_module, "DUE", {**apply_module.DUE, **kinds})
    monkeypatch.setattr("tests.scenarios.driver.check", lambda machine: None)
    driver.tick(1_000)
    assert [type(event) for event in driver.events] == [TimerSetAside, TimerSetAside]
    assert driver.machine.state.set_aside == 2


def test_a_rebuilt_machine_keeps_counts_windows_and_who_waits() -> None:
    driver = Driver()
    driver.attach("w", capacity=9, labels=("l",))
    configure(driver, rate=RateLimitOptions(2, 1_000), key_rate=RateLimitOptions(1, 5_000), concurrency=3)
    driver.enqueue(job("a", key="k"), job("b", key="k"), job("c", labels=("l",)), "d", job("e", priority=3))
    rebuilt = Machine(driver.store, driver.store)
    rebuilt.load(driver.store.pairs)
    driver.machine = rebuilt
    driver.tick(1_000)
    assert driver.assignments() == [("c", "w")]
    driver.complete("e")
    assert driver.assignments() == [("d", "w")]
    driver.complete("d")
    driver.tick(4_000)
    assert driver.assignments() == [("b", "w")]
    assert key("b") in driver.machine.state.jobs


def test_a_key_that_is_counted_already_is_not_refused_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEY_WINDOWS", 2)
    driver = Driver()
    driver.attach("w", capacity=9)
    configure(driver, key_rate=RateLimitOptions(1, 60_000))
    driver.enqueue(job("a", key="k1"), job("b", key="k2"))
    answer = driver.do(Enqueue((job("c", key="k2"), job("d", key="k3"), job("e"))))
    assert isinstance(answer, EnqueueResult)
    assert [(at, fault.reason) for at, fault in answer.rejected.items()] == [(1, "KEY_WINDOWS_LIMIT")]
