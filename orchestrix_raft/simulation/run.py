"""One seed, from power-on to the verdict."""

import gc
from functools import partial
from random import Random
from typing import Final, NamedTuple

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.feed import FeedKeep
from orchestrix_raft.coordinator.rebalance import RebalanceLimits
from orchestrix_raft.coordinator.settings import CoreLimits, Keeping
from orchestrix_raft.duties.health import VerdictAfter
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.simulation.checks import Checker, Violation
from orchestrix_raft.simulation.clients import SimClient
from orchestrix_raft.simulation.drains import SimDrainer
from orchestrix_raft.simulation.faults import Faults
from orchestrix_raft.simulation.lines import LineWatch
from orchestrix_raft.simulation.members import SimMembers
from orchestrix_raft.simulation.mixes import GROWING, MIXES, REPLACING
from orchestrix_raft.simulation.network import Network
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.queues import SimOperator
from orchestrix_raft.simulation.scene import Scene
from orchestrix_raft.simulation.schedules import SimOwner
from orchestrix_raft.simulation.steps import WHOLE, Cut
from orchestrix_raft.simulation.story import Story
from orchestrix_raft.simulation.versions import NEW, OLD
from orchestrix_raft.simulation.workers import SimWorker
from orchestrix_raft.simulation.world import World

CALM_AGAIN_S = 10.0  # after the last fault, before anybody looks whether all is at rest
AT_MOST_S = 300.0  # by then everything must have come to rest
POISONED_S = 600.0  # where jobs kill their workers: five one after the other, each missed at its deadline
CONNECTED_S = 2.0  # after that all nodes have noticed what broke, and dialled again
JOBS = 224
KEEPS = (
    Keep(),
    Keep(),
    Keep(finished_ms=5_000, dead_ms=8_000, audit_ms=6_000),
    Keep(finished=40, dead=5, audit=4),
)
"""What is kept, one of them a run: everything, by age, by number."""
REBALANCE = RebalanceLimits(look_s=1.0, lasts_s=3.0, rest_s=10.0, at_once=2)

_ACTS: Final = (
    (0.6, SimClient.cancel),
    (0.63, SimClient.retry),
    (0.65, SimClient.purge),
    (0.66, SimClient.steer_where),
    (0.72, SimClient.wait),
    (0.95, SimClient.read),
)
"""What a client does that does not enqueue: below which number, drawn between 0 and 1."""


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
    upgraded: int  # clusters that were raised to the machine level of a newer version
    too_old: int  # processes that ended because of it

    def plus(self, other: "Totals") -> "Totals":
        """The sum of two."""
        return Totals(*(int(a + b) for a, b in zip(self, other, strict=True)))


NOTHING = Totals(*(0 for _ in Totals._fields))


