"""Retries and retention under random stories: nothing begins too late or too soon, nothing is forgotten
that lives, no id within its day."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import TERMINAL, JobState, TimerKind
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.duties.retention import Keep, overdue_records
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import CloseSession, EnqueueResult
from orchestrix_raft.machine.events import (
    AttemptEnded,
    IdForgotten,
    JobAssigned,
    JobForgotten,
    JobGivenUp,
    JobReady,
)
from tests.scenarios.driver import Driver, job, key

NAMES = tuple("abcdef")
POLICY = RetryPolicy(max_retries=6, delay_ms=1_000, jitter_percent=0)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                "enqueue",
                "fail",
                "fail",
                "complete",
                "release",
                "lose",
                "tick",
                "tick",
                "retry",
                "cancel",
                "worker",
            )
        ),
        st.sampled_from(NAMES),
        st.sampled_from((0, 1, 500, 1_000, 2_000, 7_000, 31_000)),
    ),
    max_size=60,
)
KEEP = Keep(finished_ms=5_000, finished=4, dead_ms=9_000, dead=2)


@pytest.fixture(autouse=True, scope="module")
def _short_memory() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "KEEP_IDS_MS", 20_000)
        yield


class Story:
    """A machine and what is known of its jobs from outside."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.workers = 0
        self.due: dict[bytes, int] = {}
        self.since: dict[bytes, int] = {}  # elapsed ms from which the age of a job counts
        self.ended: dict[bytes, int] = {}  # wall ms

    def held(self, name: str) -> bool:
        found = self.driver.machine.state.jobs.get(key(name))
        return found is not None and found.state in (JobState.DISPATCHED, JobState.RUNNING)

    def act(self, what: str, name: str, ms: int) -> None:
        driver = self.driver
        match what:
            case "enqueue":
                known = key(name) in self.ended or key(name) in driver.machine.state.jobs
                result = driver.enqueue(job(name, retry=POLICY, retry_for_ms=ms))
                assert isinstance(result, EnqueueResult)
                assert bool(result.existing) == known
                if not known:
                    self.since[key(name)] = driver.elapsed_ms
            case "fail" if self.held(name):
                driver.fail(name, retry_in_ms=ms if ms % 3 else -1)
            case "complete" if self.held(name):
                driver.complete(name)
            case "release" if self.held(name):
                driver.release(name)
            case "lose" if self.held(name):
                session_id = driver.machine.state.jobs[key(name)].session_id
                epoch = driver.machine.state.sessions[session_id].epoch
                driver.do(CloseSession(session_id, epoch))
            case "retry":
                driver.retry(name)
                if key(name) in driver.machine.state.jobs:
                    self.since[key(name)] = driver.elapsed_ms
            case "cancel":
                driver.cancel(name)
            case "worker":
                self.workers += 1
                driver.attach(f"w{self.workers}")
            case _:
                driver.tick(ms)
        self.look()

    def look(self) -> None:
        """What must hold of the newest entry."""
        state = self.driver.machine.state
        for event in self.driver.events:
            match event:
                case AttemptEnded(timer=timer) if timer is not None:
                    assert timer.kind == TimerKind.READY_AT_ELAPSED
                    self.due[event.job_id] = timer.due_ms
                case JobReady():
                    assert state.elapsed_ms >= self.due.pop(event.job_id, 0)
                case JobAssigned():
                    found = state.jobs.get(event.job_id)
                    if found is not None and found.failures and found.spec.retry_for_ms:
                        assert state.elapsed_ms <= self.since[event.job_id] + found.spec.retry_for_ms
                case JobGivenUp():
                    assert state.elapsed_ms > self.since[event.job_id]
                case JobForgotten():
                    assert event.job_id not in state.jobs
                    assert self.ended[event.job_id] == event.finished_ms
                case IdForgotten():
                    assert state.wall_ms >= self.ended.pop(event.job_id) + limits.KEEP_IDS_MS
        for name in NAMES:
            found = self.driver.machine.find_job(key(name))
            if found is not None and found.state in TERMINAL:
                self.ended[key(name)] = found.finished_ms
            elif found is not None:
                self.ended.pop(key(name), None)
                late = found.failures and 0 < found.retry_until_ms < state.elapsed_ms
                assert not (late and found.state is JobState.PENDING), "a retry waits that may not begin"

    def rebuild(self) -> None:
        """As after a restart."""
        twin = Machine(self.driver.store, self.driver.store)
        twin.load(self.driver.store.pairs)
        self.driver.machine = twin


@settings(max_examples=150)
@given(STEPS)
def test_no_retry_begins_before_it_is_due_or_after_its_time(steps: list[tuple[str, str, int]]) -> None:
    story = Story()
    story.act("worker", "", 0)
    for number, step in enumerate(steps):
        if number % 7 == 3:
            story.rebuild()
        story.act(*step)
    story.act("tick", "", 0)


@settings(max_examples=150)
@given(STEPS)
def test_retention_forgets_no_live_job_and_no_id_too_soon(steps: list[tuple[str, str, int]]) -> None:
    story = Story()
    story.act("worker", "", 0)
    for step in steps:
        story.act(*step)
        for _ in range(4):
            commands = overdue_records(story.driver.machine.state, story.driver.wall_ms, KEEP, 2)
            if not commands:
                break
            story.driver.apply(codec.unnumbered(*commands))
            story.look()
        else:
            raise AssertionError("retention does not come to an end")
        counts = story.driver.machine.state.counts
        assert counts[JobState.COMPLETED] + counts[JobState.CANCELLED] <= KEEP.finished
        assert counts[JobState.DEAD] <= KEEP.dead
