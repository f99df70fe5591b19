"""A simulated owner of schedules: makes some of every kind and policy, and steers them while things break."""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.domain.schedule import (
    CronSchedule,
    Cursor,
    IntervalSchedule,
    Misfire,
    OneShotSchedule,
    Overlap,
    ScheduleSpec,
    Timing,
)
from orchestrix_raft.machine.commands import (
    Command,
    DeleteSchedule,
    PauseSchedule,
    PutSchedule,
    ResumeSchedule,
    ScheduleResult,
    TriggerSchedule,
)
from orchestrix_raft.simulation.clients import SimClient
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.slots import CRON_PERIODS_MS
from orchestrix_raft.simulation.world import START_WALL_MS, World

SCHEDULES: Final = 6


class SimOwner(SimClient):
    """One call at a time: what it asks for follows from what it was told."""

    def __init__(
        self, world: World, name: str, nodes: list[SimNode], violation: Callable[[str], None]
    ) -> None:
        super().__init__(world, name, nodes, [], violation, lambda job_id: False)
        self.specs: dict[str, ScheduleSpec] = {}  # as acknowledged
        self.paused: set[str] = set()
        self.triggered = 0
        self._made = 0
        self._leaving = False

    def act(self) -> None:
        """Make the next schedule, or steer one of those there are."""
        if not self.idle or self._leaving:
            return
        if len(self.specs) < SCHEDULES and (not self.specs or self.rng.random() < 0.8):
            self._made += 1
            self._put(self._spec_of(f"s{self._made}"))
            return
        schedule_id = self.rng.choice(sorted(self.specs))
        kind = self.rng.random()
        if kind < 0.2:
            self._put(self._spec_of(schedule_id))
        elif kind < 0.5:
            self._toggle(schedule_id)
        elif kind < 0.95:
            self._ask(TriggerSchedule(self._request(), schedule_id), self._was_triggered)
        else:
            self._ask(DeleteSchedule(self._request(), schedule_id), lambda _: self._forget(schedule_id))

    def leave(self) -> bool:
        """Pause everything that fires; True when that is done."""
        self._leaving = True
        if not self.idle:
            return False
        for schedule_id in sorted(self.specs.keys() - self.paused):
            self._toggle(schedule_id)
        return self.idle

    def _request(self) -> bytes:
        return self.rng.randbytes(16)

    def _toggle(self, schedule_id: str) -> None:
        if schedule_id in self.paused:
            self._ask(
                ResumeSchedule(self._request(), schedule_id), lambda _: self.paused.discard(schedule_id)
            )
        else:
            command = PauseSchedule(self._request(), schedule_id, "for a while")
            self._ask(command, lambda _: self.paused.add(schedule_id))

    def _put(self, spec: ScheduleSpec) -> None:
        def done(_: ScheduleResult) -> None:
            self.specs[spec.schedule_id] = spec

        self._ask(PutSchedule(self._request(), spec, self.rng.choice(list(Cursor))), done)

    def _was_triggered(self, result: ScheduleResult) -> None:
        self.triggered += 1
        if (result.word == "fired") != bool(result.job_id):
            self._violation(f"a trigger was answered {result}")

    def _forget(self, schedule_id: str) -> None:
        del self.specs[schedule_id]
        self.paused.discard(schedule_id)

    def _ask(self, command: Command, then: Callable[[ScheduleResult], object]) -> None:
        def done(answer: Done) -> None:
            if not isinstance(answer.result, ScheduleResult):
                self._violation(f"{command} was answered {answer.result}")
                return
            then(answer.result)

        self._call(command, done)

    # ---- what it wants ---------------------------------------------------------------------------------

    def _spec_of(self, schedule_id: str) -> ScheduleSpec:
        rng = self.rng
        now_ms = START_WALL_MS + self.world.wall_shift_ms + int(self.world.now * 1000)
        job = JobSpec(
            b"", "run", "default", b"{}", retry=RetryPolicy(max_retries=rng.randint(0, 1), delay_ms=500)
        )
        return ScheduleSpec(
            schedule_id,
            self._timing(now_ms),
            job,
            rng.choice(list(Misfire)),
            rng.choice(list(Overlap)),
            rng.choice((0, 0, 0, 900)),
            rng.choice((0, 0, 2)),
            now_ms + rng.randint(-5_000, 10_000) if rng.random() < 0.1 else 0,
            now_ms + rng.randint(15_000, 60_000) if rng.random() < 0.1 else 0,
            rng.choice((0, 0, 0, 5)),
        )

    def _timing(self, now_ms: int) -> Timing:
        rng = self.rng
        kind = rng.random()
        if kind < 0.3:
            return CronSchedule(rng.choice(list(CRON_PERIODS_MS)), "UTC")
        if kind < 0.4:
            return OneShotSchedule(now_ms + rng.randint(-2_000, 30_000))
        return IntervalSchedule(rng.choice((1_000, 1_000, 2_500, 10_000)), rng.choice((0, 0, now_ms - 777)))
