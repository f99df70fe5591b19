"""What becomes of each job, followed from the events: retries in time, nothing forgotten too soon."""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import TERMINAL, JobState, TimerKind
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import Batch, PurgeJobs, PurgeWhere
from orchestrix_raft.machine.events import (
    AttemptEnded,
    Event,
    IdForgotten,
    JobAssigned,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobForgotten,
    JobGivenUp,
    JobReady,
    JobRetried,
)

READY_LATE_MS: Final = 500  # without faults a leader notices by then what is due


class Lives:
    """Sees every event of the machine that never stops, after the entry that made it."""

    def __init__(self, violation: Callable[[str], None], shadow: Machine, keep: Keep, calm: bool) -> None:
        self._violation = violation
        self._late_ms = READY_LATE_MS if calm else limits.DURATION_MS
        self._shadow = shadow
        self._keep = keep
        self._due: dict[bytes, int] = {}  # waiting for their time -> elapsed ms
        self._ended: dict[bytes, tuple[JobState, int]] = {}  # kept ones -> how, and wall ms
        self._gone: dict[bytes, int] = {}  # forgotten ones -> when they had ended, wall ms
        self._purging = False

    def gone(self, job_id: bytes) -> bool:
        """Whether a job was forgotten."""
        return job_id in self._gone

    def next_entry(self, batches: list[Batch]) -> None:
        """What is about to be applied."""
        commands = [command for batch in batches for command in batch.commands]
        self._purging = any(isinstance(command, PurgeJobs | PurgeWhere) for command in commands)

    def event(self, event: Event) -> None:
        """One event of the entry that has just been applied."""
        state = self._shadow.state
        match event:
            case JobEnqueued():
                self._begins(event.spec.job_id)
                if event.timer is not None and event.timer.kind == TimerKind.READY_AT_ELAPSED:
                    self._due[event.spec.job_id] = event.timer.due_ms
            case JobReady():
                due_ms = self._due.pop(event.job_id, 0)
                if state.elapsed_ms < due_ms:
                    self._violation(f"job {event.job_id.hex()} was ready before it was due")
                if due_ms and state.elapsed_ms > due_ms + self._late_ms:
                    self._violation(f"job {event.job_id.hex()} was due {state.elapsed_ms - due_ms} ms ago")
            case JobAssigned():
                job = state.jobs.get(event.job_id)
                if job is not None and job.failures and 0 < job.retry_until_ms < state.elapsed_ms:
                    self._violation(f"a retry of job {event.job_id.hex()} began after its time")
            case JobCompleted():
                self._ends(event.job_id, JobState.COMPLETED)
            case JobCancelled():
                self._ends(event.job_id, JobState.CANCELLED)
            case JobGivenUp():
                self._ends(event.job_id, JobState.DEAD)
            case AttemptEnded():
                if event.next_state in TERMINAL:
                    self._ends(event.job_id, event.next_state)
                elif event.timer is not None:
                    self._due[event.job_id] = event.timer.due_ms
            case JobRetried():
                self._due.pop(event.job_id, None)
                self._ended.pop(event.job_id, None)
            case JobForgotten():
                self._forgotten(event)
            case IdForgotten():
                ended_ms = self._gone[event.job_id]
                if state.wall_ms < ended_ms + limits.KEEP_IDS_MS:
                    self._violation(f"the id of job {event.job_id.hex()} was forgotten too soon")
            case _:
                pass

    def _begins(self, job_id: bytes) -> None:
        if job_id in self._gone and self._shadow.state.wall_ms < self._gone[job_id] + limits.KEEP_IDS_MS:
            self._violation(f"job {job_id.hex()} was forgotten and made again")

    def _ends(self, job_id: bytes, final: JobState) -> None:
        self._due.pop(job_id, None)
        self._ended[job_id] = (final, self._shadow.state.wall_ms)

    def _forgotten(self, event: JobForgotten) -> None:
        name = f"job {event.job_id.hex()}"
        final, ended_ms = self._ended.pop(event.job_id, (None, 0))
        if final is None:
            self._violation(f"{name} was forgotten while it lived")
        elif (final, ended_ms) != (event.state, event.finished_ms):
            self._violation(f"{name} ended as {final.word} at {ended_ms} and was forgotten as another")
        self._gone[event.job_id] = ended_ms
        keep_ms, most = self._keep.finished_ms, self._keep.finished
        if event.state is JobState.DEAD:
            keep_ms, most = self._keep.dead_ms, self._keep.dead
        by_age_alone = most >= limits.KEEP_DEAD and not self._purging
        if by_age_alone and self._shadow.state.wall_ms < ended_ms + keep_ms:
            self._violation(f"{name} was forgotten after {self._shadow.state.wall_ms - ended_ms} ms")

    def final(self) -> None:
        """What is kept is what is counted, and no more than may be."""
        counts = self._shadow.state.counts
        for final in sorted(TERMINAL):
            kept = sum(1 for how, _ in self._ended.values() if how is final)
            if kept != counts[final]:
                self._violation(f"{kept} jobs are {final.word}, the state counts {counts[final]}")
        if self.too_many():
            self._violation(f"more is kept than may be: {counts}")

    def too_many(self) -> bool:
        """The leader has not yet come to forget what is beyond the number to keep."""
        counts = self._shadow.state.counts
        finished = counts[JobState.COMPLETED] + counts[JobState.CANCELLED]
        return finished > self._keep.finished or counts[JobState.DEAD] > self._keep.dead
