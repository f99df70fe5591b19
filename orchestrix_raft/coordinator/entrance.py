"""What the API finds behind its door: before there is a cluster, somebody who says what the node waits for.

`Entrance` is what the API is given, once; `Waiting` answers behind it until the node can.
"""

from collections.abc import Callable
from typing import Any, Final

from orchestrix_raft.coordinator.port import (
    ClusterView,
    Freshness,
    NodePort,
    NotApplied,
    Outcome,
    SessionHandle,
)
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.session import CoordinatorMessage, Hello, Refused, WorkerMessage
from orchestrix_raft.machine.commands import Command

NO_CLUSTER: Final = "NODE_FORMING"


class Waiting:
    """The part of `NodePort` that is asked before anything of a node is read: `status` answers, everything
    else is refused, and certainly not done.  why: what the node waits for, as of now."""

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

    async def backup(self) -> Rejected:
        """See NodePort."""
        return self._rejected()

    def logs(self, job_id: bytes, after: int, limit: int) -> None:
        """Asked before `fresh`."""

    def find_schedule(self, schedule_id: str) -> None:
        """Asked before `submit`."""

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


class Entrance:
    """Stands for `node`, which may be replaced."""

    def __init__(self, node: Waiting | NodePort) -> None:
        self.node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)
