"""What of the audit trail depends on the machine level: put schedules are in it, and what of a queue was
changed, from level 2 on; at level 1 everything is as the version that had only that one left it."""

from typing import Any

import pytest

from orchestrix_raft.domain.job import JobSpec, JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.queue import QueueChange, RateLimitOptions
from orchestrix_raft.domain.schedule import Cursor, IntervalSchedule, ScheduleSpec
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import (
    Asked,
    Auditable,
    CancelJobs,
    CancelWhere,
    ConfigureQueue,
    DeleteSchedule,
    NodeStarted,
    PauseSchedule,
    PurgeJobs,
    PurgeWhere,
    PutSchedule,
    RaiseLevel,
    ResumeSchedule,
    RetryJobs,
    RetryWhere,
    TriggerSchedule,
)
from orchestrix_raft.machine.rules import AUDIT_LEVEL
from orchestrix_raft.version import MACHINE_LEVEL
from tests.scenarios.driver import Driver, key

REQUEST = b"r" * 16
BY_HAND = "by hand"
JOBS = (key("a"),)
PENDING = JobFilter((JobState.PENDING,))
EVERY_MINUTE = ScheduleSpec("nightly", IntervalSchedule(60_000), JobSpec(b"", "t", "default", b"{}"))

NOTED: dict[type, tuple[Any, str]] = {
    CancelJobs: (CancelJobs(REQUEST, JOBS, ""), "done: cancelled"),
    RetryJobs: (RetryJobs(REQUEST, JOBS), "done: already_pending"),
    PurgeJobs: (PurgeJobs(REQUEST, JOBS), "done: still_pending"),
    CancelWhere: (CancelWhere(REQUEST, PENDING, b"", 10, ""), "done: 1 at once"),
    RetryWhere: (RetryWhere(REQUEST, JobFilter((JobState.DEAD,)), b"", 10), "done: 0 at once"),
    PurgeWhere: (PurgeWhere(REQUEST, JobFilter((JobState.DEAD,)), b"", 10), "done: 0 at once"),
    ConfigureQueue: (ConfigureQueue(REQUEST, "mail", QueueChange(paused=True)), "done: paused"),
    PutSchedule: (PutSchedule(REQUEST, EVERY_MINUTE), "done: created"),
    PauseSchedule: (PauseSchedule(REQUEST, "there", ""), "done: paused"),
    ResumeSchedule: (ResumeSchedule(REQUEST, "there"), "done: not_paused"),
    TriggerSchedule: (TriggerSchedule(REQUEST, "there"), "done: fired"),
    DeleteSchedule: (DeleteSchedule(REQUEST, "there"), "done: deleted"),
}
"""Every command that is audited, and what is noted of one that is carried out."""

RATE = RateLimitOptions(100, 1_000)
CHANGES = [
    (QueueChange(paused=True), "paused"),
    (QueueChange(paused=False), "resumed"),
    (QueueChange(rate=RATE), "rate 100/1s"),
    (QueueChange(rate=RateLimitOptions(5, 1_500)), "rate 5/1500ms"),
    (QueueChange(key_rate=RateLimitOptions(1, 120_000)), "key rate 1/2m"),
    (QueueChange(key_rate=RateLimitOptions(1, 3_600_000)), "key rate 1/1h"),
    (QueueChange(concurrency=3), "concurrency 3"),
    (QueueChange(key_concurrency=1), "key concurrency 1"),
    (QueueChange(clear=("rate",)), "rate none"),
    (QueueChange(clear=("key_rate", "concurrency")), "concurrency none, key rate none"),
    (
        QueueChange(True, RATE, 3, RATE, 2),
        "paused, rate 100/1s, concurrency 3, key rate 100/1s, key concurrency 2",
    ),
    (QueueChange(paused=False, concurrency=9, clear=("rate",)), "resumed, rate none, concurrency 9"),
    (QueueChange(), "nothing changed"),
]


def at_level(level: int) -> Driver:
    """A machine of a cluster that was raised so far."""
    driver = Driver()
    driver.apply(codec.unnumbered(NodeStarted("n0", key("again"), "a:1", "v", MACHINE_LEVEL)))
    for following in range(FIRST_LEVEL + 1, level + 1):
        member = ("n0", driver.machine.state.nodes["n0"].incarnation)
        assert driver.do(RaiseLevel(following, "v", (member,))) is None
    assert driver.machine.state.level == level
    return driver


def prepared(level: int) -> Driver:
    """With a waiting job and a schedule, of which the trail does not speak."""
    driver = at_level(level)
    driver.enqueue("a")
    driver.do(PutSchedule(b"there" * 3, ScheduleSpec("there", EVERY_MINUTE.timing, EVERY_MINUTE.template)))
    return driver


