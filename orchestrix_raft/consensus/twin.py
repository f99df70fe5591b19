"""A cluster in one address space that behaves as the `Consensus` port promises, without Raft.

One shared log, a leader that the test appoints, and entries that commit when the test wants it: for
unit tests of what stands above consensus.  It passes the same contract suite as the engine.  Faults are
played by calling `elect`, `stop`, `lose_uncommitted` and `hold_commits`, not by timing.
"""

from collections.abc import Callable
from typing import NamedTuple

from orchestrix_raft.consensus import entries, membership_rules
from orchestrix_raft.consensus.configuration import Configuration, Member, Placed, Standing
from orchestrix_raft.consensus.messages import Message
from orchestrix_raft.consensus.port import (
    Accepted,
    Apply,
    PeerProgress,
    Refused,
    Role,
    SafetyFault,
)
from orchestrix_raft.storage.port import Entry


class _Read(NamedTuple):
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    done: Callable[[int | None], None]


class TwinCluster:
    """The log all twins share, and the script of what happens to it."""

    def __init__(self, clock: Callable[[], float], disk_ids: dict[str, str]) -> None:
        """`disk_ids` by node id: the first voters."""
        members = {node_id: Member(Standing.VOTER, disk_id) for node_id, disk_id in disk_ids.items()}
        self.clock = clock
        self.log = [Entry(entries.NO_OP, 1, 0)]
        self.commit_index = 1
        self.term = 0
        self.leader_id: str | None = None
        self.hold_commits = False
        """While set, proposals stay uncommitted."""
        self.nodes: dict[str, TwinNode] = {}
        self._history = [Placed(0, Configuration(members))]

    def elect(self, node_id: str) -> None:
        """A new term with this leader; what was not committed yet stays in the log and commits."""
        previous = self.nodes.get(self.leader_id or "")
        self.term += 1
        self.leader_id = node_id
        self.append(entries.NO_OP)
        if previous is not None and previous.node_id != node_id:
            previous.leave_office()

    def depose(self) -> None:
        """Nobody leads until the next `elect`."""
        previous = self.nodes.get(self.leader_id or "")
        self.leader_id = None
        if previous is not None:
            previous.leave_office()

    def lose_uncommitted(self) -> None:
        """As when a new leader never heard of them."""
        del self.log[self.commit_index :]
        self._history = [placed for placed in self._history if placed.index <= self.commit_index]

    def append(self, data: bytes) -> Accepted:
        entry = Entry(data, len(self.log) + 1, self.term)
        self.log.append(entry)
        if data[:1] == entries.CONFIGURATION:
            self._history.append(Placed(entry.index, Configuration.decode(data)))
        return Accepted(entry.index, entry.term)

    def commit(self) -> None:
        """Called when the leader ticks.  A staging learner has always caught up here."""
        if self.hold_commits:
            return
        self.commit_index = len(self.log)
        members = self.in_force.configuration.members if self.in_force.configuration else {}
        staging = next((i for i, m in members.items() if m.standing is Standing.STAGING), None)
        if staging is not None:
            promoted = membership_rules.changed(
                self.in_force, membership_rules.PROMOTE, staging, None, "caught-up"
            )
            self.append(promoted.encode())
            self.commit_index = len(self.log)

    def configuration_at(self, index: int) -> Placed:
        return next(placed for placed in reversed(self._history) if placed.index <= index)

    @property
    def in_force(self) -> Placed:
        return self._history[-1]


