"""The operator who changes the members of a cluster while it works: it grows from 1 to 3 to 5, loses two
machines for good, has them replaced, and shrinks to 3.

Each step is asked for at any node, as often as it takes, and nothing waits for calm: at every step somebody
may die at the worst moment, the leader, the node that comes or goes, or all of them.  Another operator only
replaces machines that are lost, again and again.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from orchestrix_raft.consensus.configuration import Configuration, Placed, Standing
from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.domain.node import Health
from orchestrix_raft.machine.state import State
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.story import FAULT
from orchestrix_raft.simulation.world import World

GROWN: Final = 5
SMALL: Final = 3
REPLACED: Final = 3  # machines, one after the other
_LOOK_S: Final = 0.2
_REST_S: Final = (1.0, 1.0, 10.0, 30.0)  # looks between two steps
_ASK_AGAIN_S: Final = 3.0
_SNIPE: Final = 0.4  # of all requests: somebody dies within a moment

Make = Callable[[str, str], SimNode]
"""A machine with this name and disk, known to all others, on which nothing runs yet."""


class SimMembers:
    """One operator; `step` is called again and again."""

    def __init__(
        self,
        world: World,
        nodes: list[SimNode],
        make: Make,
        hindered: Callable[[], None],
        replaces: bool = False,
    ) -> None:
        """`replaces`: one machine after the other is lost for good and replaced, and that is all."""
        self.world = world
        self.done = False
        self.changes = 0
        self._nodes = nodes
        self._make = make
        self._hindered = hindered
        self._names = len(nodes)
        self._wanted: tuple[str, str] | None = None  # change, name
        self._asked_at = -_ASK_AGAIN_S
        self._rng = world.stream("members")
        self._newest = Placed(-1, None)
        self._killed: list[str] = []
        self._small = len(nodes) if replaces else SMALL
        one_machine: list[Callable[[], None]] = [partial(self._kill, 1), self._remove_killed, self._grow]
        whole_life: list[Callable[[], None]] = [
            *[self._grow] * (GROWN - len(nodes)),
            partial(self._kill, 2),
            *[self._remove_killed] * 2,
            *[self._grow] * 2,
            *[self._shrink] * (GROWN - SMALL),
        ]
        plan = one_machine * REPLACED if replaces else whole_life
        most = world.steps.cut.changes
        self._plan = plan if most < 0 else plan[:most]
        self._whole = len(self._plan) == len(plan)

    def begin(self) -> None:
        """From now on, until the plan is carried out."""
        self.world.after(_LOOK_S, self._look)

    def _look(self) -> None:
        self._tell_waiting()
        if self._wanted is not None:
            self._pursue(*self._wanted)
        elif self._plan:
            self._plan.pop(0)()
        self.done = not self._plan and self._wanted is None
        if not self.done:
            rest_s = self._rng.choice(_REST_S) if self._wanted is None else 1.0
            self.world.after(_LOOK_S * rest_s * self._rng.uniform(0.5, 1.5), self._look)

    # ---- what is known -------------------------------------------------------------------------------

    def _settled(self) -> Configuration | None:
        """The newest committed configuration that any process has ever applied."""
        for node in self._nodes:
            if node.core is not None and node.core.consensus.settled.index > self._newest.index:
                self._newest = node.core.consensus.settled
        return self._newest.configuration

    def _tell_waiting(self) -> None:
        """A node that waits to be added learns of it from any member that knows."""
        for waiting in self._nodes:
            if waiting.added or waiting.lost:
                continue
            for node in self._nodes:
                if node.core is None or waiting.added:
                    continue
                index, configuration = node.core.consensus.settled
                disk_id = waiting.disk.identity.disk_id
                if configuration is not None and configuration.lists(waiting.name, disk_id):
                    waiting.disk.set_joined("c", index, {})
                    waiting.start()

    def _is_made(self, change: str, name: str) -> bool:
        configuration = self._settled()
        member = configuration.members.get(name) if configuration else None
        if change == "add":
            return member is not None and member.standing is Standing.VOTER
        return configuration is not None and member is None

    # ---- one change ----------------------------------------------------------------------------------

    def _pursue(self, change: str, name: str) -> None:
        if self._is_made(change, name):
            self.changes += 1
            self._wanted = None
            self.world.tell(f"operator: {change} {name} is made")
        elif self.world.now - self._asked_at >= _ASK_AGAIN_S:
            self._ask(change, name)

    def _ask(self, change: str, name: str) -> None:
        up = [node for node in self._nodes if node.core is not None and node.counts]
        if not up:
            return
        node = self._rng.choice(up)
        core = node.core
        disk_id = next(one for one in self._nodes if one.name == name).disk.identity.disk_id
        self._asked_at = self.world.now
        self.world.tell(f"operator: {change} {name}, please, {node.name}")

        def answered(outcome: Outcome) -> None:
            self.world.tell(f"operator is told: {change} {name}: {outcome}")
            if not isinstance(outcome, Done):
                self._asked_at = min(self._asked_at, self.world.now - _ASK_AGAIN_S / 2)

        def ask() -> None:
            if core is not None and node.core is core:
                core.members.ask(change, name, disk_id if change == "add" else "", core.now, answered)
                node.poke()

        node.act(ask)
        rng = self.world.step("snipe") if self._rng.random() < _SNIPE else None
        if rng is not None:
            self.world.after(rng.uniform(0.0, 0.05), lambda: self._snipe(name, rng))

    def _snipe(self, name: str, rng: Random) -> None:
        """Somebody dies while the change is under way."""
        leaders = [node for node in self._nodes if node.leads]
        concerned = [node for node in self._nodes if node.name == name]
        victims = rng.choice((leaders, concerned, [*leaders, *concerned], list(self._nodes)))
        self._hindered()
        for node in victims:
            if node.up:
                self.world.tell(f"{node.name} is killed while {name} comes or goes", FAULT)
                node.crash(power=rng.random() < 0.5)
                self.world.after(rng.choice((0.05, 1.0, 4.0)) * rng.uniform(0.5, 1.5), node.start)

    # ---- the plan ------------------------------------------------------------------------------------

    def _grow(self) -> None:
        self._names += 1
        name = f"n{self._names}"
        self._make(name, f"{self._names:016x}")
        self._want("add", name)

    def _kill(self, count: int) -> None:
        """For good; most of the voters remain."""
        self._hindered()
        alive = [node for node in self._nodes if node.counts]
        for node in self._rng.sample(alive, count):
            self.world.tell(f"{node.name} is lost for good", FAULT)
            self._killed.append(node.name)
            node.crash()
            node.lost = True

    def _remove_killed(self) -> None:
        self._want("remove", self._killed.pop())

    def _shrink(self) -> None:
        configuration = self._settled()
        members = configuration.members if configuration else {}
        alive = [node for node in self._nodes if node.counts and node.name in members]
        leaders = [node for node in alive if node.leads]
        chosen = leaders if leaders and self._rng.random() < 0.5 else alive
        self._want("remove", self._rng.choice(chosen).name)

    def _want(self, change: str, name: str) -> None:
        self._hindered()
        self._wanted = (change, name)
        self._asked_at = -_ASK_AGAIN_S
        self._pursue(change, name)

    # ---- at the end ----------------------------------------------------------------------------------

    def fault(self, state: State) -> str:
        """What is not as the plan left it; "" if all is."""
        members = {node.name for node in self._nodes if node.counts}
        configuration = self._settled()
        if not self._whole:
            return ""
        small = self._small
        if configuration is None or set(configuration.members) != members or len(members) != small:
            return f"the members are {configuration}, they should be {sorted(members)}"
        if set(configuration.voters) != members:
            return f"{configuration} has members that do not vote"
        alive = {name for name, node in state.nodes.items() if node.health is Health.ALIVE}
        return "" if set(state.nodes) == alive == members else f"the state knows {state.nodes}"
