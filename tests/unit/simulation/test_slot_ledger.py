"""The ledger of slots accepts what the policies say, and names what is lost, doubled or decided otherwise."""

from collections.abc import Callable

import pytest

from orchestrix_raft.domain.job import Firing, JobSpec, JobState
from orchestrix_raft.domain.schedule import (
    NO_SLOT,
    CronSchedule,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    ScheduleSpec,
    Slot,
    Timing,
    run_id,
)
from orchestrix_raft.machine.events import (
    Event,
    JobCompleted,
    JobEnqueued,
    ScheduleAdvanced,
    SchedulePaused,
    SchedulePut,
    ScheduleResumed,
    SlotBuffered,
    SlotFired,
    SlotSkipped,
)
from orchestrix_raft.simulation.slots import SlotLedger

T = 1_790_000_000_000
INTERVAL = IntervalSchedule(1_000)


class Broken(Exception):
    pass


def _raise(what: str) -> None:
    raise Broken(what)


class Story:
    """A ledger that sees one schedule, made at T; times are counted from there."""

    def __init__(
        self,
        misfire: Misfire = Misfire.LATEST,
        overlap: Overlap = Overlap.ALLOW,
        timing: Timing = INTERVAL,
        max_runs: int = 0,
    ) -> None:
        self.ledger = SlotLedger(_raise)
        self.spec = ScheduleSpec(
            "s", timing, JobSpec(b"", "t", "q", b"{}"), misfire, overlap, max_runs=max_runs
        )
        self.see(0, self.put(0))

    def see(self, at_ms: int, *events: Event) -> None:
        """An entry stamped `at_ms`."""
        self.ledger.entry(T + at_ms, list(events))

    def put(self, after_ms: int) -> SchedulePut:
        return SchedulePut(self.spec, 1, 1, T, T + after_ms, 1)

    def fired(self, slot_ms: int, missed: int = 0, buffered: bool = False) -> tuple[Event, ...]:
        """The job of a slot and the slot's event."""
        job_id = run_id("s", 1, T + slot_ms)
        firing = Firing("s", 1, T + slot_ms, T + slot_ms, missed)
        enqueued = JobEnqueued(JobSpec(job_id, "t", "q", b"{}", firing=firing), JobState.PENDING, 1, None)
        return (enqueued, SlotFired("s", Slot(T + slot_ms, missed), job_id, buffered))

    def skipped(self, slot_ms: int, missed: int, why: str) -> SlotSkipped:
        return SlotSkipped("s", Slot(T + slot_ms, missed, why))

    def advanced(self, after_ms: int, next_ms: int) -> ScheduleAdvanced:
        return ScheduleAdvanced("s", T + after_ms, T + next_ms, T + next_ms, 2)


def test_slots_that_fire_in_turn_are_as_they_must_be() -> None:
    story = Story()
    story.see(10, story.advanced(0, 1_000))
    story.see(1_005, *story.fired(1_000), story.advanced(1_000, 2_000))
    story.see(5_500, *story.fired(5_000, missed=3), story.advanced(5_000, 6_000))
    assert (story.ledger.fired, story.ledger.left_over(T + 6_500, 1_000)) == (2, "")


def test_a_calendar_and_a_one_shot_are_grids_too() -> None:
    minute_ms = 60_000 - T % 60_000
    story = Story(timing=CronSchedule("* * * * *", "UTC"))
    story.see(10, story.advanced(0, minute_ms))
    story.see(minute_ms, *story.fired(minute_ms), story.advanced(minute_ms, minute_ms + 60_000))
    once = Story(timing=OneShotSchedule(T + 500))
    once.see(10, once.advanced(0, 500))
    once.see(510, *once.fired(500), ScheduleAdvanced("s", T + 500, NO_SLOT, 0, 2))
    assert once.ledger.left_over(T + 10**9, 0) == ""


Tell = Callable[[Story], None]


