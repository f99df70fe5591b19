"""The jobs that a node answers for, or that a worker holds, at this moment: one page at a time.

Answered by the registry of owners, so a page looks at what is assigned there and never at the other jobs.
"""

import heapq
from collections.abc import Iterator
from typing import Final

from orchestrix_raft.coordinator import queries
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.port import JobView, Page
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import ASSIGNED, Job, JobState
from orchestrix_raft.domain.worker import worker_id
from orchestrix_raft.machine.ownership import JobOwnershipRegistry

_TAG: Final = b"A"
_TOKEN_BYTES: Final = 8
_NEWEST: Final = (1 << 8 * _TOKEN_BYTES) - 1


class AssignedListing:
    """Call `slice` until it says that it is done, like a `Listing`.

    owner: id of a node, "" for any.  worker: id of a worker, b"" for any; one of the two is given.  Latest
    assignment first, by fencing token; a cursor names the last one seen, so it works on every node.
    """

    def __init__(
        self,
        core: Core,
        owner: str,
        worker: bytes,
        states: frozenset[JobState],
        queue: str,
        job_type: str,
        limit: int,
        cursor: bytes,
    ) -> None:
        self._core = core
        self._owner, self._worker = owner, worker
        self._states, self._queue, self._type = states, queue, job_type
        self._limit = limit
        self._below = int.from_bytes(cursor[1:], "big") if cursor else _NEWEST
        self._found: list[tuple[int, bytes]] = []  # token and job id of the latest so far: a heap
        self._jobs: list[JobView] = []
        self._work = self._walk()

    @staticmethod
    def check(cursor: bytes) -> Rejected | None:
        """Is this a cursor of ours?"""
        if cursor and not (cursor[:1] == _TAG and len(cursor) == 1 + _TOKEN_BYTES):
            return Rejected(Code.INVALID_ARGUMENT, "CURSOR_INVALID", "not a cursor of an earlier listing")
        return None

    def slice(self) -> bool:
        """Look at some of what is assigned; True when the page is complete."""
        return next(self._work, None) is None

    def page(self) -> Page:
        """The result; the cursor is empty when there is no more."""
        more = len(self._found) == self._limit
        cursor = _TAG + self._found[-1][0].to_bytes(_TOKEN_BYTES, "big") if more else b""
        return Page(self._jobs, cursor)

    def _walk(self) -> Iterator[int]:
        """Yields now and then, so that the loop may breathe."""
        registry = JobOwnershipRegistry(self._core.state)
        seen = 0
        for session_id in self._sessions():
            for one in registry.of_worker(session_id, limits.CAPACITY):
                seen += 1
                if one.token < self._below and self._owner in ("", one.owner):
                    self._keep(one.token, one.job_id)
            seen += 1
            if seen >= queries.SLICE:
                seen = 0
                yield 1
        self._found.sort(reverse=True)
        for token, job_id in self._found:
            job = self._core.state.jobs.get(job_id)
            if job is None or job.token != token or job.state not in ASSIGNED or not self._wanted(job):
                continue  # it has moved on since it was seen
            self._jobs.append(queries.view(self._core, job))

    def _sessions(self) -> list[bytes]:
        """Ids of the sessions to look at."""
        state = self._core.state
        if self._worker:
            return [one for one in state.sessions if worker_id(one) == self._worker]
        return [session.session_id for session in state.sessions_of(self._owner)]

    def _keep(self, token: int, job_id: bytes) -> None:
        job = self._core.state.jobs.get(job_id)
        if job is None or not self._wanted(job):
            return
        if len(self._found) < self._limit:
            heapq.heappush(self._found, (token, job_id))
        else:
            heapq.heappushpop(self._found, (token, job_id))

    def _wanted(self, job: Job) -> bool:
        spec = job.spec
        return (
            (not self._states or job.state in self._states)
            and self._queue in ("", spec.queue)
            and self._type in ("", spec.type)
        )