def noted(driver: Driver, command: Any) -> list[tuple[str, str, str]]:
    """Carry a command out for somebody; what the trail says of it."""
    before = driver.machine.state.audit.next
    driver.do(Asked(BY_HAND, command))
    return [
        (record.action, record.target, record.outcome)
        for _, record in driver.machine.state.records.audit_from(before, 10)
    ]


def test_no_audited_command_is_missing_here() -> None:
    assert set(NOTED) == set(Auditable.__args__)


@pytest.mark.parametrize("kind", NOTED, ids=lambda kind: kind.__name__)
def test_every_audited_command_that_is_carried_out_is_noted_once(kind: type) -> None:
    command, outcome = NOTED[kind]
    driver = prepared(MACHINE_LEVEL)
    ((_, _, told),) = noted(driver, command)
    assert told == outcome
    assert noted(driver, command) == [], "the same request again"


@pytest.mark.parametrize("kind", NOTED, ids=lambda kind: kind.__name__)
def test_the_first_level_stays_as_it_was(kind: type) -> None:
    """Nodes that run only that level apply the same entries."""
    command, outcome = NOTED[kind]
    told = [outcome for _, _, outcome in noted(prepared(FIRST_LEVEL), command)]
    as_it_was: dict[type, list[str]] = {PutSchedule: [], ConfigureQueue: ["done: configured"]}
    assert told == as_it_was.get(kind, [outcome])


@pytest.mark.parametrize("cursor", Cursor, ids=lambda cursor: cursor.name)
def test_an_update_of_a_schedule_is_noted_whatever_becomes_of_its_place(cursor: Cursor) -> None:
    for level, count in ((AUDIT_LEVEL - 1, 0), (AUDIT_LEVEL, 1)):
        driver = at_level(level)
        driver.do(PutSchedule(b"first" * 3, EVERY_MINUTE))
        changed = ScheduleSpec("nightly", IntervalSchedule(90_000), EVERY_MINUTE.template)
        told = noted(driver, PutSchedule(REQUEST, changed, cursor))
        assert told == [("put_schedule", "schedule nightly", "done: updated")] * count


def test_a_refused_put_is_noted_too() -> None:
    driver = at_level(AUDIT_LEVEL)
    driver.do(PutSchedule(b"first" * 3, EVERY_MINUTE))
    ((_, target, outcome),) = noted(driver, PutSchedule(REQUEST, EVERY_MINUTE, version=0))
    assert (target, outcome.partition(": ")[0]) == ("schedule nightly", "refused")


@pytest.mark.parametrize(("change", "words"), CHANGES, ids=[words for _, words in CHANGES])
def test_what_of_a_queue_was_changed_is_said(change: QueueChange, words: str) -> None:
    command = ConfigureQueue(REQUEST, "mail", change)
    for level, outcome in ((AUDIT_LEVEL - 1, "configured"), (AUDIT_LEVEL, words)):
        assert noted(at_level(level), command) == [("configure_queue", "queue mail", f"done: {outcome}")]


def test_a_refused_change_of_a_queue_says_why() -> None:
    command = ConfigureQueue(REQUEST, "mail", QueueChange(concurrency=-1))
    for level in (AUDIT_LEVEL - 1, AUDIT_LEVEL):
        ((_, _, outcome),) = noted(at_level(level), command)
        assert outcome == "refused: QUEUE_OPTIONS_INVALID"


@pytest.mark.parametrize("level", range(FIRST_LEVEL, MACHINE_LEVEL + 1))
@pytest.mark.parametrize(
    "step",
    [
        CancelWhere(b"2" * 16, PENDING, key("a"), 10, ""),
        RetryWhere(b"2" * 16, JobFilter((JobState.DEAD,)), key("a"), 10),
        PurgeWhere(b"2" * 16, JobFilter((JobState.DEAD,)), key("a"), 10),
    ],
    ids=lambda step: type(step).__name__,
)
def test_the_later_steps_of_a_walk_are_not_noted(level: int, step: Any) -> None:
    assert noted(prepared(level), step) == []


def test_the_level_in_force_at_the_entry_decides_and_a_replay_comes_to_the_same() -> None:
    driver = at_level(FIRST_LEVEL)
    assert noted(driver, PutSchedule(b"1" * 16, EVERY_MINUTE)) == []
    member = ("n0", driver.machine.state.nodes["n0"].incarnation)
    driver.do(RaiseLevel(AUDIT_LEVEL, "v", (member,)))
    assert len(noted(driver, PutSchedule(b"2" * 16, EVERY_MINUTE))) == 1
    again = Driver()
    for index, data in enumerate(driver.log[1:], 2):
        again.machine.apply(index, 1, codec.decode_entry(data))
    assert again.machine.state.digest == driver.machine.state.digest
