"""A seeded cluster of engines in virtual time, with everything that can go wrong.

Same mix and seed: same run, to the last message.  After a time of faults everything is repaired, and
the cluster must come back: one leader, equal states, every acknowledged command in them.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

import msgspec

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.messages import Message, SnapshotChunk
from orchestrix_raft.consensus.port import Accepted, Role, SafetyFault
from orchestrix_raft.storage.memory import DiskGone
from tests.simulation.raft.faults import Faults
from tests.simulation.raft.invariants import Invariants, Violation
from tests.simulation.raft.mixes import Mix
from tests.simulation.raft.network import Network
from tests.simulation.raft.node import RaftNode


class Operation:
    """One command of a client, and what became of it."""

    __slots__ = ("accepted", "acknowledged", "data")

    def __init__(self, data: bytes, accepted: Accepted) -> None:
        self.data, self.accepted, self.acknowledged = data, accepted, False


class Simulation:
    """One run; `run` raises Violation."""

    def __init__(self, seed: int, mix: Mix) -> None:
        self.mix, self.seed = mix, seed
        self.random = Random(f"raft/{seed}")
        self.now = 0.0
        self.stats: Counter[str] = Counter()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        size = mix.sizes[seed % len(mix.sizes)]
        ids = [f"n{number}" for number in range(1, size + mix.spares + 1)]
        self.nodes = {i: RaftNode(i, lambda: self.now, mix.options, seed) for i in ids}
        self.start_list = Configuration(
            {i: Member(Standing.VOTER, self.nodes[i].disk_id) for i in ids[:size]}
        )
        for i in ids[:size]:
            self.nodes[i].bootstrap = self.start_list
        self.network = Network(self, mix.slow)
        self.invariants = Invariants(self.nodes, self.start_list)
        self.operations: list[Operation] = []
        self._by_place: dict[tuple[int, int], Operation] = {}
        self.acknowledged_top = 0
        self.paused_until: dict[str, float] = {}
        self._inbox: dict[str, list[tuple[str, Message]]] = {i: [] for i in ids}
        self._tick_at: dict[str, float] = {}
        self._stale = ""  # set inside a callback, where the engine shields itself against errors
        self._probed_term = 0
        self.faults = Faults(self)

    # -- time ------------------------------------------------------------------------------------
    def at(self, time: float, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (time, self._sequence, action))

    def after(self, delay: float, action: Callable[[], None]) -> None:
        self.at(self.now + delay, action)

    def every(self, rate: float, action: Callable[[], None]) -> None:
        """`action` at random times, `rate` a second, until the faults end."""

        def step() -> None:
            if self.now < self.mix.faults_until_s:
                action()
                self.after(self.random.expovariate(rate), step)

        if rate > 0:
            self.at(1.5 + self.random.expovariate(rate), step)

    def run(self) -> None:
        mix = self.mix
        for i in self.nodes:
            self.boot(i)
        self.every(mix.proposals, self._propose)
        self.every(mix.bursts, self._propose_many)
        self.every(mix.reads, self._read)
        self.every(2.0, lambda: self.invariants.check_log_matching(self.nodes.values()))
        self.faults.schedule()
        self.at(mix.faults_until_s + 0.2, self._heal)
        self.at(mix.end_s - 2.5, self._probe)
        while self._queue and self._queue[0][0] < mix.end_s:
            self.now, _sequence, action = heapq.heappop(self._queue)
            action()
        self._judge_end()

    # -- nodes -----------------------------------------------------------------------------------
    def is_up(self, node_id: str) -> bool:
        return self.nodes[node_id].up

    def boot(self, node_id: str) -> None:
        node = self.nodes[node_id]
        if node.up:
            return
        try:
            node.start()
        except DiskGone:
            return self.power_off(node_id)
        except SafetyFault as fault:
            raise Violation("FAILSTOP", f"{node_id} cannot start: {fault}") from fault
        self._inbox[node_id].clear()
        engine = node.engine
        if self.random.random() < 0.5:
            engine.before_flush = lambda: self._post(node)
        node.machine.on_apply = lambda index, term, data: self._applied(index, term)
        node.machine.restore_steps = self.random.choice((0, 3, 30))
        self._guard(node, lambda: None)
        for other in self.nodes:
            if other != node_id:
                self.after(self.random.uniform(0.01, 0.2), partial(self.network.dial, node_id, other))
        return None

    def power_off(self, node_id: str, down_s: float | None = None) -> None:
        node = self.nodes[node_id]
        self.stats["crashes"] += 1
        node.crash()
        self._tick_at.pop(node_id, None)
        self.network.node_died(node_id, [i for i in self.nodes if i != node_id])
        down_s = down_s if down_s is not None else self.random.choice([0.05, 0.3, 1.0, 2.5])
        self.after(down_s * self.random.uniform(0.5, 1.5), lambda: self.boot(node_id))

    def _guard(self, node: RaftNode, action: Callable[[], None]) -> None:
        """Let the node do one thing; then look at it."""
        if not node.up:
            return
        try:
            action()
        except DiskGone:
            self._post(node, part=True)
            return self.power_off(node.node_id)
        except SafetyFault as fault:
            raise Violation("FAILSTOP", f"{node.node_id}: {fault}") from fault
        self.invariants.check(node)
        if self._stale:
            raise Violation("STALE_READ", self._stale)
        self._plan_tick(node)
        return None

    def _plan_tick(self, node: RaftNode) -> None:
        wanted = max(node.engine.wake_at, self.now + self.random.uniform(0.0, 0.002))
        planned = self._tick_at.get(node.node_id)
        if planned is not None and planned <= wanted:
            return
        self._tick_at[node.node_id] = wanted
        lives = node.lives
        self.at(wanted, lambda: self._tick(node, lives, wanted))

    def _tick(self, node: RaftNode, lives: int, planned: float) -> None:
        if node.lives != lives or not node.up or self._tick_at.get(node.node_id) != planned:
            return
        until = self.paused_until.get(node.node_id, 0.0)
        del self._tick_at[node.node_id]
        if until > self.now:
            self._tick_at[node.node_id] = until
            self.at(until, lambda: self._tick(node, lives, until))
            return
        self.stats["ticks"] += 1
        self._guard(node, lambda: self._step(node))

    def _step(self, node: RaftNode) -> None:
        inbox, self._inbox[node.node_id] = self._inbox[node.node_id], []
        for peer, message in inbox:
            node.engine.receive(peer, message)
        node.engine.tick()
        self._post(node)

    def _post(self, node: RaftNode, part: bool = False) -> None:
        """Send what is in the outbox; of a dying node only what got out in time."""
        outbox = node.engine.outbox
        count = self.random.randint(0, len(outbox)) if part else len(outbox)
        for peer, message in outbox[:count]:
            self.network.send(node.node_id, peer, self._damage(message))
        outbox.clear()

    def _damage(self, message: Message) -> Message:
        if isinstance(message, SnapshotChunk):
            self.stats["chunks"] += 1
            if not self.network.calm and self.random.random() < self.mix.bad_snapshot:
                return msgspec.structs.replace(message, data=bytes(len(message.data)))
        return message

    # -- what the network tells --------------------------------------------------------------------
    def link_up(self, node_id: str, peer: str) -> None:
        node = self.nodes[node_id]
        self._inbox[node_id] = [(p, m) for p, m in self._inbox[node_id] if p != peer]
        self._guard(node, lambda: node.engine.connected(peer, self.nodes[peer].disk_id))

    def link_down(self, node_id: str, peer: str) -> None:
        node = self.nodes[node_id]
        if node.up:
            self._inbox[node_id] = [(p, m) for p, m in self._inbox[node_id] if p != peer]
            self._guard(node, lambda: node.engine.disconnected(peer))

    def arrived(self, node_id: str, peer: str, message: Message) -> None:
        node = self.nodes[node_id]
        if node.up:
            self._inbox[node_id].append((peer, message))
            soon = self.now + self.random.uniform(0.0, 0.003)
            planned = self._tick_at.get(node_id)
            if planned is None or planned > soon:
                self._tick_at[node_id] = soon
                lives = node.lives
                self.at(soon, lambda: self._tick(node, lives, soon))

    # -- clients ---------------------------------------------------------------------------------
    def leaders(self) -> list[RaftNode]:
        """Whoever believes to lead and is not paused."""
        awake = [n for n in self.nodes.values() if n.up and self.paused_until.get(n.node_id, 0.0) <= self.now]
        return [node for node in awake if node.engine.role is Role.LEADER]

    def _propose(self) -> None:
        leaders = self.leaders()
        if not leaders:
            return
        node = self.random.choice(leaders)
        data = b"%d" % len(self.operations) + b"." * self.random.choice([0, 10, 100, 400])
        self._guard(node, lambda: self._remember(data, node.engine.propose(data)))

    def _propose_many(self) -> None:
        for _ in range(30):
            self._propose()

    def _remember(self, data: bytes, accepted: object) -> None:
        assert isinstance(accepted, Accepted)
        operation = Operation(data, accepted)
        self.operations.append(operation)
        self._by_place[accepted.index, accepted.term] = operation

    def _applied(self, index: int, term: int) -> None:
        """Any node that applies an operation may tell its client."""
        operation = self._by_place.get((index, term))
        if operation is not None and not operation.acknowledged:
            operation.acknowledged = True
            self.acknowledged_top = max(self.acknowledged_top, index)
            self.stats["acknowledged"] += 1

    def _read(self) -> None:
        leaders = self.leaders()
        if not leaders:
            return
        node = self.random.choice(leaders)
        expected = self.acknowledged_top

        def done(index: int | None) -> None:
            if index is None:
                return
            self.stats["reads"] += 1
            if index < expected or node.engine.applied_index < index:
                self._stale = f"{node.node_id} answers {index}, {expected} was acknowledged before"

        self._guard(node, lambda: node.engine.read_index(done))

    # -- the end ---------------------------------------------------------------------------------
    def _heal(self) -> None:
        self.network.heal()
        self.paused_until.clear()
        for node in self.nodes.values():
            node.disk.fuse = None
            if not node.up:
                self.after(self.random.uniform(0.0, 0.2), partial(self.boot, node.node_id))

    def _probe(self) -> None:
        """The cluster has come to rest: from here on nothing may change but this command."""
        leaders = self.leaders()
        if len(leaders) != 1:
            raise Violation("LIVENESS", f"{len(leaders)} leaders long after everything was repaired")
        self._probed_term = leaders[0].engine.term
        for _ in range(3):
            self._propose()

    def _judge_end(self) -> None:
        self.invariants.check_log_matching(self.nodes.values())
        leaders = self.leaders()
        if len(leaders) != 1:
            raise Violation("LIVENESS", f"{len(leaders)} leaders at the end")
        engine, state = leaders[0].engine, leaders[0].machine.data
        if engine.term != self._probed_term:
            raise Violation("DISRUPTED", f"term {self._probed_term} -> {engine.term} in calm time")
        if not self.operations[-1].acknowledged:
            raise Violation("LIVENESS", "a command proposed in calm time was never applied")
        held = Counter(state)
        for operation in self.operations:
            if operation.acknowledged and held[operation.data] != 1:
                raise Violation(
                    "ACKNOWLEDGED_LOST", f"{operation.data!r} is there {held[operation.data]} times"
                )
        self.faults.judge_members(leaders[0])
        self.stats["terms"] += engine.term
        self.stats["entries"] += engine.commit_index
        self.stats["configurations"] += len(self.invariants.configurations) - 1