class Run:
    """A world with a cluster, its clients and its workers."""

    def __init__(self, seed: int, mix: str, story: bool = False, cut: Cut = WHOLE) -> None:
        self.world = World(seed, cut)
        if story:
            self.world.story = Story()
        rng = self.world.stream("settings")
        self.network = Network(self.world)
        self._mix = MIXES[mix]
        drawn = max(rng.choice((1, 3, 3, 3, 5)), self._mix.nodes)
        size = cut.nodes or {"calm": 3, **dict.fromkeys(GROWING, 1), "replaced": 3}.get(mix, drawn)
        names = [f"n{i + 1}" for i in range(size)]
        bootstrap = Configuration(
            members={name: Member(Standing.VOTER, f"{i:016x}") for i, name in enumerate(names)}
        )
        beat_s = rng.choice((1.0, 3.0, 10.0))
        verdict = VerdictAfter(suspect_ms=int(beat_s * 2_000), dead_ms=int(beat_s * 3_000))
        beats = BeatLimits(beat_s, verdict=verdict)
        tail, chunk = rng.choice((20, 20, 200, 10_000)), rng.choice((2_000, 262_144))
        options = Options(tail_entries=self._mix.tail or tail, chunk_bytes=chunk)
        self.nodes: list[SimNode] = []
        self._cluster: dict[str, SimNode] = {}
        self.workers: list[SimWorker] = []
        keeping = Keeping(rng.choice(KEEPS), rng.choice((3, 500)), rng.choice((0.01, 1.0)))
        self.checker = Checker(self.world, self.workers, keeping.keep, mix, REBALANCE.rest_s)
        for name in names:
            limits = self._limits(rng, beats, keeping)
            self._make_node(name, bootstrap.members[name].disk_id, bootstrap, limits, options)
        self._make_workers(cut.workers or self._mix.workers)
        told: list[tuple[bytes, int]] = []
        self.clients = [
            SimClient(self.world, f"c{i + 1}", self.nodes, told, self.checker.violation, self.checker.gone)
            for i in range(2)
        ]
        self.owner = SimOwner(self.world, "o1", self.nodes, self.checker.violation)
        self.operator = SimOperator(self.world, "o2", self.nodes, self.checker.violation)
        self._power_on()
        self.members = SimMembers(
            self.world,
            self.nodes,
            lambda name, disk_id: self._make_node(name, disk_id, None, limits, options),
            self._hindered,
            mix in REPLACING,
        )
        self.members.done = mix not in (*GROWING, *REPLACING)
        if not self.members.done:
            self.members.begin()
        violation, shadow = self.checker.violation, self.checker.shadow
        self.drainer = SimDrainer(self.world, "o3", self.nodes, violation, lambda: shadow.state)
        scene = Scene(self.world, self.network, self.nodes, self.workers, self._hindered, self.drainer)
        may_lose = self._mix.leave == 0.0 and self.members.done
        self.faults = Faults(scene, self._mix, may_lose)
        self.lines = LineWatch(self.nodes, mix, self.checker.violation)
        self._slots_done = False
        for client in self.clients:
            client.twice = self._mix.twice
            self._client_loop(client, JOBS // len(self.clients))
        self._owner_loop(self.world.stream("times of operators"))

    def _power_on(self) -> None:
        for node in self.nodes:
            node.start()
        for worker in self.workers:
            self.world.after(worker.rng.uniform(0.0, 2.0), worker.start)

    def _make_workers(self, count: int) -> None:
        for name in (f"w{i + 1}" for i in range(count)):
            capacity = self.world.stream(f"capacity of {name}").randint(1, 8)
            worker = SimWorker(self.world, self.network, name, self.nodes, capacity)
            worker.poison = self._mix.poison
            self.workers.append(worker)

    def _limits(self, rng: Random, beats: BeatLimits, keeping: Keeping) -> CoreLimits:
        checkpoint_s = rng.choice((0.5, 2.0, 5.0, 30.0))
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
        if self._mix.upgrade:  # whoever comes when the faults are over brings the newest version
            node.rules = OLD if self.world.now < self.world.steps.cut.until else NEW
        node.cluster = self._cluster
        node.led = self.checker.leading
        node.compare = self.checker.comparing.found
        self._cluster[name] = node
        self.nodes.append(node)
        return node

    def _hindered(self) -> None:
        self.checker.hindered_at = self.world.now

    def _client_loop(self, client: SimClient, jobs: int) -> None:
        """It acts again and again; `jobs`: that it enqueues."""
        times, left, cut = self.world.stream(f"times of {client.name}"), jobs, self.world.steps.cut

        def act() -> None:
            nonlocal left
            kind, count = times.random(), min(left, times.choice((1, 1, 1, 5, 12)))
            enqueues = kind < 0.5 and count > 0
            left -= count if enqueues else 0
            rng = self.world.step(client.name)
            if rng is not None:
                client.rng = rng
                self._client_acts(client, kind, min(count, cut.jobs or count) if enqueues else 0)
            if left > 0 or self.world.now < cut.until:
                self.world.after(times.uniform(0.05, 0.8), act)

        self.world.after(times.uniform(0.5, 2.0), act)

    def _client_acts(self, client: SimClient, kind: float, jobs: int) -> None:
        """One step of it: it enqueues if there are jobs, else something else, or nothing."""
        if jobs:
            self.world.steps.describe(f"enqueue {jobs}")
            client.enqueue(jobs)
            return
        for below, act in _ACTS:
            if kind < below:
                self.world.steps.describe(act.__name__.replace("_", " "))
                act(client)
                return

    def _owner_loop(self, times: Random) -> None:
        for one in (self.owner, self.operator):
            rng = self.world.step(one.name)
            if rng is not None:
                one.rng, one.newest = rng, ""
                one.act()
                self.world.steps.describe(one.newest)
        if self.world.now < self.world.steps.cut.until:
            self.world.after(times.uniform(0.2, 3.0), partial(self._owner_loop, times))

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
        self.checker.history.attach([*self.clients, self.owner], self.workers)
        until_s = self.world.steps.cut.until
        self.checker.comparing.repeat(self.nodes, until_s)
        self.world.run_until(until_s)
        self.faults.stop()
        self.world.run_until(until_s + CALM_AGAIN_S)
        at_most_s = POISONED_S if self._mix.poison else AT_MOST_S
        missing = self._unsettled()
        while missing:
            if self.world.now > at_most_s:
                raise Violation(f"seed {self.world.seed}: not at rest after {at_most_s:.0f} s: {missing}")
            self.world.run_until(self.world.now + 1.0)
            missing = self._unsettled()
        self.checker.final(self.nodes, self.clients)
        self.checker.history.judge(self.nodes, self.checker.violation)
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
            int(self.checker.versions.upgraded),
            sum(node.ends_too_old for node in self.nodes),
        )
