"""The index behind schedules: which are due, which runs are active, of which a run has just ended.

Everything here is derived from schedules and live jobs: it can be rebuilt and holds nothing that is stored.
Schedules fall due in the order (due_ms, due_seq), which no layout of a heap influences.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from orchestrix_raft.domain.job import Firing, JobState
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.machine.history import SCHEDULES

if TYPE_CHECKING:
    from orchestrix_raft.machine.state import State

_SLACK: Final = 64  # stale items the heap may hold besides as many as it has live ones

DueItem = tuple[int, int, str]
"""(due_ms, due_seq, schedule id)"""


class Book:
    """All that is derived from schedules, and what changed in the running command."""

    __slots__ = ("ended", "items", "live", "runs")

    def __init__(self) -> None:
        self.items: list[DueItem] = []  # a heap with lazy deletion
        self.live = 0  # items whose schedule still waits for that time
        self.runs: dict[str, dict[bytes, None]] = {}  # schedule id -> its active runs; never empty
        self.ended: dict[str, bool] = {}  # schedules of which a run has ended -> too many failed

    # ---- due schedules

    def first_due_ms(self, schedules: dict[str, Schedule]) -> int | None:
        """When the leader must look at a schedule next (wall); None: nothing waits."""
        items = self.items
        while items:
            if _waits(schedules, items[0]):
                return items[0][0]
            heappop(items)
        return None

    def due(self, schedules: dict[str, Schedule], now_ms: int) -> Iterator[DueItem]:
        """Those that are due at `now_ms`, in order; the book must not change meanwhile.

        Walks the heap without taking anything out, so each item costs the logarithm of those before it.
        """
        items = self.items
        ahead = [(items[0], 0)] if items else []
        while ahead:
            item, at = heappop(ahead)
            if item[0] > now_ms:
                return
            if _waits(schedules, item):
                yield item
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(items):
                    heappush(ahead, (items[child], child))

    def wait(self, schedule: Schedule, schedules: dict[str, Schedule], due_ms: int, due_seq: int) -> None:
        """Replace what a schedule waits for; `due_seq` 0: nothing any more."""
        if schedule.due_seq:
            self.live -= 1
        schedule.due_ms, schedule.due_seq = due_ms, due_seq
        if due_seq:
            self.enter(schedule)
        if len(self.items) > 2 * self.live + _SLACK:
            self.items = [item for item in self.items if _waits(schedules, item)]
            heapify(self.items)

    def enter(self, schedule: Schedule) -> None:
        """Index what a schedule waits for."""
        heappush(self.items, (schedule.due_ms, schedule.due_seq, schedule.spec.schedule_id))
        self.live += 1

    # ---- runs

    def begin_run(self, schedule_id: str, job_id: bytes) -> None:
        """A job of this schedule is unfinished from now on."""
        self.runs.setdefault(schedule_id, {})[job_id] = None

    def active(self, schedule_id: str) -> list[bytes]:
        """The unfinished jobs of a schedule, by id, which is by slot."""
        return sorted(self.runs.get(schedule_id, ()))


def _waits(schedules: dict[str, Schedule], item: DueItem) -> bool:
    schedule = schedules.get(item[2])
    return schedule is not None and schedule.due_seq == item[1]


def schedule_of(state: "State", firing: Firing) -> Schedule | None:
    """The schedule whose run a job is; None if that one is gone."""
    schedule = state.schedules.get(firing.schedule_id)
    return schedule if schedule is not None and schedule.incarnation == firing.incarnation else None


def run_begins(state: "State", firing: Firing, job_id: bytes) -> None:
    """A job of a schedule is unfinished: new, loaded, or revived by hand."""
    if schedule_of(state, firing) is not None:
        state.book.begin_run(firing.schedule_id, job_id)


def run_ends(state: "State", firing: Firing, job_id: bytes, final: JobState) -> None:
    """A job of a schedule is over; what follows for the schedule is decided after the running command."""
    schedule = schedule_of(state, firing)
    if schedule is None:
        return
    book, schedule_id = state.book, firing.schedule_id
    runs = book.runs[schedule_id]
    del runs[job_id]
    if not runs:
        del book.runs[schedule_id]
    if final is JobState.COMPLETED:
        schedule.failures = 0
    elif final is JobState.DEAD:
        schedule.failures += 1
    schedule.last_outcome = final.word
    bound = schedule.spec.pause_on_failure
    tripped = 0 < bound <= schedule.failures
    book.ended[schedule_id] = book.ended.get(schedule_id, False) or tripped
    state.touch(SCHEDULES, schedule_id.encode(), schedule)
