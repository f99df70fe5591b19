"""Faults of one machine.  Each takes the chance of its step and the node that it strikes."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.machine.rules import Rules
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.scene import Scene, down_time, long_down_time
from orchestrix_raft.simulation.story import FAULT
from orchestrix_raft.simulation.versions import NEW, OLD

_AT_ONCE_MS: Final = 60

Blow = Callable[[Scene, Random, SimNode], None]


def crash(scene: Scene, rng: Random, node: SimNode) -> None:
    """SIGKILL, or the power fails: then what was not synced is lost."""
    power, down_s = rng.random() < 0.5, long_down_time(rng)
    scene.tell(f"{node.name} is killed{', with loss of power,' if power else ''} for {down_s:.1f} s")
    node.crash(power=power)
    scene.world.after(down_s, node.start)


def at_slot(scene: Scene, rng: Random, node: SimNode) -> None:
    """It dies around the next due time of a schedule, if it leads."""
    core = node.core
    if core is None or not core.leading:
        return
    state = core.state
    due_ms = state.book.first_due_ms(state.schedules)
    if due_ms is not None:
        wait_s = max(0.0, (due_ms - core.wall_ms) / 1000) + rng.uniform(-0.01, 0.02)
        scene.later(wait_s, partial(_crash_life, scene, rng, node, core))


def near_slot(node: SimNode) -> bool:
    """It leads, and a schedule is due at once."""
    core = node.core
    if core is None or not core.leading:
        return False
    due_ms = core.state.book.first_due_ms(core.state.schedules)
    return due_ms is not None and due_ms - core.wall_ms < _AT_ONCE_MS


def _crash_life(scene: Scene, rng: Random, node: SimNode, core: Core) -> None:
    if node.core is core:
        scene.coverage.note("at_slot", node)
        down_s = down_time(rng)
        scene.world.tell(f"{node.name} is killed at a slot for {down_s:.1f} s", FAULT)
        node.crash(power=rng.random() < 0.5)
        scene.world.after(down_s, node.start)


def fuse(scene: Scene, rng: Random, node: SimNode) -> None:
    """It dies in the middle of a durable step: that one is lost, or stored without its knowing."""
    torn, steps = rng.random() < 0.5, rng.randint(0, 12)
    if node.disk.fuse is None:
        what = "is torn" if torn else "is stored and not heard of"
        scene.tell(f"{node.name} will die in its write {steps + 1} from now, which {what}")
        node.disk.torn, node.disk.fuse = torn, steps


def pause(scene: Scene, rng: Random, node: SimNode) -> None:
    """SIGSTOP, and SIGCONT later."""
    duration_s = rng.choice((0.2, 1.0, 4.0, 12.0, 40.0)) * rng.uniform(0.5, 1.5)
    scene.tell(f"{node.name} stands still for {duration_s:.1f} s")
    node.stand_still(duration_s)


def slow_disk(scene: Scene, rng: Random, node: SimNode) -> None:
    """Each durable step takes up to this long, for a while; nothing else moves meanwhile."""
    sync_s, lasts_s = rng.choice((0.02, 0.2, 1.5)), rng.choice((3.0, 12.0)) * rng.uniform(0.5, 1.5)
    scene.tell(f"{node.name} has a disk that takes up to {sync_s} s for a sync, for {lasts_s:.1f} s")
    node.sync_s = sync_s

    def faster() -> None:
        if node.sync_s == sync_s:
            node.sync_s = 0.0

    scene.world.after(lasts_s, faster)


def io_error(scene: Scene, rng: Random, node: SimNode) -> None:
    """The next write fails; its process ends."""
    scene.tell(f"{node.name} will fail its next write")
    node.disk.fail_next_flush = True


def no_room(scene: Scene, rng: Random, node: SimNode) -> None:
    """Every write fails until somebody makes room."""
    lasts_s = long_down_time(rng)
    scene.tell(f"{node.name} has a full disk for {lasts_s:.1f} s")
    disk = node.disk
    disk.full = True

    def made_room() -> None:
        disk.full = False

    scene.world.after(lasts_s, made_room)


def bad_snapshot(scene: Scene, rng: Random, node: SimNode) -> None:
    """What it reads of its snapshots has flipped or missing bytes, now and then.  Another node is away for a
    while, so that it may need one."""
    lasts_s, down_s = rng.uniform(5.0, 20.0), rng.uniform(1.0, 6.0)
    scene.tell(f"{node.name} sends damaged snapshots for {lasts_s:.1f} s")
    node.spoils = rng
    others = [other for other in scene.nodes if other is not node and other.up]
    if others:
        away = rng.choice(others)
        scene.tell(f"{away.name} is killed for {down_s:.1f} s")
        away.crash(power=False)
        scene.world.after(down_s, away.start)

    def sound() -> None:
        if node.spoils is rng:
            node.spoils = None

    scene.world.after(lasts_s, sound)


def leave(scene: Scene, rng: Random, node: SimNode) -> None:
    """SIGTERM, when nobody else is away."""
    down_s = min(down_time(rng), 3.0)
    if all(other.up and not other.leaving for other in scene.nodes):
        scene.coverage.note("leave", node)
        scene.tell(f"{node.name} is told to end, and is back after {down_s:.1f} s")
        node.leave(down_s)


def drain(scene: Scene, rng: Random, node: SimNode) -> None:
    """By an operator, who undrains it later."""
    scene.tell(f"{node.name} is to be drained")
    scene.drainer.rng = rng
    scene.drainer.drain(node.name)


def drain_cut(scene: Scene, rng: Random, node: SimNode) -> None:
    """A drain, in the middle of which the node cannot reach some others, nodes or workers."""
    drain(scene, rng, node)
    names = [other.name for other in scene.nodes] + [worker.name for worker in scene.workers]
    rest = sorted(name for name in names if name != node.name and rng.random() < 0.6) or names[:1]
    wait_s, lasts_s = rng.uniform(0.0, 1.5), rng.choice((1.0, 5.0, 15.0)) * rng.uniform(0.5, 1.5)

    def cut() -> None:
        scene.world.tell(f"{node.name} is cut off from {' '.join(rest)} for {lasts_s:.1f} s", FAULT)
        scene.world.after(lasts_s, scene.network.cut([node.name], rest))

    scene.later(wait_s, cut)


def clock_jump(scene: Scene, rng: Random, node: SimNode) -> None:
    """By up to four minutes, either way."""
    jump_ms = rng.randint(-240_000, 240_000)
    scene.tell(f"{node.name} has its wall clock set by {jump_ms / 1000:+.1f} s")
    node.clock.wall_offset_ms += jump_ms


def upgrade(scene: Scene, rng: Random, node: SimNode) -> None:
    """It is started again with the newer version."""
    _change_version(scene, rng, node, OLD, NEW)


def downgrade(scene: Scene, rng: Random, node: SimNode) -> None:
    """And with the older one."""
    _change_version(scene, rng, node, NEW, OLD)


def _change_version(scene: Scene, rng: Random, node: SimNode, before: Rules, after: Rules) -> None:
    if node.rules is not before or node.leaving:
        return
    scene.coverage.note("upgrade" if after is NEW else "downgrade", node)
    node.rules = after
    scene.tell(f"{node.name} is to run version {after.version}")
    down_s = down_time(rng)
    if rng.random() < 0.5:
        node.leave(down_s)
    elif node.up:
        node.crash(power=rng.random() < 0.5)
        scene.world.after(down_s, node.start)


NODE_FAULTS: Final[dict[str, Blow]] = {
    "crash": crash,
    "at_slot": at_slot,
    "fuse": fuse,
    "pause": pause,
    "slow_disk": slow_disk,
    "io_error": io_error,
    "no_room": no_room,
    "bad_snapshot": bad_snapshot,
    "leave": leave,
    "drain": drain,
    "drain_cut": drain_cut,
    "clock_jump": clock_jump,
    "upgrade": upgrade,
    "downgrade": downgrade,
}
