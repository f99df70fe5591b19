"""The sliding window against its definition, and what a change of a queue may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.queue import (
    QueueChange,
    QueueOptions,
    RateLimitOptions,
    SlidingWindowRateLimiter,
    changed,
    fault_in_change,
)

steps = st.lists(st.integers(0, 40), max_size=120)


def within(taken: list[int], after_ms: int) -> int:
    return sum(1 for at in taken if at > after_ms)


@given(steps, st.integers(1, 6), st.integers(1, 90))
def test_a_window_with_stamps_lets_through_exactly_what_the_definition_says(
    waits: list[int], count: int, window_ms: int
) -> None:
    limit = RateLimitOptions(count, window_ms)
    limiter = SlidingWindowRateLimiter()
    now = 0
    taken: list[int] = []
    for wait in waits:
        now += wait
        limiter.forget(limit, now)
        assert (limiter.used < count) == (within(taken, now - window_ms) < count)
        if limiter.used < count:
            limiter.take(limit, now)
            taken.append(now)
        else:
            assert limiter.opens_ms(limit) == sorted(taken)[-count] + window_ms > now


@given(steps, st.integers(3, 30), st.integers(1, 900))
def test_a_window_with_sub_windows_never_lets_too_much_through_and_delays_little(
    waits: list[int], count: int, window_ms: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "RATE_STAMPS", 2)
        patch.setattr(limits, "RATE_SUBWINDOWS", 8)
        limit = RateLimitOptions(count, window_ms)
        grain = -(-window_ms // 8)
        limiter = SlidingWindowRateLimiter()
        now = 0
        taken: list[int] = []
        for wait in waits:
            now += wait
            limiter.forget(limit, now)
            if limiter.used < count:
                assert within(taken, now - window_ms) < count
                limiter.take(limit, now)
                taken.append(now)
            else:
                assert within(taken, now - window_ms - grain) >= count
            assert len(limiter.stamps) <= 8 + 2


def test_above_a_thousand_a_window_holds_no_more_than_its_sub_windows() -> None:
    limit = RateLimitOptions(limits.RATE_STAMPS + 1, 64_000)
    limiter = SlidingWindowRateLimiter()
    for now in range(0, 200_000, 70):
        if limiter.used < limit.count:
            limiter.take(limit, now)
    assert len(limiter.stamps) <= limits.RATE_SUBWINDOWS + 2
    assert limit.grain_ms == 1_000
    assert RateLimitOptions(limits.RATE_STAMPS, 64_000).grain_ms == 1


def test_a_window_that_counts_more_than_a_lowered_limit_says_when_it_has_room() -> None:
    limiter = SlidingWindowRateLimiter()
    for now in (0, 10, 20, 30):
        limiter.take(RateLimitOptions(9, 100), now)
    lowered = RateLimitOptions(2, 100)
    assert limiter.opens_ms(lowered) == 120
    limiter.forget(lowered, 119)
    assert limiter.used == 2
    limiter.forget(lowered, 120)
    assert limiter.used == 1
    assert limiter.opens_ms(lowered) == 0
    assert limiter.empty_ms(lowered) == 130


def test_a_partial_update_changes_what_it_names() -> None:
    rate = RateLimitOptions(5, 1_000)
    full = QueueOptions(True, rate, 3, rate, 2)
    assert changed(full, QueueChange()) == full
    assert changed(full, QueueChange(paused=False, concurrency=9)) == QueueOptions(False, rate, 9, rate, 2)
    cleared = changed(full, QueueChange(clear=("rate", "key_concurrency")))
    assert cleared == QueueOptions(True, None, 3, rate, 0)
    assert changed(QueueOptions(), QueueChange(key_rate=rate)) == QueueOptions(key_rate=rate)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (QueueChange(rate=RateLimitOptions(0, 1_000)), "rate of 0: from 1 to 1000000000"),
        (QueueChange(key_rate=RateLimitOptions(1, 0)), "key_rate per 0 ms: the window is from 1 ms"),
        (QueueChange(rate=RateLimitOptions(1, limits.RATE_WINDOW_MS + 1)), "31 days"),
        (QueueChange(concurrency=0), "concurrency 0: from 1 to 1000000"),
        (QueueChange(key_concurrency=-1), "key_concurrency -1: from 1"),
        (QueueChange(clear=("speed",)), "no such limit: 'speed' (there are rate, concurrency, key_rate,"),
        (QueueChange(concurrency=1, clear=("concurrency",)), "concurrency is both set and cleared"),
    ],
)
def test_a_bad_change_is_refused_with_what_is_allowed(change: QueueChange, says: str) -> None:
    fault = fault_in_change("q", change)
    assert says in fault
    assert "\n" not in fault


def test_a_good_change_and_a_bad_name() -> None:
    assert fault_in_change("q", QueueChange(True, RateLimitOptions(1, 1), 1, None, None, ("key_rate",))) == ""
    assert "queue must have" in fault_in_change("", QueueChange())
