"""The members of the cluster of a node in memory: who waits where, and what is refused."""

from orchestrix_raft.coordinator.port import Added, Done, NotApplied, Outcome, Unknown
from orchestrix_raft.domain.errors import Code, Rejected


class FakeMembers:
    """`waiting`: address -> id of a node that wants to be added.  `answer` is given instead, if set."""

    def __init__(self) -> None:
        self.ids = ["n1", "n2"]
        self.waiting: dict[str, str] = {"h3:7400": "n3"}
        self.answer: NotApplied | Unknown | None = None
        self.asked: list[str] = []

    async def add(self, address: str) -> Added | NotApplied | Unknown:
        self.asked.append(f"add {address}")
        if self.answer is not None:
            return self.answer
        node_id = self.waiting[address]
        already = node_id in self.ids
        self.ids = sorted({*self.ids, node_id})
        return Added(node_id, already)

    async def remove(self, node_id: str) -> Outcome:
        self.asked.append(f"remove {node_id}")
        if self.answer is not None:
            return self.answer
        if node_id not in self.ids:
            return NotApplied(Rejected(Code.FAILED_PRECONDITION, "NOT_A_MEMBER", f"{node_id} is no member"))
        self.ids.remove(node_id)
        return Done(7, None)