class TwinNode:
    """Implements `Consensus`; see there for what each call promises."""

    def __init__(self, cluster: TwinCluster, node_id: str, apply: Apply) -> None:
        self.outbox: list[tuple[str, Message]] = []
        """Always empty: the twins share their log."""
        self.before_flush: Callable[[], None] = _nothing
        """Never called: there is nothing to send early."""
        self.applied_index, self.applied_term, self.first_index = 1, 0, 1
        self._cluster, self._node_id, self._apply = cluster, node_id, apply
        self._fault: SafetyFault | None = None
        self._reads: list[_Read] = []
        self._changes: dict[int, Callable[[bool | None, str], None]] = {}
        cluster.nodes[node_id] = self

    @property
    def node_id(self) -> str:
        return self._node_id

    @property
    def role(self) -> Role:
        return Role.LEADER if self._cluster.leader_id == self._node_id else Role.FOLLOWER

    @property
    def term(self) -> int:
        return self._cluster.term

    @property
    def leader_id(self) -> str | None:
        return self._cluster.leader_id

    @property
    def commit_index(self) -> int:
        return self._cluster.commit_index

    @property
    def last_index(self) -> int:
        return len(self._cluster.log)

    @property
    def ready(self) -> bool:
        return self.role is Role.LEADER and self.applied_term == self._cluster.term

    @property
    def voters(self) -> frozenset[str]:
        configuration = self._cluster.in_force.configuration
        return frozenset(configuration.voters if configuration else ())

    @property
    def members(self) -> frozenset[str]:
        configuration = self._cluster.in_force.configuration
        return frozenset(configuration.members if configuration else ())

    @property
    def in_force(self) -> Placed:
        return self._cluster.in_force

    @property
    def settled(self) -> Placed:
        return self._cluster.configuration_at(self.applied_index)

    def configuration_at(self, index: int) -> tuple[int, bytes]:
        return self._cluster.configuration_at(index).encode()

    def leader_contact_s(self) -> float:
        return 0.0 if self._cluster.leader_id is not None else float("inf")

    def progress(self) -> list[PeerProgress]:
        if self.role is not Role.LEADER:
            return []
        others = [i for i in sorted(self.members) if i != self._node_id]
        return [PeerProgress(i, self._cluster.commit_index, True, 0.0, 0) for i in others]

    def problems(self) -> list[str]:
        return []

    def tick(self) -> None:
        self._alive()
        if self.role is Role.LEADER:
            self._cluster.commit()
        while self.applied_index < self._cluster.commit_index:
            self._apply_entry(self._cluster.log[self.applied_index])
        reads, self._reads = self._reads, []
        for read in reads:
            if self.applied_index < read.index:
                self._reads.append(read)
            else:
                read.done(read.index)

    def _apply_entry(self, entry: Entry) -> None:
        if entry.data[:1] == entries.COMMAND:
            try:
                self._apply(entry.index, entry.term, entry.data[1:])
            except Exception as error:  # fail-stop, whatever it is, as in the engine
                self._fault = SafetyFault(f"entry {entry.index} cannot be applied: {error!r}")
                raise self._fault from error
        self.applied_index, self.applied_term = entry.index, entry.term
        if entry.data[:1] == entries.CONFIGURATION:
            done = self._changes.pop(entry.index, None)
            if done is not None:
                done(True, "")

    @property
    def wake_at(self) -> float:
        return self._cluster.clock() + (0.1 if self.applied_index == self._cluster.commit_index else 0.0)

    def receive(self, peer: str, message: Message) -> None:
        self._alive()

    def connected(self, peer: str, disk_id: str) -> None:
        self._alive()

    def disconnected(self, peer: str) -> None:
        self._alive()

    def propose(self, data: bytes) -> Accepted | Refused:
        self._alive()
        if self.role is not Role.LEADER:
            return Refused("this node is not the leader")
        return self._cluster.append(entries.COMMAND + data)

    def read_index(self, done: Callable[[int | None], None]) -> None:
        self._alive()
        if not self.ready:
            done(None)
        else:
            self._reads.append(_Read(self._cluster.commit_index, done))

    def transfer(self, target: str | None = None) -> str | Refused:
        self._alive()
        if self.role is not Role.LEADER:
            return Refused("this node is not the leader")
        able = [i for i in sorted(self.voters) if i != self._node_id and target in (None, i)]
        if not able:
            return Refused("no voter to take over is connected")
        self._cluster.elect(able[-1])
        return able[-1]

    def change_membership(
        self, change: str, node_id: str, disk_id: str | None, done: Callable[[bool | None, str], None]
    ) -> None:
        self._alive()
        cluster = self._cluster
        facts = membership_rules.ChangeFacts(
            self.role is Role.LEADER, self.ready, cluster.in_force, cluster.commit_index, self.members, True
        )
        refusal = membership_rules.refuse_change(change, node_id, disk_id, facts)
        if refusal is not None:
            done(False, refusal)
            return
        configuration = membership_rules.changed(
            cluster.in_force, change, node_id, disk_id, f"{change}:{node_id}"
        )
        self._changes[cluster.append(configuration.encode()).index] = done

    def checkpointed(self, index: int) -> None:
        self._alive()
        if index > self.applied_index:
            raise SafetyFault(f"a checkpoint at {index} holds more than was applied here")
        self.first_index = max(self.first_index, index)

    def leave_office(self) -> None:
        """Those who wait for this leader learn that it is none any more."""
        reads, self._reads = self._reads, []
        changes, self._changes = self._changes, {}
        for read in reads:
            read.done(None)
        for done in changes.values():
            done(None, "this node lost its leadership before the change was decided")

    def close(self) -> None:
        self.leave_office()
        self._fault = self._fault or SafetyFault("the engine is closed")

    def _alive(self) -> None:
        if self._fault is not None:
            raise self._fault


def _nothing() -> None:
    """Default of `before_flush`."""
