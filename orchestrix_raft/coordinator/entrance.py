"""What the API finds behind its door: before there is a cluster, somebody who says what the node waits for.

The API asks at a `port.Door` who answers; `Waiting` does until the node can.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Final

from orchestrix_raft.coordinator.contents import Finding
from orchestrix_raft.coordinator.event_view import Cursor, EventFilter
from orchestrix_raft.coordinator.port import (
    ClusterView,
    EventPage,
    Freshness,
    JobView,
    NotApplied,
    Outcome,
    Page,
    QueueDetails,
    QueueView,
    SchedulePage,
    SessionHandle,
)
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import Attempt, JobState
from orchestrix_raft.domain.queue import QueueOptions
from orchestrix_raft.domain.session import CoordinatorMessage, Hello, Refused, WorkerMessage
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.commands import Command
from orchestrix_raft.machine.explain import Reason

NO_CLUSTER: Final = "NODE_FORMING"


class Waiting:
    """`NodePort` of a node without a cluster: `status` answers, everything else is refused, and certainly not
    done; where a read cannot refuse, there is nothing.  why: what the node waits for, as of now."""

    def __init__(self, node_id: str, why: Callable[[], str], wall_ms: Callable[[], int]) -> None:
        self._node_id = node_id
        self._why = why
        self._wall_ms = wall_ms

    @property
    def wall_ms(self) -> int:
        """This machine's clock: there is no replicated one yet."""
        return self._wall_ms()

    def status(self) -> ClusterView:
        """Who this is, and why there is nothing to see."""
        return ClusterView(
            leader="",
            term=0,
            commit_index=0,
            applied_index=0,
            nodes=[],
            jobs={},
            queues=[],
            sessions=[],
            answered_by=self._node_id,
            cluster_id="",
            digest=b"",
            problems=[f"this node has no cluster yet: {self._why()}"],
            stale=True,
            wall_ms=self.wall_ms,
        )

    def freshness(self) -> Freshness:
        """Not fit to serve."""
        return Freshness(0, stale=True)

    async def fresh(self, min_index: int, linearizable: bool) -> Freshness | Rejected:
        """Every read asks this before it looks."""
        return self._rejected()

    async def submit(self, command: Command) -> Outcome:
        """See NodePort."""
        return NotApplied(self._rejected())

    async def transfer_leadership(self, node_id: str) -> str | Rejected:
        """See NodePort."""
        return self._rejected()

    async def add_member(self, address: str) -> NotApplied:
        """See NodePort."""
        return NotApplied(self._rejected())

    async def remove_member(self, node_id: str) -> NotApplied:
        """See NodePort."""
        return NotApplied(self._rejected())

    async def backup(self) -> Rejected:
        """See NodePort."""
        return self._rejected()

    async def contents(self, index: int) -> Finding:
        """Nothing yet."""
        return None

    def job(self, job_id: bytes) -> None:
        """No such job."""

    def attempts(self, job_id: bytes) -> list[Attempt]:
        """Of no job."""
        return []

    def explain(self, job_id: bytes) -> list[Reason]:
        """No such job."""
        return []

    async def logs(self, job_id: bytes, after: tuple[int, int], limit: int) -> None:
        """No such job."""

    async def watch(
        self, since: Cursor | None, wanted: EventFilter, follow: bool
    ) -> AsyncGenerator[EventPage | Rejected, None]:
        """See NodePort."""
        yield self._rejected()

    def audit(self, after: int, limit: int, latest: bool = False) -> list[tuple[int, AuditRecord]]:
        """Nobody has changed anything yet."""
        return []

    @property
    def cluster_id(self) -> str:
        """None yet."""
        return ""

    def oldest_cursor(self) -> Cursor:
        """Nothing has happened yet."""
        return Cursor(1, 0)

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
        return self._rejected()

    async def wait_job(self, job_id: bytes, timeout_ms: int) -> JobView | None:
        """No such job."""
        return None

    def find_schedule(self, schedule_id: str) -> None:
        """No such schedule."""

    async def list_schedules(
        self, prefix: str, states: frozenset[str], limit: int, cursor: bytes
    ) -> SchedulePage | Rejected:
        """See NodePort."""
        return self._rejected()

    def sessions(self) -> list[Session]:
        """None yet."""
        return []

    def queues(self) -> list[QueueDetails]:
        """None yet."""
        return []

    def queue(self, name: str) -> QueueDetails:
        """Unknown ones are empty and without limits."""
        return QueueDetails(QueueView(name, 0, 0, 0, 0), QueueOptions(), 0, 0, 0)

    def find_node(self, node_id: str) -> None:
        """No such node."""

    def cost_of_leaving(self, node_id: str) -> str:
        """There is nothing that could be lost."""
        return ""

    def open_session(self, hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> SessionHandle:
        """The worker tries elsewhere, and comes again."""
        deliver(Refused(NO_CLUSTER, self._rejected().message))
        return _Closed()

    def _rejected(self) -> Rejected:
        return Rejected(
            Code.UNAVAILABLE, NO_CLUSTER, f"node {self._node_id} has no cluster yet: {self._why()}"
        )


class _Closed:
    """`SessionHandle` of a session that was refused at once."""

    def receive(self, message: WorkerMessage) -> None:
        """Said before the refusal was read."""

    async def room(self) -> None:
        """There is: nothing is kept."""

    def closed(self) -> None:
        """As it was."""
