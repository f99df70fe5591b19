"""The index behind schedules: which are due, which runs are active, of which a run has just ended.

Everything here is derived from schedules and live jobs: it can be rebuilt and holds nothing that is stored.
Schedules fall due in the order (due_ms, due_seq), which no layout of a heap influences.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrix_raft.domain.job import Firing, JobState
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.machine.heap import LazyHeap
from orchestrix_raft.machine.history import SCHEDULES

if TYPE_CHECKING:
    from orchestrix_raft.machine.state import State

DueItem = tuple[int, int, str]
"""(due_ms, due_seq, schedule id)"""


class Book:
    """All that is derived from schedules, and what changed in the running command."""

    __slots__ = ("ended", "runs", "waiting")

    def __init__(self) -> None:
        self.waiting = LazyHeap[dict[str, Schedule], DueItem](_waits)
        self.runs: dict[str, dict[bytes, None]] = {}  # schedule id -> its active runs; never empty
        self.ended: dict[str, bool] = {}  # schedules of which a run has ended -> too many failed

    # ---- due schedules

    def first_due_ms(self, schedules: dict[str, Schedule]) -> int | None:
        """When the leader must look at a schedule next (wall); None: nothing waits."""
        item = self.waiting.first(schedules)
        return None if item is None else item[0]

    def due(self, schedules: dict[str, Schedule], now_ms: int) -> Iterator[DueItem]:
        """Those that are due at `now_ms`, in order; the book must not change meanwhile."""
        for item in self.waiting.ascending(schedules):
            if item[0] > now_ms:
                return
            yield item

    def wait(self, schedule: Schedule, schedules: dict[str, Schedule], due_ms: int, due_seq: int) -> None:
        """Replace what a schedule waits for; `due_seq` 0: nothing any more."""
        waited = schedule.due_seq
        schedule.due_ms, schedule.due_seq = due_ms, due_seq
        if waited:
            self.waiting.lost(schedules)
        if due_seq:
            self.enter(schedule)

    def enter(self, schedule: Schedule) -> None:
        """Index what a schedule waits for."""
        self.waiting.push((schedule.due_ms, schedule.due_seq, schedule.spec.schedule_id))

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
