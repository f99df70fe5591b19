"""A change of the limits per key reaches its keys a few at a time; what is stricter holds at once."""

from itertools import pairwise

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.queue import RateLimitOptions
from tests.scenarios.driver import Driver, job
from tests.unit.machine.test_machine_queues import configure

KEYS = 40


def _blocked_keys(driver: Driver) -> list[str]:
    """Every key of 40 has had its one start; a second job of each waits."""
    driver.attach("w", capacity=500)
    configure(driver, key_rate=RateLimitOptions(1, 60_000))
    driver.enqueue(*(job(f"a{n}", key=f"k{n}") for n in range(KEYS)))
    driver.enqueue(*(job(f"b{n}", key=f"k{n}") for n in range(KEYS)))
    return [f"b{n}" for n in range(KEYS)]


@pytest.mark.parametrize(
    "change",
    [
        {"clear": ("key_rate",)},
        {"key_rate": RateLimitOptions(2, 60_000)},
        {"key_rate": RateLimitOptions(1, 1)},
        {"key_concurrency": 9, "clear": ("key_rate",)},
    ],
)
def test_a_change_for_many_keys_reaches_them_in_bounded_steps(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    """And a node rebuilt in between goes on where the others are."""
    monkeypatch.setattr(limits, "KEYS_AT_ONCE", 4)
    driver = Driver()
    waiting = _blocked_keys(driver)
    driver.tick(2)
    configure(driver, **change)  # type: ignore[arg-type]
    begun = driver.assignments()
    assert 0 < len(begun) <= 12, "check sums are not spread evenly, but about"
    steps = 1
    while driver.machine.state.limited.get("default", None) and _sweeps(driver):
        driver.machine.load(driver.store.pairs)
        driver.tick(limits.KEYS_PAUSE_MS)
        found = driver.assignments()
        assert len(found) <= 12
        begun += found
        steps += 1
    assert sorted(name for name, _ in begun) == sorted(waiting)
    assert steps >= 5


def test_no_step_of_a_change_reaches_more_keys_than_the_first_though_they_become_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a key that follows the end of its rate nothing is counted any more."""
    monkeypatch.setattr(limits, "KEYS_AT_ONCE", 20)
    driver = Driver()
    driver.attach("w", capacity=600)
    configure(driver, key_rate=RateLimitOptions(1, 60_000))
    names = [f"{n}" for n in range(600)]
    driver.enqueue(*(job(name, key=name) for name in names))
    driver.complete(*names)
    counted = [len(driver.machine.state.key_windows)]
    configure(driver, key_concurrency=1, clear=("key_rate",))
    counted.append(len(driver.machine.state.key_windows))
    while _sweeps(driver):
        driver.tick(limits.KEYS_PAUSE_MS)
        counted.append(len(driver.machine.state.key_windows))
    assert (counted[0], counted[-1]) == (600, 0)
    assert max(before - after for before, after in pairwise(counted)) <= 30, "20, and the rest of a part"


def _sweeps(driver: Driver) -> bool:
    return driver.machine.state.limited["default"].sweep is not None


def test_a_stricter_limit_holds_at_once_for_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEYS_AT_ONCE", 4)
    driver = Driver()
    driver.attach("w", capacity=500)
    configure(driver, key_rate=RateLimitOptions(3, 60_000))
    driver.enqueue(*(job(f"a{n}", key=f"k{n}") for n in range(KEYS)))
    configure(driver, key_rate=RateLimitOptions(1, 60_000))
    assert _sweeps(driver)
    driver.enqueue(*(job(f"b{n}", key=f"k{n}") for n in range(KEYS)))
    assert driver.assignments() == []
    configure(driver, key_rate=RateLimitOptions(2, 60_000), key_concurrency=1)
    for _ in range(KEYS):
        driver.tick(limits.KEYS_PAUSE_MS)
        assert driver.assignments() == [], "each key has a job under way"
    assert not _sweeps(driver)


def test_a_change_during_a_change_lets_every_key_through_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEYS_AT_ONCE", 4)
    driver = Driver()
    waiting = _blocked_keys(driver)
    begun = []
    for count in (3, 2):
        configure(driver, key_rate=RateLimitOptions(count, 60_000))
        assert _sweeps(driver)
        begun += driver.assignments()
        assert len(begun) < KEYS
    while _sweeps(driver):
        driver.tick(limits.KEYS_PAUSE_MS)
        begun += driver.assignments()
    assert sorted(name for name, _ in begun) == sorted(waiting)
