"""Replicated time: never back, never still, and not at the mercy of one machine's clock."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.coordinator.clocks import COLD_S, FORGET_S, SKEW_MS, ElapsedClock, WallClock

HOUR = 3_600_000
NOON = 1_700_000_000_000

steps = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(-2 * HOUR, 2 * HOUR), st.integers(-HOUR, HOUR)),
    min_size=1,
    max_size=40,
)
"""(milliseconds that pass, where this machine's clock is set to, what another one shows), off the truth."""


def led_since_noon(voters: int = 3) -> WallClock:
    """A leader that followed another one until noon."""
    clock = WallClock()
    clock.followed(NOON, 100.0)
    clock.start(NOON, [f"n{i}" for i in range(voters)], 100.0)
    return clock


# ---- elapsed ---------------------------------------------------------------------------------------------


def test_elapsed_time_goes_on_where_the_last_leader_stopped() -> None:
    clock = ElapsedClock()
    clock.start(5_000, 77.0)
    assert clock.read(77.0) == 5_000
    assert clock.read(78.5) == 6_500


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e6)), max_size=30))
def test_elapsed_time_never_runs_back_across_leaders(takeovers: list[tuple[bool, float]]) -> None:
    """Each leader has a monotonic clock of its own, which starts anywhere."""
    clock, newest, now = ElapsedClock(), 0, 0.0
    for other_leader, number in takeovers:
        if other_leader:
            clock, now = ElapsedClock(), number
            clock.start(newest, now)
        else:
            now += number / 1_000
        assert clock.read(now) >= newest
        newest = clock.read(now)


# ---- wall ------------------------------------------------------------------------------------------------


@given(steps)
def test_wall_time_runs_at_half_to_double_speed_whatever_clocks_say(walk: list[tuple[int, int, int]]) -> None:
    clock, now, before = led_since_noon(), 100.0, NOON
    for passed_ms, own_error, other_error in walk:
        now += passed_ms / 1_000
        true_ms = NOON + round((now - 100.0) * 1_000)
        clock.heard("n2", other_error - own_error, now)
        stamp = clock.read(true_ms + own_error, now)
        assert passed_ms / 2 - 1 <= stamp - before <= 2 * passed_ms + 1
        before = stamp


@given(st.integers(-HOUR, HOUR))
def test_wall_time_converges_to_the_median_and_stays_there(error_ms: int) -> None:
    clock, now = led_since_noon(), 100.0
    for _ in range(800):
        now += 10.0
        true_ms = NOON + round((now - 100.0) * 1_000)
        for node, offset in (("n2", 0), ("n3", 7 * HOUR)):
            clock.heard(node, offset, now)
        stamp = clock.read(true_ms + error_ms, now)
    assert abs(stamp - (true_ms + error_ms)) <= 1, "two clocks of three agree on it"


def test_the_majority_of_clocks_wins_over_the_leaders_own() -> None:
    """The leader's clock is set an hour ahead: the two others hold replicated time where it was."""
    clock, now = led_since_noon(), 100.0
    for second in range(1, 60):
        now += 1.0
        for node in ("n2", "n3"):
            clock.heard(node, -HOUR, now)
        assert abs(clock.read(NOON + second * 1_000 + HOUR, now) - (NOON + second * 1_000)) <= 1


def test_a_new_leader_counts_the_time_without_one_by_its_own_monotonic_clock() -> None:
    clock = WallClock()
    clock.followed(NOON, 50.0)
    clock.start(NOON, ["n1", "n2", "n3"], 53.0)
    assert clock.read(NOON + 3_000, 53.0) == NOON + 3_000


def test_after_a_restart_of_the_whole_cluster_the_median_decides_at_once() -> None:
    clock = WallClock()
    clock.start(NOON, ["n1", "n2", "n3"], 5.0)
    assert not clock.ready(5.0), "one clock alone decides nothing"
    clock.heard("n2", 3, 5.0)
    assert clock.ready(5.0)
    assert clock.read(NOON + 9 * HOUR, 5.0) == NOON + 9 * HOUR


def test_after_a_restart_time_does_not_run_back_either() -> None:
    clock = WallClock()
    clock.start(NOON, ["n1"], 5.0)
    assert clock.ready(5.0), "a cluster of one has nobody to wait for"
    assert clock.read(NOON - HOUR, 5.0) == NOON
    assert clock.read(NOON - HOUR + 1_000, 6.0) == NOON + 500, "the slowest it goes"


def test_a_restarted_cluster_does_not_wait_for_ever_for_clocks() -> None:
    clock = WallClock()
    clock.start(NOON, ["n1", "n2", "n3"], 5.0)
    assert not clock.ready(5.0 + COLD_S)
    assert clock.ready(5.1 + COLD_S)


def test_clocks_not_heard_any_more_do_not_count() -> None:
    clock = led_since_noon()
    clock.heard("n2", HOUR, 100.0)
    clock.heard("n3", HOUR, 100.0)
    later = 100.0 + FORGET_S + 1
    for second in range(10):
        stamp = clock.read(NOON + (61 + second) * 1_000, later + second)
    assert stamp == NOON + 70_000


def test_a_clock_far_from_the_median_is_reported() -> None:
    clock = led_since_noon()
    clock.heard("n2", 10, 100.0)
    clock.heard("n3", SKEW_MS + 11, 100.0)
    assert clock.skewed(100.0) == [("n3", SKEW_MS + 1)]
    clock.heard("n3", SKEW_MS + 10, 100.0)
    assert clock.skewed(100.0) == []


def test_this_machines_own_clock_is_reported_too() -> None:
    clock = led_since_noon()
    for node in ("n2", "n3"):
        clock.heard(node, -HOUR, 100.0)
    assert clock.skewed(100.0) == [("", HOUR)]
