"""What the API reads of a node, from the state of this moment: the half of `NodePort` that changes nothing.

Plain functions over the core do the work (`queries`, `schedule_queries`); here they are given the node's own
core, and the loop its turns.  Whoever reads asks `fresh` of the node first.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from orchestrix_raft.coordinator import queries, watching
from orchestrix_raft.coordinator.assigned_listing import AssignedListing
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.drain import cost_of_leaving
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter
from orchestrix_raft.coordinator.port import (
    ClusterView,
    EventPage,
    Freshness,
    JobView,
    Page,
    QueueDetails,
    SchedulePage,
    ScheduleView,
)
from orchestrix_raft.coordinator.schedule_queries import ScheduleListing, schedule_view
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import TERMINAL, Attempt, JobState
from orchestrix_raft.domain.node import Node
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.explain import Reason, explain

WAITERS: Final = 50_000
"""Callers that wait for the end of jobs: those beyond it are told at once how the job stands."""


class NodeReads:
    """Over a core."""

    def __init__(self, core: Core, cluster_id: str) -> None:
        self.core = core
        self._cluster_id = cluster_id

    def freshness(self) -> Freshness:
        """See NodePort."""
        return Freshness(self.core.consensus.applied_index, self.core.stale or self.core.replica.loading)

    def job(self, job_id: bytes) -> JobView | None:
        """See NodePort."""
        job = self.core.replica.job(job_id)
        return None if job is None else queries.view(self.core, job)

    def attempts(self, job_id: bytes) -> list[Attempt]:
        """See NodePort."""
        return queries.attempts(self.core, job_id)

    def explain(self, job_id: bytes) -> list[Reason]:
        """See NodePort."""
        job = self.core.replica.job(job_id)
        return [] if job is None else explain(self.core.state, job)

    def watch(
        self, since: Cursor | None, wanted: EventFilter, follow: bool
    ) -> AsyncGenerator[EventPage | Rejected, None]:
        """See NodePort."""
        return watching.watch(self.core, since, wanted, follow)

    def audit(self, after: int, limit: int, latest: bool = False) -> list[tuple[int, AuditRecord]]:
        """See NodePort."""
        return queries.audit(self.core, after, limit, latest)

    @property
    def cluster_id(self) -> str:
        """See NodePort."""
        return self._cluster_id

    def oldest_cursor(self) -> Cursor:
        """See NodePort."""
        return Cursor(self.core.feed.after + 1, 0)

    async def list_jobs(
        self,
        states: frozenset[JobState],
        queue: str,
        job_type: str,
        limit: int,
        cursor: bytes,
        owner: str = "",
        worker: bytes = b"",
    ) -> Page | Rejected:
        """See NodePort."""
        assigned = bool(owner or worker)
        wrong = (AssignedListing if assigned else queries.Listing).check(cursor)
        if wrong is not None:
            return wrong
        wanted = states, queue, job_type, limit, cursor
        listing = (
            AssignedListing(self.core, owner, worker, *wanted)
            if assigned
            else queries.Listing(self.core, *wanted)
        )
        while not listing.slice():
            await asyncio.sleep(0)
        return listing.page()

    async def wait_job(self, job_id: bytes, timeout_ms: int) -> JobView | None:
        """See NodePort."""
        job = self.core.replica.job(job_id)
        if job is not None and job.state not in TERMINAL and len(self.core.watches) < WAITERS:
            ended = asyncio.Event()
            self.core.watches.add(job_id, ended.set)
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    await ended.wait()
            except TimeoutError:
                # Not an error: the caller asked to be told how it stands by now.
                pass
            finally:
                self.core.watches.remove(job_id, ended.set)
        return self.job(job_id)

    def find_schedule(self, schedule_id: str) -> ScheduleView | None:
        """See NodePort."""
        return schedule_view(self.core, schedule_id)

    async def list_schedules(
        self, prefix: str, states: frozenset[str], limit: int, cursor: bytes
    ) -> SchedulePage | Rejected:
        """See NodePort."""
        wrong = ScheduleListing.check(cursor)
        if wrong is not None:
            return wrong
        listing = ScheduleListing(self.core, prefix, states, limit, cursor)
        while not listing.slice():
            await asyncio.sleep(0)
        return listing.page()

    def sessions(self) -> list[Session]:
        """See NodePort."""
        return list(self.core.state.sessions.values())

    def queues(self) -> list[QueueDetails]:
        """See NodePort."""
        return queries.queues_of(self.core)

    def queue(self, name: str) -> QueueDetails:
        """See NodePort."""
        return queries.queue(self.core, name)

    def status(self) -> ClusterView:
        """See NodePort."""
        return queries.status(self.core, self._cluster_id)

    def find_node(self, node_id: str) -> Node | None:
        """See NodePort."""
        return self.core.state.nodes.get(node_id)

    def cost_of_leaving(self, node_id: str) -> str:
        """See NodePort."""
        return cost_of_leaving(self.core, node_id)

    @property
    def wall_ms(self) -> int:
        """See NodePort."""
        return self.core.wall_ms
