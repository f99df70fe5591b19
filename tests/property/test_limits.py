"""Limits of queues in random streams, watched from the outside."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import Job, JobState
from orchestrix_raft.domain.queue import LIMITS, QueueChange, RateLimitOptions
from orchestrix_raft.machine.commands import ConfigureQueue
from orchestrix_raft.machine.explain import blocked_by, explain
from orchestrix_raft.machine.state import State
from orchestrix_raft.simulation.limits_watch import LimitsWatch
from orchestrix_raft.simulation.unique_watch import UniqueWatch
from tests.property.test_machine import Replica, let_through, takes_jobs
from tests.scenarios.driver import Driver, job
from tests.scenarios.streams import Step, Stream, small_limits, steps


@pytest.fixture(autouse=True, scope="module")
def _small_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_limits(patch)
        yield


@pytest.fixture(scope="module")
def _room(_small_limits: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LIVE_JOBS", 1_000)
        yield


@settings(max_examples=150)
@given(steps)
def test_no_limit_is_ever_exceeded(stream: list[Step]) -> None:
    """For every window of log time, every count at a time, every pause; whatever else happens."""
    replica, source, watch = Replica(), Stream(), LimitsWatch()
    for number, step in enumerate(stream):
        if number % 23 == 22:
            replica.rebuild()
        applied = replica.apply(source.entry(replica.machine.state, step))
        for event in applied.events:
            assert watch.see(event, replica.machine.state.elapsed_ms) == ""


@settings(max_examples=150)
@given(steps)
def test_no_unique_key_is_ever_taken_twice(stream: list[Step]) -> None:
    """For every scope, through replacement, retry, death, purge and a rebuilt state."""
    replica, source, watch = Replica(), Stream(), UniqueWatch()
    for number, step in enumerate(stream):
        if number % 23 == 22:
            replica.rebuild()
        applied = replica.apply(source.entry(replica.machine.state, step))
        for event in applied.events:
            assert watch.see(event, replica.machine.state.elapsed_ms) == ""


def _has_worker(state: State, ready: Job) -> bool:
    spec = ready.spec
    return any(
        takes_jobs(state, session)
        and len(session.slots) < session.capacity
        and spec.queue in session.queues
        and set(spec.labels) <= set(session.labels)
        for session in state.sessions.values()
    )


LIMITING = {"queue_paused", "queue_rate_limited", "queue_full", "key_rate_limited", "key_full"}


@settings(max_examples=150)
@given(steps)
def test_what_is_said_to_hold_a_job_is_what_dispatching_stops_at(stream: list[Step]) -> None:
    """A ready job that waits has a reason; limits are among them if they hold it, workers if none is free."""
    replica, source = Replica(), Stream()
    for step in stream:
        replica.apply(source.entry(replica.machine.state, step))
        state = replica.machine.state
        for one in state.jobs.values():
            assert explain(state, one)
            if one.state is not JobState.PENDING:
                continue
            codes = {reason.code for reason in blocked_by(state, one)}
            assert codes
            assert bool(codes & LIMITING) == (not let_through(state, one))
            assert bool(codes - LIMITING) == (not _has_worker(state, one))


@pytest.mark.usefixtures("_room")
@settings(max_examples=60)
@given(
    st.integers(1, 4),
    st.integers(1, 400),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 4)), max_size=60),
)
def test_a_rate_delays_no_longer_than_the_window_says(
    count: int, window_ms: int, arrivals: list[tuple[int, int]]
) -> None:
    """Jobs of an idle worker begin at the first entry at which the definition allows it."""
    exact = count <= 2  # above, the small limits of this module count in sub-windows
    grain_ms = 0 if exact else -(-window_ms // 4)
    driver = Driver()
    driver.attach("w", capacity=1_000)
    change = QueueChange(rate=RateLimitOptions(count, window_ms))
    driver.do(ConfigureQueue(b"", "default", change))
    begun: list[int] = []
    made = 0
    for wait, jobs in arrivals:
        driver.tick(wait)
        begun += [driver.elapsed_ms] * len(driver.assignments())
        driver.enqueue(*(job(f"{made + n}") for n in range(jobs)))
        begun += [driver.elapsed_ms] * len(driver.assignments())
        made += jobs
        if made > len(begun):
            edge_ms = driver.elapsed_ms - window_ms - grain_ms
            assert sum(at > edge_ms for at in begun) >= count


_RATES = st.builds(RateLimitOptions, st.integers(1, 4), st.integers(1, 40))
_CHANGES = st.one_of(
    st.builds(QueueChange, rate=_RATES),
    st.builds(QueueChange, key_rate=_RATES),
    st.builds(QueueChange, concurrency=st.integers(1, 3)),
    st.builds(QueueChange, key_concurrency=st.integers(1, 2)),
    st.builds(lambda word: QueueChange(clear=(word,)), st.sampled_from(LIMITS)),
)
_DEEDS = st.one_of(
    _CHANGES,
    st.lists(st.sampled_from(("", "k", "l", "m")), min_size=1, max_size=5),  # keys of new jobs
    st.integers(0, 25),  # milliseconds that pass
    st.sampled_from(("complete", "complete", "fail", "takeover")),
)
Deed = QueueChange | list[str] | int | str


@pytest.mark.usefixtures("_room")
@settings(max_examples=300)
@given(st.lists(_DEEDS, min_size=10, max_size=60))
def test_limits_hold_where_there_is_little_else_than_limits(deeds: list[Deed]) -> None:
    """Every window, by the millisecond, and every count, per queue and per key, for every moment of a change,
    whoever takes over."""
    driver, watch = Driver(), LimitsWatch()
    driver.attach("w", capacity=100)
    running: list[str] = []
    made = 0
    for deed in deeds:
        if isinstance(deed, QueueChange):
            driver.do(ConfigureQueue(b"", "default", deed))
        elif isinstance(deed, list):
            driver.enqueue(*(job(f"{made + n}", key=key) for n, key in enumerate(deed)))
            made += len(deed)
        elif isinstance(deed, int):
            driver.tick(deed)
        elif deed == "takeover":
            driver.machine.load(driver.store.pairs)
            continue
        elif not running:
            continue
        else:
            name = running.pop(0)
            driver.complete(name) if deed == "complete" else driver.fail(name)
        for event in driver.applied.events:
            assert watch.see(event, driver.elapsed_ms) == ""
        running += [name for name, _ in driver.assignments()]
