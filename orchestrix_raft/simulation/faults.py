"""When what goes wrong: the faults of a mix, each at its own times, until they are told to stop.

Every fault is a step (see `steps`).  Most strike by chance; `aim` waits until some node is in a state that
chance seldom meets, and strikes then.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from orchestrix_raft.simulation.coverage import AIMED, CANNOT, Coverage
from orchestrix_raft.simulation.mixes import INJECTED, Mix
from orchestrix_raft.simulation.node_faults import NODE_FAULTS, near_slot
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.scene import Scene
from orchestrix_raft.simulation.story import FAULT
from orchestrix_raft.simulation.versions import NEW, OLD
from orchestrix_raft.simulation.wide_faults import WIDE_FAULTS, victim
from orchestrix_raft.simulation.world import some

_LOOK_S: Final = 0.01
_AIM_S: Final = 12.0  # then the step is over without a blow
_VERSIONS: Final = ("upgrade", "downgrade")
_AIMED_FAULTS: Final = tuple(name for name in (*NODE_FAULTS, *WIDE_FAULTS) if name != "storm")
_HEAVY: Final = ("crash", "fuse", "pause", "io_error")  # more often than the others
_NOTED_LATER: Final = ("at_slot", "leave", *_VERSIONS)  # only if they do strike


class Faults:
    """Injects a mix into a world."""

    def __init__(self, scene: Scene, mix: Mix, may_lose: bool) -> None:
        """`may_lose`: a machine may be lost for good at the end."""
        self.injected: dict[str, int] = {}
        self.scene = scene
        self._mix = mix
        self._may_lose = may_lose
        world = scene.world
        if not world.steps.cut.plain:
            scene.network.slow, scene.network.linger = mix.slow, mix.linger
            self._set_clocks()
        for name in INJECTED:
            rate = getattr(mix, name)
            if rate:
                times = world.stream(f"times of {name}")
                world.after(1.0 + some(times, rate), self._repeat(name, rate, times))

    @property
    def coverage(self) -> Coverage:
        """Which faults met which states."""
        return self.scene.coverage

    def _set_clocks(self) -> None:
        mix = self._mix
        for node in self.scene.nodes if mix.apart_ms else ():
            rng = self.scene.world.stream(f"wrong clock of {node.name}")
            node.clock.wall_offset_ms = rng.randint(-mix.apart_ms, mix.apart_ms)
            node.clock.wall_drift = rng.uniform(-mix.drift, mix.drift)

    def _repeat(self, name: str, rate: float, times: Random) -> Callable[[], None]:
        scene = self.scene

        def again() -> None:
            if not scene.active:
                return
            rng = scene.world.step(name)
            if rng is not None:
                self.injected[name] = self.injected.get(name, 0) + 1
                scene.hindered()
                self._strike(name, rng)
            scene.world.after(some(times, rate), again)

        return again

    def _strike(self, name: str, rng: Random) -> None:
        scene = self.scene
        if name == "aim":
            self._aim(rng)
        elif name in WIDE_FAULTS:
            WIDE_FAULTS[name](scene, rng)
        elif name in ("upgrade", "downgrade"):
            # of those that run the other version
            before = OLD if name == "upgrade" else NEW
            found = [node for node in scene.nodes if node.rules is before and not node.leaving]
            if found:
                self.strike(name, rng, rng.choice(found))
        elif name == "clock_jump":
            self.strike(name, rng, rng.choice(scene.nodes))
        else:
            self.strike(name, rng, victim(scene, rng))

    def strike(self, name: str, rng: Random, node: SimNode) -> None:
        """One fault of a node; what needs a process does nothing where there is none."""
        if "down" in CANNOT.get(name, {}) and not node.up:
            return
        if name not in _NOTED_LATER:
            self.coverage.note(name, node)
        NODE_FAULTS[name](self.scene, rng, node)

    # ---- aimed ---------------------------------------------------------------------------------------

    def _aim(self, rng: Random) -> None:
        """Wait for a state, and strike a node that is in it."""
        scene = self.scene
        faults = [name for name in _AIMED_FAULTS if self._mix.upgrade or name not in _VERSIONS]
        fault = rng.choice(_HEAVY if rng.random() < 0.3 else faults)
        states = [state for state in AIMED if state not in CANNOT.get(fault, {})]
        any_state = rng.choice(states)
        state = self._mix.aim_at if self._mix.aim_at in states else any_state
        until_s = scene.world.now + _AIM_S
        scene.world.steps.describe(f"{fault} for a node that is in the state {state}")

        def look() -> None:
            if not scene.active:
                return
            found = self.coverage.standing(state)
            if fault == "at_slot":
                found = [node for node in found if near_slot(node)]
            if found:
                scene.hindered()
                node = rng.choice(found)
                scene.world.tell(f"{node.name} is in the state {state}, which {fault} waited for", FAULT)
                self._strike_aimed(fault, rng, node)
            elif scene.world.now < until_s:
                scene.world.after(_LOOK_S, look)

        look()

    def _strike_aimed(self, fault: str, rng: Random, node: SimNode) -> None:
        if fault in NODE_FAULTS:
            self.strike(fault, rng, node)
            return
        self.scene.aimed_at = node
        WIDE_FAULTS[fault](self.scene, rng)
        self.scene.aimed_at = None

    # ---- the end -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """No more, and repair everything; but now and then a machine is lost for good."""
        scene = self.scene
        scene.active = False
        scene.network.heal()
        chance = scene.world.stream("a lost machine").random()
        may_lose = self.injected and len(scene.nodes) > 2 and self._may_lose
        rng = scene.world.step("lost") if may_lose and chance < 0.3 else None
        if rng is not None:
            lost = victim(scene, rng)
            scene.tell(f"{lost.name} is lost for good")
            lost.crash()
            lost.lost = True
        scene.world.tell("network: faults are over, everything is repaired", FAULT)
        for node in scene.nodes:
            node.repair()
            if node.rules is OLD:
                node.rules = NEW
                node.crash(power=False)
            node.start()
        for worker in scene.workers:
            worker.start()
        scene.hindered()