@pytest.mark.parametrize(
    ("tell", "words"),
    [
        (lambda s: s.see(1_005, *s.fired(1_000), s.advanced(1_000, 3_000)), "is .*2000, not .*3000"),
        (lambda s: s.see(1_005, *s.fired(1_000), s.advanced(1_000, 1_000)), "is .*2000, not .*1000"),
        (lambda s: s.see(1_005, *s.fired(1_000), *s.fired(1_000)), "another run|twice"),
        (lambda s: s.see(3_005, *s.fired(1_000), s.advanced(1_000, 2_000)), "was due"),
        (lambda s: s.see(3_005, *s.fired(3_000), s.advanced(3_000, 4_000)), "missed=2"),
        (lambda s: s.see(3_005, *s.fired(3_000, 1), s.advanced(3_000, 4_000)), "missed=2"),
        (lambda s: s.see(1_005, *s.fired(1_001), s.advanced(1_001, 2_000)), "expected"),
        (lambda s: s.see(1_005, s.skipped(1_000, 0, "misfire"), s.advanced(1_000, 2_000)), "expected"),
        (lambda s: s.see(1_005, s.skipped(1_000, 0, "overlap")), "for overlap with 0 active runs"),
        (lambda s: s.see(1_005, s.skipped(1_000, 0, "job_exists")), "for job_exists"),
        (lambda s: s.see(1_005, SlotBuffered("s", Slot(T + 1_000))), "buffered for no reason"),
        (lambda s: s.see(1_005, s.fired(1_000)[1]), "another job than was enqueued"),
        (lambda s: s.see(1_005, s.put(-1_000)), "goes on after"),
    ],
)
def test_what_must_not_be_is_named(tell: Tell, words: str) -> None:
    story = Story()
    story.see(10, story.advanced(0, 1_000))
    with pytest.raises(Broken, match=words):
        tell(story)


def test_a_slot_that_nobody_decides_is_left_over() -> None:
    story = Story()
    story.see(10, story.advanced(0, 1_000))
    assert "1790000001000 of s is not decided" in story.ledger.left_over(T + 3_100, 2_000)


def test_a_decided_slot_is_not_decided_again_even_with_a_job_that_exists() -> None:
    story = Story()
    story.see(10, story.advanced(0, 1_000))
    story.see(1_005, *story.fired(1_000), story.advanced(1_000, 2_000))
    with pytest.raises(Broken, match="decided twice"):
        story.see(2_005, story.skipped(1_000, 0, "job_exists"))


def test_nothing_fires_while_it_is_paused_and_nothing_of_the_pause_afterwards() -> None:
    story = Story()
    story.see(500, SchedulePaused("s", 2, ""))
    with pytest.raises(Broken, match="while it was paused"):
        story.see(1_005, *story.fired(1_000))
    story = Story()
    story.see(500, SchedulePaused("s", 2, ""))
    with pytest.raises(Broken, match="slots of its pause"):
        story.see(5_000, ScheduleResumed("s", 3, T, 3))


def test_misfires_are_counted_as_the_policy_says() -> None:
    day_ms = 86_400_000
    late = Story(timing=OneShotSchedule(T + 1_000))
    over = ScheduleAdvanced("s", T + 1_000, NO_SLOT, 0, 2)
    late.see(day_ms + 1_500, late.skipped(1_000, 0, "misfire_window"), over)
    late = Story(timing=OneShotSchedule(T + 1_000))
    with pytest.raises(Broken, match="expected"):
        late.see(day_ms + 1_500, *late.fired(1_000), over)
    skip = Story(Misfire.SKIP)
    skip.see(
        5_500, skip.skipped(4_000, 3, "misfire"), *skip.fired(5_000), skip.advanced(5_000, 6_000)
    )  # the last one is not late yet
    with pytest.raises(Broken, match="expected"):
        skip.see(
            17_500, *skip.fired(6_000), skip.skipped(17_000, 10, "misfire"), skip.advanced(17_000, 18_000)
        )
    everyone = Story(Misfire.ALL)
    runs = [event for slot_ms in (1_000, 2_000, 3_000) for event in everyone.fired(slot_ms)]
    everyone.see(3_500, *runs, everyone.advanced(3_000, 4_000))
    with pytest.raises(Broken, match="expected"):
        everyone.see(6_500, *everyone.fired(6_000), everyone.advanced(6_000, 7_000))


def test_overlapping_runs_follow_the_policy() -> None:
    skip = Story(overlap=Overlap.SKIP)
    skip.see(1_005, *skip.fired(1_000), skip.advanced(1_000, 2_000))
    with pytest.raises(Broken, match="while a run was active, against skip"):
        skip.see(2_005, *skip.fired(2_000))
    one = Story(overlap=Overlap.BUFFER_ONE)
    one.see(1_005, *one.fired(1_000), one.advanced(1_000, 2_000))
    one.see(2_005, SlotBuffered("s", Slot(T + 2_000)), one.advanced(2_000, 3_000))
    with pytest.raises(Broken, match="left the buffer before its time"):
        one.see(2_500, *one.fired(2_000, buffered=True))
    one.see(2_600, JobCompleted(run_id("s", 1, T + 1_000), 1, b"", 0, 0))
    assert "in its buffer and no active run" in one.ledger.left_over(T + 2_700, 0)


def test_a_schedule_ends_after_the_runs_it_may_have() -> None:
    story = Story(max_runs=1)
    with pytest.raises(Broken, match="goes on after 1 runs"):
        story.see(1_005, *story.fired(1_000), story.advanced(1_000, 2_000))
