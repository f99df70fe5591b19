"""Callers that wait for a job to end.  A terminal event wakes them; nothing polls."""

from collections.abc import Callable

from orchestrix_raft.domain.job import TERMINAL, Job

OnEnd = Callable[[], None]


class Watches:
    """Waiters by job id; removing oneself is the caller's duty (a time-out, a lost connection)."""

    def __init__(self) -> None:
        self._by_job: dict[bytes, dict[OnEnd, None]] = {}  # in the order in which they came
        self._waiters = 0

    def __len__(self) -> int:
        """Waiters, not jobs."""
        return self._waiters

    def add(self, job_id: bytes, done: OnEnd) -> None:
        """Call `done` when the job ends, once however often it is added."""
        waiting = self._by_job.setdefault(job_id, {})
        self._waiters += done not in waiting
        waiting[done] = None

    def remove(self, job_id: bytes, done: OnEnd) -> None:
        """No longer interested; fine if it was called already."""
        waiting = self._by_job.get(job_id)
        if waiting is not None and done in waiting:
            del waiting[done]
            self._waiters -= 1
            if not waiting:
                del self._by_job[job_id]

    def finished(self, job_id: bytes) -> None:
        """The job reached a terminal state."""
        if self._by_job:
            waiting = self._by_job.pop(job_id, {})
            self._waiters -= len(waiting)
            for done in waiting:
                done()

    def state_replaced(self, find: Callable[[bytes], Job | None]) -> None:
        """A snapshot was installed: some ends happened unseen."""
        for job_id in list(self._by_job):
            job = find(job_id)
            if job is None or job.state in TERMINAL:
                self.finished(job_id)

    def fail_all(self) -> None:
        """The node stops: wake everybody; they look and see how it stands."""
        for job_id in list(self._by_job):
            self.finished(job_id)
