"""What goes wrong, how often: named mixes of faults, each at a rate per virtual second."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.machine.rules import Rules
from orchestrix_raft.simulation.coverage import Coverage
from orchestrix_raft.simulation.drains import SimDrainer
from orchestrix_raft.simulation.network import Network
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.versions import NEW, OLD
from orchestrix_raft.simulation.workers import SimWorker
from orchestrix_raft.simulation.world import World

_SHIFT_MAX_MS = 20 * 3_600_000  # finished jobs are kept for 24 h, and are looked for at the end


class Mix(NamedTuple):
    """Rates per second of virtual time."""

    crash: float = 0.0  # one node process, most often the leader; power or process only
    crash_all: float = 0.0
    outage: float = 0.0  # everything is down for hours, of which only the wall clocks tell
    at_slot: float = 0.0  # the leader dies around the next due time of a schedule
    fuse: float = 0.0  # death in the middle of a durable step
    partition: float = 0.0
    one_way: float = 0.0  # one direction stalls, the connection stays
    flap: float = 0.0  # a connection breaks
    pause: float = 0.0  # a process stands still
    worker_crash: float = 0.0
    clock_jump: float = 0.0
    slow: float = 0.0  # chance that a message takes long
    cut_worker: float = 0.0  # a worker machine cannot reach some nodes
    leave: float = 0.0  # a node process ends in good order and is started again
    io_error: float = 0.0  # a disk fails to write, once: its node ends
    no_room: float = 0.0  # a disk is full for a while: its node ends, again and again
    worker_leave: float = 0.0  # a worker drains and says goodbye
    drain: float = 0.0  # an operator drains a node, and undrains it later
    worker_drain: float = 0.0  # an operator drains a worker
    upgrade: float = 0.0  # a node is started again with the newer version; at first all have the older one
    downgrade: float = 0.0  # and the other way round
    apart_ms: int = 0  # no rate: wall clocks are up to this far off when the world begins
    drift: float = 0.0  # no rate: they gain or lose up to so many seconds in a second


MIXES = {
    "calm": Mix(),
    "rolling": Mix(leave=0.1, drain=0.05),
    "drains": Mix(
        crash=0.04, partition=0.05, flap=0.1, worker_crash=0.03, leave=0.1, drain=0.15, worker_drain=0.05
    ),
    "crash": Mix(crash=0.12, at_slot=0.05, fuse=0.05, worker_crash=0.03),
    "power": Mix(crash=0.05, crash_all=0.03, outage=0.02, fuse=0.1, worker_crash=0.05),
    "partition": Mix(partition=0.12, one_way=0.05, cut_worker=0.05, slow=0.02, worker_crash=0.08),
    "flap": Mix(flap=0.8, one_way=0.1, crash=0.03, slow=0.05, worker_leave=0.05),
    "workers": Mix(worker_crash=0.15, cut_worker=0.1, flap=0.2, worker_leave=0.15),
    "clocks": Mix(at_slot=0.05, clock_jump=0.2, pause=0.1, crash=0.05, apart_ms=180_000, drift=0.05),
    "slots": Mix(
        crash=0.03, outage=0.02, at_slot=0.25, clock_jump=0.05, flap=0.1, apart_ms=60_000, drift=0.01
    ),
    "members": Mix(
        crash=0.06, crash_all=0.01, fuse=0.05, partition=0.04, one_way=0.03, flap=0.1, worker_crash=0.03
    ),
    "disks": Mix(crash=0.02, io_error=0.15, no_room=0.06, fuse=0.03, flap=0.05, worker_crash=0.02),
    "upgrade": Mix(
        upgrade=0.2, downgrade=0.05, crash=0.06, fuse=0.05, flap=0.2, partition=0.03, leave=0.02, pause=0.02
    ),
    "members_upgrade": Mix(upgrade=0.25, downgrade=0.06, crash=0.04, fuse=0.03, partition=0.03, flap=0.1),
    "full": Mix(
        crash=0.06,
        crash_all=0.01,
        outage=0.01,
        at_slot=0.03,
        fuse=0.04,
        partition=0.06,
        one_way=0.05,
        flap=0.3,
        pause=0.05,
        worker_crash=0.03,
        clock_jump=0.05,
        slow=0.03,
        cut_worker=0.03,
        leave=0.02,
        worker_leave=0.05,
        drain=0.03,
        worker_drain=0.02,
    ),
}

_NO_RATES = ("slow", "apart_ms", "drift")
INJECTED = tuple(name for name in Mix._fields if name not in _NO_RATES)

GROWING = ("members", "members_upgrade")
"""Mixes under which an operator changes the members, from one node on."""

GENTLE = ("calm", "rolling")
"""Mixes under which no attempt may be lost."""


class Faults:
    """Injects a mix into a world until it is told to stop."""

    def __init__(
        self,
        world: World,
        network: Network,
        nodes: list[SimNode],
        workers: list[SimWorker],
        mix: Mix,
        hindered: Callable[[], None],
        drainer: SimDrainer,
    ) -> None:
        self.world = world
        self.network = network
        self.nodes = nodes
        self.workers = workers
        self.injected: dict[str, int] = {}
        self.coverage = Coverage(nodes)
        self._mix = mix
        self._hindered = hindered
        self._drainer = drainer
        self._active = True
        network.slow = mix.slow
        if mix.apart_ms:
            for node in nodes:
                node.clock.wall_offset_ms = world.rng.randint(-mix.apart_ms, mix.apart_ms)
                node.clock.wall_drift = world.rng.uniform(-mix.drift, mix.drift)
        for name in Mix._fields:
            rate = getattr(mix, name)
            if name in INJECTED and rate:
                world.after(1.0 + world.some(rate), self._repeat(name, rate))

    def stop(self) -> None:
        """No more, and repair everything; but now and then a machine is lost for good."""
        self._active = False
        self.network.heal()
        growing = self._mix in [MIXES[name] for name in GROWING]
        may_lose = len(self.nodes) > 2 and self._mix.leave == 0.0 and not growing
        if self.injected and may_lose and self.world.chance(0.3):
            victim = self._victim()
            victim.crash()
            victim.lost = True
        for node in self.nodes:
            node.paused_until = 0.0
            node.disk.fuse = None
            node.disk.full = node.disk.fail_next_flush = False
            node.clock.set_right()
            self._finish_upgrade(node)
            node.start()
        for worker in self.workers:
            worker.start()
            for delay in (10.0, 20.0):  # one that is just leaving
                self.world.after(delay, worker.start)
        self._hindered()

    def _repeat(self, name: str, rate: float) -> Callable[[], None]:
        def again() -> None:
            if self._active:
                self.injected[name] = self.injected.get(name, 0) + 1
                self._hindered()
                getattr(self, f"_{name}")()
                self.world.after(self.world.some(rate), again)

        return again

    # ---- one of each ---------------------------------------------------------------------------------

    def _victim(self) -> SimNode:
        leaders = [node for node in self.nodes if node.leads]
        if leaders and self.world.chance(0.6):
            return leaders[0]
        return self.world.rng.choice(self.nodes)

    def _down_time(self) -> float:
        rng = self.world.rng
        return rng.choice((0.05, 0.5, 2.0, 8.0)) * rng.uniform(0.5, 1.5)

    def _long_down_time(self) -> float:
        return self.world.rng.uniform(15.0, 40.0) if self.world.chance(0.2) else self._down_time()

    def _crash(self) -> None:
        node = self._victim()
        self.coverage.note("crash", node)
        if node.up:
            node.crash(power=self.world.chance(0.5))
            self.world.after(self._long_down_time(), node.start)

    def _at_slot(self) -> None:
        for node in self.nodes:
            core = node.core
            if core is not None and core.leading:
                state = core.state
                due_ms = state.book.first_due_ms(state.schedules)
                if due_ms is not None:
                    wait_s = max(0.0, (due_ms - core.wall_ms) / 1000) + self.world.rng.uniform(-0.01, 0.02)
                    self.world.after(wait_s, partial(self._crash_life, node, core))

    def _crash_life(self, node: SimNode, core: Core) -> None:
        if node.core is core and self._active:
            self.coverage.note("at_slot", node)
            self._hindered()
            node.crash(power=self.world.chance(0.5))
            self.world.after(self._down_time(), node.start)

    def _crash_all(self, fault: str = "crash_all") -> None:
        self.coverage.note(fault, *self.nodes)
        for node in self.nodes:
            node.crash(power=True)
            self.world.after(self._down_time(), node.start)

    def _outage(self) -> None:
        self._crash_all("outage")
        hours = self.world.rng.choice((0.1, 1.0, 5.0)) * self.world.rng.uniform(0.5, 1.5)
        self.world.wall_shift_ms = min(self.world.wall_shift_ms + int(hours * 3_600_000), _SHIFT_MAX_MS)

    def _fuse(self) -> None:
        node = self._victim()
        self.coverage.note("fuse", node)
        if node.up and node.disk.fuse is None:
            node.disk.torn = self.world.chance(0.5)
            node.disk.fuse = self.world.rng.randint(0, 12)

    def _io_error(self) -> None:
        node = self._victim()
        node.disk.fail_next_flush = node.up

    def _no_room(self) -> None:
        disk = self._victim().disk
        disk.full = True

        def made_room() -> None:
            disk.full = False

        self.world.after(self._long_down_time(), made_room)

    def _partition(self) -> None:
        rng = self.world.rng
        everyone = [n.name for n in self.nodes] + [w.name for w in self.workers]
        side = {self._victim().name, *(name for name in everyone if rng.random() < 0.3)}
        rest = [name for name in everyone if name not in side]
        self.coverage.note("partition", *(node for node in self.nodes if node.name in side))
        self.world.tell(f"partition: {sorted(side)} from {rest}")
        heal = self.network.cut(sorted(side), rest)
        self.world.after(rng.choice((0.5, 3.0, 10.0, 25.0)) * rng.uniform(0.5, 1.5), heal)

    def _cut_worker(self) -> None:
        rng = self.world.rng
        worker = rng.choice(self.workers)
        self.coverage.note("cut_worker")
        count = rng.randint(1, len(self.nodes))
        unreachable = [node.name for node in rng.sample(self.nodes, count)]
        heal = self.network.cut([worker.name], unreachable)
        duration = rng.choice((1.0, 8.0, 35.0)) * rng.uniform(0.5, 1.5)
        worker.troubled_at = self.world.now + duration
        self.world.after(duration, heal)

    def _one_way(self) -> None:
        rng = self.world.rng
        if len(self.nodes) < 2:
            return
        a, b = rng.sample(self.nodes, 2)
        self.coverage.note("one_way", a, b)
        self.network.stall(a.name, b.name, self.world.now + rng.uniform(0.2, 5.0))

    def _flap(self) -> None:
        pipes = self.network.all_pipes()
        if pipes:
            pipe = self.world.rng.choice(pipes)
            self.coverage.note("flap", *(node for node in self.nodes if node.name in pipe.names))
            pipe.close()

    def _pause(self) -> None:
        rng, node = self.world.rng, self._victim()
        self.coverage.note("pause", node)
        node.stand_still(rng.choice((0.2, 1.0, 4.0, 12.0, 40.0)) * rng.uniform(0.5, 1.5))

    def _leave(self) -> None:
        node = self._victim()
        if all(other.up and not other.leaving for other in self.nodes):
            self.coverage.note("leave", node)
            node.leave(min(self._down_time(), 3.0))

    # ---- versions

    def _upgrade(self) -> None:
        self._change_version("upgrade", OLD, NEW)

    def _downgrade(self) -> None:
        self._change_version("downgrade", NEW, OLD)

    def _change_version(self, fault: str, before: Rules, after: Rules) -> None:
        found = [node for node in self.nodes if node.rules is before and not node.leaving]
        if not found:
            return
        node = self.world.rng.choice(found)
        self.coverage.note(fault, node)
        node.rules = after
        self.world.tell(f"{node.name} is to run version {after.version}")
        if self.world.chance(0.5):
            node.leave(self._down_time())
        elif node.up:
            node.crash(power=self.world.chance(0.5))
            self.world.after(self._down_time(), node.start)

    def _finish_upgrade(self, node: SimNode) -> None:
        if node.rules is OLD:
            node.rules = NEW
            node.crash(power=False)

    def _worker_leave(self) -> None:
        worker = self.world.rng.choice(self.workers)
        self.coverage.note("worker_leave")
        worker.leave()
        self.world.after(self.world.rng.uniform(8.0, 15.0), worker.start)

    def _drain(self) -> None:
        node = self._victim()
        self.coverage.note("drain", node)
        self._drainer.drain(node.name)

    def _worker_drain(self) -> None:
        worker = self.world.rng.choice(self.workers)
        if worker.alive:
            self.coverage.note("worker_drain")
            self._drainer.drain_worker(worker)
            self.world.after(self.world.rng.uniform(8.0, 15.0), worker.start)

    def _worker_crash(self) -> None:
        worker = self.world.rng.choice(self.workers)
        self.coverage.note("worker_crash")
        worker.crash()
        self.world.after(self.world.rng.uniform(0.1, 10.0), worker.start)

    def _clock_jump(self) -> None:
        node = self.world.rng.choice(self.nodes)
        self.coverage.note("clock_jump", node)
        node.clock.wall_offset_ms += self.world.rng.randint(-240_000, 240_000)
