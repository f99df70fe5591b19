"""Counters, gauges and the loop's lag."""

import asyncio

import pytest

from orchestrix_raft.telemetry.loop_lag import LoopLag
from orchestrix_raft.telemetry.metrics import Registry


def test_values_are_shown_by_name() -> None:
    registry = Registry()
    applied = registry.counter("entries_applied")
    applied.add()
    applied.add(2)
    registry.gauge("sessions").set(7)
    assert registry.values() == {"entries_applied": 3, "sessions": 7}


def test_a_counter_never_goes_down() -> None:
    with pytest.raises(ValueError, match="only grows"):
        Registry().counter("entries").add(-1)


@pytest.mark.parametrize("name", ["", "Jobs", "jobs-done", "1st"])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Registry().counter(name)


def test_a_name_is_given_once() -> None:
    registry = Registry()
    registry.counter("jobs")
    with pytest.raises(ValueError, match="already"):
        registry.gauge("jobs")


def test_lag_keeps_the_newest_the_largest_and_the_late_ones(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()
    lag = LoopLag(registry, late_s=0.1)
    for seconds in (0.002, 0.3, -0.001):
        lag.record(seconds)
    assert registry.values() == {"loop_lag_late": 1, "loop_lag_max_ms": 300, "loop_lag_ms": 0}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_the_watch_measures_on_a_loop_and_stops() -> None:
    loop = asyncio.get_running_loop()
    registry = Registry()
    lag = LoopLag(registry, interval_s=0)
    woken = asyncio.Event()
    record = lag.record

    def observed(lag_s: float) -> None:
        record(lag_s)
        woken.set()

    lag.record = observed  # type: ignore[method-assign]
    lag.start()
    await woken.wait()
    lag.stop()
    lag.stop()
    woken.clear()
    turns = loop.create_future()
    loop.call_soon(loop.call_soon, turns.set_result, None)
    await turns
    assert not woken.is_set()
