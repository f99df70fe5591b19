"""Looks at unique keys from the outside: nothing but events and the log's time goes in.

It knows no index of the machine.  Used by the simulator and by property tests.
"""

from orchestrix_raft.domain.job import TERMINAL, JobSpec, UniqueRule, UniqueScope
from orchestrix_raft.machine.events import (
    AttemptEnded,
    Event,
    JobAssigned,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobGivenUp,
    JobRetried,
)
from orchestrix_raft.machine.jobs import REPLACED

Key = tuple[str, str]  # type and unique key
_DEFAULT = UniqueRule()


class UniqueWatch:
    """`see` every event in order; it answers what is broken, or ""."""

    def __init__(self) -> None:
        self.taken = 0  # how often a key was
        self._specs: dict[bytes, JobSpec] = {}
        self._begun: set[bytes] = set()  # jobs that were handed to a worker
        self._holders: dict[Key, bytes] = {}  # by what the job is
        self._until: dict[Key, tuple[bytes, int]] = {}  # by time: job and elapsed ms

    def see(self, event: Event, elapsed_ms: int) -> str:
        """One event of an entry with this elapsed time."""
        match event:
            case JobEnqueued(spec=spec):
                self._specs[spec.job_id] = spec
                self._begun.discard(spec.job_id)
                return self._take(spec, elapsed_ms, new=True)
            case JobRetried(job_id=job_id):
                return self._take(self._specs[job_id], elapsed_ms, new=False)
            case JobAssigned(job_id=job_id):
                self._begun.add(job_id)
                if self._rule(job_id).scope is UniqueScope.UNTIL_STARTED:
                    self._give_up(job_id)
            case JobCancelled(job_id=job_id, reason=reason):
                self._give_up(job_id)
                spec = self._specs[job_id]
                key = (spec.type, spec.unique_key)
                if reason == REPLACED and self._until.get(key, (b"", 0))[0] == job_id:
                    del self._until[key]
            case JobCompleted(job_id=job_id) | JobGivenUp(job_id=job_id):
                self._give_up(job_id)
            case AttemptEnded(job_id=job_id, next_state=follows) if follows in TERMINAL:
                self._give_up(job_id)
            case _:
                pass
        return ""

    def _rule(self, job_id: bytes) -> UniqueRule:
        return self._specs[job_id].unique or _DEFAULT

    def _give_up(self, job_id: bytes) -> None:
        spec = self._specs[job_id]
        if self._holders.get((spec.type, spec.unique_key)) == job_id:
            del self._holders[(spec.type, spec.unique_key)]

    def _take(self, spec: JobSpec, elapsed_ms: int, *, new: bool) -> str:
        if not spec.unique_key:
            return ""
        key, job_id = (spec.type, spec.unique_key), spec.job_id
        scope = self._rule(job_id).scope
        if not new and (
            scope is UniqueScope.WINDOW or (scope is not UniqueScope.UNTIL_DONE and job_id in self._begun)
        ):
            return ""
        holder, until_ms = self._until.get(key, (b"", 0))
        other = holder if until_ms > elapsed_ms else self._holders.get(key, job_id)
        if other != job_id:
            return f"job {job_id.hex()} has the unique key {key}, which job {other.hex()} has"
        self.taken += 1
        if scope is UniqueScope.WINDOW:
            self._until[key] = (job_id, elapsed_ms + self._rule(job_id).for_ms)
        else:
            self._holders[key] = job_id
        return ""
