"""The leader's work of firing schedules: scan, plan, propose, in small slices, so that nothing else waits.

One entry of plans is under way at a time, bounded by the number of runs and by the time that planning
took; while more is due there is a pause after it, in which everybody else has the log and the loop to
himself.  Whatever is lost (an entry, the leadership) is planned again from the state, and a plan that
is applied twice counts once.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from orchestrix_raft.consensus.port import Accepted
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.schedule import Schedule, ScheduleSpec
from orchestrix_raft.duties.schedules import Evaluator, JobPlanner, ScheduleScanner
from orchestrix_raft.machine.commands import Command, FireSchedule
from orchestrix_raft.machine.state import State
from orchestrix_raft.timetable.jitter import jitter_ms
from orchestrix_raft.timetable.schedule_times import evaluator_of

IN_FLIGHT: Final = 1  # entries of plans that are not applied yet
SLICE_S: Final = 0.010  # of planning in one step
PAUSE_S: Final = 0.005  # from one entry to the next while more is due
LOOK_S: Final = 0.050  # between two looks while all that is due is under way
FULL_S: Final = 0.500  # between two looks while the cluster has no room for runs
REFUSED_S: Final = 1.0  # before a plan that changed nothing is made again
BROKEN_S: Final = 30.0  # before a schedule whose times cannot be computed is tried again
_SHOWN: Final = 5

Propose = Callable[[tuple[Command, ...]], Accepted | None]


class ScheduleRunner:
    """One node's part in firing schedules; used while it leads."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        evaluate: Callable[[ScheduleSpec, int], Evaluator] = evaluator_of,
        scanner: ScheduleScanner | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._scanner = scanner or ScheduleScanner()
        self._planner = JobPlanner(evaluate, jitter_ms)
        self.faults: list[Exception] = []
        self.busy = False  # the next step should come at once
        self.lead()

    def lead(self) -> None:
        """This node has just begun to lead: what an earlier time left is forgotten."""
        self._under_way: deque[tuple[int, list[tuple[str, int]]]] = deque()
        self._passed_over: dict[str, int] = {}  # id -> place in line: under way, refused or broken
        self._again: list[tuple[float, str, int]] = []  # heap: when to try those refused or broken
        self._broken: dict[str, tuple[int, str]] = {}  # id -> its place, why its times cannot be computed
        self._look_at = 0.0
        self._pause_s = 0.0
        self.busy = False

    def step(self, state: State, wall_ms: int, applied_index: int, propose: Propose) -> None:
        """Look for what is due at `wall_ms` and propose it, as far as this step goes."""
        now = self._monotonic()
        self.busy = False
        if self._under_way or self._again:
            self._settle(state, applied_index, now)
        if len(self._under_way) >= IN_FLIGHT or now < self._look_at:
            return
        due_ms = self._scanner.next_due_ms(state)
        if due_ms is None or due_ms > wall_ms:
            return
        if not self._scanner.has_room(state):
            self._look_at = now + FULL_S
            return
        commands, places = self._plan(state, wall_ms, now)
        if not commands:
            self._look_at = now + LOOK_S if self._under_way or not self._again else self._again[0][0]
            return
        accepted = propose(commands)
        if accepted is not None:
            self._under_way.append((accepted.index, places))
            self._passed_over.update(places)
            self.busy = True

    def taken_faults(self) -> list[Exception]:
        """Bugs of evaluators since this was asked last."""
        taken, self.faults = self.faults, []
        return taken

    def due_in_s(self, state: State, wall_ms: int) -> float:
        """Seconds until `step` has something to do; inf: until something else happens."""
        due_ms = self._scanner.next_due_ms(state)
        if due_ms is None or len(self._under_way) >= IN_FLIGHT:
            return float("inf")
        return max((due_ms - wall_ms) / 1000, self._look_at - self._monotonic(), 0.0)

    def problems(self, state: State) -> list[str]:
        """Schedules that do not fire because their times cannot be computed here."""
        shown = []
        for schedule_id, (seq, why) in sorted(self._broken.items()):
            schedule = state.schedules.get(schedule_id)
            if schedule is not None and schedule.due_seq == seq:
                shown.append(f"schedule {schedule_id} does not fire: {why}")
        more = len(shown) - _SHOWN
        return [*shown[:_SHOWN], f"{more} more schedules do not fire"] if more > 0 else shown

    def _plan(
        self, state: State, wall_ms: int, now: float
    ) -> tuple[tuple[Command, ...], list[tuple[str, int]]]:
        """Plans for an entry, and the places in line that they are for."""
        commands: list[Command] = []
        places: list[tuple[str, int]] = []
        self._pause_s = 0.0
        runs_left = min(limits.FIRES_PER_ENTRY, limits.LIVE_JOBS - len(state.jobs))
        for item, schedule in self._scanner.due(state, wall_ms, self._passed_over):
            plan = self._plan_one(schedule, wall_ms, now)
            if plan is not None:
                commands.append(plan)
                places.append((item[2], item[1]))
                runs_left -= max(1, len(plan.slots))
            if runs_left <= 0 or self._monotonic() - now > SLICE_S:
                self._pause_s = PAUSE_S
                break
        return tuple(commands), places

    def _plan_one(self, schedule: Schedule, wall_ms: int, now: float) -> FireSchedule | None:
        schedule_id = schedule.spec.schedule_id
        try:
            plan = self._planner.plan(schedule, wall_ms)
        except Exception as fault:  # of any kind: one schedule must not stop the others, nor the leader
            if schedule_id not in self._broken and not isinstance(fault, ValueError):
                self.faults.append(fault)
            self._broken[schedule_id] = (schedule.due_seq, str(fault) or type(fault).__name__)
            self._pass_over(schedule, now + BROKEN_S)
            return None
        self._broken.pop(schedule_id, None)
        return plan

    def _pass_over(self, schedule: Schedule, until: float) -> None:
        schedule_id = schedule.spec.schedule_id
        self._passed_over[schedule_id] = schedule.due_seq
        heappush(self._again, (until, schedule_id, schedule.due_seq))

    def _settle(self, state: State, applied_index: int, now: float) -> None:
        """Look at what became of the plans that were applied."""
        while self._under_way and self._under_way[0][0] <= applied_index:
            for schedule_id, seq in self._under_way.popleft()[1]:
                schedule = state.schedules.get(schedule_id)
                if schedule is not None and schedule.due_seq == seq:
                    self._pass_over(schedule, now + REFUSED_S)
                elif self._passed_over.get(schedule_id) == seq:
                    del self._passed_over[schedule_id]
            self._look_at = now + self._pause_s
        while self._again and self._again[0][0] <= now:
            _, schedule_id, seq = heappop(self._again)
            if self._passed_over.get(schedule_id) == seq:
                del self._passed_over[schedule_id]
            self._look_at = 0.0
