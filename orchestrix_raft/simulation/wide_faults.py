"""Faults of connections, of workers and of everybody.  Each takes the chance of its step."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.scene import Scene, down_time
from orchestrix_raft.simulation.story import FAULT

_SHIFT_MAX_MS: Final = 20 * 3_600_000  # finished jobs are kept for 24 h, and are looked for at the end
_LOOK_S: Final = 0.02

Wide = Callable[[Scene, Random], None]


def victim(scene: Scene, rng: Random) -> SimNode:
    """Most often the leader, unless somebody is aimed at."""
    if scene.aimed_at is not None:
        return scene.aimed_at
    leaders = [node for node in scene.nodes if node.leads]
    leader, anyone = rng.random() < 0.6, rng.choice(scene.nodes)
    return leaders[0] if leaders and leader else anyone


def partition(scene: Scene, rng: Random) -> None:
    """Some nodes and workers from the others."""
    everyone = [n.name for n in scene.nodes] + [w.name for w in scene.workers]
    side = {victim(scene, rng).name, *(name for name in everyone if rng.random() < 0.3)}
    rest = [name for name in everyone if name not in side]
    lasts_s = rng.choice((0.5, 3.0, 10.0, 25.0)) * rng.uniform(0.5, 1.5)
    scene.coverage.note("partition", *(node for node in scene.nodes if node.name in side))
    scene.tell(f"network: {' '.join(sorted(side))} cut off from {' '.join(rest)} for {lasts_s:.1f} s")
    scene.world.after(lasts_s, scene.network.cut(sorted(side), rest))


def one_way(scene: Scene, rng: Random) -> None:
    """One direction between two nodes stalls."""
    if len(scene.nodes) < 2:
        return
    a, b = rng.sample(scene.nodes, 2)
    if scene.aimed_at is not None:
        a, b = scene.aimed_at, b if b is not scene.aimed_at else a
    lasts_s = rng.uniform(0.2, 5.0)
    scene.coverage.note("one_way", a, b)
    scene.tell(f"network: nothing from {a.name} arrives at {b.name} for {lasts_s:.1f} s")
    scene.network.stall(a.name, b.name, scene.world.now + lasts_s)


def flap(scene: Scene, rng: Random) -> None:
    """One connection breaks."""
    aimed = scene.aimed_at
    pipes = scene.network.all_pipes() if aimed is None else scene.network.pipes_of(aimed.name)
    if pipes:
        pipe = rng.choice(pipes)
        scene.coverage.note("flap", *(node for node in scene.nodes if node.name in pipe.names))
        scene.tell(f"network: the connection between {pipe.names[0]} and {pipe.names[1]} breaks")
        pipe.close()


def cut_worker(scene: Scene, rng: Random) -> None:
    """A worker machine from some nodes."""
    worker = rng.choice(scene.workers)
    scene.coverage.note("cut_worker")
    unreachable = [node.name for node in rng.sample(scene.nodes, rng.randint(1, len(scene.nodes)))]
    lasts_s = rng.choice((1.0, 8.0, 35.0)) * rng.uniform(0.5, 1.5)
    scene.tell(f"{worker.name} is cut off from {' '.join(unreachable)} for {lasts_s:.1f} s")
    worker.troubled_at = scene.world.now + lasts_s
    scene.world.after(lasts_s, scene.network.cut([worker.name], unreachable))


# ---- everybody


def storm(scene: Scene, rng: Random) -> None:
    """For some seconds whoever becomes leader stands still or loses its connections at once."""
    until_s = scene.world.now + rng.uniform(3.0, 10.0)
    scene.tell(f"network: an election storm until {until_s:.1f} s")
    struck: set[int] = set()

    def look() -> None:
        for node in scene.nodes:
            core = node.core
            if core is None or not node.leads or core.consensus.term in struck:
                continue
            struck.add(core.consensus.term)
            scene.later(rng.choice((0.0, 0.05, 0.5)), partial(_depose, scene, rng, node))
        if scene.world.now < until_s:
            scene.later(_LOOK_S, look)

    look()


def _depose(scene: Scene, rng: Random, node: SimNode) -> None:
    if not node.leads:
        return
    scene.coverage.note("storm", node)
    lasts_s = rng.uniform(0.6, 2.5)
    if rng.random() < 0.5:
        scene.world.tell(f"{node.name} leads, and stands still for {lasts_s:.1f} s", FAULT)
        node.stand_still(lasts_s)
        return
    scene.world.tell(f"{node.name} leads, and is cut off for {lasts_s:.1f} s", FAULT)
    others = [other.name for other in scene.nodes if other is not node]
    scene.world.after(lasts_s, scene.network.cut([node.name], others))


def crash_all(scene: Scene, rng: Random, fault: str = "crash_all") -> None:
    """The power fails everywhere."""
    scene.coverage.note(fault, *scene.nodes)
    scene.tell("network: the power fails everywhere")
    for node in scene.nodes:
        node.crash(power=True)
        scene.world.after(down_time(rng), node.start)


def outage(scene: Scene, rng: Random) -> None:
    """For hours, of which only the wall clocks tell."""
    crash_all(scene, rng, "outage")
    hours = rng.choice((0.1, 1.0, 5.0)) * rng.uniform(0.5, 1.5)
    world = scene.world
    world.steps.describe(f"wall clocks show {hours:.1f} h more when it is back")
    world.wall_shift_ms = min(world.wall_shift_ms + int(hours * 3_600_000), _SHIFT_MAX_MS)


# ---- workers


def worker_crash(scene: Scene, rng: Random) -> None:
    """SIGKILL."""
    worker = rng.choice(scene.workers)
    down_s = rng.uniform(0.1, 10.0)
    scene.coverage.note("worker_crash")
    scene.tell(f"{worker.name} is killed for {down_s:.1f} s")
    worker.crash()
    scene.world.after(down_s, worker.start)


def worker_leave(scene: Scene, rng: Random) -> None:
    """SIGTERM: it drains and says goodbye."""
    worker = rng.choice(scene.workers)
    scene.coverage.note("worker_leave")
    scene.tell(f"{worker.name} is told to end")
    worker.leave()


def worker_drain(scene: Scene, rng: Random) -> None:
    """By an operator."""
    worker = rng.choice(scene.workers)
    if worker.alive:
        scene.coverage.note("worker_drain")
        scene.tell(f"{worker.name} is to be drained")
        scene.drainer.rng = rng
        scene.drainer.drain_worker(worker)


def worker_storm(scene: Scene, rng: Random) -> None:
    """All of them at once: they die, or lose their connections, and are all back at once."""
    scene.coverage.note("worker_storm")
    dies, back_s = rng.random() < 0.6, rng.choice((0.0, 1.0, 5.0))
    scene.tell(f"workers all {'die' if dies else 'lose their connections'}; back after {back_s:.0f} s")
    for worker in scene.workers:
        if dies:
            worker.crash()
            scene.world.after(back_s + rng.uniform(0.0, 0.05), worker.start)
        else:
            for pipe in scene.network.pipes_of(worker.name):
                pipe.close()


WIDE_FAULTS: Final[dict[str, Wide]] = {
    "partition": partition,
    "one_way": one_way,
    "flap": flap,
    "cut_worker": cut_worker,
    "storm": storm,
    "crash_all": crash_all,
    "outage": outage,
    "worker_crash": worker_crash,
    "worker_leave": worker_leave,
    "worker_drain": worker_drain,
    "worker_storm": worker_storm,
}
