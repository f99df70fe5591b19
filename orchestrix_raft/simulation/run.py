"""One seed, from power-on to the verdict."""

import gc
from typing import NamedTuple

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.feed import FeedKeep
from orchestrix_raft.coordinator.rebalance import RebalanceLimits
from orchestrix_raft.coordinator.settings import CoreLimits, Keeping
from orchestrix_raft.duties.health import VerdictAfter
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.machine.rules import RULES
from orchestrix_raft.simulation.checks import Checker, Violation
from orchestrix_raft.simulation.clients import SimClient
from orchestrix_raft.simulation.drains import SimDrainer
from orchestrix_raft.simulation.faults import GROWING, MIXES, Faults
from orchestrix_raft.simulation.lines import LineWatch
from orchestrix_raft.simulation.members import SimMembers
from orchestrix_raft.simulation.network import Network
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.queues import SimOperator
from orchestrix_raft.simulation.schedules import SimOwner
from orchestrix_raft.simulation.versions import OLD
from orchestrix_raft.simulation.workers import SimWorker
from orchestrix_raft.simulation.world import World

FAULTS_UNTIL_S = 50.0
AT_LEAST_S = 60.0
AT_MOST_S = 300.0  # by then everything must have come to rest
CONNECTED_S = 2.0  # after that all nodes have noticed what broke, and dialled again
JOBS = 240
KEEPS = (
    Keep(),
    Keep(),
    Keep(finished_ms=5_000, dead_ms=8_000, audit_ms=6_000),
    Keep(finished=40, dead=5, audit=4),
)
"""What is kept, one of them a run: everything, by age, by number."""
REBALANCE = RebalanceLimits(look_s=1.0, lasts_s=3.0, rest_s=10.0, at_once=2)


class Totals(NamedTuple):
    """What a run went through."""

    seeds: int
    virtual_s: int
    jobs: int
    entries: int
    elections: int
    faults: int
    executions: int
    losses: int
    reads: int
    slots_fired: int
    slots_skipped: int
    limited: int  # assignments of queues with a limit
    restarts: int
    snapshots: int
    changes: int  # of members
    handoffs: int  # workers that went on elsewhere as they were told
    compared: int  # times a node read all that it holds at a mark
    disk_refusals: int  # each the end of a process
    raised: int  # clusters whose machine level was raised
    too_old: int  # processes that ended because of it

    def plus(self, other: "Totals") -> "Totals":
        """The sum of two."""
        return Totals(*(int(a + b) for a, b in zip(self, other, strict=True)))


NOTHING = Totals(*(0 for _ in Totals._fields))


