"""A whole node without a network: the real core, state machine and store behind the port that the API uses.

Time stands still unless it is moved, and every call is carried out before it returns, so that the same calls
always do the same.
"""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.contents import Finding
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.coordinator.port import (
    Added,
    BackupHandle,
    Freshness,
    JobView,
    NotApplied,
    Outcome,
    Unknown,
)
from orchestrix_raft.coordinator.reading import NodeReads
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.session import CoordinatorMessage, Hello, WorkerMessage
from orchestrix_raft.machine.commands import Command
from tests.unit.coordinator.bench import Cores

_NOT_HERE: Final = Rejected(Code.UNAVAILABLE, "NOT_HERE", "this node has no others and no disk")
WAITED_S: Final = 6.0  # longer than the core lets a read or a command wait


class Handle:
    """The node's end of a worker's stream."""

    def __init__(self, node: "DirectNode", stream: Stream) -> None:
        self._node = node
        self._stream = stream

    def receive(self, message: WorkerMessage) -> None:
        self._stream.receive(message)
        self._node.cores.run()

    async def room(self) -> None:
        """There is: everything before was carried out."""

    def closed(self) -> None:
        self._stream.closed()
        self._node.cores.run()


class DirectNode(NodeReads):
    """NodePort of a cluster of one."""

    def __init__(self) -> None:
        self.cores = Cores(1)
        super().__init__(self.cores["n1"], "c0" * 16)

    async def submit(self, command: Command) -> Outcome:
        told = self.cores.submit("n1", command)
        self.cores.run()
        if not told.outcomes:
            self.cores.run(WAITED_S)
        (outcome,) = told.outcomes
        return outcome

    async def fresh(self, min_index: int, linearizable: bool) -> Freshness | Rejected:
        reads, now, told = self.core.reads, self.core.now, list[bool]()
        if linearizable:
            reads.linearizable(now, told.append)
        elif self.core.consensus.applied_index < min_index:
            reads.at(min_index, now, told.append)
        else:
            return self.freshness()
        self.cores.run(0.0 if linearizable else WAITED_S)
        return self.freshness() if told == [True] else _NOT_HERE

    async def wait_job(self, job_id: bytes, timeout_ms: int) -> JobView | None:
        self.cores.run(min(timeout_ms / 1_000, 1.0))
        return self.job(job_id)

    async def logs(self, job_id: bytes, after: tuple[int, int], limit: int) -> LogPage | Rejected | None:
        if self.job(job_id) is None:
            return None
        told: list[LogPage] = []
        self.core.log_exchange.read(job_id, after, limit, self.core.now, told.append)
        self.cores.run()
        (page,) = told
        return page

    async def add_member(self, address: str) -> Added | NotApplied | Unknown:
        return NotApplied(_NOT_HERE)

    async def remove_member(self, node_id: str) -> Outcome:
        return NotApplied(_NOT_HERE)

    async def transfer_leadership(self, node_id: str) -> str | Rejected:
        return _NOT_HERE

    async def backup(self) -> BackupHandle | Rejected:
        return _NOT_HERE

    async def contents(self, index: int) -> Finding:
        return None

    def open_session(self, hello: Hello, deliver: Callable[[CoordinatorMessage], None]) -> Handle:
        stream = self.core.open_session(hello, deliver)
        self.cores.run()
        return Handle(self, stream)
