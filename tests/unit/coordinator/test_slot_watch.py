"""The numbers of a node about slots: how many fired, how many were skipped, how late the runs started."""

from orchestrix_raft.coordinator.slot_watch import SlotWatch
from orchestrix_raft.domain.schedule import Overlap, ScheduleSpec
from orchestrix_raft.machine.commands import PutSchedule, TriggerSchedule
from orchestrix_raft.machine.events import SlotFired, SlotSkipped
from orchestrix_raft.telemetry.metrics import Registry
from orchestrix_raft.timetable.jitter import jitter_ms
from tests.scenarios.driver import WALL_START_MS, Driver
from tests.scenarios.scheduling import interval, scan


class Watched:
    """A driver with one schedule, and the numbers of a node that sees it."""

    def __init__(self, spec: ScheduleSpec) -> None:
        self.driver, self.registry = Driver(), Registry()
        self.watch = SlotWatch(self.registry)
        self.driver.do(PutSchedule(b"", spec))
        scan(self.driver)

    def fire(self, after_ms: int) -> None:
        """Time passes, then what is due is fired."""
        self.driver.tick(after_ms)
        scan(self.driver)
        self.follow()

    def follow(self) -> None:
        for event in self.driver.applied.events:
            if isinstance(event, SlotFired):
                self.watch.fired(event, self.driver.machine.state)
            elif isinstance(event, SlotSkipped):
                self.watch.skipped(event)

    def numbers(self) -> tuple[float, ...]:
        """Fired, skipped, newest and largest lateness."""
        values = self.registry.values()
        names = ("slots_fired", "slots_skipped", "slot_late_ms", "slot_late_max_ms")
        return tuple(values[name] for name in names)


def test_lateness_is_the_time_from_the_slot_to_the_start_of_its_run() -> None:
    watched = Watched(interval(overlap=Overlap.ALLOW))
    watched.fire(10_700)
    assert watched.numbers() == (1, 0, 700, 700)
    watched.fire(9_400)
    assert watched.numbers() == (2, 0, 100, 700)


def test_jitter_is_not_lateness() -> None:
    watched = Watched(interval(jitter_ms=5_000))
    slot_ms = WALL_START_MS + 10_000
    watched.fire(10_000 + jitter_ms("s", slot_ms, 5_000) + 30)
    assert watched.numbers() == (1, 0, 30, 30)


def test_missed_slots_and_runs_by_hand_are_counted_but_not_late() -> None:
    watched = Watched(interval(overlap=Overlap.ALLOW))
    watched.fire(95_000)
    assert watched.numbers() == (1, 0, 0, 0)
    watched.driver.do(TriggerSchedule(b"", "s"))
    watched.follow()
    assert watched.numbers() == (2, 0, 0, 0)


def test_skipped_slots_are_counted_with_those_they_stand_for() -> None:
    watched = Watched(interval())
    watched.fire(10_000)
    watched.fire(35_000)
    assert watched.numbers() == (1, 3, 0, 0)
