"""Origins against a log that loses, repeats and reorders what they send, changes leaders, declares nodes
dead, and hands out snapshots: every command is answered once, applied at most once, and in order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from orchestrix_raft.coordinator.origin import Origin
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome
from orchestrix_raft.coordinator.proposer import Proposer, ProposerLimits
from orchestrix_raft.coordinator.settings import Identity
from orchestrix_raft.domain.node import Health
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import Command, Enqueue, EnqueueResult, NodeHealthChanged
from orchestrix_raft.machine.events import JobEnqueued, NodeHealthSet, NodeJoined
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.port import Applied
from tests.scenarios.driver import job

NAMES = ("n0", "n1", "n2")
NODES = st.sampled_from(range(3))


class Node:
    """One process: its proposer and origin, and how far it has applied the log."""

    def __init__(self, name: str) -> None:
        identity = Identity(name, f"{name}:1", "1", name.encode().ljust(16, b"."))
        self.name = name
        store = MemoryStore()
        self.proposer = Proposer(name, ProposerLimits(in_flight=2))
        self.origin = Origin(identity, self.proposer, Machine(store, store).state)
        self.applied = 0  # entries
        self.outcomes: dict[int, list[Outcome]] = {}

    def apply(self, index: int, applied: Applied, now: float) -> None:
        """As a core does it: events first, then the answers."""
        incarnation = self.origin.incarnation
        for event in applied.events:
            if isinstance(event, NodeJoined):
                self.origin.joined(event, now)
            elif isinstance(event, NodeHealthSet):
                self.origin.health_set(event)
        self.origin.applied(index, applied, incarnation, now)
        self.applied = index


class Cluster(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.nodes = [Node(name) for name in NAMES]
        self.leader = 0
        self.network: list[bytes] = []  # forwarded batches under way
        self.uncommitted: list[tuple[bytes, ...]] = []  # batches of each entry
        store = MemoryStore()
        self.machine = Machine(store, store)
        self.log: list[Applied] = []
        self.submitted = 0
        self.enqueued: list[int] = []

    # ---- what users and nodes do

    @rule(node=NODES, count=st.integers(1, 3))
    def submit(self, node: int, count: int) -> None:
        for _ in range(count):
            self.submitted += 1
            number, told = self.submitted, list[Outcome]()
            self.nodes[node].outcomes[number] = told
            self.nodes[node].proposer.submit(Enqueue((job(f"{number:06}"),)), self.now, told.append)

    @rule(node=NODES)
    def send(self, node: int) -> None:
        sender = self.nodes[node]
        if sender.origin.unannounced:
            announcement = codec.encode_batch(codec.unnumbered(sender.origin.announcement()))
            self._forward(node, announcement)
        if node == self.leader:
            batches = sender.proposer.take_for_entry()
            if batches:
                self.uncommitted.append(tuple(bytes(batch) for batch in batches))
        else:
            batch = sender.proposer.take_for_leader()
            if batch is not None:
                self._forward(node, batch)

    def _forward(self, node: int, batch: bytes) -> None:
        if node == self.leader:
            self.uncommitted.append((batch,))
        else:
            self.network.append(batch)

    # ---- what the network and the log do

    @precondition(lambda self: bool(self.network))
    @rule(data=st.data(), repeat=st.booleans())
    def deliver(self, data: st.DataObject, repeat: bool) -> None:
        place = data.draw(st.integers(0, len(self.network) - 1))
        batch = self.network[place]
        if not repeat:
            del self.network[place]
        self.nodes[self.leader].proposer.forwarded(batch)

    @precondition(lambda self: bool(self.network))
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        del self.network[data.draw(st.integers(0, len(self.network) - 1))]

    @precondition(lambda self: bool(self.uncommitted))
    @rule()
    def commit(self) -> None:
        entry = codec.make_entry(0, 0, tuple(map(codec.decode_batch, self.uncommitted.pop(0))))
        applied = self.machine.apply(len(self.log) + 1, 1, codec.decode_entry(codec.encode_entry(entry)))
        self.log.append(applied)
        self._watch(applied)

    def _watch(self, applied: Applied) -> None:
        for event in applied.events:
            if isinstance(event, JobEnqueued):
                self.enqueued.append(int(event.spec.job_id[:6]))
        for resolved in applied.resolved:
            if isinstance(resolved.result, EnqueueResult):
                assert not resolved.result.existing, "a command was applied twice"

    @rule(new=NODES, kept=st.integers(0, 3))
    def elect(self, new: int, kept: int) -> None:
        """What was not committed survives in part."""
        del self.uncommitted[kept:]
        self.leader = new
        for number, node in enumerate(self.nodes):
            if number != new:
                node.proposer.lost_leadership()
            node.proposer.resend(self.now)
            node.origin.announce_at = 0.0

    @rule(node=NODES)
    def declare_dead(self, node: int) -> None:
        known = self.machine.state.nodes.get(NAMES[node])
        if known is not None:
            verdict: Command = NodeHealthChanged(known.node_id, known.incarnation, Health.DEAD)
            self.uncommitted.append((codec.encode_batch(codec.unnumbered(verdict)),))

    @rule(node=NODES, count=st.integers(1, 4))
    def apply(self, node: int, count: int) -> None:
        follower = self.nodes[node]
        for index in range(follower.applied + 1, min(len(self.log), follower.applied + count) + 1):
            follower.apply(index, self.log[index - 1], self.now)

    @rule(node=NODES)
    def install_snapshot(self, node: int) -> None:
        follower = self.nodes[node]
        if node != self.leader and follower.applied < len(self.log):
            follower.origin.restored(self.machine.state, self.now)
            follower.applied = len(self.log)

    @rule(node=NODES)
    def reconnect(self, node: int) -> None:
        self.nodes[node].proposer.resend(self.now)

    @rule(seconds=st.sampled_from((0.1, 1.1, 6.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for node in self.nodes:
            node.proposer.expire(self.now, True)

    # ---- the verdict

    def teardown(self) -> None:
        for _ in range(60):
            if not any(node.proposer.backlog for node in self.nodes):
                break
            self._calm_round()
        for node in self.nodes:
            assert node.proposer.backlog == 0, f"{node.name} still waits"
            self._check(node)

    def _calm_round(self) -> None:
        for node in range(3):
            self.send(node)
        leader = self.nodes[self.leader]
        for batch in self.network:
            leader.proposer.forwarded(batch)
        self.network.clear()
        self.send(self.leader)
        while self.uncommitted:
            self.commit()
        for node in range(3):
            self.apply(node, len(self.log))
        self.wait(1.1)

    def _check(self, node: Node) -> None:
        applied = set(self.enqueued)
        for number, outcomes in node.outcomes.items():
            assert len(outcomes) == 1, f"command {number} was answered {outcomes}"
            if isinstance(outcomes[0], Done):
                assert number in applied
            if isinstance(outcomes[0], NotApplied):
                assert number not in applied, f"command {number} was withdrawn and applied"
        mine = [number for number in self.enqueued if number in node.outcomes]
        assert mine == sorted(mine), "applied out of order"


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=150, stateful_step_count=60)