class Run:
    """A world with a cluster, its clients and its workers."""

    def __init__(self, seed: int, mix: str, story: bool = False) -> None:
        self.world = World(seed)
        if story:
            self.world.story = []
        rng = self.world.rng
        self.network = Network(self.world)
        self._mix = MIXES[mix]
        size = {"calm": 3, **dict.fromkeys(GROWING, 1)}.get(mix, 0) or rng.choice((1, 3, 3, 3, 5))
        names = [f"n{i + 1}" for i in range(size)]
        bootstrap = Configuration(
            members={name: Member(Standing.VOTER, f"{i:016x}") for i, name in enumerate(names)}
        )
        beat_s = rng.choice((1.0, 3.0, 10.0))
        verdict = VerdictAfter(suspect_ms=int(beat_s * 2_000), dead_ms=int(beat_s * 3_000))
        beats = BeatLimits(beat_s, verdict=verdict)
        tail, chunk = rng.choice((20, 20, 200, 10_000)), rng.choice((2_000, 262_144))
        options = Options(tail_entries=tail, chunk_bytes=chunk)
        self.nodes: list[SimNode] = []
        self._cluster: dict[str, SimNode] = {}
        self.workers: list[SimWorker] = []
        keeping = Keeping(rng.choice(KEEPS), rng.choice((3, 500)), rng.choice((0.01, 1.0)))
        self.checker = Checker(self.world, self.workers, keeping.keep, mix, REBALANCE.rest_s)
        for name in names:
            limits = self._limits(beats, keeping)
            self._make_node(name, bootstrap.members[name].disk_id, bootstrap, limits, options)
        self.workers.extend(
            SimWorker(self.world, self.network, f"w{i + 1}", self.nodes, rng.randint(1, 8)) for i in range(3)
        )
        told: list[tuple[bytes, int]] = []
        self.clients = [
            SimClient(self.world, f"c{i + 1}", self.nodes, told, self.checker.violation, self.checker.gone)
            for i in range(2)
        ]
        self.owner = SimOwner(self.world, "o1", self.nodes, self.checker.violation)
        self.operator = SimOperator(self.world, "o2", self.nodes, self.checker.violation)
        for node in self.nodes:
            node.start()
        for worker in self.workers:
            self.world.after(rng.uniform(0.0, 2.0), worker.start)
        self.members = SimMembers(
            self.world,
            self.nodes,
            lambda name, disk_id: self._make_node(name, disk_id, None, limits, options),
            self._hindered,
        )
        self.members.done = mix not in GROWING
        if not self.members.done:
            self.members.begin()
        violation, shadow = self.checker.violation, self.checker.shadow
        self.drainer = SimDrainer(self.world, "o3", self.nodes, violation, lambda: shadow.state)
        self.faults = Faults(
            self.world, self.network, self.nodes, self.workers, self._mix, self._hindered, self.drainer
        )
        self.lines = LineWatch(self.nodes, mix, self.checker.violation)
        self._jobs_left = JOBS
        self._slots_done = False
        for client in self.clients:
            self._client_loop(client)
        self._owner_loop()

    def _limits(self, beats: BeatLimits, keeping: Keeping) -> CoreLimits:
        checkpoint_s = self.world.rng.choice((0.5, 2.0, 5.0, 30.0))
        feed = FeedKeep((3_600.0, 10.0)[self.world.seed % 2])
        return CoreLimits(
            checkpoint_s=checkpoint_s, beats=beats, keeping=keeping, rebalance=REBALANCE, feed=feed
        )

    def _make_node(
        self,
        name: str,
        disk_id: str,
        bootstrap: Configuration | None,
        limits: CoreLimits,
        options: Options,
    ) -> SimNode:
        """A machine that all others know; nothing runs on it yet."""
        node = SimNode(
            self.world, self.network, name, disk_id, bootstrap, limits, options, self.checker.applied
        )
        node.rules = OLD if self._mix.upgrade else RULES
        node.cluster = self._cluster
        node.led = self.checker.leading
        node.compare = self.checker.comparing.found
        self._cluster[name] = node
        self.nodes.append(node)
        return node

    def _hindered(self) -> None:
        self.checker.hindered_at = self.world.now

    def _client_loop(self, client: SimClient) -> None:
        rng = self.world.rng

        def act() -> None:
            kind = rng.random()
            if kind < 0.5 and self._jobs_left > 0:
                count = min(self._jobs_left, rng.choice((1, 1, 1, 5, 12)))
                self._jobs_left -= count
                client.enqueue(count)
            elif kind < 0.6:
                client.cancel()
            elif kind < 0.63:
                client.retry()
            elif kind < 0.65:
                client.purge()
            elif kind < 0.66:
                client.steer_where()
            elif kind < 0.72:
                client.wait()
            elif kind < 0.95:
                client.read()
            if self._jobs_left > 0 or self.world.now < FAULTS_UNTIL_S:
                self.world.after(rng.uniform(0.05, 0.8), act)

        self.world.after(rng.uniform(0.5, 2.0), act)

    def _owner_loop(self) -> None:
        self.owner.act()
        self.operator.act()
        if self.world.now < FAULTS_UNTIL_S:
            self.world.after(self.world.rng.uniform(0.2, 3.0), self._owner_loop)

    def _unsettled(self) -> str:
        """What is still missing: first every slot is decided, then schedules are paused, then all comes to
        rest."""
        if not self.members.done:
            return "members are to be changed"
        if not self.operator.leave():
            return "limits of queues are to be taken back"
        if not self.drainer.leave():
            return "nodes are to be undrained"
        if not self._slots_done:
            missing = self.checker.slots_left_over(self.nodes)
            if missing:
                return missing
            self._slots_done = True
        if not self.owner.leave():
            return "schedules are to be paused"
        if self.owner.triggered != self.checker.slots.triggered:
            told = self.owner.triggered
            self.checker.violation(f"{told} triggers were answered, {self.checker.slots.triggered} counted")
        return self.checker.settled(self.nodes, self.clients)

    def go(self) -> Totals:
        """Run to the end; Violation if a promise is broken.

        What a run makes lives mostly as long as the run, so the collector of cycles would walk it again and
        again for nothing: it rests meanwhile."""
        resting = gc.isenabled()
        gc.disable()
        try:
            return self._go()
        finally:
            if resting:
                gc.enable()

    def _go(self) -> Totals:
        self.checker.comparing.repeat(self.nodes, FAULTS_UNTIL_S)
        self.world.run_until(FAULTS_UNTIL_S)
        self.faults.stop()
        self.world.run_until(AT_LEAST_S)
        missing = self._unsettled()
        while missing:
            if self.world.now > AT_MOST_S:
                raise Violation(f"seed {self.world.seed}: not at rest after {AT_MOST_S:.0f} s: {missing}")
            self.world.run_until(self.world.now + 1.0)
            missing = self._unsettled()
        self.checker.final(self.nodes, self.clients)
        fault = self.members.fault(self.checker.shadow.state) if self.members.changes else ""
        if fault:
            self.checker.violation(fault)
        self.world.run_until(self.world.now + CONNECTED_S)
        self.world.run_until(self.world.now + self.lines.ask())
        self.lines.check()
        return Totals(
            1,
            int(self.world.now),
            sum(len(client.asked) + len(client.refused) for client in self.clients),
            self.checker.entries,
            len(self.checker.leaders),
            sum(self.faults.injected.values()),
            sum(len(worker.executions) for worker in self.workers),
            self.checker.losses,
            sum(client.reads for client in self.clients),
            self.checker.slots.fired,
            self.checker.slots.skipped,
            self.checker.limits.assigned,
            sum(node.starts - 1 for node in self.nodes),
            sum(n.snapshots + (n.core.replica.checkpoints.generation if n.core else 0) for n in self.nodes),
            self.members.changes,
            self.checker.ownership.moved,
            self.checker.comparing.compared,
            sum(node.refusals for node in self.nodes),
            int(self.checker.versions.raised_at > 0),
            sum(node.ends_too_old for node in self.nodes),
        )
